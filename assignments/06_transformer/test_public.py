"""Public tests of 06_transformer: a few values worked out by hand, and properties that any right solution has.

    pytest assignments/06_transformer

They are where to begin. The hidden tests also ask what the handout says beyond them.
"""

from __future__ import annotations

import pytest
import torch

from autograder.checking.assertions import assert_equal, assert_finite, assert_matches, assert_raises_value_error, assert_tensor, require
from autograder.checking.tolerance import Tolerance

BY_HAND = Tolerance("four decimals", absolute=1e-4)
PAD, BOS, EOS = 0, 1, 2


def small(submission, **changes):
    """A model in float64 with the constructor's own weights and no dropout."""
    sizes = {"d_model": 8, "num_heads": 2, "num_layers": 2, "d_ff": 16, "dropout": 0.0}
    return submission.Transformer(11, 13, **{**sizes, **changes}).to(torch.float64)


@pytest.mark.points(1)
def test_shift_right(submission):
    """The decoder's input lags one token behind the targets and begins with bos."""
    shifted = submission.shift_right(torch.tensor([[7, 5, 2, 0], [9, 8, 7, 2]]), BOS)
    assert_equal(
        shifted, torch.tensor([[1, 7, 5, 2], [1, 9, 8, 7]]), what="the shifted targets", hint="When token i is to be written, which are known?"
    )


@pytest.mark.points(1)
def test_loss(submission):
    """Two targets of the worked example: the mean of 1.4902 and 0.3642."""
    logits = torch.tensor([[[2.0, 1.0, 0.0, -1.0], [0.0, 0.0, 0.0, 3.0]]], dtype=torch.float64)
    loss = submission.label_smoothed_loss(logits, torch.tensor([[1, 3]]), 0.1, PAD)
    hint = "Which share does the target get, and which each other class? Try one target with smoothing 0 first."
    assert_matches(loss, torch.tensor(0.9272), what="the loss", tolerance=BY_HAND, hint=hint)


@pytest.mark.points(1)
def test_loss_leaves_padding_out(submission):
    """A third target that is padding changes nothing; a batch of nothing else has the loss 0."""
    logits = torch.tensor([[[2.0, 1.0, 0.0, -1.0], [0.0, 0.0, 0.0, 3.0], [5.0, 0.0, 0.0, 0.0]]], dtype=torch.float64)
    loss = submission.label_smoothed_loss(logits, torch.tensor([[1, 3, PAD]]), 0.1, PAD)
    assert_matches(loss, torch.tensor(0.9272), what="the loss", tolerance=BY_HAND, hint="By how many targets do you divide?")
    nothing = submission.label_smoothed_loss(logits, torch.full((1, 3), PAD), 0.1, PAD)
    assert_matches(nothing, torch.zeros(()), what="the loss of nothing but padding", tolerance=BY_HAND, hint="What is 0 divided by 0?")


@pytest.mark.points(1)
def test_learning_rate(submission):
    """Up in a line to the end of the warm-up, then down; 0 at step 0."""
    for step, expected in ((0, 0.0), (1, 1.7469e-7), (2000, 3.4939e-4), (4000, 6.9877e-4), (16000, 3.4939e-4)):
        rate = submission.noam_learning_rate(step, 512)
        require(isinstance(rate, float), "the learning rate is not a float.")
        close = abs(rate - expected) <= 1e-4 * expected
        require(close, f"the learning rate of step {step} is {rate:.4g}; {expected:.4g} was expected.", "Compute both terms: which one counts here?")


@pytest.mark.points(1)
def test_input_of_the_layers(submission):
    """Without layers the memory is √d_model times the embedding plus the position: the worked example."""
    model = submission.Transformer(8, 8, d_model=4, num_heads=1, num_layers=0, d_ff=4, dropout=0.0).to(torch.float64)
    table = torch.zeros(8, 4, dtype=torch.float64)
    table[5], table[0], table[7] = (torch.tensor(row) for row in ([0.5, -1.0, 0.0, 2.0], [1.0, 1.0, 0.5, 0.0], [-0.5, 0.0, 1.0, 1.0]))
    model.load_state_dict({"src_embedding.weight": table, "tgt_embedding.weight": table, "output.weight": table})
    expected = torch.tensor([[[1.0, -1.0, 0.0, 5.0], [2.8415, 2.5403, 1.0100, 1.0], [-0.0907, -0.4161, 2.0200, 2.9998]]])
    hint = "Is the position scaled too? Does padding have a position, and which is the first?"
    assert_matches(model.encode(torch.tensor([[5, 0, 7]])), expected, what="the memory without layers", tolerance=BY_HAND, hint=hint)


@pytest.mark.points(1)
def test_shapes(submission, tensors):
    """The memory is (B, S, E), logits are (B, L, V), and they are no probabilities."""
    model = small(submission)
    src, tgt = tensors.integers((3, 7), low=3, high=11), tensors.integers((3, 5), low=3, high=13)
    memory = assert_tensor(model.encode(src), (3, 7, 8), what="the memory")
    assert_tensor(model.decode(tgt, memory), (3, 5, 13), what="the logits of decode")
    logits = assert_tensor(model(src, tgt), (3, 5, 13), what="the logits")
    require(
        bool((logits.exp().sum(-1) - 1).abs().max() > 0.01), "the logits are logarithms of probabilities.", "Who takes the softmax: model or loss?"
    )
    require(bool((logits.sum(-1) - 1).abs().max() > 0.01), "the logits are probabilities.", "Who takes the softmax: model or loss?")


@pytest.mark.points(1)
def test_no_look_ahead(submission, tensors):
    """A change of the last target token leaves all logits before it as they were."""
    model = small(submission)
    src, tgt = tensors.integers((1, 4), low=3, high=11), torch.tensor([[1, 5, 6, 7, 8]])
    other = torch.tensor([[1, 5, 6, 7, 9]])
    before, after = (assert_tensor(model(src, ids), (1, 5, 13), what="the logits").detach() for ids in (tgt, other))
    assert_matches(after[:, :4], before[:, :4], what="the earlier logits", hint="Which target tokens may position i see?")
    require(bool((after[:, 4] - before[:, 4]).abs().max() > 1e-6), "the changed token does not change its own logits.", "May it see itself?")


@pytest.mark.points(1)
def test_padding_changes_nothing(submission, tensors):
    """With padding behind source and target, the real tokens have the same logits as without."""
    model = small(submission)
    src, tgt = tensors.integers((1, 4), low=3, high=11), tensors.integers((1, 3), low=3, high=13)
    padded = model(torch.cat([src, torch.zeros(1, 2, dtype=torch.long)], dim=1), torch.cat([tgt, torch.zeros(1, 1, dtype=torch.long)], dim=1))
    alone = assert_tensor(model(src, tgt), (1, 3, 13), what="the logits").detach()
    assert_tensor(padded, (1, 4, 13), what="the logits of a padded pair")
    hint = "Encoder, decoder, attention over the memory: which of them knows about the source's padding?"
    assert_matches(padded[:, :3], alone, what="the logits of the real tokens of a padded pair", hint=hint)


@pytest.mark.points(1)
def test_source_of_nothing_but_padding(submission):
    """A source in which every key is hidden stays finite."""
    model = small(submission)
    assert_finite(model.encode(torch.zeros(1, 3, dtype=torch.long)), what="the memory", hint="Are your masks bool? What do torch's layers do then?")


@pytest.mark.points(1)
def test_greedy_decode(submission, tensors):
    """Each token is the likeliest after those before it, up to eos; then padding."""
    model = small(submission)
    src = tensors.integers((2, 4), low=3, high=11)
    ids = assert_tensor(submission.greedy_decode(model, src, BOS, EOS, 5), what="the decoded ids")
    require(
        ids.dtype == torch.int64 and ids.dim() == 2 and ids.size(0) == 2 and ids.size(1) <= 5, "the decoded ids are not int64 (2, T) with T <= 5."
    )
    logits = model(src, torch.cat([torch.full((2, 1), BOS), ids[:, :-1]], dim=1))
    likeliest = logits.argmax(-1)
    for row in range(2):
        ended = False
        for position in range(ids.size(1)):
            right = PAD if ended else int(likeliest[row, position])
            hint = "After its eos, a row is padding." if ended else "Which position's logits tell the next token?"
            require(int(ids[row, position]) == right, f"token {position} of row {row} is wrong.", hint)
            ended = ended or right == EOS
    require(model.training is True, "the model is not in train mode any more.", "Put back the mode that you found.")
    assert_tensor(submission.greedy_decode(model, src, BOS, EOS, 0), (2, 0), torch.int64, what="the decoded ids for max_len 0")


@pytest.mark.points(1)
def test_bad_arguments(submission):
    """Bad arguments raise ValueError."""
    logits, targets = torch.zeros(1, 2, 4, dtype=torch.float64), torch.tensor([[1, 2]])
    assert_raises_value_error(lambda: submission.label_smoothed_loss(logits, targets, 1.0), when="smoothing is 1")
    assert_raises_value_error(lambda: submission.noam_learning_rate(-1, 512), when="the step is negative")
    model = small(submission, num_layers=0)
    assert_raises_value_error(lambda: submission.greedy_decode(model, torch.tensor([[3]]), BOS, EOS, -1), when="max_len is negative")
