"""Public tests of 07_kv_cache: a small cache by hand, and properties that any right solution has.

    pytest assignments/07_kv_cache

They are where to begin. The hidden tests also ask what the handout says beyond them.
"""

from __future__ import annotations

import pytest
import torch

from autograder.checking.assertions import assert_equal, assert_inputs_unchanged, assert_matches, assert_raises_value_error, assert_tensor, require


def numbered(*positions):
    """A key of one head with two features: position 3 is (3, 30)."""
    return torch.tensor([[[[float(position), 10.0 * position] for position in positions]]])


@pytest.mark.points(1)
def test_cache_returns_all_positions(submission):
    """update returns all keys and values so far, the oldest first, and length counts them."""
    cache = submission.KVCache(1, 1, 5, 2)
    cache.update(numbered(1, 2), -numbered(1, 2))
    keys, values = cache.update(numbered(3), -numbered(3))
    hint = "What does attention need to see: the new positions, all places, or all positions so far?"
    assert_matches(keys, numbered(1, 2, 3), what="keys after two updates", hint=hint)
    assert_matches(values, -numbered(1, 2, 3), what="values after two updates", hint=hint)
    assert_equal(cache.length, 3, what="length after two updates")


@pytest.mark.points(1)
def test_cache_keeps_copies(submission):
    """What the caller does to its tensors later does not reach the cache, and no graph is kept."""
    cache = submission.KVCache(1, 1, 5, 2)
    key, value = numbered(1, 2), numbered(5, 6).requires_grad_()
    cache.update(key, value)
    key.zero_()
    keys, values = cache.update(numbered(3), numbered(7))
    assert_matches(keys, numbered(1, 2, 3), what="keys after the caller changed its tensor", hint="Does the cache hold the caller's own tensor?")
    require(not values.requires_grad, "what update returns requires grad.", "Who would ask for a gradient of stored positions?")


@pytest.mark.points(1)
def test_full_cache_and_roll_back(submission):
    """Exactly full is fine, one more is a ValueError that changes nothing; after truncate there is room again."""
    cache = submission.KVCache(1, 1, 3, 2)
    cache.update(numbered(1, 2, 3), numbered(1, 2, 3))
    assert_raises_value_error(lambda: cache.update(numbered(4), numbered(4)), when="a full cache gets one more position")
    assert_equal(cache.length, 3, what="length after a refused update")
    cache.truncate(1)
    keys, _ = cache.update(numbered(5, 6), numbered(5, 6))
    hint = "Which positions does truncate keep, and where does the next update write?"
    assert_matches(keys, numbered(1, 5, 6), what="keys after truncate(1) and two more", hint=hint)


@pytest.mark.points(1)
def test_attention_token_by_token(submission, tensors):
    """Attention over one position at a time gives what one pass over all gives."""
    attention = submission.CachedSelfAttention(6, 3).to(torch.float64)
    cache = submission.KVCache(2, 3, 5, 2, dtype=torch.float64)
    x = tensors.normal((2, 5, 6))
    whole = assert_tensor(attention(x), (2, 5, 6), torch.float64, what="the output without a cache")
    steps = torch.cat([attention(x[:, i : i + 1], cache) for i in range(5)], dim=1)
    hint = "How many keys does the last position see? Which keys would a mask aligned top-left show it?"
    assert_matches(steps, whole, what="the output token by token", hint=hint)
    changed = x.clone()
    changed[:, 4] += 1
    assert_equal(attention(changed)[:, :4], whole[:, :4], what="the output before a changed position", hint="Which positions may see the last one?")


@pytest.mark.points(1)
def test_model_in_two_chunks(submission, tensors):
    """The logits of a second chunk, read with caches, are those of one pass over everything."""
    model = submission.CachedCausalLM(11, 6, 3, 8, 2, 9).to(torch.float64)
    token_ids = tensors.integers((2, 7), high=11)
    whole = assert_tensor(model(token_ids), (2, 7, 11), torch.float64, what="the logits without caches")
    caches = model.new_caches(2)
    model(token_ids[:, :4], caches)
    hint = "Which position does the fifth token have? What do its queries see: all that is stored, and in the chunk?"
    assert_matches(model(token_ids[:, 4:], caches), whole[:, 4:], what="the logits of the second chunk", hint=hint)
    assert_raises_value_error(lambda: model(token_ids[:, :3], caches), when="the tokens run past max_len")
    assert_equal([cache.length for cache in caches], [7, 7], what="the lengths of the caches after a refused call", hint="What is checked first?")


@pytest.mark.points(1)
def test_generation_both_ways(submission, tensors):
    """Generation with and without caches gives the same tokens after the prompt, and puts the mode back."""
    model = submission.CachedCausalLM(11, 6, 3, 8, 2, 9).to(torch.float64)
    prompt = tensors.integers((2, 3), high=11)
    cached = assert_tensor(submission.generate(model, prompt, 5), (2, 8), torch.int64, what="the result of generate")
    assert_equal(cached[:, :3], prompt, what="the first columns of the result", hint="The prompt comes first.")
    uncached = submission.generate(model, prompt, 5, use_cache=False)
    assert_equal(cached, uncached, what="the result with caches, beside that without,", hint="Which token is fed after the prompt, and how often?")
    assert_equal(model.training, True, what="training of a model in train mode, after generate,", hint="Which mode did generate find?")
    assert_inputs_unchanged(submission)
