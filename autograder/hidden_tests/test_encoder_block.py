"""Hidden tests of 04_encoder_block, from the layer norm to the stack.

Values of the block are judged once for each order of its norms. After that a block is held to what it gives itself when padding is taken out,
weights are moved or inputs come otherwise, and a stack to what the submission's own blocks give, so that one mistake costs its own tests.

torch's inference fast path (eval mode, no gradients, self-attention, an even number of heads) gives NaN to a sequence that is all padding.
The handout tells students so, but nobody loses points for what torch does there: such sequences meet that path with an odd number of heads only.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

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
from autograder.hidden_tests import naive_encoder_block as naive
from autograder.hidden_tests.encoder_block_checks import (
    MODES,
    TOLERANCES,
    Block,
    Stack,
    block_state,
    check_counts,
    check_derivatives,
    check_draws,
    check_outcomes,
    check_slope,
    check_without_padding,
    dropout_outcomes,
    feed_forward_state,
    gradients,
    loaded,
    mode_text,
    norm_state,
    silent,
    torch_layer,
)

NO, YES = False, True
NO_EPS = 1e-20  # too small to be seen, wherever it is added
PADDING = torch.tensor([[NO, NO, NO, YES, YES], [YES, NO, YES, NO, NO], [NO, NO, NO, NO, NO]])


# Layer normalisation


@pytest.mark.points(1)
def test_layer_norm_mean_and_variance(submission: Any, tensors: Tensors) -> None:
    """Layer normalisation gives each position's features mean 0 and variance 1."""
    shapes: tuple[tuple[int, int, int], ...] = ((2, 5, 7), (3, 4, 2), (2, 3, 101))
    for shape in shapes:
        module = submission.LayerNorm(shape[-1], eps=NO_EPS)
        plain = {"weight": torch.ones(shape[-1], dtype=torch.float64), "bias": torch.zeros(shape[-1], dtype=torch.float64)}
        x = tensors.normal(shape) * 3 + tensors.normal((shape[-1],))
        if shape[-1] == 2:  # two that are nearly equal leave nothing to divide by
            x[..., 1] = x[..., 0] + tensors.uniform(shape[:-1], low=1.0, high=5.0)
        x[0, 0, 0] += 100.0  # of many features one may lie many deviations from the mean
        result = assert_tensor(loaded(module, plain)(x), shape, what="the result")
        hint = "Over which dimension is the mean taken?"
        assert_matches(result.mean(dim=-1), torch.zeros(shape[:-1]), what="the mean of a position's features", hint=hint)
        hint = "Is the variance the mean of the squares, or is it divided by something else? Is its root taken?"
        assert_matches(result, naive.layer_norm(plain, x, NO_EPS), what="the normalised features", hint=hint)


@pytest.mark.points(0.5)
def test_layer_norm_scale_and_shift(submission: Any, tensors: Tensors) -> None:
    """After normalising, every feature has a weight and a bias of its own."""
    for d_model in (5, 8):
        module = submission.LayerNorm(d_model)
        state = norm_state(tensors, d_model)
        x = tensors.normal((2, 3, d_model))
        plain = {"weight": torch.ones_like(state["weight"]), "bias": torch.zeros_like(state["bias"])}
        normalised = assert_tensor(loaded(module, plain)(x), x.shape, what="the result").detach()
        require(float(normalised.abs().max()) > 0.1, "the result is 0 where nothing is scaled or shifted.")
        hint = "What do weight and bias do, and in which order?"
        result = loaded(module, state)(x)
        assert_matches(result, normalised * state["weight"] + state["bias"], what="the scaled and shifted result", hint=hint)


@pytest.mark.points(1)
def test_layer_norm_eps(submission: Any, tensors: Tensors) -> None:
    """eps is added to the variance, inside the square root, and is what the caller says."""
    for eps, scale in ((None, 1e-3), (1e-5, 2e-3), (1e-3, 3e-2), (0.25, 1.0)):
        module = submission.LayerNorm(6) if eps is None else submission.LayerNorm(6, eps=eps)
        state = norm_state(tensors, 6)
        x = tensors.normal((2, 5, 6), scale=scale)
        hint = "These features vary little, so eps matters: to what is it added, the variance or its root, and which eps is it?"
        assert_matches(loaded(module, state)(x), naive.layer_norm(state, x, eps or 1e-5), what="the result for small features", hint=hint)
    hint = "The variance is 0 here. What is 0 / √eps?"
    for d_model in (4, 1):
        module, state = submission.LayerNorm(d_model), norm_state(tensors, d_model)
        same = torch.tensor([2.0, -0.5, 0.0, 64.0], dtype=torch.float64).view(4, 1).expand(4, d_model)
        what = "the result for equal features" if d_model > 1 else "the result for a single feature"
        assert_matches(loaded(module, state)(same), state["bias"].expand(4, d_model), what=what, hint=hint)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_layer_norm_scale_and_shift")
def test_layer_norm_last_dimension_alone(submission: Any, tensors: Tensors) -> None:
    """Any number of dimensions may come before the features, and none of them matters."""
    hint = "Which dimensions do mean and variance go over? The last one, however many there are."
    for shape in ((7,), (2, 3, 5, 4), (4, 4, 4), (3, 2, 1), (1, 1, 3), (2, 3, 2, 2, 5)):
        module = loaded(submission.LayerNorm(shape[-1]), norm_state(tensors, shape[-1]))
        x = tensors.normal(shape) + torch.arange(shape[0]).view(-1, *[1] * (len(shape) - 1))
        rows = x.reshape(-1, shape[-1])
        alone = torch.cat([module(row[None]) for row in rows]) if len(rows) < 20 else module(rows)
        what = f"the result for a {len(shape)}-D input, beside that for its positions one by one,"
        assert_matches(module(x), alone.detach().view(shape), what=what, hint=hint)


# The feed-forward network


@pytest.mark.points(1)
def test_feed_forward(submission: Any, tensors: Tensors) -> None:
    """The feed-forward network is linear2(relu(linear1(x))), at each position alone."""
    for batch, length, d_model, d_ff in ((2, 5, 4, 7), (3, 2, 6, 3), (1, 1, 2, 11), (4, 4, 4, 4)):
        module = submission.FeedForward(d_model, d_ff)
        state, x = feed_forward_state(tensors, d_model, d_ff), tensors.normal((batch, length, d_model), scale=20.0)
        hint = "Where does the activation stand? Are both biases added?"
        assert_matches(loaded(module, state)(x), naive.feed_forward(state, x), what="the result", hint=hint)


@pytest.mark.points(1)
def test_activation(submission: Any, tensors: Tensors) -> None:
    """The activation is ReLU or the exact GELU, as the caller asks, and nothing else."""
    for d_model, d_ff, scale in ((4, 7, 1.0), (3, 5, 10.0)):
        for activation in ("relu", "gelu"):
            state, x = feed_forward_state(tensors, d_model, d_ff), tensors.normal((2, 5, d_model), scale=scale)
            result = loaded(submission.FeedForward(d_model, d_ff, activation=activation), state)(x)
            hint = "GELU is z · Φ(z). Which of torch's forms of it is exact, and which is an approximation?" if activation == "gelu" else None
            assert_matches(result, naive.feed_forward(state, x, activation), what=f"the result with {activation}", hint=hint)
    for name in ("tanh", "swish", "GELU", ""):
        when = 'activation is neither "relu" nor "gelu"'
        assert_raises_value_error(partial(submission.FeedForward, 4, 7, name), when=when)
        assert_raises_value_error(partial(submission.EncoderBlock, 4, 2, 7, name), when=when)
        assert_raises_value_error(partial(submission.Encoder, 1, 4, 2, 7, name), when=when)


# The block


@pytest.mark.points(1.5)
def test_post_norm(submission: Any, tensors: Tensors) -> None:
    """Each sub-layer's result is added to its input, and the sum is normalised."""
    sizes = ((2, 1, 6, 3, 7, "relu"), (2, 5, 6, 3, 7, "relu"), (3, 4, 8, 2, 5, "gelu"), (1, 7, 3, 1, 11, "relu"), (4, 4, 4, 4, 4, "relu"))
    for batch, length, d_model, num_heads, d_ff, activation in sizes:
        block = Block(submission, tensors, d_model, num_heads, d_ff, activation=activation)
        when = " for a single position" if length == 1 else ""
        if length == 1:
            block.require_attention()
        hint = "What is normalised: x, what a sub-layer gives, or their sum? Which norm comes after which sub-layer?"
        block.check(tensors.normal((batch, length, d_model)) * 2 + 1, when=when, hint=hint)


@pytest.mark.points(1.5)
def test_norm_first(submission: Any, tensors: Tensors) -> None:
    """With norm_first each sub-layer gets the normalised x, and its result is added to x itself."""
    sizes = ((2, 1, 6, 3, 7, "relu"), (2, 5, 6, 3, 7, "gelu"), (3, 4, 8, 2, 5, "relu"), (1, 7, 3, 1, 11, "relu"), (4, 4, 4, 4, 4, "relu"))
    for batch, length, d_model, num_heads, d_ff, activation in sizes:
        block = Block(submission, tensors, d_model, num_heads, d_ff, activation=activation, norm_first=True)
        if length == 1:
            block.require_attention()
        hint = "Which tensor takes the way around the sub-layer: x, or norm(x)? Is anything normalised after the sum?"
        block.check(tensors.normal((batch, length, d_model)) * 2 + 1, when=" with norm_first", hint=hint)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_layer_norm_eps", "test_activation", "test_post_norm", "test_norm_first")
def test_like_torchs_own_layer(submission: Any, tensors: Tensors) -> None:
    """In both orders the block does what torch's own encoder layer does, for small features too."""
    for norm_first in (NO, YES):
        for scale in (1.0, 1e-3):
            block = Block(submission, tensors, norm_first=norm_first, activation="gelu" if norm_first else "relu")
            small = {name: value * scale if "out_proj" in name else value for name, value in block.state.items()}
            block.load(small)  # so that small features are small where the norms see them
            x = tensors.normal((3, 5, 6), scale=scale)
            layer = torch_layer(block)
            for padding in (None, PADDING):
                expected = layer(x, src_key_padding_mask=padding).detach()
                hint = "Layer norm, feed-forward network and order each have tests of their own: which of them fails?"
                if padding is not None:
                    hint = "Without padding it agrees. Which positions does padding_mask hide, and which rows does it leave alone?"
                what = f"the block's output{' with norm_first' if norm_first else ''}{'' if padding is None else ' with padding'}"
                assert_matches(block.run(x, padding), expected, what=what, hint=hint)


# Padding


@pytest.mark.points(1)
def test_padded_keys(submission: Any, tensors: Tensors) -> None:
    """Padding is hidden from every position: the others' results are those without it."""
    for norm_first, scale in ((NO, 1.0), (YES, 1.0), (NO, 15.0)):
        block = Block(submission, tensors, norm_first=norm_first)
        block.require_attention()
        x = tensors.normal((3, 5, 6), scale=scale).requires_grad_()
        visible = ~PADDING
        hint = "Which positions does padding_mask hide, and from whom? True is hidden. Is the weight of a hidden key exactly 0?"
        result = check_without_padding(block, x, PADDING, what="the output beside padding", hint=hint)
        changed = torch.where(visible[..., None], x, tensors.normal((3, 5, 6), scale=20.0)).detach()
        after = assert_tensor(block.module(changed, padding_mask=PADDING), x.shape, what="the output after a change of the padding")
        assert_matches(after[visible], result[visible].detach(), what="the output after a change of the padding", hint=hint)
        cotangent = tensors.normal((3, 5, 6)) * visible[..., None]
        (found,) = gradients(result, cotangent, [x])
        require(not found[PADDING].any(), "a position depends on padding: the gradient is not exactly 0.", hint)
        require(bool(found[visible].any(dim=-1).all()), "a position that is not padding has no gradient.", hint)
    for batch, length in ((4, 4), (3, 3), (1, 3)):
        padding = tensors.mask((batch, length), hidden=0.5)
        padding[0, -1] = not padding[0, :-1].all()
        hint = "Two sizes are equal here. The mask is (B, L): one row for each sequence, one column for each key."
        check_without_padding(block, tensors.normal((batch, length, 6)), padding, what="the output beside padding", hint=hint)


@pytest.mark.points(0.5)
def test_padded_queries(submission: Any, tensors: Tensors) -> None:
    """The row of a padded position is computed like any other: it sees what is not padding."""
    for norm_first in (NO, YES):
        block = Block(submission, tensors, norm_first=norm_first)
        block.require_attention()
        check_twins(block, tensors, "the block's")


def check_twins(runner: Block | Stack, tensors: Tensors, whose: str) -> None:
    """Positions with the same features ask the same and see the same, padding or not."""
    visible, padded = torch.tensor([0, 1, 0]), torch.tensor([3, 2, 4])  # one of each kind in each sequence
    padding, rows = torch.tensor([[NO, NO, NO, YES, YES], [YES, NO, YES, NO, NO], [NO, YES, NO, NO, YES]]), torch.arange(3)
    x = tensors.normal((3, 5, 6))
    x[rows, padded] = x[rows, visible]
    result = runner.run(x, padding).detach()
    hint = "Nobody reads this row later, but the contract says what it holds. Is it zero, or as it came, or does it see itself?"
    what = f"{whose} output at a padded position, beside that at a position with the same features,"
    assert_matches(result[rows, padded], result[rows, visible], what=what, hint=hint)


@pytest.mark.points(1)
def test_sequence_of_padding_alone(submission: Any, tensors: Tensors) -> None:
    """In a sequence that is all padding, attention gives the bias of its output projection, and everything stays finite."""
    padding = torch.tensor([[NO, NO, YES, NO], [YES, YES, YES, YES], [YES, NO, NO, YES]])
    hint = "A softmax over nothing is 0/0. What does nn.MultiheadAttention do about it, with need_weights and without?"
    for num_heads, norm_first, dtype in ((3, NO, torch.float64), (2, YES, torch.float64), (1, NO, torch.float64), (2, NO, torch.float32)):
        block = Block(submission, tensors, 6, num_heads, norm_first=norm_first, dtype=dtype)
        block.require_attention()
        # Where the output projection multiplies by 0, attention gives its bias to everybody.
        mute = block.state | {"self_attention.out_proj.weight": torch.zeros(6, 6, dtype=dtype)}
        x = tensors.normal((3, 4, 6), dtype=dtype, requires_grad=True)
        expected = Block(submission, tensors, 6, num_heads, state=mute, norm_first=norm_first).run(x).detach()[1]
        for training, grad in MODES:
            if num_heads % 2 == 0 and not (training or grad):
                continue
            block.module.train(training)
            with torch.set_grad_enabled(grad):
                result = block.run(x.clone(), padding)
                mode = mode_text(training, grad)
                assert_finite(result, what=f"the output beside a sequence of padding{mode}", hint=hint)
                what = f"the output of a sequence of padding{mode}"
                assert_matches(result[1], expected, what=what, tolerance=TOLERANCES[dtype], hint=hint)
        block.module.train()
        found = gradients(block.run(x.clone(), padding), tensors.normal((3, 4, 6), dtype=dtype), [x, *block.module.parameters()])
        for gradient in found:
            assert_finite(
                gradient, what="a gradient beside a sequence of padding", hint="Is a NaN replaced afterwards? It comes back in the gradient."
            )
        alone = block.run(x[1:2].clone(), padding[1:2])[0]
        assert_matches(alone, expected, what="the output of nothing but padding", tolerance=TOLERANCES[dtype], hint=hint)


# Gradients and dropout


@pytest.mark.points(1)
def test_gradients(submission: Any, tensors: Tensors) -> None:
    """Gradients flow through norms, residual connections and sub-layers to x and to all weights."""
    hint = "Does something cut the graph (detach, no_grad, .data, item)? Mean and variance depend on x as well."
    state = norm_state(tensors, 5)
    check_derivatives(tensors, loaded(submission.LayerNorm(5), state), state, (2, 3, 5), of="LayerNorm", hint=hint)
    state, x, cotangent = feed_forward_state(tensors, 4, 7), tensors.normal((2, 3, 4), requires_grad=True), tensors.normal((2, 3, 4))
    module = loaded(submission.FeedForward(4, 7), state)
    (found,) = gradients(assert_tensor(module(x.clone()), (2, 3, 4), what="the result of FeedForward"), cotangent, [x])
    (expected,) = gradients(naive.feed_forward(state, x), cotangent, [x])
    assert_matches(found, expected, what="the gradient of x through FeedForward", hint=hint)
    for norm_first in (NO, YES):
        block = Block(submission, tensors, 6, 2, norm_first=norm_first, activation="gelu")  # smooth: ReLU's kinks have no derivative
        block.require_attention()
        of = "a block with norm_first" if norm_first else "a block"
        check_derivatives(tensors, block.module, block.state, (2, 4, 6), of=of, hint=hint)
    stack = Stack(submission, tensors, 2, norm_first=True, activation="gelu")
    stack.require_attention()
    check_slope(tensors, stack.run, (2, 4, 6), what="the gradient of x through the encoder, along one direction,", hint=hint)


@pytest.mark.points(0.5)
def test_feed_forward_dropout(submission: Any, tensors: Tensors) -> None:
    """In the feed-forward network dropout acts after the activation, in train mode, and nowhere else."""
    unit = torch.eye(8, dtype=torch.float64)
    hint = "To what is dropout applied, how often, and by what are survivors multiplied?"
    for activation, p, grad in (("relu", 0.5, True), ("gelu", 0.3, False)):
        # Linear layers that change nothing but add a bias show each hidden value after dropout.
        first, second = tensors.uniform((8,), low=0.5), tensors.normal((8,))
        state = {"linear1.weight": unit, "linear1.bias": first, "linear2.weight": unit, "linear2.bias": second}
        module = loaded(submission.FeedForward(8, 8, activation=activation, dropout=p), state)
        x = tensors.uniform((3, 61, 8), low=0.5, high=1.5)
        undropped = assert_tensor(module.eval()(x), x.shape, what="the result in eval mode").detach() - second
        assert_matches(undropped, naive.feed_forward(state, x, activation) - second, what="the result in eval mode", hint="Nothing is dropped there.")
        module.train()
        with torch.set_grad_enabled(grad):
            result, again = (assert_tensor(module(x), x.shape, what="the result in train mode").detach() - second for _ in range(2))
        kept = result.abs() > 1e-9
        assert_matches(result, torch.where(kept, undropped / (1 - p), 0.0), what="what dropout leaves in train mode", hint=hint)
        check_draws(kept, p, hint)
        require(not torch.equal(result, again), "two calls in train mode drop the same values.", "Each call draws anew.")
    # In a block: all hidden units are equal, so the result counts those that are left.
    p, units, value = 0.5, 7, tensors.uniform((4,), low=0.5, high=1.5)
    block = Block(submission, tensors, 4, 2, units, norm_first=True, dropout=p)
    hidden = {"linear1.weight": torch.zeros(units, 4, dtype=torch.float64), "linear1.bias": torch.ones(units, dtype=torch.float64)}
    hidden["linear2.weight"] = (value / units)[:, None].expand(4, units)
    block.load(silent(block.state) | {f"feed_forward.{name}": weights for name, weights in hidden.items()})
    block.module.train()
    x = tensors.normal((3, 17, 4))
    hint = "Does the block's feed-forward network know about dropout?"
    together = "A hidden unit is dropped for all features of the result."
    check_counts((block.run(x) - x).detach(), value, p, groups=1, sources=units, of="hidden units", hint=hint, together=together)


@pytest.mark.points(1)
def test_residual_dropout(submission: Any, tensors: Tensors) -> None:
    """dropout1 and dropout2 act on what a sub-layer gives, before it is added to x, and nothing else of the block is dropped."""
    p, gives = 0.5, ("attention", "feed_forward", "nothing")
    for norm_first in (NO, YES):
        for giver in gives:
            block = Block(submission, tensors, 4, 2, 5, norm_first=norm_first, dropout=p)
            biases = {"attention": "self_attention.out_proj.bias", "feed_forward": "feed_forward.linear2.bias"}
            # What comes out of a sub-layer is its last bias alone, for the one that gives anything.
            given = tensors.uniform((4,), low=0.5, high=1.5)
            block.load(silent(block.state) | ({biases[giver]: given} if giver in biases else {}))
            block.module.train()
            norm1, norm2, _ = block.parts()
            x = tensors.normal((3, 97, 4))
            result = block.run(x).detach()
            where = " with norm_first" if norm_first else ""
            if giver == "nothing":
                expected = x if norm_first else norm2(norm1(x)).detach()
                hint = "Both sub-layers give 0 here. What else goes through dropout?"
                assert_matches(result, expected, what=f"the block's output in train mode{where}", hint=hint)
                continue
            if norm_first:
                outcomes = dropout_outcomes(x, given, p)
            elif giver == "attention":
                outcomes = norm2(norm1(dropout_outcomes(x, given, p))).detach()
            else:
                outcomes = norm2(dropout_outcomes(norm1(x).detach(), given, p)).detach()
            name = "self-attention" if giver == "attention" else "the feed-forward network"
            what = f"the block's output in train mode{where}, where {name} gives a constant,"
            hint = "Is dropout applied to the sub-layer's result alone, before the sum, once, and are survivors divided by 1 − dropout?"
            check_outcomes(result, outcomes, p, what=what, hint=hint)


@pytest.mark.points(0.5)
def test_attention_dropout(submission: Any, tensors: Tensors) -> None:
    """In train mode dropout acts on the attention weights too."""
    p, keys, num_heads = 0.5, 7, 2
    zeros, value = torch.zeros(12, 4, dtype=torch.float64), tensors.uniform((4,), low=0.5, high=1.5)
    block = Block(submission, tensors, 4, num_heads, 5, norm_first=True, dropout=p)
    # All keys weigh the same and have the same value, so the attention's result counts the weights that are left.
    block.load(
        silent(block.state)
        | {"self_attention.in_proj_weight": zeros, "self_attention.in_proj_bias": torch.cat([torch.zeros(8, dtype=torch.float64), value])}
        | {"self_attention.out_proj.weight": torch.eye(4, dtype=torch.float64)}
    )
    x = tensors.normal((11, keys, 4))
    block.module.train()
    hint = "Does the attention know about dropout: in the layer that the constructor makes, or in yours?"
    together = "One weight of a head multiplies all features of its value: they are dropped together."
    added = (block.run(x) - x).detach()
    check_counts(added, value, p, groups=num_heads, sources=keys, of="attention weights", hint=hint, together=together)


@pytest.mark.points(0.5)
def test_modes(submission: Any, tensors: Tensors) -> None:
    """In eval mode nothing is dropped; with dropout=0 all modes agree, with gradients and without."""
    for norm_first, num_heads, paddings in ((NO, 2, (PADDING,)), (YES, 3, (None, PADDING))):
        with_dropout, without = (
            Block(submission, tensors, 6, num_heads, state=state, norm_first=norm_first, dropout=p)
            for state in [block_state(tensors, 6, 5)]
            for p in (0.9, 0.0)
        )
        without.require_attention()
        x = tensors.normal((3, 5, 6))
        for padding in paddings:
            expected = without.run(x, padding).detach()
            for training, grad in MODES:
                mode = mode_text(training, grad)
                with torch.set_grad_enabled(grad):
                    without.module.train(training)
                    found = without.run(x, padding)
                    assert_matches(found, expected, what=f"the output{mode}", hint="Which branch of your code is taken only in this mode?")
                    if training:
                        continue
                    with_dropout.module.eval()
                    found = with_dropout.run(x, padding).detach()
                    assert_matches(found, expected, what=f"the output with dropout=0.9{mode}", hint="Who tells dropout that training is over?")
                    again = with_dropout.run(x, padding).detach()
                    assert_equal(again, found, what=f"a second output{mode}", hint="Nothing is random in eval mode.")
    stack = Stack(submission, tensors, 2, norm_first=True)
    stack.require_attention()
    expected = stack.run(x, PADDING).detach()
    stack.module.eval()
    dropping = Stack(submission, tensors, 2, norm_first=True, dropout=0.9, state=stack.state)
    dropping.module.eval()
    for each in (stack, dropping):
        hint = "Which branch of your code is taken only in this mode?"
        assert_matches(each.run(x, PADDING), expected, what="the encoder's output in eval mode, beside that in train mode,", hint=hint)


# The stack


@pytest.mark.points(1)
def test_stack_of_blocks(submission: Any, tensors: Tensors) -> None:
    """The encoder's blocks follow one another, each with weights of its own, and nothing comes after them."""
    for num_layers, activation, sizes in ((1, "relu", (6, 3, 5)), (2, "gelu", (4, 2, 7)), (3, "relu", (6, 3, 5))):
        stack = Stack(submission, tensors, num_layers, *sizes, activation=activation)
        stack.require_attention()
        hint = "Is every block called once, in order, on what the one before it gave? Is anything added, normalised or dropped besides?"
        x = tensors.normal((2, 5, sizes[0]))
        stack.check(x, when=f" of {num_layers} block{'s' if num_layers > 1 else ''}", hint=hint)
    zeros = torch.tensor([[NO, YES, NO, NO, YES], [YES, YES, YES, YES, YES]])
    hint = "Zeros are features like any others: without a mask nothing is hidden."
    stack.check(x.masked_fill(zeros[..., None], 0.0), when=" where features of a position are 0", hint=hint)


@pytest.mark.points(0.5)
def test_final_norm(submission: Any, tensors: Tensors) -> None:
    """With norm_first, and only then, the encoder normalises what the last block gives."""
    for num_layers in (1, 3):
        stack = Stack(submission, tensors, num_layers, norm_first=True)
        stack.require_attention()
        hint = "With norm_first each block adds to x and never normalises the sum. Who does, and how often?"
        stack.check(tensors.normal((2, 5, 6)) * 3, when=" with norm_first", hint=hint)
        require(len(stack.module.state_dict()) == len(stack.state), "with norm_first the state dict has entries too many or too few.", hint)
    plain = Stack(submission, tensors, 1)
    require("norm.weight" not in plain.module.state_dict(), "without norm_first the state dict has a norm.", "Its blocks have normalised already.")


@pytest.mark.points(0.5)
def test_dropout_in_the_stack(submission: Any, tensors: Tensors) -> None:
    """The encoder hands dropout on to every block, and drops nothing itself."""
    p = 0.5
    for norm_first in (NO, YES):
        stack = Stack(submission, tensors, 2, 4, 2, 5, norm_first=norm_first, dropout=p)
        quiet = silent(stack.state)
        stack.load(quiet)
        stack.module.train()
        x = tensors.normal((3, 97, 4))
        where = f" in train mode{' with norm_first' if norm_first else ''}"
        hint = "All sub-layers give 0 here, so their dropout has nothing to drop. What else is dropped?"
        stack.check(x, when=where, hint=hint)
    norm = stack.norm()
    for i, name in ((0, "first"), (1, "second")):
        given = tensors.uniform((4,), low=0.5, high=1.5)
        stack.load(quiet | {f"layers.{i}.feed_forward.linear2.bias": given})
        what = f"the encoder's output{where}, where the feed-forward network of the {name} block gives a constant,"
        hint = "Was every block made with the encoder's dropout?"
        check_outcomes(stack.run(x).detach(), norm(dropout_outcomes(x, given, p)).detach(), p, what=what, hint=hint)


@pytest.mark.points(1)
def test_every_block_gets_the_mask(submission: Any, tensors: Tensors) -> None:
    """Padding stays hidden in every block of the encoder."""
    for norm_first, num_layers in ((NO, 2), (YES, 3)):
        stack = Stack(submission, tensors, num_layers, norm_first=norm_first)
        x = tensors.normal((3, 5, 6))
        result, unmasked = stack.run(x, PADDING).detach(), stack.run(x).detach()
        hint = "Which blocks get the padding mask? Padded rows change from block to block: they are still padding."
        require(float((result - unmasked)[0].abs().max()) > 1e-6, "padding_mask changes nothing.", hint)
        check_without_padding(stack, x, PADDING, what="the encoder's output beside padding", hint=hint)
        by_name = assert_tensor(stack.module(x, padding_mask=PADDING), x.shape, what="the encoder's output with padding_mask=…")
        assert_matches(by_name, result, what="the encoder's output with padding_mask=…", hint=hint)
        check_twins(stack, tensors, "the encoder's")


@pytest.mark.points(0.5)
def test_parameters(submission: Any, tensors: Tensors) -> None:
    """Every block has parameters of its own, under the names of the given constructors."""
    for norm_first in (NO, YES):
        stack = Stack(submission, tensors, 3, norm_first=norm_first)
        stack.require_attention()
        shapes = {name: tuple(value.shape) for name, value in stack.state.items()}
        stack.run(tensors.normal((2, 3, 6)))
        hint = "Only the layers of the given constructors belong there, and a call adds nothing."
        found = {name: tuple(value.shape) for name, value in stack.module.state_dict().items()}
        require(found == shapes, "the state dict of the encoder has other entries than the contract's.", hint)
        names = {name for name, _ in stack.module.named_parameters()}
        hint = "Do several blocks of your stack share their parameters? A list times n holds one object n times."
        require(names == set(shapes), f"{len(set(shapes) - names)} of {len(shapes)} entries of the state dict are no parameter of their own.", hint)
        for name, value in stack.module.state_dict().items():
            assert_equal(value, stack.state[name], what=f"{name}, loaded and read again,", hint=hint)


# Habits


@pytest.mark.points(0.5)
def test_inputs_are_not_changed(submission: Any, tensors: Tensors) -> None:
    """The caller's x and mask are left as they were."""
    x, padding = tensors.normal((3, 5, 6)), PADDING.clone()
    loaded(submission.LayerNorm(6), norm_state(tensors, 6))(x)
    loaded(submission.FeedForward(6, 5), feed_forward_state(tensors, 6, 5))(x)
    for norm_first in (NO, YES):
        runners: tuple[Block | Stack, ...] = (Block(submission, tensors, norm_first=norm_first), Stack(submission, tensors, 2, norm_first=norm_first))
        for runner in runners:
            runner.require_attention()
            for training, grad in MODES:
                runner.module.train(training)
                with torch.set_grad_enabled(grad):
                    runner.run(x, padding if training == grad else None)
    assert_inputs_unchanged(submission)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_padded_keys")
def test_calls_do_not_depend_on_earlier_ones(submission: Any, tensors: Tensors) -> None:
    """Every call uses the weights of the moment, its own x and its own mask."""
    hint = "What does your module keep from one call to the next? Nothing may be kept but its weights."
    block, other = Block(submission, tensors, norm_first=True), Block(submission, tensors, 6, 2, 7)
    block.require_attention()

    def check(used: Block, fresh: Block, x: Tensor, padding: Tensor | None, when: str) -> None:
        """One sequence at a time and without padding, so that nothing kept for a shape or a mask can serve both."""
        result = used.run(x, padding)
        for b in range(x.size(0)):
            visible = slice(None) if padding is None else ~padding[b]
            expected = fresh.run(x[b : b + 1, visible]).detach()
            assert_matches(result[b : b + 1, visible], expected, what=f"the block's output {when}", hint=hint)

    for batch, length in ((2, 5), (2, 5), (1, 7)):
        x, padding = tensors.normal((batch, length, 6)), tensors.mask((batch, length))
        fresh = [Block(submission, tensors, *sizes, state=b.state, norm_first=b.norm_first) for b, sizes in ((block, ()), (other, (6, 2, 7)))]
        check(block, fresh[0], x, padding, "of a later call with padding")
        check(block, fresh[0], x, None, "of a later call without a mask")
        check(other, fresh[1], x, None, "of a second block")
    for training in (True, False):
        block.module.train(training)
        block.load(block_state(tensors, 6, 5))
        fresh[0] = Block(submission, tensors, state=block.state, norm_first=True)
        check(block, fresh[0], x, padding, "with weights loaded later")
    norm = submission.LayerNorm(6)
    for shape in ((3, 6), (2, 5, 6), (6,)):
        state, x = norm_state(tensors, 6), tensors.normal(shape)
        expected = loaded(submission.LayerNorm(6), state)(x).detach()
        require(float(expected.abs().max()) > 1e-6, "LayerNorm gives zeros.", hint)
        assert_matches(loaded(norm, state)(x), expected, what="the result of a LayerNorm used before", hint=hint)


@pytest.mark.points(0.5)
def test_memory_layout(submission: Any, tensors: Tensors) -> None:
    """Transposed, sliced and expanded inputs and masks are as good as any."""
    hint = "Which of your steps needs its input in one piece of memory?"
    inputs = {
        "a transposed x": tensors.normal((5, 3, 6)).transpose(0, 1),
        "an x with its features transposed": tensors.normal((3, 6, 5)).transpose(1, 2),
        "an x expanded over the batch": tensors.normal((1, 5, 6)).expand(3, 5, 6),
        "every other position of an x": tensors.normal((3, 10, 6))[:, ::2],
    }
    masks = (PADDING.T.contiguous().T, None, PADDING[:1].expand(3, 5), PADDING.repeat(1, 2)[:, 5:])
    block, other = Block(submission, tensors), Block(submission, tensors, norm_first=True)
    block.require_attention()
    norm, _, feed = block.parts()
    for (name, x), padding in zip(inputs.items(), masks, strict=True):
        plain, own = x.contiguous().clone(), None if padding is None else padding.contiguous().clone()
        assert_matches(norm(x), norm(plain).detach(), what=f"the result of LayerNorm for {name}", hint=hint)
        assert_matches(feed(x), feed(plain).detach(), what=f"the result of FeedForward for {name}", hint=hint)
        for runner in (block, other):
            assert_matches(runner.run(x, padding), runner.run(plain, own).detach(), what=f"the block's output for {name}", hint=hint)
    x, cotangent = tensors.normal((5, 3, 6)).transpose(0, 1), tensors.normal((3, 6, 5)).transpose(1, 2)
    plain, x = x.contiguous().clone().requires_grad_(), x.requires_grad_()
    (found,), (expected,) = gradients(block.run(x, PADDING), cotangent, [x]), gradients(block.run(plain, PADDING), cotangent.contiguous(), [plain])
    assert_matches(found, expected, what="the gradient of a transposed x", hint=hint)


@pytest.mark.points(0.5)
def test_dtypes_and_scales(submission: Any, tensors: Tensors) -> None:
    """Results have the dtype of x, in float32 and bfloat16 too, and large scores are no problem."""
    for dtype in (torch.float32, torch.bfloat16):
        for norm_first in (NO, YES):
            options: dict[str, Any] = {"norm_first": norm_first, "activation": "gelu" if norm_first else "relu"}
            single = Block(submission, tensors, dtype=dtype, **options)
            double = Block(submission, tensors, state={name: value.double() for name, value in single.state.items()}, **options)
            x = tensors.normal((3, 5, 6), dtype=dtype)
            double.require_attention()
            expected = double.run(x.double(), PADDING).detach()
            hint = "Is a constant or an intermediate step of another dtype?"
            what = f"the block's output in {str(dtype)[6:]}"
            assert_matches(single.run(x, PADDING), expected, what=what, tolerance=TOLERANCES[dtype], dtype=dtype, hint=hint)
            stack = Stack(submission, tensors, 2, dtype=dtype, **options)
            assert_finite(stack.run(x, PADDING), what="the encoder's output in low precision", hint=hint)
    # What is added to every key moves all scores of a query by one number, its own, and so no weight.
    block = Block(submission, tensors, 6, 2)
    x, push = tensors.normal((2, 5, 6)), tensors.normal((6,))
    weight, bias = block.state["self_attention.in_proj_weight"], block.state["self_attention.in_proj_bias"]
    shift = ((x @ weight[:6].T + bias[:6]) * push).unflatten(-1, (2, 3)).sum(dim=-1) / 3**0.5  # (B, L, H)
    push = 1500.0 * push / shift.abs().max()
    moved = block.state | {"self_attention.in_proj_bias": bias + torch.nn.functional.pad(push, (6, 6))}
    hint = "What may be subtracted from a row of scores without changing its softmax, and is it the row's own?"
    large, expected = Block(submission, tensors, 6, 2, state=moved).run(x), block.run(x).detach()
    assert_matches(large, expected, what="the block's output with large scores", hint=hint)
