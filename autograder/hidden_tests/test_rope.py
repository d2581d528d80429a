"""Hidden tests of 08_rope: the rotation from one pair to far positions, then the module that uses it.

Directions, layouts and frequencies are judged by direct values, once. Most other tests hold the submission against its own
rotation, so that one mistake costs its own points and not everybody's.
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
from autograder.checking.tolerance import LOGIC, Tolerance, smoke, table
from autograder.hidden_tests import naive_rope as naive
from autograder.hidden_tests.rope_checks import (
    SOFT,
    check_base,
    check_broadcasting,
    check_float64,
    check_gradient,
    check_low_precision,
    check_partial_rotation,
    check_positions_of_any_kind,
    check_refusals,
    check_values,
    own,
)
from autograder.hidden_tests.rope_module_checks import WORST_BFLOAT16, Pair, Readable, check_long_in_bfloat16, masked, plain_state, random_state

# The rotation


@pytest.mark.points(1)
def test_frequencies(submission: Any) -> None:
    """Every pair of features has its own frequency, from 1 downwards."""
    for head_dim, base in ((8, None), (2, None), (6, 10000.0), (4, 100.0), (10, 2.5), (12, 500000.0), (4, 1.0)):
        result = assert_tensor(submission.rotary_frequencies(head_dim, *([] if base is None else [base])), what="the frequencies")
        require(result.dtype in (torch.float32, torch.float64), f"the frequencies are {result.dtype}; float64 (or float32) was expected.")
        hint = "How many pairs are there, and what is the exponent of the first, the second and the last? Does the base reach the formula?"
        expected = naive.frequencies(head_dim, 10000.0 if base is None else base)
        assert_matches(result, expected, what="the frequencies", tolerance=table(1), hint=hint)
    assert_matches(submission.rotary_frequencies(head_dim=6, base=77.0), naive.frequencies(6, 77.0), what="the frequencies", tolerance=table(1))


@pytest.mark.points(0.5)
def test_positions_show(submission: Any, tensors: Tensors) -> None:
    """The same vector comes out different at different positions."""
    x = tensors.normal((1, 1, 1, 6)).expand(2, 3, 5, 6).contiguous()
    positions = torch.tensor([3, 0, 4, 1, 2])
    result = assert_tensor(submission.apply_rotary(x, positions), x.shape, what="the result").detach()
    for i in range(5):
        for j in range(i):
            apart = float((result[:, :, i] - result[:, :, j]).norm(dim=-1).min())
            require(apart > 1e-3, "the same vector at two positions gives the same result.", "Does the angle depend on the position of each vector?")


@pytest.mark.points(1)
def test_one_pair(submission: Any, tensors: Tensors) -> None:
    """A single pair of features turns by its position, in radians, counterclockwise."""
    hint = "Where does (1, 0) end up after a quarter turn? Which sign belongs to which sine, and are both new features made of the old ones?"
    unit = torch.tensor([1.0, 0.0], dtype=torch.float64).expand(5, 2).contiguous()
    check_values(submission, unit, torch.arange(5), what="the unit vector (1, 0), turned,", hint=hint)
    check_values(submission, tensors.normal((2, 3, 5, 2)), torch.arange(5), hint=hint)
    check_values(submission, tensors.normal((3, 2, 7, 2)), tensors.integers((7,), high=40), hint=hint)


@pytest.mark.points(1.5)
def test_interleaved(submission: Any, tensors: Tensors) -> None:
    """In the interleaved layout, neighbouring features are a pair and turn with their own frequency."""
    hint = "Which two features are pair 1, at which frequency do they turn, and where do they go when they are put back?"
    for shape in ((2, 3, 5, 4), (3, 2, 7, 6), (2, 11, 10), (1, 2, 3, 8)):
        x = tensors.normal(shape)
        check_values(submission, x, torch.arange(shape[-2]), hint=hint)
        check_values(submission, x, tensors.integers((shape[-2],), high=50), layout="interleaved", hint=hint)


@pytest.mark.points(1)
def test_half(submission: Any, tensors: Tensors) -> None:
    """In the half layout, feature i is paired with feature i + D/2."""
    hint = "Which two features are pair 1 in this layout, at which frequency do they turn, and where do they go when they are put back?"
    for shape in ((2, 3, 5, 4), (3, 2, 7, 6), (2, 11, 10), (1, 2, 3, 8), (2, 5, 2)):
        x = tensors.normal(shape)
        check_values(submission, x, torch.arange(shape[-2]), layout="half", hint=hint)
        check_values(submission, x, tensors.integers((shape[-2],), high=50), layout="half", hint=hint)


@pytest.mark.points(0.5)
def test_base(submission: Any, tensors: Tensors) -> None:
    """The base is the one that the caller asks for, in every call."""
    check_base(submission, tensors, "interleaved")


@pytest.mark.points(1)
@pytest.mark.requires("test_positions_show")
def test_partial_rotation(submission: Any, tensors: Tensors) -> None:
    """With rotary_dim, the first features turn as if they were all, and the rest is left to the last bit."""
    check_partial_rotation(submission, tensors, "interleaved")


@pytest.mark.points(1)
@pytest.mark.requires("test_positions_show")
def test_positions_of_any_kind(submission: Any, tensors: Tensors) -> None:
    """Positions come in any order, repeated, negative, and each vector turns by its own."""
    check_positions_of_any_kind(submission, tensors, "interleaved")


@pytest.mark.points(1)
@pytest.mark.requires("test_positions_show")
def test_positions_broadcast(submission: Any, tensors: Tensors) -> None:
    """Positions broadcast to all dimensions of x but the last, and x may have any number of dimensions and any memory layout."""
    check_broadcasting(submission, tensors, "interleaved")


@pytest.mark.points(1)
def test_float64_angles(submission: Any, tensors: Tensors) -> None:
    """A float64 x is turned by float64 angles, at positions up to a million and down to minus a million."""
    check_float64(submission, tensors, "interleaved")


@pytest.mark.points(0.5)
@pytest.mark.requires("test_positions_show")
def test_low_precision(submission: Any, tensors: Tensors) -> None:
    """The result has the dtype of x, and its angles are exact to float32 at least, also for bfloat16 and float16."""
    check_low_precision(submission, tensors, "interleaved")


@pytest.mark.points(0.5)
@pytest.mark.requires("test_positions_show")
def test_gradient_of_the_rotation(submission: Any, tensors: Tensors) -> None:
    """Gradients flow back through the rotation to x."""
    check_gradient(submission, tensors, "interleaved")


@pytest.mark.points(0.5)
@pytest.mark.requires("test_positions_show")
def test_bad_arguments(submission: Any, tensors: Tensors) -> None:
    """An odd or impossible number of features to turn, and an unknown layout, are a ValueError."""
    for head_dim in (1, 3, 7, 0, -1, -2, -4):
        assert_raises_value_error(partial(submission.rotary_frequencies, head_dim), when="head_dim is odd or less than 2")
    x, positions = tensors.normal((2, 3, 5, 8)), torch.arange(5)
    before = own(submission, x, positions)
    check_refusals(submission, tensors, "interleaved")
    for unknown in ("neox", "Half", "interleave", "", "halves"):
        assert_raises_value_error(partial(submission.apply_rotary, x, positions, layout=unknown), when="the layout is unknown")
    for d_model, num_heads, when in ((6, 2, "the size of one head is odd"), (8, 3, "num_heads does not divide d_model")):
        assert_raises_value_error(partial(submission.RotaryMultiHeadAttention, d_model, num_heads), when=when)
    after = submission.apply_rotary(x, positions)
    assert_matches(after, before, what="the result after refused calls", hint="A call that raises must leave nothing behind.")


@pytest.mark.points(1)
@pytest.mark.requires("test_half")
def test_half_in_every_way(submission: Any, tensors: Tensors) -> None:
    """The half layout takes the same bases, positions, partial widths and dtypes, and has gradients as well."""
    for check in (
        check_base,
        check_partial_rotation,
        check_positions_of_any_kind,
        check_broadcasting,
        check_float64,
        check_low_precision,
        check_gradient,
        check_refusals,
    ):
        check(submission, tensors, "half")
    assert_inputs_unchanged(submission)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_interleaved", "test_half", "test_base")
def test_calls_do_not_depend_on_each_other(submission: Any, tensors: Tensors) -> None:
    """A rotation depends on the arguments of its call alone."""
    hint = "What do you keep from one call to the next, and for which arguments was it computed?"
    options: tuple[dict[str, Any], ...]
    options = ({}, {"base": 33.0}, {"layout": "half"}, {"rotary_dim": 4}, {"rotary_dim": 4, "layout": "half", "base": 33.0}, {})
    for length, width, offset in ((3, 8, 0), (3, 6, 0), (7, 8, 0), (3, 8, 50), (7, 8, 2), (2, 8, 9), (3, 8, 0)):
        x, positions = tensors.normal((2, 2, length, width)), torch.arange(length) + offset
        for chosen in options:
            check_values(submission, x, positions, what="the result of a later call", hint=hint, **chosen)
        check_values(submission, x, positions.flip(0) + 4, what="the result of a later call", hint=hint)
        check_values(submission, x.clone().requires_grad_(), positions, what="the result for an x that requires grad", hint=hint)
        with torch.no_grad():
            check_values(submission, x, positions + 1, what="the result under no_grad", hint=hint)


# The module


@pytest.mark.points(0.5)
def test_one_token(submission: Any, tensors: Tensors) -> None:
    """A token alone gives its value after both projections, wherever it stands."""
    pair = Pair(submission, tensors, 12, 3)
    x = pair.input(2, 1)
    expected = naive.attention(pair.state, 3, x, torch.eye(4, dtype=torch.float64).expand(1, 1, 4, 4))
    hint = "With one key its weight is 1. Through which two layers does a value go, and does anything else happen to it?"
    for positions in (None, torch.tensor([0]), torch.tensor([5])):
        result = pair.module(x) if positions is None else pair.module(x, positions)
        assert_matches(result, expected, what="the output of a token alone", hint=hint)


@pytest.mark.points(1)
def test_all_at_one_position(submission: Any, tensors: Tensors) -> None:
    """Tokens that all stand at position 0 attend to each other as without positions."""
    hint = "Nothing turns here. Is the rest the multi-head attention of assignment 03: split, scale, softmax over the keys, w_o?"
    for batch, length, d_model, num_heads in ((2, 5, 12, 3), (3, 4, 4, 2), (1, 7, 6, 1), (2, 3, 10, 5)):
        pair = Pair(submission, tensors, d_model, num_heads)
        x = pair.input(batch, length)
        pair.check(x, torch.zeros(length, dtype=torch.int64), true=True, when=" with every position 0", hint=hint)


@pytest.mark.points(1)
def test_module_values(submission: Any, tensors: Tensors) -> None:
    """Queries and keys of each head turn by their positions, in interleaved pairs over the whole head."""
    hint = "What turns, before or after the split into heads? In which layout, and with how many features in the exponent?"
    for batch, length, d_model, num_heads in ((2, 5, 12, 3), (3, 4, 8, 2), (1, 7, 6, 1)):
        pair = Pair(submission, tensors, d_model, num_heads)
        x = pair.input(batch, length)
        pair.check(x, true=True, hint=hint)
        pair.check(x, tensors.integers((length,), high=30), true=True, when=" with positions", hint=hint)
    for base in (30.0, 500000.0):
        pair = Pair(submission, tensors, 12, 3, base=base)
        pair.check(pair.input(2, 6), true=True, when=" with another base", hint="The module has a base too. Where does it have to go?")


@pytest.mark.points(1)
@pytest.mark.requires("test_positions_show")
def test_module_positions(submission: Any, tensors: Tensors) -> None:
    """Positions are the caller's, one row for all sequences or one for each, and only distances count."""
    for batch, num_heads, length, head_dim in ((2, 3, 5, 4), (3, 3, 4, 2), (4, 2, 4, 4), (2, 5, 5, 2), (3, 3, 3, 2), (1, 2, 6, 4)):
        pair = Pair(submission, tensors, num_heads * head_dim, num_heads)
        x, order = pair.input(batch, length), torch.arange(length).flip(0).roll(1)
        default = pair.output(x)
        hint = "Do positions reach the rotation of query and key?"
        together = pair.output(x, torch.zeros(length, dtype=torch.int64))
        require(float((together - default).abs().max()) > 1e-4, "the output is the same when all tokens stand at one position.", hint)
        hint = "Without positions, tokens stand at 0 … L − 1."
        assert_matches(pair.output(x, torch.arange(length)), default, what="the output for positions 0 … L − 1", tolerance=SOFT, hint=hint)
        hint = "Tokens that come in another order, each with its own position, see each other as before."
        assert_matches(pair.output(x[:, order], order), default[:, order], what="the output for tokens in another order", tolerance=SOFT, hint=hint)
        rows = tensors.integers((batch, length), low=-10, high=25)
        alone = torch.cat([pair.output(x[b : b + 1], rows[b]) for b in range(batch)])
        hint = "Line the positions up with query and key, (B, H, L, D): each sequence has its own row, and all heads share it."
        assert_matches(pair.output(x, rows), alone, what="the output for positions (B, L)", tolerance=SOFT, hint=hint)
        hint = "A score may depend on how far query and key are apart, and on nothing else of their positions."
        for shift in (torch.tensor([1]), torch.tensor([-17]), torch.tensor([2500]), tensors.integers((batch, 1), low=-50, high=50)):
            tolerance = Tolerance("angles (float32)", relative=2e-2) if int(shift.abs().max()) > 100 else SOFT
            shifted = pair.output(x, torch.arange(length) + shift)
            assert_matches(shifted, default, what="the output after a shift of all positions", tolerance=tolerance, hint=hint)


@pytest.mark.points(1)
def test_mask(submission: Any, tensors: Tensors) -> None:
    """A mask hides keys where it is True, in any shape that broadcasts to (B, H, L, L), and nothing is hidden without one."""
    for batch, num_heads, length, shapes in (
        (2, 3, 5, ("ll", "b..l", ".hll", "bhll", "b.ll", "hll", "bh.l", "...l")),
        (3, 3, 3, ("ll", "b..l", "hll", ".h.l", "b.ll")),
    ):
        pair = Readable(submission, tensors, num_heads, length)
        x = pair.tokens(batch)
        own_weights = pair.weights(x)
        hint = "Which keys are hidden when nobody asks for it, and over which dimension does the softmax go?"
        require(bool((own_weights > 0).all()), "a key is hidden, or its weight not positive, without a mask.", hint)
        ones = torch.ones(batch, num_heads, length)
        assert_matches(own_weights.sum(-1), ones, what="the sum of a query's weights, as the output shows it,", tolerance=SOFT, hint=hint)
        sizes = {"b": batch, "h": num_heads, "l": length, ".": 1}
        masks = [tensors.mask([sizes[letter] for letter in letters]) for letters in shapes] + [tensors.mask((length, length)).T.contiguous().T]
        for mask in masks:
            expected = masked(own_weights, mask)
            hint = "Does True hide a key in your code, and before the softmax? Line the mask up with the scores, (B, H, L, L)."
            assert_matches(pair.weights(x, mask), expected, what="the weights under a mask, as the output shows them,", tolerance=SOFT, hint=hint)
    hidden = torch.tensor([[False, True, True, False, False, True, False], [True, False, True, False, True, False, False]])
    mask = hidden[:, None, None, :]
    attention = Pair(submission, tensors, 12, 3)
    x = attention.input(2, 7)
    first = attention.output(x, mask=mask)
    second = attention.output(torch.where(hidden[:, :, None], tensors.normal(x.shape, scale=20.0), x), mask=mask)
    assert_matches(second[~hidden], first[~hidden], what="the output after a change of hidden tokens", hint="A hidden key weighs exactly 0.")


@pytest.mark.points(0.5)
def test_queries_without_keys(submission: Any, tensors: Tensors) -> None:
    """A query that sees no key gets the bias of w_o, and leaves every gradient finite; in one head it loses that head only."""
    blind = torch.tensor([[False, False, False, True, False], [True, False, False, False, False]])
    for dtype in (torch.float64, torch.float32):
        pair = Readable(submission, tensors, 3, 5, dtype)
        x, mask = pair.tokens(2), tensors.mask((2, 3, 5, 5))
        mask[0, 1, 2] = mask[1, 2, 4] = mask[1, 0, 4] = True
        mask |= blind[:, None, :, None]
        own_weights, bias = pair.weights(x), pair.state["w_o.bias"]
        require(bool((own_weights.sum(-1) > 0.5).all()), "without a mask, the weights that the output shows do not add up to 1.")
        hint = "What does your softmax make of a row whose scores are all hidden? Zero heads still go through w_o: what does it add?"
        for given in (mask, torch.ones(5, 5, dtype=torch.bool), torch.ones(2, 1, 1, 5, dtype=torch.bool), blind[:, None, :, None]):
            result = pair.output(x, mask=given)
            alone = result[given.expand(2, 3, 5, 5).all(dim=-1).all(dim=1)]
            assert_finite(result, what="the output with queries without keys", hint=hint)
            assert_matches(alone, bias.expand_as(alone), what="the output of a query without keys", tolerance=SOFT, hint=hint)
        hint = "Such a query loses the heads that hide everything, and no others."
        expected = masked(own_weights, mask)
        assert_matches(pair.weights(x, mask), expected, what="the weights that the output shows", tolerance=SOFT, hint=hint)
        # What blind queries are asked for must not show in any gradient but that of w_o's bias.
        seeing = mask & ~blind[:, None, :, None]
        cotangent = tensors.normal((2, 5, pair.d_model), dtype=dtype)
        found, wanted = pair.gradients(x, mask, cotangent), pair.gradients(x, seeing, cotangent * ~blind[..., None])
        hint = "A NaN that is replaced afterwards comes back in the gradient: which step divides zero by zero?"
        for name, gradient in found.items():
            assert_finite(gradient, what=f"the gradient of {name}", hint=hint)
            if name != "w_o.bias":
                assert_matches(gradient, wanted[name], what=f"the gradient of {name}", tolerance=SOFT, hint=hint)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_positions_show")
def test_gradients(submission: Any, tensors: Tensors) -> None:
    """Gradients flow to x and to all weights and biases."""
    hint = "Does something in your code cut the graph (detach, no_grad, .data), or is the output itself off?"
    for batch, length, d_model, num_heads in ((2, 5, 12, 3), (3, 4, 4, 1)):
        pair = Pair(submission, tensors, d_model, num_heads)
        pair.check_gradients(pair.input(batch, length, requires_grad=True), tensors.integers((length,), high=20), hint=hint)
    pair.check_gradients(pair.input(2, 6, requires_grad=True), None, torch.ones(6, 6, dtype=torch.bool).triu(1), hint=hint)


@pytest.mark.points(0.5)
def test_large_scores(submission: Any, tensors: Tensors) -> None:
    """Scores of ±2000 are no problem, whatever other rows and hidden keys hold."""
    hint = "e to the 2000 is infinite, e to the −2000 is 0: what may be subtracted from a row of scores without changing its softmax?"
    nowhere = torch.zeros(5, dtype=torch.int64)  # where nothing turns
    for dtype in (torch.float64, torch.float32):
        state = plain_state(8, dtype)
        pair = Pair(submission, tensors, 8, 2, dtype, state=state)
        x = pair.input(2, 5)
        heads = x.view(2, 5, 2, 4)
        heads.mul_(0.1)[..., 0] = 2 * torch.tensor([31.0, 25.0, -20.0, 14.0, -31.0], dtype=dtype)[:, None]
        for mask in (None, torch.eye(5, dtype=torch.bool), torch.arange(5).expand(5, 5) != 3):
            pair.check(x, nowhere, mask, true=True, when=" with large scores", hint=hint)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_positions_show")
def test_module_precision(submission: Any, tensors: Tensors) -> None:
    """float64 is computed in float64 throughout, whatever the module was before; lower precision keeps exact angles."""
    hint = "In which dtype are the angles when query and key turn? What does .to(dtype) do to what the module keeps?"
    far = torch.tensor([9973, 12, 4001, 257, 2048])
    for dtypes in ((torch.float64,), (torch.bfloat16, torch.float64), (torch.float32, torch.float64)):
        pair = Pair(submission, tensors, 12, 2, dtypes[0])  # a head of 6 features: its square root shows in which dtype it was taken
        for dtype in dtypes[1:]:
            pair.module(pair.input(2, 5))
            pair.module(pair.input(2, 5), far)
            pair.convert(dtype, random_state(tensors, 12))
        x = pair.input(2, 5)
        for positions in (far, None):
            pair.check(x, positions, tolerance=LOGIC, when=" in float64", hint=hint)
    apart = torch.tensor([0, 16001, 777, 200_003, 1999, 121_212, 5, 40_961, 8191, 60_000, 199_999])
    for dtype, tolerance, given in ((torch.float32, SOFT, far.clamp(0, 400)), (torch.bfloat16, smoke(WORST_BFLOAT16), apart)):
        pair = Pair(submission, tensors, 12, 2, dtype)
        for positions in (None, given):
            x = pair.input(2, len(given))
            pair.check(x, positions, tolerance=tolerance, when=f" in {str(dtype)[6:]}", hint=hint)
    check_long_in_bfloat16(submission, tensors, hint=hint)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_positions_show")
def test_module_keeps_nothing(submission: Any, tensors: Tensors) -> None:
    """The module keeps its weights and nothing else: no call shows in a later one, and train and eval mode agree."""
    hint = "What does your module remember from one call to the next? Nothing may be kept but its weights."
    pair, other = Pair(submission, tensors, 12, 3), Pair(submission, tensors, 12, 2, base=50.0)
    for batch, length, start in ((2, 3, 0), (2, 3, 0), (3, 6, 40), (1, 5, 17), (2, 6, 0)):
        x, positions = pair.input(batch, length), torch.arange(length) * 2 + start
        pair.check(x, positions, tensors.mask((length, length)), when=" of a later call with positions and a mask", hint=hint)
        pair.check(x, when=" of a later call", hint=hint)
        other.check(x, when=" of a second module", hint=hint)
        pair.check(x, positions + 3, when=" of a later call with positions", hint=hint)
    found = {name: tuple(value.shape) for name, value in pair.module.state_dict().items()}
    expected = {name: tuple(value.shape) for name, value in pair.state.items()}
    require(found == expected, "the state dict has other entries than the four layers' weights and biases.", "What would saving more add?")
    require({name for name, _ in pair.module.named_parameters()} == set(found), "not every weight can be learned.", "Was the constructor changed?")
    for name, value in pair.module.state_dict().items():
        assert_equal(value, pair.state[name], what=f"{name} after some calls", hint="forward must not change the weights.")
    first = pair.module(x)
    for training, grad in ((True, False), (False, True), (False, False)):
        pair.module.train(training)
        with torch.set_grad_enabled(grad):
            assert_matches(pair.module(x), first, what="the output in another mode", hint="Which branch of your code is taken only there?")
        pair.convert(torch.float64, random_state(tensors, 12))
        pair.check(x, when=" with weights loaded later", hint=hint)
        first = pair.module(x)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_positions_show")
def test_inputs_unchanged(submission: Any, tensors: Tensors) -> None:
    """The caller's tensors, positions and mask are left as they were."""
    positions = torch.tensor([3, 1, 7, 2, 5])
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        x = tensors.normal((2, 3, 5, 6), dtype=dtype)
        submission.apply_rotary(x, positions)
        submission.apply_rotary(x, positions.expand(2, 1, 5).clone(), 33.0)
        pair = Pair(submission, tensors, 6, 3, dtype)
        x, mask = pair.input(3, 5), tensors.mask((3, 3, 5, 5))  # as many sequences as heads: positions (B, L) of any meaning fit
        mask[0, :, 1] = mask[1, 2, 3] = True
        for training in (True, False):
            pair.module.train(training)
            pair.module(x)
            pair.module(x, positions, mask)
            pair.module(x, positions.expand(3, 5).clone(), mask[0, 0].clone())
            with torch.no_grad():
                pair.module(x, positions, mask[:, :1, :1].clone())
    assert_inputs_unchanged(submission)
