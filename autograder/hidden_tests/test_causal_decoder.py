"""Hidden tests of 05_causal_decoder, from one position to masks, rows without keys, and the language model.

Values of the block are judged once for each order of its norms; after that, where it can be, a block is held to what it gives itself
when the hidden positions are taken out, and a language model to what the submission's own blocks give.

torch's inference fast path (eval mode, no gradients, self-attention, an even number of heads) gives NaN to rows without keys. Its handout
tells students so, but nobody loses points for what torch does there: rows without keys meet that path with an odd number of heads only.
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
    require,
)
from autograder.checking.tensors import Tensors
from autograder.hidden_tests import naive_causal_decoder as naive
from autograder.hidden_tests.causal_decoder_checks import (
    TOLERANCES,
    Block,
    LanguageModel,
    answers_of,
    block_state,
    dependence,
    each,
    gradients,
    removed,
)
from autograder.hidden_tests.naive_causal_decoder import Masks

NO, YES = False, True
MODES = tuple((training, grad) for training in (True, False) for grad in (True, False))


def mode_text(training: bool, grad: bool) -> str:
    return f" in {'train' if training else 'eval'} mode {'with' if grad else 'without'} gradients"


# The block


@pytest.mark.points(0.5)
def test_one_position(submission: Any, tensors: Tensors) -> None:
    """A single position attends to itself, and takes its own value."""
    for batch, d_model, num_heads in ((2, 6, 3), (3, 4, 1)):
        block = Block(submission, tensors, d_model, num_heads)
        hint = "With one key the weight is 1. What is added to x before norm1, what before norm3, and are the biases there?"
        block.check(tensors.normal((batch, 1, d_model)), when=" of one position", hint=hint)


@pytest.mark.points(0.5)
def test_feed_forward(submission: Any, tensors: Tensors) -> None:
    """The feed-forward network is linear2(activation(linear1(x))), with ReLU or the exact GELU."""
    for activation in ("relu", "gelu"):
        block = Block(submission, tensors, 4, 2, 7, activation=activation)
        # Attention adds nothing, norm1 and norm3 are what they are.
        block.load({name: torch.zeros_like(value) if "out_proj" in name else value for name, value in block.state.items()})
        hint = f'Where does the activation stand, and is it the one that activation="{activation}" asks for?'
        block.check(tensors.normal((2, 5, 4)), when=f" with {activation} and an attention that adds nothing", hint=hint)


@pytest.mark.points(1)
def test_block_without_memory(submission: Any, tensors: Tensors) -> None:
    """Causal self-attention and feed-forward network, each added to its input and normalised after that."""
    for batch, length, d_model, num_heads, d_ff in ((2, 5, 6, 3, 7), (3, 4, 8, 2, 5), (1, 7, 3, 1, 11), (1, 131, 4, 2, 3)):
        block = Block(submission, tensors, d_model, num_heads, d_ff)
        hint = "In post-norm, what is normalised: x, what a sub-layer gives, or their sum? And which positions may position i see?"
        block.check(tensors.normal((batch, length, d_model)), when=" without memory", hint=hint)


@pytest.mark.points(0.5)
def test_norm_first(submission: Any, tensors: Tensors) -> None:
    """With norm_first each sub-layer gets the normalised x, and its result is added to x itself."""
    for batch, length, activation in ((2, 5, "relu"), (3, 4, "gelu")):
        block = Block(submission, tensors, 6, 3, 7, norm_first=True, activation=activation)
        hint = "With norm_first, which tensor is the residual connection: x, or norm(x)? Is anything normalised after the sum?"
        block.check(tensors.normal((batch, length, 6)) * 3, when=" with norm_first", hint=hint)


@pytest.mark.points(1.5)
def test_no_gradient_from_the_future(submission: Any, tensors: Tensors) -> None:
    """Position i depends on every position up to i and on none after it, however many blocks there are."""
    for norm_first, memory in ((NO, None), (YES, None), (NO, tensors.normal((2, 3, 6)))):
        x = tensors.normal((2, 5, 6))
        stack = [Block(submission, tensors, norm_first=norm_first, memory=memory is not None) for _ in range(3)]
        source = None if memory is None else each(5, memory)
        for depth in (1, 3):

            def run(given: Tensor, blocks: list[Block] = stack[:depth], source: Tensor | None = source) -> Tensor:
                for block in blocks:
                    given = block.run(given, source)
                return given

            found = dependence(tensors, run, x, 5)
            blocks = "one block" if depth == 1 else f"{depth} blocks"
            hint = "Which keys does your causal mask hide, is True hidden, and does anything else (a norm, a mean) mix positions?"
            require(not found.triu(1).any(), f"after {blocks} a position depends on a later one: its gradient is not exactly 0.", hint)
            hint = "Is the diagonal visible? Does the mask hide more than the future?"
            require(
                bool((found > 0)[:, *torch.tril_indices(5, 5)].all()), f"after {blocks} a position does not depend on itself and all before.", hint
            )


# The memory


@pytest.mark.points(1)
def test_cross_attention(submission: Any, tensors: Tensors) -> None:
    """Between self-attention and feed-forward network, x asks and the memory answers."""
    sizes = ((2, 5, 3, 6, 3, 7, NO), (3, 2, 7, 8, 2, 5, YES), (1, 4, 4, 6, 1, 5, NO), (2, 1, 5, 6, 3, 5, YES), (2, 3, 1, 6, 2, 5, NO))
    for batch, length, keys, d_model, num_heads, d_ff, norm_first in sizes:
        block = Block(submission, tensors, d_model, num_heads, d_ff, memory=True, norm_first=norm_first)
        x, memory = tensors.normal((batch, length, d_model), (batch, keys, d_model))
        hint = "Which is the query, x or the memory? Which norm belongs to which sub-layer, and where does it stand with and without norm_first?"
        block.check(x, memory * 2 + 1, when=f" with memory{' and norm_first' if norm_first else ''}", hint=hint)


@pytest.mark.points(0.5)
def test_sees_all_of_the_memory(submission: Any, tensors: Tensors) -> None:
    """Every position sees the whole memory, the first one too."""
    for length, keys, norm_first in ((3, 5, NO), (5, 3, YES), (4, 4, NO)):
        block = Block(submission, tensors, memory=True, norm_first=norm_first)
        x, memory = tensors.normal((2, length, 6), (2, keys, 6))
        found = dependence(tensors, partial(block.run, each(length, x)), memory, length)
        require(bool((found > 0).all()), "a position does not depend on all of the memory.", "The memory has no future: which masks does it need?")


@pytest.mark.points(0.5)
def test_memory_as_it_is(submission: Any, tensors: Tensors) -> None:
    """The memory is not normalised by the block."""
    for norm_first in (NO, YES):
        block = Block(submission, tensors, memory=True, norm_first=norm_first)
        x, memory = tensors.normal((2, 3, 6), (2, 4, 6))
        moved = (block.run(x, memory * 3) - block.run(x, memory)).detach().abs().max()
        hint = "Who normalised the memory before the block got it? Which of the block's norms is meant for x?"
        require(float(moved) > 1e-3, "three times the memory gives the same output.", hint)
        moved = (block.run(x, memory + 3) - block.run(x, memory)).detach().abs().max()
        require(float(moved) > 1e-3, "3 added to all of the memory gives the same output.", hint)


# Masks


@pytest.mark.points(1)
def test_padding(submission: Any, tensors: Tensors) -> None:
    """Padding is hidden: the others' results are those without it, and causal."""
    padding = torch.tensor([[NO, NO, NO, YES, YES], [NO, YES, NO, NO, YES], [NO, NO, NO, NO, NO]])
    for norm_first in (NO, YES):
        block = Block(submission, tensors, norm_first=norm_first)
        block.require_attention(tensors)
        x = tensors.normal((3, 5, 6))
        result = block.run(x, masks=Masks(padding)).detach()
        hint = "Which positions does padding_mask hide from whom? True is hidden, and the causal mask holds as well."
        for b, alone in enumerate(removed(block, x, masks=Masks(padding))):
            assert_matches(result[b, ~padding[b]], alone, what="the output beside padding", hint=hint)
        found = dependence(tensors, partial(block.run, masks=Masks(each(5, padding))), x, 5)
        own_row = torch.eye(5, dtype=torch.bool)
        hint = "What becomes of the score of a hidden key, and is its weight exactly 0?"
        require(not found[padding[:, None, :] & ~own_row].any(), "a position depends on padding: its gradient is not exactly 0.", hint)
        visible = torch.ones(5, 5, dtype=torch.bool).tril() & ~padding[:, None, :]
        require(bool((found[visible] > 0).all()), "a position does not depend on all that it may see.", "Does one mask replace the other?")
        other = torch.where(padding[..., None], tensors.normal(x.shape, scale=50.0), x)
        rows = block.run(other, masks=Masks(padding))[~padding]
        assert_matches(rows, result[~padding], what="the output after padding changed", hint=hint)


@pytest.mark.points(1)
def test_both_masks(submission: Any, tensors: Tensors) -> None:
    """The mask of x hides keys of x, the mask of the memory keys of the memory; padded rows are computed like any other."""
    for norm_first, num_heads in ((NO, 3), (YES, 2)):
        block = Block(submission, tensors, num_heads=num_heads, memory=True, norm_first=norm_first)
        x, memory = tensors.normal((2, 5, 6), (2, 5, 6))
        padding = torch.tensor([[NO, NO, YES, NO, YES], [NO, YES, NO, NO, NO]])
        memory_padding = torch.tensor([[YES, NO, NO, YES, NO], [NO, NO, NO, NO, YES]])
        hint = "Which attention gets which mask? The row of a padded position is computed like any other: it is hidden as a key only."
        block.check(x, memory, Masks(padding=padding), when=" with padding_mask", hint=hint)
        block.check(x, memory, Masks(memory_padding=memory_padding), when=" with memory_padding_mask", hint=hint)
        block.check(x, memory, Masks(padding, memory_padding), when=" with both masks", hint=hint)
        given = block.module(x, memory, padding, memory_padding)
        assert_matches(given, block.run(x, memory, Masks(padding, memory_padding)).detach(), what="the output for masks given by position")
        nothing = Masks(torch.zeros_like(padding), torch.zeros_like(memory_padding))
        assert_matches(block.run(x, memory, nothing), block.run(x, memory).detach(), what="the output for masks that hide nothing", hint=hint)
    for batch, length, keys in ((1, 4, 3), (2, 1, 2), (1, 3, 1)):
        x, memory = tensors.normal((batch, length, 6), (batch, keys, 6))
        padding, memory_padding = tensors.mask((batch, length), (batch, keys))
        padding[:, 0] = False
        when = f" with both masks, B={batch}, L={length}, S={keys}"
        block.check(x, memory, Masks(padding, memory_padding), when=when, hint=hint)
    block = Block(submission, tensors, num_heads=2)
    block.check(x, masks=Masks(padding), when=" with padding_mask", hint=hint)


@pytest.mark.points(1)
def test_memory_padding(submission: Any, tensors: Tensors) -> None:
    """Padding of the memory is hidden from every position."""
    memory_padding = torch.tensor([[NO, YES, NO, YES], [YES, NO, NO, NO], [NO, NO, NO, NO]])
    for norm_first, length in ((NO, 5), (YES, 3)):
        block = Block(submission, tensors, memory=True, norm_first=norm_first)
        x, memory = tensors.normal((3, length, 6), (3, 4, 6))
        result = block.run(x, memory, Masks(None, memory_padding)).detach()
        hint = "Which attention is this mask for? True is hidden, in every row."
        for b, alone in enumerate(removed(block, x, memory, Masks(None, memory_padding))):
            assert_matches(result[b], alone, what="the output beside padding of the memory", hint=hint)
        run = partial(block.run, each(length, x), masks=Masks(None, each(length, memory_padding)))
        found = dependence(tensors, run, memory, length)
        hidden = memory_padding[:, None, :].expand_as(found)
        hint = "What becomes of the score of a hidden key, and is its weight exactly 0?"
        require(not found[hidden].any(), "a position depends on padding of the memory: its gradient is not exactly 0.", hint)
        require(bool((found[~hidden] > 0).all()), "a position does not depend on all of the memory that is no padding.", hint)
        other = torch.where(memory_padding[..., None], tensors.normal(memory.shape, scale=50.0), memory)
        changed = block.run(x, other, Masks(None, memory_padding))
        assert_matches(changed, result, what="the output after padding of the memory changed", hint=hint)


@pytest.mark.points(1)
def test_rows_without_keys(submission: Any, tensors: Tensors) -> None:
    """A row that sees nothing gets the bias of the attention's output projection, in every mode."""
    left = torch.tensor([[YES, YES, NO, NO, NO], [YES, YES, YES, YES, YES], [YES, NO, YES, NO, NO]])
    no_memory = torch.tensor([[NO, YES, NO], [YES, YES, YES], [YES, YES, YES]])
    hint = "Such a row takes nothing, not its own value either: what does an output projection make of zero heads?"
    for num_heads, norm_first, dtype in ((3, NO, torch.float64), (3, YES, torch.float32), (2, NO, torch.float64)):
        block = Block(submission, tensors, num_heads=num_heads, norm_first=norm_first, dtype=dtype)
        beside = Block(submission, tensors, num_heads=num_heads, norm_first=norm_first, dtype=dtype, memory=True)
        block.require_attention(tensors)
        x, memory = tensors.normal((3, 5, 6), (3, 3, 6), dtype=dtype)
        # Without values an attention gives nothing but that bias, whatever it sees.
        alone, silent = block.run(x).detach().clone(), block.without_values("self_attention").run(x).detach()
        no_keys = (left.cumsum(1) == torch.arange(1, 6)) & left
        for b, rows in enumerate(removed(block, x, masks=Masks(left))):
            alone[b, ~left[b]] = rows
        without_keys = torch.where(no_keys[..., None], silent, alone)
        judged = no_keys | ~left  # the other padded rows have a test of their own
        of_memory = beside.without_values("cross_attention").run(x[1:], memory[1:]).detach()
        of_neither = beside.without_values("self_attention", "cross_attention").run(x, memory).detach()[1]
        # With an even number of heads eval mode without gradients is torch's own fast path.
        for training, grad in MODES if dtype is torch.float64 and num_heads == 3 else ((True, False), (False, num_heads == 2)):
            mode = mode_text(training, grad)
            block.module.train(training)
            beside.module.train(training)
            with torch.set_grad_enabled(grad):
                result = block.run(x, masks=Masks(left))
                cross = beside.run(x[1:], memory[1:], Masks(None, no_memory[1:]))
                both = beside.run(x, memory, Masks(left, no_memory))
            for found in (result, cross, both):
                assert_finite(found, what=f"the block's output{mode}", hint="What is the softmax of a row in which every score is hidden?")
            for found, expected, what in (
                (result[judged], without_keys[judged], "the output of rows without keys and their neighbours"),
                (cross, of_memory, "the output where all of the memory is hidden"),
                (both[1], of_neither, "the output of a sequence that is all padding, with such a memory"),
            ):
                assert_matches(found, expected, what=what + mode, tolerance=TOLERANCES[dtype], hint=hint)
        nothing = beside.run(x[1:2], memory[1:2], Masks(left[1:2], no_memory[1:2]))
        assert_matches(nothing[0], of_neither, what="the output of such a sequence alone", tolerance=TOLERANCES[dtype], hint=hint)
        first = block.run(x[1:2, :1], masks=Masks(left[1:2, :1]))
        assert_matches(first, silent[1:2, :1], what="the output of one padded position", tolerance=TOLERANCES[dtype], hint=hint)


@pytest.mark.points(0.5)
def test_gradients_of_rows_without_keys(submission: Any, tensors: Tensors) -> None:
    """Rows without keys leave every gradient finite and right."""
    masks = Masks(torch.tensor([[YES, YES, NO, NO], [NO, NO, NO, YES]]), torch.tensor([[YES, YES, YES], [NO, YES, NO]]))
    hint = "If the results are right: a NaN that is replaced afterwards comes back in the gradient. Which step divides zero by zero?"
    for norm_first, num_heads in ((NO, 3), (YES, 2)):
        block = Block(submission, tensors, num_heads=num_heads, memory=True, norm_first=norm_first)
        x, memory = tensors.normal((2, 4, 6), (2, 3, 6), requires_grad=True)
        block.check_gradients(tensors, x, memory, masks, hint=hint)


@pytest.mark.points(0.5)
def test_gradients(submission: Any, tensors: Tensors) -> None:
    """Gradients flow to x, to the memory and to all weights."""
    hint = "Does something in your code cut the graph (detach, no_grad, .data), or is the result itself off?"
    for norm_first, activation, memory in ((NO, "relu", YES), (YES, "gelu", YES), (NO, "gelu", NO)):
        block = Block(submission, tensors, memory=memory, norm_first=norm_first, activation=activation)
        block.module.train(norm_first)
        x, source = tensors.normal((2, 4, 6), (2, 3, 6), requires_grad=True)
        block.check_gradients(tensors, x, source if memory else None, hint=hint)


@pytest.mark.points(0.5)
def test_large_scores(submission: Any, tensors: Tensors) -> None:
    """Scores in the thousands are no problem, whatever other rows and hidden keys hold."""
    hint = "e to the 2000 is infinite: what may be subtracted from a row of scores? And is a hidden score below every other?"
    state = block_state(tensors, 6, 5)
    for name in ("self_attention", "cross_attention"):
        # Query and key are x itself, so that large inputs make large scores.
        eye = torch.eye(6, dtype=torch.float64)
        state |= {f"{name}.in_proj_weight": torch.cat([eye, eye, 0.01 * eye]), f"{name}.in_proj_bias": torch.zeros(18, dtype=torch.float64)}
    for norm_first in (NO, YES):
        if norm_first:
            state |= {"norm1.weight": 22 * state["norm1.weight"], "norm2.weight": 22 * state["norm2.weight"]}
        block = Block(submission, tensors, num_heads=2, memory=True, norm_first=norm_first, state=state)
        x, memory = tensors.normal((2, 5, 6), (2, 4, 6), scale=0.5 if norm_first else 18.0)
        masks = Masks(torch.tensor([[NO, YES, NO, NO, NO], [NO] * 5]), torch.tensor([[NO, NO, NO, YES], [YES, NO, NO, NO]]))
        x[:, 3] *= 1e-3
        memory = memory * (40 if norm_first else 1)
        block.check(x, memory, when=" with large scores", hint=hint)
        block.check(x, memory, masks, when=" with large scores and masks", hint=hint)


# Dropout and modes


@pytest.mark.points(1)
def test_dropout_sites(submission: Any, tensors: Tensors) -> None:
    """In train mode dropout acts on the three sub-layers' outputs and after the activation, before the residual sum."""
    width, p = 48, 0.4
    state = block_state(tensors, width, width)
    for name in ("self_attention", "cross_attention"):
        # Zero values: whatever the weights, a sub-layer gives its output bias.
        state[f"{name}.in_proj_weight"][2 * width :] = 0
        state[f"{name}.in_proj_bias"][2 * width :] = 0
    state["linear2.weight"] = torch.eye(width, dtype=torch.float64)
    biases = ("self_attention.out_proj.bias", "cross_attention.out_proj.bias", "linear2.bias", "linear1.bias")
    for norm_first, activation in ((NO, "gelu"), (YES, "gelu"), (YES, "relu")):
        block = Block(submission, tensors, width, 3, width, memory=True, norm_first=norm_first, activation=activation, state=state, dropout=p)
        x, memory = tensors.normal((1, 1, width), (1, 2, width))
        block.module.train()
        result = block.run(x, memory)
        parameters = dict(block.module.named_parameters())
        # What was kept has a gradient, and what was dropped has none.
        found = gradients(result, tensors.normal(x.shape), [parameters[name] for name in biases])
        kept_self, kept_cross, kept_output, kept_hidden = (gradient != 0 for gradient in found)
        expected = x
        for name, bias, kept in (("norm1", state[biases[0]], kept_self), ("norm2", state[biases[1]], kept_cross), ("norm3", None, kept_output)):
            norm = naive.part(state, name)
            if bias is None:
                hidden = naive.hidden_units(state, naive.layer_norm(norm, expected) if norm_first else expected, activation)
                bias = state["linear2.bias"] + torch.where(kept_hidden, hidden / (1 - p), 0.0)
            expected = expected + torch.where(kept, bias / (1 - p), 0.0)
            expected = expected if norm_first else naive.layer_norm(norm, expected)
        hint = "Which four tensors meet dropout, and does each meet it before x is added? By what are survivors multiplied?"
        assert_matches(result, expected, what=f"the block's output in train mode{' with norm_first' if norm_first else ''}", hint=hint)
        sites = ("the output of self-attention", "the output of cross-attention", "the output of the feed-forward network")
        for site, kept in zip(sites, (kept_self, kept_cross, kept_output), strict=True):
            require(not bool(kept.all()), f"dropout never acts on {site}.", hint)
        if activation == "gelu":
            require(not bool(kept_hidden[kept_output].all()), "dropout never acts after the activation.", hint)
        block.load(block_state(tensors, width, width))
        memory = tensors.normal((1, 1, width), requires_grad=True)
        (found_in_memory,) = gradients(block.run(x, memory), tensors.normal(x.shape), [memory])
        kept = found_in_memory != 0
        require(bool(kept.all() or not kept.any()), "dropout acts on the memory.", hint)


@pytest.mark.points(0.5)
def test_dropout_draws(submission: Any, tensors: Tensors) -> None:
    """Every value is dropped on its own at the rate p, anew in each call, and none in eval mode."""
    width, p = 12, 0.3
    state = block_state(tensors, width, 5)
    own = [torch.where(torch.arange(width) // 4 == i, 1.0, 0.0).double() for i in range(3)]  # each sub-layer adds to four features of its own
    for name, values in zip(("self_attention", "cross_attention"), own[:2], strict=True):
        # The values are the same at every key, so that their average under any weights is theirs, but for weights of which some are dropped.
        state[f"{name}.in_proj_weight"][2 * width :] = 0
        state[f"{name}.in_proj_bias"][2 * width :] = values
        state[f"{name}.out_proj.weight"] = torch.eye(width, dtype=torch.float64)
        state[f"{name}.out_proj.bias"] = torch.zeros_like(values)
    state |= {"linear2.weight": torch.zeros_like(state["linear2.weight"]), "linear2.bias": own[2]}
    block = Block(submission, tensors, width, 3, norm_first=True, memory=True, state=state, dropout=p)
    x, memory = tensors.normal((3, 53, width), (3, 2, width))
    hint = "Is p the share dropped or kept, and does each value get a draw of its own?"
    for grad in (True, False):
        block.module.train()
        with torch.set_grad_enabled(grad):
            added, again = ((block.run(x, memory).detach() - x) for _ in range(2))
        kept = added.abs() > 1e-9
        hint_inside = "By what are survivors multiplied? Is anything dropped inside the attention as well, such as its weights?"
        assert_matches(added, kept.double() / (1 - p), what="what the sub-layers add in train mode", hint=hint_inside)
        for i in range(3):
            site = kept[..., 4 * i : 4 * i + 4]
            share = float(site.double().mean())
            require(abs(share - (1 - p)) < 0.11, f"dropout keeps {share:.0%} of what a sub-layer gives, where p={p}.", hint)
            shared = [bool((site == site.narrow(axis, 0, 1)).all()) for axis in range(3)]
            require(not any(shared), "dropout does not draw anew for each value.", "Sequences, positions or features share one draw.")
        require(not torch.equal(added, again), "two calls in train mode drop the same values.", "Each call draws anew.")
        block.module.eval()
        with torch.set_grad_enabled(grad):
            first, second = (block.run(x, memory).detach() for _ in range(2))
        hint_in_eval = "Who tells your dropout in which mode the module is?"
        assert_matches(first, x + 1, what="the block's output in eval mode", hint=hint_in_eval)
        assert_equal(second, first, what="a second output in eval mode", hint=hint_in_eval)
    for norm_first in (NO, YES):
        block = Block(submission, tensors, norm_first=norm_first, memory=True, dropout=0.5)
        block.module.eval()
        x, memory = tensors.normal((2, 3, 6), (2, 2, 6))
        first, second = (block.run(x, memory).detach() for _ in range(2))
        assert_equal(second, first, what="a second output in eval mode", hint=hint_in_eval)
        assert_matches(first, block.copy().run(x, memory).detach(), what="the block's output in eval mode", hint=hint_in_eval)


@pytest.mark.points(0.5)
def test_modes_agree(submission: Any, tensors: Tensors) -> None:
    """Without dropout, train mode, eval mode and no_grad give the same results."""
    hint = "Which branch of your code is taken only in this mode?"
    for num_heads, norm_first in ((2, NO), (3, YES)):
        block = Block(submission, tensors, num_heads=num_heads, memory=True, norm_first=norm_first)
        model = LanguageModel(submission, tensors, num_heads=num_heads, norm_first=norm_first)
        x, memory = tensors.normal((2, 5, 6), (2, 4, 6))
        block.require_attention(tensors, memory)
        padding = torch.tensor([[NO, NO, YES, NO, YES], [NO, NO, NO, NO, NO]])
        arguments = (x, memory, Masks(padding, padding[:, :4]))
        token_ids = model.tokens(2, 5)
        first, first_logits = block.run(*arguments).detach(), model.logits(token_ids).detach()
        for training, grad in MODES[1:]:
            block.module.train(training)
            model.module.train(training)
            with torch.set_grad_enabled(grad):
                result, logits = block.run(*arguments), model.logits(token_ids)
            assert_matches(result, first, what=f"the block's output{mode_text(training, grad)}", hint=hint)
            assert_matches(logits, first_logits, what=f"the logits{mode_text(training, grad)}", hint=hint)


# The language model


@pytest.mark.points(0.5)
def test_embedding_and_head(submission: Any, tensors: Tensors) -> None:
    """Token and position embedding are added, and the logits are inner products with the token embedding."""
    for norm_first in (YES, NO):
        model = LanguageModel(submission, tensors, vocab_size=13, num_layers=1, max_len=7, norm_first=norm_first)
        model.silence_layers()
        for batch, length in ((2, 5), (3, 7), (1, 1)):
            token_ids = model.tokens(batch, length)
            hint = "Is anything scaled on the way in or out? Which row of position_embedding does position 0 get, and has the head a bias?"
            model.check(token_ids, when=" with layers that add nothing", hint=hint)
            x = model.state["embedding.weight"][token_ids] + model.state["position_embedding.weight"][:length]
            for name in () if norm_first else ("norm1", "norm3"):
                x = naive.layer_norm(naive.part(model.state, f"layers.0.{name}"), x)
            assert_matches(model.logits(token_ids), model.head(x), what="the logits with layers that add nothing", hint=hint)


@pytest.mark.points(1)
def test_layers(submission: Any, tensors: Tensors) -> None:
    """The layers follow one another, each with weights of its own; only norm_first has a norm at the end."""
    options: tuple[dict[str, Any], ...] = (
        {"num_layers": 1, "norm_first": False},
        {"num_layers": 3, "norm_first": True, "activation": "gelu"},
        {"num_layers": 2, "norm_first": False, "num_heads": 2, "d_model": 8, "vocab_size": 5},
    )
    for chosen in options:
        layers = "one layer" if chosen["num_layers"] == 1 else f"{chosen['num_layers']} layers"
        model = LanguageModel(submission, tensors, **chosen)
        hint = "Does every layer get what the one before it gave, in order, and what happens after the last?"
        for batch, length in ((2, 5), (1, model.max_len)):
            model.check(model.tokens(batch, length), when=f" of {layers}", hint=hint)
        model.require_attention()


@pytest.mark.points(1)
def test_tied_head(submission: Any, tensors: Tensors) -> None:
    """The head is the embedding itself: it sees weights loaded later, and the embedding's gradient sums both uses."""
    for norm_first in (NO, YES):
        model = LanguageModel(submission, tensors, vocab_size=5, norm_first=norm_first)
        token_ids = model.tokens(2, 4) // 2  # some tokens never come in, but every one is a possible answer
        hint = "Does the head use the weights of the moment, or some that were copied before?"
        for grad in (False, True):
            with torch.set_grad_enabled(grad):
                model.logits(token_ids)
                model.load(model.random_state())
                model.check(token_ids, when=" with weights loaded later", hint=hint)
        names = ("embedding.weight", "position_embedding.weight")
        parameters = dict(model.module.named_parameters())
        cotangent = tensors.normal((2, 4, 5))
        model.module.train(norm_first)
        found = gradients(model.logits(token_ids), cotangent, [parameters[name] for name in names])
        state = {**model.state, **{name: model.state[name].clone().requires_grad_() for name in names}}
        expected = gradients(model.expected(token_ids, state), cotangent, [state[name] for name in names])
        hint = "The embedding is used twice, on the way in and on the way out: does the gradient come back along both?"
        for name, one, other in zip(names, found, expected, strict=True):
            assert_matches(one, other, what=f"the gradient of {name}", hint=hint)


@pytest.mark.points(0.5)
def test_logits_do_not_see_the_future(submission: Any, tensors: Tensors) -> None:
    """The logits at position i depend on tokens up to i and on none after it."""
    hint = "Which step of the model lets a later token through?"
    for num_layers, norm_first in ((1, NO), (3, YES)):
        model = LanguageModel(submission, tensors, num_layers=num_layers, norm_first=norm_first)
        token_ids = model.tokens(1, 5)
        logits = model.logits(token_ids)
        # Position j alone uses row j of the position embedding.
        rows = dict(model.module.named_parameters())["position_embedding.weight"]
        found = []
        for i in range(5):
            cotangent = torch.zeros_like(logits)
            cotangent[:, i] = tensors.normal((1, model.vocab_size))
            (gradient,) = gradients(logits, cotangent, [rows])
            found.append(gradient.abs().sum(dim=-1))
        depends = torch.stack(found)
        require(not depends.triu(1).any(), "the logits at a position depend on a later one: their gradient is not exactly 0.", hint)
        require(bool((depends[:, :5] > 0)[*torch.tril_indices(5, 5)].all()), "the logits at a position do not depend on all tokens up to it.", hint)
        changed = token_ids.clone()
        changed[:, 3:] = (changed[:, 3:] + 1) % model.vocab_size
        assert_matches(model.logits(changed)[:, :3], logits[:, :3].detach(), what="the logits before a token that changed", hint=hint)
        assert_matches(model.logits(token_ids[:, :3]), logits[:, :3].detach(), what="the logits of a prefix", hint=hint)


@pytest.mark.points(0.5)
def test_dropout_of_the_embedding(submission: Any, tensors: Tensors) -> None:
    """In train mode the language model drops values of the embeddings' sum and its layers drop theirs; in eval mode nothing is dropped."""
    p, length, width = 0.4, 13, 24
    model = LanguageModel(submission, tensors, 5, width, 3, 4, 1, length, norm_first=True, dropout=p)
    model.silence_layers()
    token_ids = model.tokens(1, length)
    x = model.state["embedding.weight"][token_ids] + model.state["position_embedding.weight"]
    model.module.train()
    logits = model.logits(token_ids)
    (of_positions,) = gradients(logits, tensors.normal(logits.shape), [dict(model.module.named_parameters())["position_embedding.weight"]])
    kept = of_positions != 0
    hint = "Dropout acts on the sum of token and position embedding, once, before the first layer."
    assert_matches(logits, model.head(torch.where(kept, x / (1 - p), 0.0)), what="the logits in train mode with layers that add nothing", hint=hint)
    share = float(kept.double().mean())
    require(abs(share - (1 - p)) < 0.17, f"dropout keeps {share:.0%} of the embeddings' sum, where p={p}.", hint)
    require(not torch.equal(model.logits(token_ids), logits), "two calls in train mode drop the same values.", "Each call draws anew.")
    parameters = dict(model.module.named_parameters())
    biases = [parameters[f"layers.0.{name}.bias"] for name in ("linear2", "self_attention.out_proj")]
    found = torch.cat(gradients(model.logits(token_ids[:, :1]), tensors.normal((1, 1, 5)), biases))
    require(not bool((found != 0).all()), "dropout never acts in the layers.", "The constructor is given: does it hand dropout on?")
    model.module.eval()
    first, second = (model.logits(token_ids).detach() for _ in range(2))
    hint = "Who tells your dropout in which mode the module is?"
    assert_matches(first, model.head(x), what="the logits in eval mode with layers that add nothing", hint=hint)
    assert_equal(second, first, what="a second call's logits in eval mode", hint=hint)


# Everything else


@pytest.mark.points(0.5)
def test_block_refuses(submission: Any, tensors: Tensors) -> None:
    """A memory too many or missing, and masks of another shape, raise ValueError."""
    alone, beside = Block(submission, tensors), Block(submission, tensors, memory=True)
    for B, L, S in ((2, 5, 3), (3, 4, 4)):
        x, memory = tensors.normal((B, L, 6), (B, S, 6))
        masks = Masks(torch.zeros(B, L, dtype=torch.bool), torch.zeros(B, S, dtype=torch.bool))
        alone.require_attention(tensors)
        before = (alone.run(x, masks=Masks(masks.padding)).detach(), beside.run(x, memory, masks).detach())

        def hidden(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.bool)

        cases = [
            ("a memory is given to a block without cross-attention", partial(alone.module, x, memory)),
            ("a memory and its mask are given to a block without cross-attention", partial(alone.module, x, memory, None, hidden(B, S))),
            ("the memory is missing", partial(beside.module, x)),
            ("the memory is missing, but its mask is there", partial(beside.module, x, memory_padding_mask=hidden(B, S))),
            ("memory_padding_mask comes without a memory", partial(alone.module, x, memory_padding_mask=hidden(B, S))),
            ("memory_padding_mask comes without a memory", partial(alone.module, x, memory_padding_mask=hidden(B, L))),
        ]
        for shape in ((1, L), (L,), (B, 1), (B + 1, L), (B, L + 1), (B, L - 1), (L, B), (B, L, L), (B, 1, L), (B, 1, 1, L)):
            if len(shape) < 3 or L != S:
                cases.append(("padding_mask is not (B, L)", partial(alone.module, x, padding_mask=hidden(*shape))))
        for shape in ((1, L), (L,), (B + 1, L)):
            cases.append(("padding_mask is not (B, L)", partial(beside.module, x, memory, hidden(*shape), hidden(B, S))))
        for shape in ((1, S), (S,), (B, 1), (B + 1, S), (B, S + 1), (S, B), (B, L, S), (B, 1, S), (B, 1, 1, S)):
            if len(shape) < 3 or L != S:
                cases.append(("memory_padding_mask is not (B, S)", partial(beside.module, x, memory, None, hidden(*shape))))
        if L != S:
            cases.append(("memory_padding_mask is (B, L)", partial(beside.module, x, memory, memory_padding_mask=hidden(B, L))))
            cases.append(("padding_mask is (B, S)", partial(beside.module, x, memory, padding_mask=hidden(B, S))))
        for when, call in cases:
            assert_raises_value_error(call, when=when)
        after = (alone.run(x), beside.run(x, memory))
        for found, expected in zip(after, before, strict=True):
            assert_matches(
                found, expected, what="the block's output after calls that were refused", hint="A call that raises must leave nothing behind."
            )
    assert_inputs_unchanged(submission)


@pytest.mark.points(0.5)
def test_model_refuses(submission: Any, tensors: Tensors) -> None:
    """Token ids that are not (B, L), or more than max_len of them, raise ValueError."""
    for max_len in (5, 3, 1):
        model = LanguageModel(submission, tensors, max_len=max_len, num_layers=1)
        good = model.tokens(2, max_len)
        before = model.logits(good).detach()  # max_len tokens are not too many
        if max_len > 1:
            model.require_attention()
        for length in (max_len + 6, max_len + 1):
            assert_raises_value_error(partial(model.module, model.tokens(2, length)), when="there are more tokens than max_len")
        for wrong, rank in ((good[0], 1), (good[None], 3), (good[0, 0], 0), (good[:, None, :1], 3)):
            assert_raises_value_error(partial(model.module, wrong), when=f"token_ids is {rank}-D")
        assert_matches(
            model.logits(good), before, what="the logits after calls that were refused", hint="A call that raises must leave nothing behind."
        )
    assert_inputs_unchanged(submission)


@pytest.mark.points(0.5)
def test_parameters(submission: Any, tensors: Tensors) -> None:
    """The weights have the contract's names, each is one of its own, and there are no others."""
    for norm_first in (NO, YES):
        block, beside = Block(submission, tensors, norm_first=norm_first), Block(submission, tensors, memory=True, norm_first=norm_first)
        model = LanguageModel(submission, tensors, norm_first=norm_first, num_layers=3)
        block.require_attention(tensors)
        beside.require_attention(tensors, tensors.normal((2, 3, 6)))
        model.require_attention()
        for owner, what in ((block, "a block without cross-attention"), (beside, "a block with cross-attention"), (model, "the language model")):
            found = {name: tuple(value.shape) for name, value in owner.module.state_dict().items()}
            hint = "Only the layers of the given constructor belong there; the head has no weights of its own, and a call adds nothing."
            require(found == {name: tuple(value.shape) for name, value in owner.state.items()}, f"the state dict of {what} has other entries.", hint)
            names = {name for name, _ in owner.module.named_parameters()}
            require(names == set(found), f"not every weight of {what} is a parameter of its own.", "Do two layers share one?")


@pytest.mark.points(0.5)
def test_calls_do_not_depend_on_earlier_ones(submission: Any, tensors: Tensors) -> None:
    """Every call uses the weights of the moment, its own lengths and its own masks."""
    hint = "What does your module keep from one call to the next? Nothing may be kept but its weights."
    alone, beside = Block(submission, tensors), Block(submission, tensors, num_heads=2, memory=True, norm_first=True)
    model = LanguageModel(submission, tensors, num_layers=1)
    alone.require_attention(tensors)
    owners: dict[str, Block | LanguageModel] = {"alone": alone, "beside": beside, "model": model}
    questions: list[tuple[str, bool, tuple[Any, ...]]] = []
    for training, batch, length, keys in ((YES, 2, 4, 3), (NO, 3, 7, 5), (NO, 2, 4, 3), (YES, 3, 7, 5)):
        x, memory = tensors.normal((batch, length, 6), (batch, keys, 6))
        padding, memory_padding = tensors.mask((batch, length), (batch, keys))
        padding[:, 0] = False
        questions += [("alone", training, (x, None, Masks(padding))), ("alone", training, (x,)), ("model", training, (model.tokens(batch, length),))]
        questions += [("beside", training, (x, memory, Masks(padding, memory_padding))), ("beside", training, (x, memory))]
    # The same questions in the opposite order, to modules that have not heard any.
    answers, expected = answers_of(owners, questions), answers_of({name: owner.copy() for name, owner in owners.items()}, questions[::-1])
    for (name, *_), found, other in zip(questions, answers, expected[::-1], strict=True):
        assert_matches(found, other, what="the logits of a later call" if name == "model" else "the block's output of a later call", hint=hint)
    for training in (True, False):
        alone.module.train(training)
        alone.load(block_state(tensors, 6, 5, False))
        assert_matches(alone.run(x), alone.copy().run(x).detach(), what="the block's output with weights loaded later", hint=hint)
    for name, value in beside.module.state_dict().items():
        assert_equal(value, beside.state.get(name, value), what=f"{name} after some calls", hint="forward must not change the weights.")
    alone.module.to(torch.float32)
    wide = alone.copy().run(x).detach()
    alone.load({name: value.float() for name, value in alone.state.items()})
    assert_matches(alone.run(x.float()), wide, what="the block's output after .to(float32)", tolerance=TOLERANCES[torch.float32], hint=hint)


@pytest.mark.points(0.5)
def test_inputs_are_not_changed(submission: Any, tensors: Tensors) -> None:
    """The caller's tensors are left as they were, and may lie in memory in any way."""
    hint = "Which step of your code assumes an order in memory?"
    block, model = Block(submission, tensors, memory=True), LanguageModel(submission, tensors)
    block.require_attention(tensors, tensors.normal((2, 3, 6)))
    x, memory = tensors.normal((5, 2, 6)).transpose(0, 1), tensors.normal((1, 3, 6)).expand(2, 3, 6)
    padding, memory_padding = torch.tensor([[NO, NO], [YES, NO], [NO, NO], [NO, YES], [NO, NO]]).T, torch.tensor([[NO, YES, NO]]).expand(2, 3)
    nothing = torch.zeros(1, 1, dtype=torch.bool)
    for given in (
        (x, memory, padding, memory_padding),
        (tensors.normal((2, 6, 5)).transpose(1, 2), tensors.normal((2, 8, 6))[:, ::2], nothing.expand(2, 5), nothing.expand(2, 4)),
    ):
        plain = [tensor.contiguous() for tensor in given]
        expected = block.run(plain[0], plain[1], Masks(*plain[2:])).detach()
        assert_matches(block.run(given[0], given[1], Masks(*given[2:])), expected, what="the block's output for strided inputs", hint=hint)
    for token_ids in (model.tokens(5, 2).T, model.tokens(1, 5).expand(3, 5)):
        plain_logits = model.logits(token_ids.contiguous()).detach()
        assert_matches(model.logits(token_ids), plain_logits, what="the logits for transposed or expanded tokens", hint=hint)
    for norm_first, dropout in ((NO, 0.0), (YES, 0.5)):
        block = Block(submission, tensors, memory=True, norm_first=norm_first, dropout=dropout)
        alone = Block(submission, tensors, num_heads=2, norm_first=norm_first, dropout=dropout)
        for training, grad in MODES[::3] if dropout else MODES[1::2]:
            block.module.train(training)
            alone.module.train(training)
            with torch.set_grad_enabled(grad):
                block.run(x.clone(), memory.clone(), Masks(padding.clone(), memory_padding.clone()))
                alone.run(x.clone(), masks=Masks(padding.clone()))
    assert_inputs_unchanged(submission)


@pytest.mark.points(0.5)
def test_dtypes(submission: Any, tensors: Tensors) -> None:
    """Results have the dtype of the module, float32 and bfloat16 too."""
    hint = "Does some tensor of your own have another dtype than x?"
    masks = Masks(torch.tensor([[NO, YES, NO, NO], [NO, NO, YES, NO]]), torch.tensor([[NO, YES, NO], [YES, NO, NO]]))
    for dtype, norm_first in ((torch.float32, YES), (torch.bfloat16, NO)):
        block = Block(submission, tensors, memory=True, norm_first=norm_first, dtype=dtype)
        wide = block.copy(torch.float64)
        block.require_attention(tensors, tensors.normal((2, 3, 6), dtype=dtype))
        x, memory = tensors.normal((2, 4, 6), (2, 3, 6), dtype=dtype)
        model = LanguageModel(submission, tensors, dtype=dtype, norm_first=norm_first)
        token_ids = model.tokens(2, 5)
        for given in (Masks(), masks):
            expected = wide.run(x.double(), memory.double(), given).detach()
            found = block.run(x, memory, given)
            assert_matches(found, expected, what=f"the block's output in {str(dtype)[6:]}", tolerance=TOLERANCES[dtype], hint=hint)
        expected = model.copy(torch.float64).logits(token_ids).detach()
        assert_matches(model.logits(token_ids), expected, what=f"the logits in {str(dtype)[6:]}", tolerance=TOLERANCES[dtype], hint=hint)
