"""Hidden tests of 03_multi_head_attention, from the fundamental to the subtle.

Tests of masks look at the weights alone, and tests of the output at what becomes of the submission's own weights, so that
one mistake costs its own points and not everybody's.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from autograder.checking.assertions import (
    assert_equal,
    assert_finite,
    assert_inputs_unchanged,
    assert_matches,
    assert_raises_value_error,
    assert_tensor,
    require,
)
from autograder.checking.tensors import Tensors
from autograder.hidden_tests import naive_multi_head_attention as naive
from autograder.hidden_tests.multi_head_attention_checks import TOLERANCES, Pair, gradients, masked, plain_state, random_state


@pytest.mark.points(1)
def test_one_query_one_key(submission: Any, tensors: Tensors) -> None:
    """With a single key, the output is its value after both projections."""
    pair = Pair(submission, tensors, 15, 3)
    inputs = pair.inputs(2, 1, 1)
    output, weights = pair.attend(*inputs)
    ones = torch.ones(2, 3, 1, 1)
    assert_matches(weights, ones, what="the weight of the only key", hint="Along which dimension do weights add up to 1?")
    hint = "A weight of 1 takes the value as it is: which two layers does the value go through, biases included?"
    assert_matches(output, naive.output_of_weights(pair.state, 3, ones, inputs[2]), what="the output", hint=hint)


@pytest.mark.points(2)
def test_weights_of_each_head(submission: Any, tensors: Tensors) -> None:
    """Each head has its own weights, from its own part of query and key."""
    for batch, length, keys, num_heads, d_model in ((2, 4, 7, 3, 15), (3, 5, 4, 2, 6)):
        pair = Pair(submission, tensors, d_model, num_heads)
        inputs = pair.inputs(batch, length, keys)
        _, weights = pair.attend(*inputs)
        assert_tensor(weights, (batch, num_heads, length, keys), what="the weights (B, H, L, S)")
        hint = "Over which dimension does the softmax go?"
        assert_matches(weights.sum(-1), torch.ones(batch, num_heads, length), what="the sum of a query's weights in one head", hint=hint)
        hint = "Which columns of the projected query and key belong to head h, and by what are the scores of one head divided?"
        assert_matches(weights, pair.expected(*inputs)[1], what="the weights", hint=hint)


@pytest.mark.points(2)
def test_output_joins_the_heads(submission: Any, tensors: Tensors) -> None:
    """The heads' results stand side by side, in order, and go through w_o."""
    for batch, length, keys, num_heads, d_model in ((2, 4, 7, 3, 15), (5, 3, 4, 2, 6)):
        pair = Pair(submission, tensors, d_model, num_heads)
        inputs = pair.inputs(batch, length, keys)
        output, weights = pair.attend(*inputs)
        assert_tensor(output, (batch, length, d_model), what="the output (B, L, E)")
        assert_tensor(weights, (batch, num_heads, length, keys), what="the weights (B, H, L, S)")
        hint = "Given your weights: does head h end up in columns h·D … (h+1)·D − 1 of its own query's row, and does w_o come last?"
        assert_matches(output, naive.output_of_weights(pair.state, num_heads, weights, inputs[2]), what="the output", hint=hint)


@pytest.mark.points(0.5)
def test_self_attention(submission: Any, tensors: Tensors) -> None:
    """One tensor can be query, key and value at once."""
    pair = Pair(submission, tensors, 12, 4)
    (x, y, _), z = pair.inputs(2, 5, 7), tensors.normal((2, 5, 12))
    pair.check(x, x, x, when=" of m(x, x, x)")
    pair.check(x, y, y, when=" of m(x, y, y)", hint="Query and key may come from two sequences of different lengths.")
    pair.check(x, x, z, when=" of m(x, x, y)", hint="Which input does each layer project?")
    pair.check(x, z, x, when=" of m(x, y, x)", hint="Which input does each layer project?")


@pytest.mark.points(0.5)
def test_parameters(submission: Any, tensors: Tensors) -> None:
    """The weights are w_q, w_k, w_v and w_o and nothing else; biases are optional."""
    for bias in (True, False):
        pair = Pair(submission, tensors, 6, 3, bias=bias)
        pair.check(*pair.inputs(2, 5, 7), when="" if bias else " without biases", hint=None if bias else "What does a layer add when it has no bias?")
        found = {name: tuple(value.shape) for name, value in pair.module.state_dict().items()}
        hint = "Only the four layers of the given constructor belong there, and a call adds nothing."
        require(
            found == {name: tuple(value.shape) for name, value in pair.state.items()}, f"the state dict with bias={bias} has other entries.", hint
        )
        require({name for name, _ in pair.module.named_parameters()} == set(found), f"with bias={bias}, not every weight can be learned.", hint)
    for sizes in ((6, 4), (6, 0), (6, -2), (3, 6)):
        assert_raises_value_error(partial(submission.MultiHeadAttention, *sizes), when="num_heads is < 1 or does not divide d_model")


@pytest.mark.points(1)
def test_any_sizes(submission: Any, tensors: Tensors) -> None:
    """Batch, heads, features and lengths may be 1, equal or long, with a mask and without."""
    sizes = (
        (1, 1, 1, 1, 2),
        (2, 1, 5, 1, 4),
        (1, 4, 1, 3, 3),
        (3, 3, 3, 3, 3),
        (4, 3, 2, 5, 1),
        (1, 1, 1, 1, 521),
        (1, 1, 1, 521, 1),
    )
    hint = "Does a step of your code hold only for some sizes?"
    for batch, num_heads, head_dim, length, keys in sizes:
        pair = Pair(submission, tensors, num_heads * head_dim, num_heads)
        inputs = pair.inputs(batch, length, keys)
        pair.check(*inputs, when=" at some sizes", hint=hint)
        if length * keys < 500:
            pair.check(*inputs, tensors.mask((batch, num_heads, length, keys), keep_one=False), when=" with a mask at some sizes", hint=hint)


@pytest.mark.points(1)
def test_mask_of_queries_and_keys(submission: Any, tensors: Tensors) -> None:
    """A mask (L, S) hides the same keys in every sequence and head; True is hidden."""
    hint = "Does True hide a key in your code, and before the softmax?"
    for batch, num_heads, d_model, length, keys in ((2, 3, 15, 5, 7), (3, 2, 8, 6, 4)):
        pair = Pair(submission, tensors, d_model, num_heads)
        inputs, mask = pair.inputs(batch, length, keys), tensors.mask((length, keys))
        own = pair.own_weights(*inputs)
        pair.check_masked_weights(own, *inputs, mask=mask, when=" with an (L, S) mask", hint=hint)
    assert_matches(pair.attend(*inputs, mask=mask)[1], masked(own, mask), what="the weights with mask=…", hint=hint)


@pytest.mark.points(1)
def test_mask_of_queries_and_keys_of_any_length(submission: Any, tensors: Tensors) -> None:
    """A 2-D mask is (L, S), also when a length equals the batch size or the number of heads."""
    hint = "Two sizes are equal here. How do you decide what the two dimensions of a mask are? They are always queries and keys."
    for batch, num_heads, length, keys in ((5, 2, 5, 3), (3, 2, 5, 3), (4, 2, 4, 4), (2, 5, 5, 3), (3, 3, 3, 3), (1, 2, 1, 5)):
        pair = Pair(submission, tensors, num_heads * 2, num_heads)
        mask = tensors.mask((length, keys), hidden=0.5)
        mask[0, -1] = not mask[0, :-1].all()  # never all visible
        inputs = pair.inputs(batch, length, keys)
        pair.check_masked_weights(pair.own_weights(*inputs), *inputs, mask=mask, when=" with an (L, S) mask", hint=hint)


@pytest.mark.points(1)
def test_mask_of_sequences_and_heads(submission: Any, tensors: Tensors) -> None:
    """A 4-D mask hides other keys in each sequence, head or query."""
    for batch, num_heads, length, keys, layouts in (
        (2, 3, 4, 5, ("b..s", "b.ls", ".hls", "bhls", "bh.s", "..ls", "b.l.", "bhl.")),
        (3, 3, 2, 4, ("b..s", ".h.s", "b.ls", ".hls")),
        (2, 4, 2, 4, ("b..s", "...s", "..l.")),
    ):
        pair = Pair(submission, tensors, num_heads * 2, num_heads)
        inputs, full = pair.inputs(batch, length, keys), (batch, num_heads, length, keys)
        own = pair.own_weights(*inputs)
        for layout in layouts:
            mask = tensors.mask([1 if letter == "." else size for size, letter in zip(full, layout, strict=True)], keep_one=layout[3] == "s")
            dimensions = ", ".join("1" if letter == "." else letter.upper() for letter in layout)
            hint = "Line its dimensions up with those of the scores, (B, H, L, S)."
            pair.check_masked_weights(own, *inputs, mask=mask, when=f" with a mask ({dimensions})", hint=hint)


@pytest.mark.points(1)
def test_hidden_keys_have_no_influence(submission: Any, tensors: Tensors) -> None:
    """A hidden key weighs exactly 0: what its key and value hold changes nothing."""
    pair = Pair(submission, tensors, 15, 3)
    query, key, value = pair.inputs(2, 5, 7)
    hidden = torch.tensor([[False, True, False, False, True, False, True], [True, False, False, True, False, False, False]])
    mask = hidden[:, None, None, :]
    output, weights = pair.attend(query, key, value, mask)
    assert_tensor(weights, (2, 3, 5, 7), what="the weights (B, H, L, S)")
    hint = "Which number replaces the score of a hidden key, and is its exponential exactly 0?"
    require(not weights.masked_select(mask).any(), "a hidden key has a weight that is not exactly 0.", hint)
    other_key = torch.where(hidden[..., None], tensors.normal(key.shape, scale=20.0), key)
    other_value = torch.where(hidden[..., None], tensors.normal(value.shape, scale=1e3), value)
    changed_output, changed_weights = pair.attend(query, other_key, other_value, mask)
    hint = "Is the mask applied to the scores, before anything is added up over the keys?"
    assert_matches(changed_weights, weights, what="the weights after a change of hidden keys", hint=hint)
    assert_matches(changed_output, output, what="the output after a change of hidden keys and values", hint=hint)
    mask = torch.arange(7) != torch.tensor([[3], [0], [6], [2], [3]])
    _, weights = pair.attend(query, key, value, mask)
    assert_matches(weights, (~mask).double().expand(2, 3, 5, 7), what="the weights of queries that see one key", hint="It must get all the weight.")


@pytest.mark.points(1.5)
def test_query_without_keys(submission: Any, tensors: Tensors) -> None:
    """A query without keys in one head loses that head only; without any, its output is the bias of w_o."""
    for bias in (True, False):
        pair = Pair(submission, tensors, 6, 3, bias=bias)
        query, key, value = pair.inputs(2, 4, 5)
        alone = pair.state.get("w_o.bias", torch.zeros(6, dtype=torch.float64))
        mask = tensors.mask((2, 3, 4, 5))
        mask[0, 1, 2] = mask[1, 0, 0] = mask[1, 2, 0] = True
        mask[0, :, 3] = mask[1, :, 1] = True
        output, weights = pair.attend(query, key, value, mask)
        expected = masked(pair.own_weights(query, key, value), mask)
        assert_finite(weights, what="the weights of queries without keys", hint="What does your softmax do when every score of a row is hidden?")
        hint = "Such a query takes nothing: its weights in that head are zeros, those in other heads stay."
        assert_matches(weights, expected, what="the weights of queries without keys", hint=hint)
        assert_finite(output, what="the output")
        assert_tensor(output, (2, 4, 6), what="the output (B, L, E)")
        hint = "Zero heads still go through w_o: what does it add?"
        assert_matches(output[[0, 1], [3, 1]], alone.expand(2, 6), what="the output of a query without keys in any head", hint=hint)
        own = naive.output_of_weights(pair.state, 3, weights, value)
        assert_matches(output, own, what="the output", hint="Which heads of such a query still have something to say?")
        nothing, zeros = pair.attend(query, key, value, torch.ones(4, 5, dtype=torch.bool))
        assert_matches(zeros, torch.zeros(2, 3, 4, 5), what="the weights when every key is hidden")
        assert_matches(nothing, alone.expand(2, 4, 6), what="the output when every key is hidden", hint=hint)


@pytest.mark.points(1)
def test_gradients(submission: Any, tensors: Tensors) -> None:
    """Gradients flow through output and weights to the inputs and all parameters."""
    hint = "Does something in your code cut the graph (detach, no_grad, .data), or is the result itself off?"
    for bias, keys in ((True, 5), (False, 2)):
        pair = Pair(submission, tensors, 6, 2, bias=bias)
        pair.module.train(bias)
        inputs = pair.inputs(2, 3, keys, requires_grad=True)
        pair.check_gradients(*inputs, mask=tensors.mask((3, keys)) if bias else None, hint=hint)


@pytest.mark.points(0.5)
def test_gradients_of_queries_without_keys(submission: Any, tensors: Tensors) -> None:
    """Queries without keys leave every gradient finite, and have none of their own."""
    hint = "A NaN that is replaced afterwards comes back in the gradient: which step divides zero by zero?"
    for dtype in (torch.float64, torch.float32):
        pair = Pair(submission, tensors, 6, 2, dtype)
        inputs = pair.inputs(2, 3, 4, requires_grad=True)
        mask = tensors.mask((2, 2, 3, 4))
        mask[0, 1, 2] = mask[1, :, 1] = True
        pair.check_gradients(*inputs, mask=mask, hint=hint)
    pair.check_gradients(*inputs, mask=torch.ones(2, 1, 1, 4, dtype=torch.bool), hint=hint)


@pytest.mark.points(0.5)
def test_gradients_of_self_attention(submission: Any, tensors: Tensors) -> None:
    """In m(x, x, x) the gradients of all three uses of x add up."""
    pair = Pair(submission, tensors, 6, 3)
    x = tensors.normal((2, 4, 6), requires_grad=True)
    mask = torch.ones(4, 4, dtype=torch.bool).triu(1)
    cotangents = tensors.normal((2, 4, 6), (2, 3, 4, 4))
    (found,) = gradients(pair.attend(x, x, x, mask), cotangents, [x])
    expected = naive.gradients(pair.state, 3, x, x, x, mask, grad_output=cotangents[0], grad_weights=cotangents[1])
    hint = "x is query, key and value: does each of the three reach the results?"
    assert_matches(found, expected["query"] + expected["key"] + expected["value"], what="the gradient of x", hint=hint)


@pytest.mark.points(0.5)
def test_large_scores(submission: Any, tensors: Tensors) -> None:
    """Scores of ±2000 are no problem, whatever other rows and hidden keys hold."""
    hint = "e to the 2000 is infinite, e to the −2000 is 0: what may be subtracted from a row of scores without changing its softmax?"
    for dtype, spread in ((torch.float64, 1.0), (torch.float32, 0.0)):  # float32 gives exact weights to scores far apart only
        pair = Pair(submission, tensors, 6, 2, dtype, plain_state(tensors.normal((6,), dtype=dtype)))
        query, key, value = (x.reshape(2, -1, 2, 3) for x in pair.inputs(2, 5, 4))
        query, key = query * spread, key * spread
        query[..., 0] = torch.tensor([2000.0, -2000.0, 1000.0, -1500.0, 2.0], dtype=dtype)[:, None] * 3**0.5
        for pattern in ((1.0, 0.5, -0.25, -1.0), (1.0, 1.0, 1.0, 1.0))[: 2 if spread else 1]:
            key[..., 0] = torch.tensor(pattern, dtype=dtype)[:, None]
            if not spread:
                query[:, 4, :, 0] = 800.0
            inputs = (query.flatten(2), key.flatten(2), value.flatten(2))
            pair.check(*inputs, when=" with large scores", hint=hint)
            for hidden in (0, 3):
                pair.check(*inputs, (torch.arange(4) == hidden).repeat(5, 1), when=" with large scores and a mask", hint=hint)


@pytest.mark.points(1)
def test_dropout_in_training(submission: Any, tensors: Tensors) -> None:
    """In train mode dropout acts on the weights, once, and scales what is left."""
    hint = "To which tensor is dropout applied, how often, and by what are survivors multiplied?"
    for p, grad in ((0.25, True), (0.6, False)):
        # Projections change nothing and values are unit vectors, twice, so that the output shows each weight after dropout in two places.
        bias = tensors.normal((12,))
        pair = Pair(submission, tensors, 12, 2, state=plain_state(bias), dropout=p)
        pair.module.train()
        value = torch.eye(3, dtype=torch.float64).repeat(1, 4).expand(2, 3, 12)
        query, key = tensors.normal((2, 149, 12), (2, 3, 12))
        with torch.set_grad_enabled(grad):
            output, weights = pair.attend(query, key, value)
            again, _ = pair.attend(query, key, value)
        assert_tensor(output, (2, 149, 12), what="the output")
        assert_tensor(weights, (2, 2, 149, 3), what="the weights")
        first, second = (output.detach() - bias).unflatten(-1, (2, 2, 3)).permute(3, 0, 2, 1, 4)  # each (B, H, L, S)
        kept = first.abs() > 1e-13
        assert_matches(first, torch.where(kept, weights.detach() / (1 - p), 0.0), what="the output in train mode", hint=hint)
        assert_matches(second, first, what="a weight's second feature in train mode", hint=hint)
        share = float(kept.double().mean())
        require(abs(share - (1 - p)) < 0.08, f"dropout keeps {share:.0%} of the weights where p={p}.", hint)
        shared = [bool((kept == kept.narrow(axis, 0, 1)).all()) for axis in range(4)]
        require(not any(shared), "dropout does not draw anew for each weight.", "Sequences, heads, queries or keys share one draw.")
        require(not torch.equal(again.detach(), output.detach()), "two calls in train mode drop the same weights.", "Each call draws anew.")

        query, mask = tensors.normal((2, 5, 12), requires_grad=True), tensors.mask((2, 1, 5, 3), hidden=0.2)
        mask[1, 0, 2] = True
        output, _ = pair.attend(query, key, value, mask)
        cotangent = tensors.normal((2, 5, 12))
        (found,) = gradients([output], [cotangent], [query])
        kept = (output.detach() - bias).abs() > 1e-13
        dropped = (cotangent * kept / (1 - p)).unflatten(-1, (2, 2, 3)).sum(3).transpose(1, 2)
        expected = naive.gradients(pair.state, 2, query, key, value, mask, grad_weights=dropped)
        assert_matches(found, expected["query"], what="the gradient of query in train mode", hint="It flows through the weights that are left.")


@pytest.mark.points(0.5)
def test_weights_before_dropout(submission: Any, tensors: Tensors) -> None:
    """The weights returned are those before dropout, and eval mode drops nothing."""
    pair = Pair(submission, tensors, 6, 2, dropout=0.9)
    inputs = pair.inputs(2, 5, 4)
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            pair.module.train()
            hint = "Dropout is for the product with the values; the weights returned are those before it."
            _, weights = pair.attend(*inputs)
            pair.module.eval()
            assert_matches(weights, pair.own_weights(*inputs), what="the weights returned in train mode", hint=hint)
            pair.check(*inputs, when=" in eval mode", hint="How does a layer know whether it is in train or eval mode?")
            first, second = pair.attend(*inputs), pair.attend(*inputs)
            for one, other, what in zip(first, second, ("the output", "the weights"), strict=True):
                assert_equal(other.detach(), one.detach(), what=f"{what} of a second call in eval mode", hint="Nothing is random in eval mode.")


@pytest.mark.points(0.5)
def test_modes_agree(submission: Any, tensors: Tensors) -> None:
    """Without dropout, train mode, eval mode and no_grad give the same results."""
    pair = Pair(submission, tensors, 6, 2)
    inputs, mask = pair.inputs(2, 5, 3), tensors.mask((2, 1, 5, 3), keep_one=False)
    mask[1, 0, 2] = True
    hint = "Which branch of your code is taken only in this mode?"
    for given, when in ((None, ""), (mask, " with a mask")):
        first = pair.attend(*inputs, given)
        for training, grad in ((True, False), (False, True), (False, False)):
            pair.module.train(training)
            with torch.set_grad_enabled(grad):
                results = pair.attend(*inputs, given)
            mode = f"{when} in {'train' if training else 'eval'} mode {'with' if grad else 'without'} gradients"
            for found, expected, what in zip(results, first, ("the output", "the weights"), strict=True):
                assert_matches(found, expected, what=what + mode, hint=hint)
        pair.module.train()


@pytest.mark.points(0.5)
def test_wrong_inputs(submission: Any, tensors: Tensors) -> None:
    """Inputs that do not fit together raise ValueError."""
    pair = Pair(submission, tensors, 6, 2)
    query, key, value = good = pair.inputs(2, 3, 5)
    pair.check(*good)
    cases = [
        ("query is 2-D", (query[0], key, value)),
        ("key is 2-D", (query, key[0], value)),
        ("value is 2-D", (query, key, value[0])),
        ("all three are 2-D", (query[0], key[0], value[0])),
        ("all three are one sequence without a batch", (key[0], key[0], key[0])),
        ("query is 4-D", (query[None], key, value)),
        ("key and value are 4-D", (query, key[None], value[None])),
        ("all three are 4-D", (query[None], key[None], value[None])),
    ]
    for width in (4, 1, 12):
        other = tensors.normal((2, 3, width), (2, 5, width), (2, 5, width))
        cases += [("query is not d_model wide", (other[0], key, value)), ("key is not d_model wide", (query, other[1], value))]
        cases += [("value is not d_model wide", (query, key, other[2])), ("no input is d_model wide", tuple(other))]
    for length in (1, 3, 6):
        other = tensors.normal((2, length, 6))
        cases += [("key and value differ in length", (query, key, other)), ("key and value differ in length", (query, other, value))]
    for batch in (1, 4):
        other = tensors.normal((batch, 3, 6), (batch, 5, 6), (batch, 5, 6))
        cases += [("the batch of query differs", (other[0], key, value)), ("the batch of key and value differs", (query, other[1], other[2]))]
        cases += [("the batch of key differs", (query, other[1], value)), ("the batch of value differs", (query, key, other[2]))]
    for when, inputs in cases:
        assert_raises_value_error(partial(pair.module, *inputs), when=when)
    pair.check(*good, when=" after calls that were refused", hint="A call that raises must leave nothing behind.")


@pytest.mark.points(0.5)
def test_wrong_masks(submission: Any, tensors: Tensors) -> None:
    """A mask that is not bool, neither 2-D nor 4-D, or of another size raises ValueError."""

    def shaped(*shape: int, dtype: torch.dtype = torch.bool) -> torch.Tensor:
        return torch.zeros(shape, dtype=dtype)

    for B, H, L, S in ((2, 3, 4, 5), (3, 3, 3, 3), (1, 1, 1, 1)):
        pair = Pair(submission, tensors, 2 * H, H)
        good = pair.inputs(B, L, S)
        pair.check(*good, shaped(L, S))
        cases = [("the mask is not bool", shaped(L, S, dtype=dtype)) for dtype in (torch.float64, torch.int64, torch.uint8)]
        cases += [("the mask is not bool", shaped(B, 1, 1, S, dtype=torch.float32)), ("the mask is not bool", torch.full((L, S), -torch.inf))]
        cases += [("the mask is 3-D", shaped(first, L, S)) for first in (H, B, 1, B * H)]
        cases += [("the mask is 3-D", shaped(B, 1, S)), ("the mask is 1-D", shaped(S)), ("the mask is 0-D", shaped())]
        cases += [("the mask is 5-D", shaped(1, B, H, L, S)), ("the mask is 5-D", shaped(1, 1, 1, 1, 1))]
        cases += [("a 2-D mask has too many queries", shaped(L + 1, S)), ("a 2-D mask has too many keys", shaped(L, S + 1))]
        cases += [("the batch of the mask differs", shaped(B + 1, 1, 1, S)), ("the heads of the mask differ", shaped(1, H + 1, L, S))]
        cases += [("the queries of the mask differ", shaped(B, 1, L + 1, S)), ("the keys of the mask differ", shaped(B, H, L, S + 1))]
        if L != S:
            cases += [("a 2-D mask is (B, S)", shaped(B, S)), ("a 2-D mask is (S, L)", shaped(S, L))]
            cases += [("a 4-D mask is (B, H, S, L)", shaped(B, H, S, L)), ("the keys of the mask differ", shaped(1, 1, 1, S - 1))]
        for when, mask in cases:
            assert_raises_value_error(partial(pair.module, *good, mask), when=when)
        pair.check(*good, when=" after masks that were refused", hint="A call that raises must leave nothing behind.")


@pytest.mark.points(0.5)
def test_calls_do_not_depend_on_earlier_ones(submission: Any, tensors: Tensors) -> None:
    """Every call uses the weights of the moment, its own inputs and its own mask."""
    hint = "What does your module keep from one call to the next? Nothing may be kept but its weights."
    pair, other = Pair(submission, tensors, 6, 2), Pair(submission, tensors, 6, 3)
    for batch, length, keys in ((2, 5, 4), (2, 5, 4), (1, 6, 3)):
        inputs = pair.inputs(batch, length, keys)
        pair.check(*inputs, tensors.mask((length, keys)), when=" of a later call with a mask", hint=hint)
        pair.check(*inputs, when=" of a later call without a mask", hint=hint)
        other.check(*inputs, when=" of a second module", hint=hint)
    for name, value in pair.module.state_dict().items():
        assert_equal(value, pair.state.get(name, value), what=f"{name} after some calls", hint="forward must not change the weights.")
    for training in (True, False):
        pair.module.train(training)
        pair.load(random_state(tensors, 6))
        pair.check(*inputs, when=" with weights loaded later", hint=hint)
    pair.module.to(torch.float32)
    pair.dtype = torch.float32
    pair.load({name: value.float() for name, value in pair.state.items()})
    pair.check(*pair.inputs(2, 5, 4), tensors.mask((5, 4)), when=" after .to(float32)", hint=hint)


@pytest.mark.points(0.5)
def test_inputs_are_not_changed(submission: Any, tensors: Tensors) -> None:
    """The caller's tensors are left as they were."""
    pair = Pair(submission, tensors, 6, 2, dropout=0.5)
    query, key, value = pair.inputs(2, 5, 4)
    for training in (True, False):
        pair.module.train(training)
        for mask in (None, tensors.mask((5, 4)), tensors.mask((2, 2, 5, 4), keep_one=False), torch.ones(2, 1, 1, 4, dtype=torch.bool)):
            pair.attend(query, key, value, mask)
        with torch.no_grad():
            pair.attend(query, query, query, tensors.mask((5, 5), keep_one=False))
    assert_inputs_unchanged(submission)


@pytest.mark.points(0.5)
def test_memory_layout(submission: Any, tensors: Tensors) -> None:
    """Transposed, sliced and expanded inputs and masks are as good as any."""
    hint = "Which of your steps needs its input in one piece of memory?"
    pair = Pair(submission, tensors, 6, 2)
    query = tensors.normal((3, 2, 6)).transpose(0, 1)
    key = tensors.normal((1, 5, 6)).expand(2, 5, 6)
    value = tensors.normal((2, 6, 10)).transpose(1, 2)[:, ::2]

    def check_layout(*given: torch.Tensor) -> None:
        plain = pair.attend(*(tensor.clone(memory_format=torch.contiguous_format) for tensor in given))
        for found, expected, what in zip(pair.attend(*given), plain, ("the output", "the weights"), strict=True):
            assert_matches(found, expected, what=f"{what} for inputs that are not contiguous", hint=hint)

    for mask in (tensors.mask((5, 3), keep_one=False).T, tensors.mask((2, 1, 1, 5)).expand(2, 2, 3, 5), tensors.mask((5,)).expand(3, 5)):
        check_layout(query, key, value, mask)
    check_layout(value, value, value, tensors.mask((2, 5, 2, 5)).transpose(1, 2))
    query = query.detach().requires_grad_()
    cotangents = (tensors.normal((3, 2, 6)).transpose(0, 1), tensors.normal((2, 3, 5, 2)).permute(0, 3, 1, 2))
    (found,) = gradients(pair.attend(query, key, value), cotangents, [query])
    expected = naive.gradients(pair.state, 2, query, key, value, grad_output=cotangents[0], grad_weights=cotangents[1])
    assert_matches(found, expected["query"], what="the gradient of a query that is not contiguous", hint=hint)


@pytest.mark.points(0.5)
def test_low_precision(submission: Any, tensors: Tensors) -> None:
    """Results have the dtype of the inputs, in float32 and bfloat16 too."""
    for dtype in (torch.float32, torch.bfloat16):
        pair = Pair(submission, tensors, 15, 3, dtype)
        inputs, mask = pair.inputs(2, 5, 4), tensors.mask((2, 3, 5, 4))
        mask[1, 0, 2] = mask[0, :, 1] = True
        for given in (None, mask, mask[0, 0]):
            for actual, expected, what in zip(pair.attend(*inputs, given), pair.expected(*inputs, given), ("the output", "the weights"), strict=True):
                assert_tensor(actual, expected.shape, dtype, what=what)
                hint = "Is a constant or an intermediate step of another dtype?"
                assert_matches(actual, expected, what=f"{what} in {str(dtype)[6:]}", tolerance=TOLERANCES[dtype], hint=hint)
