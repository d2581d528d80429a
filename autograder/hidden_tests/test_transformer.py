"""What a right solution of 06 must do: the paper's encoder-decoder, its loss, its learning rate, greedy decoding.

The layers are compared on what the submission itself feeds them, forward on its own encode and decode, decoding on its own logits: a mistake
costs the points of its own mechanism.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from autograder.checking import given, tolerance
from autograder.checking.assertions import (
    assert_equal,
    assert_finite,
    assert_inputs_unchanged,
    assert_matches,
    assert_raises_value_error,
    assert_tensor,
    fail,
    require,
)
from autograder.hidden_tests import naive_transformer as naive
from autograder.hidden_tests.transformer_checks import (
    PAD,
    SIZES,
    SRC_VOCABULARY,
    TGT_VOCABULARY,
    assert_rows_match,
    build,
    embedded_source,
    embedded_target,
    gradients_of,
    greedy_rows,
    nothing_hidden,
    source_ids,
    target_ids,
)


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


@pytest.mark.points(1)
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
    for shape, pad_id in (((3, 1), 0), ((1, 1), 0), ((2, 3), 4)):
        logits, targets = tensors.normal((*shape, 7)), tensors.integers(shape, low=0, high=6)
        targets = targets + (targets >= pad_id)
        if pad_id:
            targets[1, 1] = 0
        expected = torch.tensor(naive.smoothed_loss(logits, targets, 0.1, pad_id), dtype=torch.float64)
        hint = "Is only pad_id itself padding, and do dimensions of 1 stay where they are?"
        assert_matches(submission.label_smoothed_loss(logits, targets, 0.1, pad_id), expected, what=f"the loss of {shape} targets", hint=hint)


@pytest.mark.points(1)
def test_loss_leaves_padding_out(submission: Any, tensors: Any) -> None:
    """The loss is the mean over all targets that are not padding, over the batch as one."""
    for pad_id in (0, 4):
        logits = tensors.normal((3, 5, 7))
        targets = tensors.integers((3, 5), low=0, high=6)
        targets = targets + (targets >= pad_id)
        if pad_id:
            targets[2, 1] = 0  # a class like any other
        targets[0, 1:] = pad_id
        targets[2, 0] = targets[2, 3] = pad_id
        real = targets != pad_id
        alone = submission.label_smoothed_loss(logits[real].unsqueeze(0), targets[real].unsqueeze(0), 0.1, pad_id)
        require(float(assert_tensor(alone, (), what="the loss").detach()) > 0.01, "the loss of random logits is not positive.")
        result = submission.label_smoothed_loss(logits, targets, 0.1, pad_id)
        hint = "Without the padding between them the same targets have another loss. What is the sum divided by, and do all weigh the same?"
        assert_matches(result, alone.detach(), what="the loss of a padded batch", hint=hint)
    assert_inputs_unchanged(submission)


@pytest.mark.points(0.5)
def test_loss_of_nothing_but_padding(submission: Any, tensors: Any) -> None:
    """A batch that is all padding has the loss 0, and a gradient of zeros."""
    everything = torch.full((2, 3), 4)
    logits = tensors.normal((2, 3, 7), requires_grad=True)
    some = submission.label_smoothed_loss(logits, torch.full((2, 3), 5), 0.1, 4)
    require(float(assert_tensor(some, (), what="the loss").detach()) > 0.01, "the loss of random logits is not positive.")
    loss = submission.label_smoothed_loss(logits, everything, 0.1, 4)
    zero = torch.zeros((), dtype=torch.float64)
    assert_matches(loss, zero, what="the loss of nothing but padding", hint="How many targets is the sum divided by here?")
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
    """A smoothing outside [0, 1) is a ValueError, inside it is none."""
    logits, targets = tensors.normal((1, 2, 5)), torch.tensor([[1, 2]])
    for smoothing in (0.0, 0.99):
        submission.label_smoothed_loss(logits, targets, smoothing)
    for smoothing in (-0.1, 1.0, 1.5):
        assert_raises_value_error(partial(submission.label_smoothed_loss, logits, targets, smoothing), when="smoothing is outside [0, 1)")


@pytest.mark.points(1)
def test_learning_rate(submission: Any) -> None:
    """The learning rate grows in a line during warm-up, then falls with the square root of the step."""
    asked = [(1, 512, 4000), (3999, 512, 4000), (4000, 512, 4000), (4001, 512, 4000), (100_000, 512, 4000), (1, 64, 1), (7, 9, 20), (20, 9, 20)]
    rates = [submission.noam_learning_rate(*arguments) for arguments in asked]  # all of them first: together they tell mistakes apart
    for (step, d_model, warmup), rate in zip(asked, rates, strict=True):
        expected = d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)
        require(isinstance(rate, float), "the learning rate is not a float.", "Python's own float, not a tensor.")
        place = "during" if step < warmup else "at the end of" if step == warmup else "after"
        close = abs(rate - expected) <= 1e-12 * expected
        hint = "Which of the two terms is smaller here, and does the width of the model count?"
        require(close, f"the learning rate is wrong {place} the warm-up, by a factor of {rate / expected:.4g}.", hint)
    require(abs(submission.noam_learning_rate(50, 16) - 16**-0.5 * 50 * 4000**-1.5) < 1e-12, "the default warm-up is not 4000 steps.")


@pytest.mark.points(0.5)
def test_learning_rate_at_the_edges(submission: Any) -> None:
    """Step 0 has the learning rate 0.0; a negative step, or no warm-up, is a ValueError."""
    for warmup in (1, 4000):
        rate = submission.noam_learning_rate(0, 512, warmup)
        require(isinstance(rate, float) and rate == 0.0, "the learning rate of step 0 is not 0.0.")
        rate = submission.noam_learning_rate(1, 512, warmup)
        require(isinstance(rate, float) and rate > 0.0, "the learning rate of step 1 is not a positive float.")
    for step in (-1, -7):
        assert_raises_value_error(partial(submission.noam_learning_rate, step, 512), when="the step is negative")
    for step, warmup in ((3, 0), (3, -5), (0, 0)):
        assert_raises_value_error(partial(submission.noam_learning_rate, step, 512, warmup), when="warmup is below 1")


_ENTERS = "What happens to an embedding before the first layer: by what is it multiplied, what is added, and from which position on?"


@pytest.mark.points(1)
def test_source_embedding(submission: Any, tensors: Any) -> None:
    """Without layers the memory is the scaled embeddings plus positions, padding included."""
    for changes, shape in (({}, (2, 6)), ({"d_model": 5, "num_heads": 1}, (3, 4)), ({"d_model": 2}, (1, 75)), ({}, (1, 1))):
        model, weights = build(submission, tensors, **{**changes, "num_layers": 0})
        src = source_ids(tensors, *shape)
        src[0, 0] = src[0, shape[1] // 2] = PAD
        expected = naive.embed(weights["src_embedding.weight"], src)
        assert_matches(model.encode(src), expected, what="the memory without layers", hint=_ENTERS)
    assert_inputs_unchanged(submission)


@pytest.mark.points(1)
def test_target_embedding(submission: Any, tensors: Any) -> None:
    """Without layers the logits are the scaled target embeddings plus positions, times the output matrix."""
    for changes, shape in (({}, (2, 6)), ({"d_model": 5, "num_heads": 1}, (3, 4)), ({"d_model": 2}, (1, 75)), ({}, (1, 1))):
        model, weights = build(submission, tensors, **{**changes, "num_layers": 0})
        tgt = target_ids(tensors, *shape)
        tgt[0, 0] = tgt[0, shape[1] // 2] = PAD
        memory = tensors.normal((shape[0], 3, changes.get("d_model", 6)))
        expected = naive.embed(weights["tgt_embedding.weight"], tgt) @ weights["output.weight"].T
        result = assert_tensor(model.decode(tgt, memory, nothing_hidden(memory)), (*shape, TGT_VOCABULARY), what="the logits without layers")
        hint = f"{_ENTERS} And after the last layer: is there anything but the output matrix?"
        assert_matches(result, expected, what="the logits without layers", hint=hint)
    assert_inputs_unchanged(submission)


@pytest.mark.points(1)
def test_dropout_on_the_sum(submission: Any, tensors: Any) -> None:
    """On both sides dropout acts on the sum of embedding and position in train mode, and not at all in eval mode."""
    model, weights = build(submission, tensors, num_layers=0, dropout=0.5)
    weights["output.weight"] = torch.eye(TGT_VOCABULARY, 6, dtype=torch.float64)
    model.load_state_dict(weights)
    src, tgt = source_ids(tensors, 3, 40), target_ids(tensors, 3, 40)
    memory = tensors.normal((3, 2, 6))
    submission.seed(5)
    for side, call in (("source", partial(model.encode, src)), ("target", partial(model.decode, tgt, memory, nothing_hidden(memory)))):
        model.eval()
        whole = assert_tensor(call(), what=f"the {side} in eval mode").detach()[..., :6]
        assert_equal(call().detach()[..., :6], whole, what=f"the {side} in eval mode, a second time", hint="Is anything dropped in eval mode?")
        model.train()
        result = assert_tensor(call(), what=f"the {side} in train mode").detach()[..., :6]
        kept = result != 0
        share = float(kept.double().mean())
        require(0.35 < share < 0.65, f"with dropout 0.5, {1 - share:.0%} of the {side}'s embeddings plus positions are dropped in train mode.")
        hint = "What is dropped: the embedding, the position, or their sum?"
        assert_matches(result, whole * 2 * kept, what=f"the {side} in train mode", hint=hint)


@pytest.mark.points(1)
def test_encoder_layers(submission: Any, tensors: Any) -> None:
    """The memory is what the last encoder layer gives, after every layer in turn."""
    for changes, shape in (({}, (2, 5)), ({"d_model": 5, "num_heads": 1, "num_layers": 1}, (3, 7)), ({"num_layers": 3, "num_heads": 3}, (1, 1))):
        model, weights = build(submission, tensors, **changes)
        src = source_ids(tensors, *shape)
        x = embedded_source(submission, weights, src, **changes)
        expected = naive.encode_embedded(weights, x, src == PAD, changes.get("num_heads", 2))
        hint = "Does every layer run, once, in order, on the result of the one before? Is anything done before the first or after the last?"
        assert_matches(model.encode(src), expected, what="the memory", hint=hint)
    assert_inputs_unchanged(submission)


@pytest.mark.points(1)
@pytest.mark.requires("test_encoder_layers")
def test_encoder_hides_padding(submission: Any, tensors: Any) -> None:
    """Source padding is hidden as a key wherever it stands, and computed as a query."""
    for pad_id in (PAD, 0):
        model, weights = build(submission, tensors, pad_id=pad_id)
        src = source_ids(tensors, 4, 6, pad_id=pad_id)
        src[0, 4:] = pad_id
        src[1, 0] = src[1, 3] = pad_id
        src[3, :3] = pad_id
        padding = src == pad_id
        x = embedded_source(submission, weights, src, pad_id=pad_id)
        assert_rows_match(
            model.encode(src),
            naive.encode_embedded(weights, x, padding, 2),
            padding,
            what="the memory",
            real_hint="Which ids are padding, and in which layers are they hidden as keys?",
            padding_hint="A query at padding is computed like any other; only as a key is it hidden.",
        )
    assert_inputs_unchanged(submission)


@pytest.mark.points(1)
def test_decoder_layers(submission: Any, tensors: Any) -> None:
    """The logits are what the last decoder layer gives, after every layer in turn, times the output matrix."""
    for changes, length, memory_length in (({}, 5, 4), ({"d_model": 9, "num_heads": 3, "num_layers": 1}, 3, 7), ({"num_layers": 3}, 1, 2)):
        model, weights = build(submission, tensors, **changes)
        tgt = target_ids(tensors, 2, length)
        memory = tensors.normal((2, memory_length, changes.get("d_model", 6)))
        x = embedded_target(submission, weights, tgt, **changes)
        expected = naive.decode_embedded(weights, x, tgt == PAD, memory, None, changes.get("num_heads", 2))
        result = assert_tensor(model.decode(tgt, memory, nothing_hidden(memory)), (2, length, TGT_VOCABULARY), what="the logits")
        hint = "Follow one target token: its own past, the memory as it came, every layer once, the output matrix. Logits, no probabilities."
        assert_matches(result, expected, what="the logits", hint=hint)
    assert_inputs_unchanged(submission)


@pytest.mark.points(1)
def test_decode_sees_no_future(submission: Any, tensors: Any) -> None:
    """A target token changes its own logits and later ones, never earlier ones."""
    model, _ = build(submission, tensors)
    tgt, memory = target_ids(tensors, 1, 6), tensors.normal((1, 4, 6))
    mask = nothing_hidden(memory)
    for mode in (model.train, model.eval):
        mode()
        before = assert_tensor(model.decode(tgt, memory, mask), (1, 6, TGT_VOCABULARY), what="the logits")
        for changed in (1, 3, 5):
            other = tgt.clone()
            other[0, changed] = next(i for i in range(TGT_VOCABULARY) if i not in (PAD, int(tgt[0, changed])))
            after = model.decode(other, memory, mask)
            assert_matches(after[:, :changed], before[:, :changed], what="the earlier logits", hint="May token i see token i + 1?")
            moved = float((after[:, changed] - before[:, changed]).detach().abs().max())
            require(moved > 1e-6, "a token does not change its own logits.", "May token i see itself?")


@pytest.mark.points(0.5)
@pytest.mark.requires("test_decoder_layers")
def test_decode_hides_target_padding(submission: Any, tensors: Any) -> None:
    """Target padding is hidden as a key wherever it stands, together with the future, and computed as a query."""
    for pad_id in (PAD, 0):
        model, weights = build(submission, tensors, pad_id=pad_id)
        tgt, memory = target_ids(tensors, 3, 6, pad_id=pad_id), tensors.normal((3, 5, 6))
        tgt[0, 3:] = pad_id
        tgt[1, 1] = tgt[1, 4] = pad_id
        padding = tgt == pad_id
        x = embedded_target(submission, weights, tgt, pad_id=pad_id)
        assert_rows_match(
            model.decode(tgt, memory, nothing_hidden(memory)),
            naive.decode_embedded(weights, x, padding, memory, None, 2),
            padding,
            what="the logits of a padded target",
            real_hint="Which ids of the target are padding, and in which layers are they hidden as keys, besides the future?",
            padding_hint="A query at padding is computed like any other; only as a key is it hidden.",
        )
    assert_inputs_unchanged(submission)


@pytest.mark.points(0.5)
def test_decode_hides_memory_padding(submission: Any, tensors: Any) -> None:
    """What memory_padding_mask hides changes nothing, what it does not hide counts; without it all of the memory is seen."""
    model, _ = build(submission, tensors)
    tgt, memory = target_ids(tensors, 3, 4), tensors.normal((3, 5, 6))
    mask = torch.tensor([[False, False, True, True, True], [True, False, False, True, False], [False] * 5])
    before = assert_tensor(model.decode(tgt, memory, mask), (3, 4, TGT_VOCABULARY), what="the logits")
    other = torch.where(mask.unsqueeze(-1), tensors.normal((3, 5, 6)), memory)
    after = model.decode(tgt, other, memory_padding_mask=mask)
    hint = "Which attention of a decoder layer gets this mask, in which layers, and what does True mean?"
    assert_matches(after, before, what="the logits after a change of hidden memory", hint=hint)
    for row, position in ((0, 1), (1, 4), (2, 0)):
        other = memory.clone()
        other[row, position] += 1
        moved = float((model.decode(tgt, other, mask)[row] - before[row]).detach().abs().amax(-1).min())
        require(moved > 1e-6, "a change of memory that is not hidden does not change the logits of every target token.", hint)
    everything = model.decode(tgt, memory, nothing_hidden(memory))
    for all_seen in (model.decode(tgt, memory), model.decode(tgt, memory, None)):
        assert_matches(all_seen, everything, what="the logits without a mask of the memory", hint="None hides nothing.")
    assert_inputs_unchanged(submission)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_encoder_hides_padding", "test_decode_hides_target_padding", "test_decode_hides_memory_padding")
def test_queries_without_keys(submission: Any, tensors: Any) -> None:
    """A source that is all padding, a target that begins with it, a memory hidden as a whole: no attention, and finite numbers."""
    model, weights = build(submission, tensors)
    src, tgt, memory = source_ids(tensors, 2, 4), target_ids(tensors, 2, 5), tensors.normal((2, 4, 6))
    src[1] = PAD
    tgt[1, :2] = PAD
    mask = torch.tensor([[True] * 4, [False, True, False, False]])
    hint = "A query that sees no key gets zeros from the attention, so the bias of its output projection. What do your layers do?"
    expected = naive.encode_embedded(weights, embedded_source(submission, weights, src), src == PAD, 2)
    encoded = model.encode(src)
    assert_matches(encoded, expected, what="the memory of a source that is all padding", hint=hint)
    expected = naive.decode_embedded(weights, embedded_target(submission, weights, tgt), tgt == PAD, memory, mask, 2)
    logits = model.decode(tgt, memory, mask)
    assert_matches(logits, expected, what="the logits of queries that see no key", hint=hint)
    leaves = [leaf for _, leaf in model.named_parameters()]
    for what, result in (("the memory", encoded), ("the logits", logits)):
        for gradient in gradients_of(result, leaves, tensors.normal(tuple(result.shape)), what=what):
            assert_finite(gradient, what=f"the gradient through {what} where queries see no key", hint=hint)


@pytest.mark.points(0.5)
def test_forward(submission: Any, tensors: Any) -> None:
    """forward decodes the target as it comes, from the encoded source, whose padding it hides; in every mode the same."""
    model, weights = build(submission, tensors, dropout=0.5, pad_id=PAD)
    plain, _ = build(submission, tensors)
    plain.load_state_dict(weights)
    for shape in ((3, 4), (3, 7)):
        src, tgt = source_ids(tensors, 3, 7), target_ids(tensors, *shape)
        src[0, 5:] = PAD
        src[1, 1] = PAD
        own = assert_tensor(plain.decode(tgt, plain.encode(src), src == PAD), (*shape, TGT_VOCABULARY), what="the logits").detach()
        require(float(own.std()) > 1e-3, "all logits are the same, whatever the source and the target.")
        hint = "What does the decoder have to know about the source's padding? The target comes shifted already."
        assert_matches(plain(src, tgt), own, what="the logits of forward, compared with your own encode and decode", hint=hint)
        model.eval()
        with torch.no_grad():
            quiet = model(src, tgt)
            assert_matches(quiet, own, what="the logits in eval mode without gradient")
            assert_equal(model(src, tgt), quiet, what="the logits in eval mode, a second time")
        single = submission.Transformer(SRC_VOCABULARY, TGT_VOCABULARY, **SIZES)
        single.load_state_dict({name: value.float() for name, value in weights.items()})
        logits = assert_tensor(single(src, tgt), (*shape, TGT_VOCABULARY), torch.float32, what="the logits in float32")
        assert_matches(logits.double(), own, what="the logits in float32", tolerance=tolerance.SANITY)
    assert_inputs_unchanged(submission)


@pytest.mark.points(0.5)
@pytest.mark.requires(
    "test_source_embedding",
    "test_target_embedding",
    "test_encoder_hides_padding",
    "test_decode_hides_target_padding",
    "test_forward",
)
def test_gradients_reach_every_weight(submission: Any, tensors: Any) -> None:
    """Every weight gets its gradient, the embedding of padding too."""
    model, weights = build(submission, tensors, num_layers=1)
    src, tgt = source_ids(tensors, 2, 4), target_ids(tensors, 2, 3)
    src[0, 3] = tgt[1, 2] = PAD
    leaves = {name: value.clone().requires_grad_() for name, value in weights.items()}
    for what, call, expected in (
        ("encode", partial(model.encode, src), naive.encode(leaves, src, 2, PAD)),
        ("the model", partial(model, src, tgt), naive.forward(leaves, src, tgt, 2, PAD)),
    ):
        cotangent = tensors.normal(tuple(expected.shape))
        wanted = gradients_of(expected, list(leaves.values()), cotangent, what=what)
        named = model.named_parameters()
        gradients = gradients_of(call(), [leaf for _, leaf in named], cotangent, what=what)
        for (name, _), gradient, right in zip(named, gradients, wanted, strict=True):
            hint = "Is anything detached, or computed without gradient?"
            assert_matches(gradient, right, what=f"the gradient of {name} through {what}", hint=hint)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_forward")
def test_tied_weights_are_one(submission: Any, tensors: Any) -> None:
    """With tied weights both embeddings and the output layer are one tensor, and its gradient sums all three uses."""
    sizes = {**SIZES, "num_layers": 1}
    tied = submission.Transformer(7, 7, **sizes, tie_weights=True).to(torch.float64)
    names = ("src_embedding.weight", "tgt_embedding.weight", "output.weight")
    require(sum(name in names for name, _ in tied.named_parameters()) == 1, "the tied weights are more than one parameter.")
    apart = submission.Transformer(7, 7, **sizes).to(torch.float64)
    weights = tensors.state_like(tied)
    weights.update(dict.fromkeys(names[1:], weights[names[0]]))
    tied.load_state_dict(weights)
    apart.load_state_dict(weights)
    src, tgt = source_ids(tensors, 2, 4) % 7, target_ids(tensors, 2, 3) % 7
    own = apart(src, tgt)
    assert_matches(tied(src, tgt), own, what="the logits with tied weights, compared with equal ones that are not tied")
    cotangent = tensors.normal((2, 3, 7))
    three = gradients_of(own, [leaf for name, leaf in apart.named_parameters() if name in names], cotangent, what="the model")
    shared = [leaf for name, leaf in tied.named_parameters() if name in names]
    (gradient,) = gradients_of(tied(src, tgt), shared, cotangent, what="the model with tied weights")
    expected = torch.stack(three).sum(dim=0)
    assert_matches(gradient, expected, what="the gradient of the tied matrix", hint="It is used three times: are all three in it?")


@pytest.mark.points(0.5)
@pytest.mark.requires("test_forward")
def test_size_of_the_paper(submission: Any) -> None:
    """The base and the big model have the paper's number of parameters."""
    base = submission.given("parameter_count", "Transformer", 37_000, 37_000, tie_weights=True)
    big = submission.given("parameter_count", "Transformer", 37_000, 37_000, 1024, 16, 6, 4096, tie_weights=True)
    require(base == 63_082_496, "the base model has another number of parameters than the paper's.", "Is a layer missing, or one too many?")
    require(big == 214_245_376, "the big model has another number of parameters than the paper's.")


# Rows that end at other steps, padding, bos and ids on both sides of eos as tokens like any other, and a first column of nothing but padding.
_PAD, _BOS, _EOS = 4, 3, 2
_TEXTS = torch.tensor([[4, 1, 2, 9, 9], [4, 2, 9, 9, 9], [4, 3, 4, 2, 9]])
_ANSWERS = torch.tensor([[4, 1, 2, 4], [4, 2, 4, 4], [4, 3, 4, 2]])
_TOKENS = 9  # written until each row has its eos


@pytest.mark.points(0.5)
def test_greedy_decode_each_row_to_its_eos(submission: Any) -> None:
    """A row goes on to its own first eos and is padded up to the longest; bos is left out, and a pad that the model writes is a token."""
    seen = submission.given("decode_script", _TEXTS, _PAD, _BOS, _EOS, 30)
    assert_tensor(seen["ids"], what="the decoded ids")
    hint = "What begins the input, when is a row finished, what comes after its eos, and when do all stop? Does decode get the source's padding mask?"
    assert_tensor(seen["ids"], (3, 4), torch.int64, what="the decoded ids")
    assert_equal(seen["ids"], _ANSWERS, what="the decoded ids", hint=hint)
    alone = submission.given("decode_script", _TEXTS[:1], _PAD, _BOS, _EOS, 30)["ids"]
    assert_tensor(alone, (1, 3), torch.int64, what="the decoded ids of one row alone")
    assert_equal(alone, _ANSWERS[:1, :3], what="the decoded ids of one row alone", hint="Does a batch of one keep its dimension?")


@pytest.mark.points(0.5)
@pytest.mark.requires("test_decode_sees_no_future")
def test_greedy_decode(submission: Any, tensors: Any) -> None:
    """With a real model, each token is the one that the model finds likeliest after those before it."""
    for attempt in range(4):
        model, _ = build(submission, tensors, num_layers=1, dropout=0.9)
        src = source_ids(tensors, 4, 5)
        src[1, 3:] = PAD
        free = greedy_rows(model, src, 7, -1, 6)
        eos_id = free[attempt][attempt]  # one that the model itself writes, at another step each time
        rows = greedy_rows(model, src, 7, eos_id, 6)
        longest = max(len(row) for row in rows)
        expected = torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])
        result = submission.greedy_decode(model, src, 7, eos_id, 6)
        hint = "Compare with a loop of your own over decode in eval mode: the last position, the largest logit, for each row until its eos."
        assert_tensor(result, None, torch.int64, what="the decoded ids")
        if result.shape != expected.shape:
            fail(f"the decoded ids have shape {tuple(result.shape)}, not {tuple(expected.shape)}.", hint)
        assert_equal(result, expected, what="the decoded ids", hint=hint)
    assert_inputs_unchanged(submission)


@pytest.mark.points(0.5)
def test_greedy_decode_does_no_more_than_needed(submission: Any) -> None:
    """The source is encoded once, and decoding stops when every row has written its eos."""
    seen = submission.given("decode_script", _TEXTS, _PAD, _BOS, _EOS, 30)
    require(seen["encoded"] == 1, "the source is not encoded exactly once.", "Does the memory change from one token to the next?")
    hint = "When every row has its eos there is nothing left to decode, whatever max_len is."
    require(1 <= seen["decoded"] <= _TOKENS, f"the decoder ran {seen['decoded']} times for rows of 3, 2 and 4 tokens.", hint)


@pytest.mark.points(0.5)
def test_greedy_decode_mode(submission: Any) -> None:
    """The model runs in eval mode and without gradient, and both are put back as they were found."""
    for training in (True, False):
        seen = submission.given("decode_script", _TEXTS, _PAD, _BOS, _EOS, 30, training)
        require(seen["decoded"] > 0, "the decoder is never called.")
        require(not seen["in_train_mode"], "the model runs in train mode.", "With dropout on, every answer is another one.")
        require(not seen["with_gradient"], "the model runs with gradient.", "No one needs the graph: torch.no_grad().")
        mode = "train" if training else "eval"
        require(seen["mode_restored"], f"a model that was in {mode} mode is in another one after decoding.", "Put back the mode that you found.")
        hint = "Every part of a model has a mode of its own: which call goes through all of them?"
        require(seen["parts_restored"], f"a part of the model that was in {mode} mode is in another one after decoding.", hint)
        require(seen["gradient_restored"], "gradients stay switched off after decoding.", "What does a `with` block do that a bare call does not?")


@pytest.mark.points(0.5)
def test_greedy_decode_max_len(submission: Any) -> None:
    """Decoding ends at max_len tokens, eos or not; 0 gives none, and a negative max_len is a ValueError."""
    texts = torch.tensor([[5, 6, 7, 9, 9], [7, 7, 2, 9, 9], [8, 2, 9, 9, 9]])
    for max_len, expected in ((3, [[5, 6, 7], [7, 7, 2], [8, 2, 0]]), (1, [[5], [7], [8]])):
        ids = submission.given("decode_script", texts, 0, 1, 2, max_len)["ids"]
        assert_tensor(ids, (3, max_len), torch.int64, what="the decoded ids of a text that is cut")
        assert_equal(ids, torch.tensor(expected), what="the decoded ids of a text that is cut")
    ids = submission.given("decode_script", texts, 0, 1, 2, 0)["ids"]
    assert_tensor(ids, (3, 0), torch.int64, what="the decoded ids of no tokens")
    model = submission.Transformer(5, 5, **{**SIZES, "num_layers": 0})
    for max_len in (-1, -4):
        call = partial(submission.greedy_decode, model, torch.ones(1, 2, dtype=torch.long), 1, 2, max_len)
        assert_raises_value_error(call, when="max_len is negative")
    require(model.training is True, "a call that was refused leaves the model in eval mode.", "Check the arguments before you change anything.")


@pytest.mark.points(1)
@pytest.mark.costly
@pytest.mark.requires(
    "test_shift_right",
    "test_source_embedding",
    "test_target_embedding",
    "test_encoder_layers",
    "test_decode_sees_no_future",
    "test_forward",
)
def test_learns_to_reverse(submission: Any, tensors: Any) -> None:
    """A small model learns to reverse sequences that it has never seen."""
    with submission.limits(call_seconds=45):
        trained = submission.given("train_to_reverse", tensors.integer(0, 2**31))
        for value in trained.values():
            assert_finite(value, what="a trained weight")  # its name is of the submission's choosing
        weights = {name: value.double() for name, value in trained.items()}
        source, target = given.reversal_batch(torch.Generator().manual_seed(tensors.integer(0, 2**31)), 400)
        right = _share_reversed(weights, source, target)
    reason = f"only {right:.0%} of unseen sequences are reversed after training; 99 % were expected."
    require(right >= 0.99, reason, "The other tests say what the model lacks.")


def _share_reversed(weights: dict[str, Tensor], source: Tensor, target: Tensor) -> float:
    """Greedy decoding of all rows at once, by the grader's own formulas."""
    memory = naive.encode(weights, source, 2, given.PAD)
    ids = torch.full((source.size(0), 1), given.BOS)
    for _ in range(target.size(1)):
        logits = naive.decode(weights, ids, memory, source == given.PAD, 2, given.PAD)
        ids = torch.cat([ids, logits[:, -1].argmax(-1, keepdim=True)], dim=1)
    real = target != given.PAD
    return float(((ids[:, 1:] == target) | ~real).all(dim=1).double().mean())
