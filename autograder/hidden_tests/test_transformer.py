"""What a right solution of 06 must do: the paper's encoder-decoder, its loss, its learning rate, greedy decoding."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from autograder.checking import given
from autograder.checking.assertions import (
    assert_equal,
    assert_inputs_unchanged,
    assert_matches,
    assert_raises_value_error,
    assert_tensor,
    require,
)
from autograder.hidden_tests import naive_transformer as naive

SIZES = {"d_model": 6, "num_heads": 2, "num_layers": 2, "d_ff": 10, "dropout": 0.0, "pad_id": 3}
SRC_VOCABULARY, TGT_VOCABULARY = 11, 13


def build(submission: Any, tensors: Any, **changes: Any) -> tuple[Any, dict[str, Tensor]]:
    """A small model in float64 with random weights, and the weights."""
    model = submission.Transformer(SRC_VOCABULARY, TGT_VOCABULARY, **{**SIZES, **changes}).to(torch.float64)
    weights = tensors.state_like(model)
    model.load_state_dict(weights)
    return model, weights


def real_ids(tensors: Any, *shape: int, vocabulary: int = SRC_VOCABULARY, pad_id: int = 3) -> Tensor:
    """Random ids, none of them padding."""
    ids: Tensor = tensors.integers(shape, low=0, high=vocabulary - 1)
    return ids + (ids >= pad_id)


@pytest.mark.points(1)
def test_shift_right(submission: Any, tensors: Any) -> None:
    """The decoder's input begins with bos and lags one token behind the targets."""
    for shape, bos_id, dtype in (((2, 5), 1, torch.int64), ((3, 1), 7, torch.int64), ((1, 4), 2, torch.int32)):
        targets = tensors.integers(shape, low=3, high=20, dtype=dtype)
        expected = torch.tensor([[bos_id, *row[:-1]] for row in targets.tolist()], dtype=dtype)
        result = submission.shift_right(targets, bos_id)
        assert_tensor(result, shape, dtype, what="the shifted targets")
        assert_equal(result, expected, what="the shifted targets", hint="What does the decoder know when it writes token i?")
    assert_inputs_unchanged(submission)


@pytest.mark.points(1.5)
def test_loss_is_the_smoothed_cross_entropy(submission: Any, tensors: Any) -> None:
    """Label smoothing takes its share from the target and spreads it over all classes."""
    for V, smoothing in ((7, 0.1), (5, 0.3), (11, 0.0)):
        logits, targets = tensors.normal((2, 3, V)) * 2, tensors.integers((2, 3), low=1, high=V)
        result = submission.label_smoothed_loss(logits, targets, smoothing)
        expected = torch.tensor(naive.smoothed_loss(logits, targets, smoothing, 0), dtype=torch.float64)
        assert_tensor(result, (), what="the loss")
        hint = (
            "Over how many classes is the share spread, and is the target one of them?" if smoothing else "Without smoothing it is the cross-entropy."
        )
        assert_matches(result, expected, what="the loss", hint=hint)
    logits, targets = tensors.normal((1, 4, 9)), tensors.integers((1, 4), low=1, high=9)
    expected = torch.tensor(naive.smoothed_loss(logits, targets, 0.1, 0), dtype=torch.float64)
    assert_matches(submission.label_smoothed_loss(logits, targets), expected, what="the loss with its defaults")
    large = submission.label_smoothed_loss(logits * 400, targets)
    expected = torch.tensor(naive.smoothed_loss(logits * 400, targets, 0.1, 0), dtype=torch.float64)
    assert_matches(large, expected, what="the loss of large logits", hint="Is the logarithm of a probability taken in one step?")


@pytest.mark.points(1.5)
@pytest.mark.requires("test_loss_is_the_smoothed_cross_entropy")
def test_loss_leaves_padding_out(submission: Any, tensors: Any) -> None:
    """The loss is the mean over all targets that are not padding, over the batch as one."""
    for pad_id in (0, 4):
        logits = tensors.normal((3, 5, 7))
        targets = real_ids(tensors, 3, 5, vocabulary=7, pad_id=pad_id)
        targets[0, 1:] = pad_id
        targets[2, 0] = targets[2, 3] = pad_id
        expected = torch.tensor(naive.smoothed_loss(logits, targets, 0.1, pad_id), dtype=torch.float64)
        result = submission.label_smoothed_loss(logits, targets, 0.1, pad_id)
        assert_matches(
            result, expected, what="the loss of a padded batch", hint="By what number is the sum divided, and does every row weigh the same?"
        )
    everything = torch.full((2, 3), 4)
    logits = tensors.normal((2, 3, 7), requires_grad=True)
    loss = submission.label_smoothed_loss(logits, everything, 0.1, 4)
    assert_matches(loss, torch.zeros((), dtype=torch.float64), what="the loss of nothing but padding")
    (gradient,) = torch.autograd.grad(loss, [logits], allow_unused=True) if loss.requires_grad else (None,)
    if gradient is not None:
        assert_matches(gradient, torch.zeros(2, 3, 7, dtype=torch.float64), what="the gradient of the loss of nothing but padding")
    assert_inputs_unchanged(submission)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_loss_is_the_smoothed_cross_entropy")
def test_loss_gradient(submission: Any, tensors: Any) -> None:
    """The gradient of the loss is probability minus smoothed target, and zero at padding."""
    logits, targets = tensors.normal((2, 3, 5), requires_grad=True), torch.tensor([[1, 4, 0], [2, 0, 3]])
    (gradient,) = torch.autograd.grad(submission.label_smoothed_loss(logits, targets, 0.2), [logits])
    wanted = torch.full((2, 3, 5), 0.2 / 5, dtype=torch.float64)
    wanted.scatter_add_(-1, targets.unsqueeze(-1), torch.full((2, 3, 1), 0.8, dtype=torch.float64))
    expected = (logits.detach().softmax(-1) - wanted) * (targets != 0).unsqueeze(-1) / 4
    assert_matches(gradient, expected, what="the gradient of the loss")


@pytest.mark.points(0.5)
def test_loss_refuses_other_smoothing(submission: Any, tensors: Any) -> None:
    """A smoothing outside [0, 1) is a ValueError."""
    logits, targets = tensors.normal((1, 2, 5)), torch.tensor([[1, 2]])
    for smoothing in (-0.1, 1.0, 1.5):
        assert_raises_value_error(partial(submission.label_smoothed_loss, logits, targets, smoothing), when="smoothing is outside [0, 1)")


@pytest.mark.points(1)
def test_learning_rate(submission: Any) -> None:
    """The learning rate grows in a line during warm-up, then falls with the square root of the step."""
    for step, d_model, warmup in (
        (1, 512, 4000),
        (3999, 512, 4000),
        (4000, 512, 4000),
        (4001, 512, 4000),
        (100_000, 512, 4000),
        (1, 64, 1),
        (7, 9, 20),
    ):
        expected = d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)
        rate = submission.noam_learning_rate(step, d_model, warmup)
        require(isinstance(rate, float), "the learning rate is not a float.")
        close = abs(rate - expected) <= 1e-12 * expected
        require(close, f"the learning rate is wrong {'in' if step <= warmup else 'after'} the warm-up.", "Which of the two terms is smaller here?")
    require(abs(submission.noam_learning_rate(50, 16) - 16**-0.5 * 50 * 4000**-1.5) < 1e-12, "the default warm-up is not 4000 steps.")
    rate = submission.noam_learning_rate(0, 512)
    require(isinstance(rate, float) and rate == 0.0, "the learning rate of step 0 is not 0.0.")


@pytest.mark.points(0.5)
def test_learning_rate_refuses_bad_arguments(submission: Any) -> None:
    """A negative step, or no warm-up, is a ValueError."""
    assert_raises_value_error(partial(submission.noam_learning_rate, -1, 512), when="the step is negative")
    for warmup in (0, -5):
        assert_raises_value_error(partial(submission.noam_learning_rate, 3, 512, warmup), when="warmup is below 1")


@pytest.mark.points(1)
def test_encode(submission: Any, tensors: Any) -> None:
    """The memory: scaled embeddings plus positions, through every encoder layer."""
    for changes, shape in (({}, (2, 5)), ({"d_model": 5, "num_heads": 1, "num_layers": 1}, (3, 7)), ({"num_layers": 3, "num_heads": 3}, (1, 1))):
        model, weights = build(submission, tensors, **changes)
        src = real_ids(tensors, *shape)
        expected = naive.encode(weights, src, changes.get("num_heads", 2), 3)
        hint = "What happens to an embedding before the first layer, and after the last one?"
        assert_matches(model.encode(src), expected, what="the memory", hint=hint)


@pytest.mark.points(1)
@pytest.mark.requires("test_encode")
def test_encode_hides_padding(submission: Any, tensors: Any) -> None:
    """Source padding is hidden as a key wherever it stands, and computed as a query; it takes up a position."""
    for pad_id in (3, 0):
        model, weights = build(submission, tensors, pad_id=pad_id)
        src = real_ids(tensors, 3, 6, pad_id=pad_id)
        src[0, 4:] = pad_id
        src[1, 0] = src[1, 3] = pad_id
        assert_matches(
            model.encode(src),
            naive.encode(weights, src, 2, pad_id),
            what="the memory of a padded source",
            hint="Which keys are hidden, and from whom?",
        )


@pytest.mark.points(1.5)
def test_decode(submission: Any, tensors: Any) -> None:
    """The logits: target embeddings plus positions, through every decoder layer, onto the vocabulary."""
    for changes, length, memory_length in (({}, 5, 4), ({"d_model": 9, "num_heads": 3, "num_layers": 1}, 3, 7), ({"num_layers": 3}, 1, 2)):
        model, weights = build(submission, tensors, **changes)
        tgt = real_ids(tensors, 2, length, vocabulary=TGT_VOCABULARY)
        memory = tensors.normal((2, memory_length, changes.get("d_model", 6)))
        expected = naive.decode(weights, tgt, memory, None, changes.get("num_heads", 2), 3)
        result = model.decode(tgt, memory)
        assert_tensor(result, (2, length, TGT_VOCABULARY), what="the logits")
        assert_matches(
            result, expected, what="the logits", hint="Follow one target token: scale, position, layers, output matrix. Logits are no probabilities."
        )
    assert_inputs_unchanged(submission)


@pytest.mark.points(1)
def test_decode_sees_no_future(submission: Any, tensors: Any) -> None:
    """A target token changes its own logits and later ones, never earlier ones."""
    model, _ = build(submission, tensors)
    tgt, memory = real_ids(tensors, 1, 6, vocabulary=TGT_VOCABULARY), tensors.normal((1, 4, 6))
    before = model.decode(tgt, memory)
    for changed in (1, 3, 5):
        other = tgt.clone()
        other[0, changed] = next(i for i in range(TGT_VOCABULARY) if i not in (3, int(tgt[0, changed])))
        after = model.decode(other, memory)
        assert_matches(after[:, :changed], before[:, :changed], what="the logits before a changed token", hint="May token i see token i + 1?")
        moved = float((after[:, changed] - before[:, changed]).detach().abs().max())
        require(moved > 1e-6, "a token does not change its own logits.", "May token i see itself?")


@pytest.mark.points(1)
@pytest.mark.requires("test_decode")
def test_decode_hides_padding(submission: Any, tensors: Any) -> None:
    """Target padding is hidden as a key, together with the future; memory padding is hidden by its own mask."""
    for pad_id in (3, 0):
        model, weights = build(submission, tensors, pad_id=pad_id)
        tgt = real_ids(tensors, 3, 6, vocabulary=TGT_VOCABULARY, pad_id=pad_id)
        tgt[0, 3:] = pad_id
        tgt[1, 2] = pad_id
        memory, mask = tensors.normal((3, 5, 6)), tensors.mask((3, 5))
        for given_mask in (None, mask):
            expected = naive.decode(weights, tgt, memory, given_mask, 2, pad_id)
            hint = "Which mask belongs to which of the two attentions of a decoder layer?"
            assert_matches(model.decode(tgt, memory, given_mask), expected, what="the logits of a padded target", hint=hint)
    assert_inputs_unchanged(submission)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_decode")
def test_decode_hides_leading_padding(submission: Any, tensors: Any) -> None:
    """A target that begins with padding stays finite, and its other tokens do not see the padding."""
    model, weights = build(submission, tensors)
    tgt, memory = real_ids(tensors, 2, 5, vocabulary=TGT_VOCABULARY), tensors.normal((2, 4, 6))
    tgt[1, :2] = 3
    expected = naive.decode(weights, tgt, memory, None, 2, 3)
    assert_matches(model.decode(tgt, memory), expected, what="the logits of a target that begins with padding")


@pytest.mark.points(1)
@pytest.mark.requires("test_encode", "test_decode")
def test_forward(submission: Any, tensors: Any) -> None:
    """The whole model: the target sees the source, and none of its padding."""
    model, weights = build(submission, tensors)
    src, tgt = real_ids(tensors, 3, 7), real_ids(tensors, 3, 4, vocabulary=TGT_VOCABULARY)
    src[0, 5:] = 3
    src[1, 1] = 3
    expected = naive.forward(weights, src, tgt, 2, 3)
    assert_matches(model(src, tgt), expected, what="the logits of source and target", hint="What does the decoder know about the source's padding?")
    model.eval()
    with torch.no_grad():
        assert_matches(model(src, tgt), expected, what="the logits in eval mode without gradient")
    assert_inputs_unchanged(submission)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_forward")
def test_gradients_reach_every_weight(submission: Any, tensors: Any) -> None:
    """Every weight gets its gradient."""
    model, weights = build(submission, tensors, num_layers=1)
    src, tgt = real_ids(tensors, 2, 4), real_ids(tensors, 2, 3, vocabulary=TGT_VOCABULARY)
    leaves = {name: value.clone().requires_grad_() for name, value in weights.items()}
    cotangent = tensors.normal((2, 3, TGT_VOCABULARY))
    expected = dict(zip(leaves, torch.autograd.grad(naive.forward(leaves, src, tgt, 2, 3), list(leaves.values()), cotangent), strict=True))
    named = model.named_parameters()
    gradients = torch.autograd.grad(model(src, tgt), [leaf for _, leaf in named], cotangent, allow_unused=True)
    for (name, leaf), gradient in zip(named, gradients, strict=True):
        assert_matches(torch.zeros_like(leaf) if gradient is None else gradient, expected[name], what=f"the gradient of {name}")


@pytest.mark.points(0.5)
@pytest.mark.requires("test_forward")
def test_tied_weights_are_one(submission: Any, tensors: Any) -> None:
    """With tied weights both embeddings and the output layer are one tensor, and its gradient sums all three uses."""
    model = submission.Transformer(7, 7, **{**SIZES, "num_layers": 1}, tie_weights=True).to(torch.float64)
    weights = tensors.state_like(model)
    for name in ("tgt_embedding.weight", "output.weight"):
        weights[name] = weights["src_embedding.weight"]
    model.load_state_dict(weights)
    src, tgt = real_ids(tensors, 2, 4, vocabulary=7), real_ids(tensors, 2, 3, vocabulary=7)
    assert_matches(model(src, tgt), naive.forward(weights, src, tgt, 2, 3), what="the logits with tied weights")
    shared = weights["src_embedding.weight"].clone().requires_grad_()
    tied = {**weights, "src_embedding.weight": shared, "tgt_embedding.weight": shared, "output.weight": shared}
    cotangent = tensors.normal((2, 3, 7))
    (expected,) = torch.autograd.grad(naive.forward(tied, src, tgt, 2, 3), [shared], cotangent)
    leaf = dict(model.named_parameters())["src_embedding.weight"]
    (gradient,) = torch.autograd.grad(model(src, tgt), [leaf], cotangent)
    assert_matches(gradient, expected, what="the gradient of the tied matrix")


@pytest.mark.points(0.5)
@pytest.mark.requires("test_forward")
def test_size_of_the_paper(submission: Any) -> None:
    """The base and the big model have the paper's number of parameters."""
    base = submission.given("parameter_count", "Transformer", 37_000, 37_000, tie_weights=True)
    big = submission.given("parameter_count", "Transformer", 37_000, 37_000, 1024, 16, 6, 4096, tie_weights=True)
    require(base == 63_082_496, "the base model has another number of parameters than the paper's.", "Is a layer missing, or one too many?")
    require(big == 214_245_376, "the big model has another number of parameters than the paper's.")


@pytest.mark.points(0.5)
@pytest.mark.requires("test_encode", "test_decode")
def test_no_layers(submission: Any, tensors: Any) -> None:
    """Without layers only embedding, positions and output are left."""
    model, weights = build(submission, tensors, num_layers=0)
    src, tgt = real_ids(tensors, 2, 5), real_ids(tensors, 2, 3, vocabulary=TGT_VOCABULARY)
    assert_matches(model.encode(src), naive.encode(weights, src, 2, 3), what="the memory without layers")
    assert_matches(model(src, tgt), naive.forward(weights, src, tgt, 2, 3), what="the logits without layers")


@pytest.mark.points(0.5)
@pytest.mark.requires("test_encode")
def test_dropout_on_the_sum(submission: Any, tensors: Any) -> None:
    """In train mode dropout acts on the sum of embedding and position, in eval mode not at all."""
    model, weights = build(submission, tensors, num_layers=0, dropout=0.5)
    src = real_ids(tensors, 3, 40)
    whole = naive.encode(weights, src, 2, 3)
    submission.seed(5)
    result = assert_tensor(model.encode(src), whole.shape, what="the memory").detach()
    kept = result != 0
    share = float(kept.double().mean())
    require(0.35 < share < 0.65, "dropout does not act on the sum of embedding and position in train mode.")
    assert_matches(result, whole * 2 * kept, what="the memory in train mode", hint="What is dropped: the embedding, the position, or their sum?")
    model.eval()
    assert_matches(model.encode(src), whole, what="the memory in eval mode")


@pytest.mark.points(1.5)
@pytest.mark.requires("test_forward")
def test_greedy_decode(submission: Any, tensors: Any) -> None:
    """Each row is decoded until its own eos, then filled with padding up to the longest."""
    bos_id = 1
    for attempt in range(4):
        model, weights = build(submission, tensors, num_layers=1, dropout=0.9)
        src = real_ids(tensors, 4, 5)
        src[1, 3:] = 3
        free = naive.greedy(weights, src, bos_id, -1, 6, 2, 3)
        eos_id = free[attempt % 4][attempt]  # one that the model itself writes, at another step each time
        if eos_id == 3:
            continue
        rows = naive.greedy(weights, src, bos_id, eos_id, 6, 2, 3)
        longest = max(len(row) for row in rows)
        expected = torch.tensor([row + [3] * (longest - len(row)) for row in rows])
        result = submission.greedy_decode(model, src, bos_id, eos_id, 6)
        assert_tensor(result, expected.shape, torch.int64, what="the decoded ids")
        assert_equal(result, expected, what="the decoded ids", hint="When is a row finished, what comes after its eos, and when do all stop?")
    assert_inputs_unchanged(submission)


@pytest.mark.points(1)
def test_greedy_decode_encodes_once(submission: Any) -> None:
    """The source is encoded once, in eval mode and without gradient, and train mode is put back."""
    texts = torch.tensor([[5, 6, 2, 9, 9], [7, 2, 9, 9, 9], [8, 8, 8, 2, 9]])
    ids, encoded, watched, restored = submission.given("decode_counting", texts, 0, 1, 2, 9)
    assert_equal(ids, torch.tensor([[5, 6, 2, 0], [7, 2, 0, 0], [8, 8, 8, 2]]), what="the decoded ids")
    require(encoded == 1, "the source is not encoded exactly once.", "Does the memory change from one token to the next?")
    require(not watched, "the model runs in train mode or with gradient.")
    require(restored is True, "the model is not in train mode any more after decoding.", "Put back the mode that you found.")


@pytest.mark.points(0.5)
@pytest.mark.requires("test_greedy_decode_encodes_once")
def test_greedy_decode_stops_at_max_len(submission: Any, tensors: Any) -> None:
    """Decoding ends at max_len tokens, and writes nothing for 0."""
    texts = torch.tensor([[5, 6, 7, 9, 9], [7, 7, 9, 9, 9]])
    ids, _, _, _ = submission.given("decode_counting", texts, 0, 1, 2, 3)
    assert_equal(ids, texts[:, :3], what="the decoded ids of a text that is cut")
    ids, _, _, _ = submission.given("decode_counting", texts, 0, 1, 2, 0)
    assert_tensor(ids, (2, 0), torch.int64, what="the decoded ids of no tokens")
    model, _ = build(submission, tensors, num_layers=1)
    assert_raises_value_error(partial(submission.greedy_decode, model, torch.ones(1, 2, dtype=torch.long), 1, 2, -1), when="max_len is negative")
    kept = [model.training]
    model.eval()
    submission.greedy_decode(model, real_ids(tensors, 1, 3), 1, 2, 2)
    require([*kept, model.training] == [True, False], "decoding does not put back the mode that it found.")


@pytest.mark.points(1)
@pytest.mark.costly
@pytest.mark.requires(
    "test_shift_right", "test_loss_leaves_padding_out", "test_decode_sees_no_future", "test_decode_hides_padding", "test_greedy_decode"
)
def test_learns_to_reverse(submission: Any, tensors: Any) -> None:
    """A small model learns to reverse sequences that it has never seen."""
    with submission.limits(call_seconds=40):
        submission.seed(3)
        weights = submission.given("train_to_reverse", tensors.integer(0, 2**31))
        generator = torch.Generator().manual_seed(tensors.integer(0, 2**31))
        source, target = given.reversal_batch(generator, 200)
        memory = naive.encode({name: value.double() for name, value in weights.items()}, source, 2, given.PAD)
        right = _share_reversed({name: value.double() for name, value in weights.items()}, source, target, memory)
    require(
        right >= 0.99,
        f"only {right:.0%} of unseen sequences are reversed after training; 99 % were expected.",
        "The other tests say what the model lacks.",
    )


def _share_reversed(weights: dict[str, Tensor], source: Tensor, target: Tensor, memory: Tensor) -> float:
    """Greedy decoding of all rows at once, by the grader's own formulas."""
    ids = torch.full((source.size(0), 1), given.BOS)
    for _ in range(target.size(1)):
        logits = naive.decode(weights, ids, memory, source == given.PAD, 2, given.PAD)
        ids = torch.cat([ids, logits[:, -1].argmax(-1, keepdim=True)], dim=1)
    real = target != given.PAD
    return float(((ids[:, 1:] == target) | ~real).all(dim=1).double().mean())
