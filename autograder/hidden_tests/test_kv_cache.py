"""Hidden suite of 07_kv_cache: the cache alone, attention with it, the language model in chunks, and generation.

Logits are judged at every step, never only the tokens chosen from them. What comes in chunks is held to the naive model in one pass or, where the
submission's own uncached result is another, to that, so that a mistake that has nothing to do with caches costs once.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

import pytest
import torch

from autograder.checking.assertions import (
    assert_equal,
    assert_inputs_unchanged,
    assert_matches,
    assert_raises_value_error,
    assert_tensor,
    require,
)
from autograder.checking.tensors import Tensors
from autograder.hidden_tests import naive_kv_cache as naive
from autograder.hidden_tests.kv_cache_checks import (
    MODES,
    AttentionPair,
    CachePair,
    ModelPair,
    asked,
    assert_length,
    gradients,
    leaves,
    mode_text,
    prefixes,
    refuses,
)
from autograder.hidden_tests.kv_cache_weights import spelling_state

_ACTIVATION = "aten.gelu"
CHUNKINGS = ((9,), (1,) * 9, (5, 3, 1), (4, 5), (1, 8), (2, 2, 2, 3), (8, 1), (3, 3, 3))


def new_cache(submission: Any, tensors: Tensors, sizes: tuple[int, int, int, int], dtype: torch.dtype = torch.float64) -> CachePair:
    return CachePair(submission.KVCache(*sizes, dtype=dtype), tensors, sizes, dtype)


def _way(use_cache: bool) -> str:
    return " with caches" if use_cache else " without caches"


def chunk_text(lengths: tuple[int, ...]) -> str:
    return f" in chunks of {', '.join(str(length) for length in lengths)}" if len(lengths) > 1 else " in one chunk"


# The cache


@pytest.mark.points(1)
def test_update_returns_all_positions(submission: Any, tensors: Tensors) -> None:
    """update appends, and returns the keys and values of all positions so far, the oldest first."""
    for sizes, chunks in (((2, 3, 11, 4), (5, 1, 1, 2)), ((1, 2, 17, 7), (1, 1, 4)), ((3, 5, 13, 2), (2, 3, 5))):
        pair = new_cache(submission, tensors, sizes)
        pair.check_length("of a new cache")
        for number, positions in enumerate(chunks):
            pair.append(positions, when=" after a first update" if number == 0 else " after further updates")
            pair.check_length("after an update")


@pytest.mark.points(1)
def test_truncate(submission: Any, tensors: Tensors) -> None:
    """truncate keeps the first positions, and what comes next follows them."""
    hint = "Which positions are kept, the first or the last? Where does the next update write?"
    for sizes, first, kept, further in (((2, 3, 11, 4), 7, 4, 2), ((1, 2, 7, 3), 5, 0, 5), ((3, 2, 10, 5), 4, 3, 6), ((2, 5, 8, 2), 6, 6, 1)):
        pair = new_cache(submission, tensors, sizes)
        pair.append(first - 1)
        pair.append(1)
        pair.truncate(kept)
        pair.check_length("after truncate")
        pair.append(further, when=" after truncate and update", hint=hint)
        pair.check_length("after truncate and update")
    pair.truncate(5)
    pair.truncate(2)
    pair.append(3, when=" after two calls of truncate and update", hint=hint)


@pytest.mark.points(1)
def test_overflow(submission: Any, tensors: Tensors) -> None:
    """A cache can be filled to the last position; one more is a ValueError, and changes nothing."""
    hint = "What does a refused update leave behind, and how many positions have room?"
    pair = new_cache(submission, tensors, (2, 3, 7, 4))
    pair.append(3)
    for too_many in (5, 7, 8, 20):
        assert_raises_value_error(partial(pair.cache.update, *pair.draw(too_many)), when="more positions come than there is room for")
        pair.check_length("after a refused update", hint)
    pair.append(2, when=" after a refused update", hint=hint)
    assert_raises_value_error(partial(pair.cache.update, *pair.draw(3)), when="more positions come than there is room for")
    pair.append(2, when=" of a full cache", hint=hint)
    for too_many in (1, 2):
        assert_raises_value_error(partial(pair.cache.update, *pair.draw(too_many)), when="the cache is full")
        pair.check_length("of a full cache", hint)
    pair.truncate(6)
    pair.append(1, when=" of a cache that was full", hint=hint)
    assert_raises_value_error(partial(pair.cache.update, *pair.draw(1)), when="the cache is full again")
    at_once = new_cache(submission, tensors, (1, 2, 5, 3))
    assert_raises_value_error(partial(at_once.cache.update, *at_once.draw(6)), when="more positions come than there is room for")
    at_once.append(5, when=" of a cache filled at once", hint=hint)
    single = new_cache(submission, tensors, (2, 1, 1, 3))
    single.append(1, when=" of a cache for one position", hint=hint)
    assert_raises_value_error(partial(single.cache.update, *single.draw(1)), when="the cache is full")


@pytest.mark.points(0.5)
def test_other_shapes_refused(submission: Any, tensors: Tensors) -> None:
    """Another batch, number of heads or head size, or unequal numbers of positions: ValueError, and nothing changes."""
    pair = new_cache(submission, tensors, (2, 3, 71, 4))
    pair.append(2)
    right = (2, 3, 2, 4)
    wrong_sizes = {
        "another batch": ((1, 3, 2, 4), (3, 3, 2, 4)),
        "another number of heads": ((2, 1, 2, 4), (2, 2, 2, 4), (2, 6, 2, 4)),
        "another head size": ((2, 3, 2, 1), (2, 3, 2, 5), (2, 3, 2, 3)),
        "positions and heads in each other's place": ((2, 2, 3, 4),),
        "another head size and number of heads": ((2, 4, 2, 3), (2, 2, 2, 6)),
    }
    cases = [(kind, shape, shape) for kind, shapes in wrong_sizes.items() for shape in shapes]
    cases += [(f"{kind} in the value alone", right, shapes[0]) for kind, shapes in wrong_sizes.items()]
    cases += [(f"{kind} in the key alone", shapes[0], right) for kind, shapes in wrong_sizes.items()]
    cases += [("more positions in the key than in the value", (2, 3, 3, 4), (2, 3, 1, 4))]
    cases += [("more positions in the value than in the key", (2, 3, 1, 4), (2, 3, 2, 4)), ("a value without positions", right, (2, 3, 0, 4))]
    answers = [asked(partial(pair.cache.update, *tensors.normal(key_shape, value_shape))) for _, key_shape, value_shape in cases]
    for (kind, _, _), answer in zip(cases, answers, strict=True):
        assert_raises_value_error(answer, when=f"update is given {kind}")
    pair.check_length("after refused updates", "What does a refused update leave behind?")
    pair.append(1, when=" after refused updates", hint="What does a refused update leave behind, in the keys and in the values?")


@pytest.mark.points(0.5)
def test_truncate_refused(submission: Any, tensors: Tensors) -> None:
    """truncate to a negative length, or to more than is stored, is a ValueError and changes nothing."""
    cases = [(0, 1, "more than an empty cache holds"), (5, -1, "negative"), (5, -5, "negative")]
    cases += [(5, length, "more than is stored") for length in (6, 11, 12)]
    pairs = [new_cache(submission, tensors, (2, 3, 11, 4)) for _ in cases]
    answers = []
    for pair, (stored, length, _) in zip(pairs, cases, strict=True):
        pair.append(stored) if stored else None
        answers.append(asked(partial(pair.cache.truncate, length)))
        asked(partial(getattr, pair.cache, "length"))  # where it would go to tells mistakes apart
    for pair, answer, (_, _, when) in zip(pairs, answers, cases, strict=True):
        assert_raises_value_error(answer, when=f"the length to truncate to is {when}")
        pair.check_length("after a refused truncate")
        pair.append(1, when=" after a refused truncate")
    pair = pairs[-1]
    pair.truncate(3)
    assert_raises_value_error(partial(pair.cache.truncate, 5), when="the length to truncate to was stored before, but is no more")
    pair.append(2, when=" after a refused truncate")


@pytest.mark.points(0.5)
def test_no_positions(submission: Any, tensors: Tensors) -> None:
    """An update of no positions is fine, in an empty and in a full cache too: it returns what is stored."""
    hint = "Nothing is a number of positions like any other."
    pair = new_cache(submission, tensors, (2, 3, 5, 4))
    for positions in (0, 2, 0, 0, 3, 0):
        pair.append(positions, when=" after an update of no positions" if positions == 0 else "", hint=hint)
        pair.check_length("after an update of no positions")
    pair.truncate(0)
    pair.append(0, when=" after truncate(0) and an update of no positions", hint=hint)
    pair.append(1)


@pytest.mark.points(0.5)
def test_cache_keeps_copies(submission: Any, tensors: Tensors) -> None:
    """What the caller does to its tensors after an update does not reach the cache."""
    hint = "Whose memory does the cache hold after an update: its own, or the caller's? detach and a view copy nothing."
    for lengths in ((2, 1, 3), (3,), (1, 1)):
        key, value = tensors.normal((2, 3, sum(lengths), 4), (2, 3, sum(lengths), 4))
        keys, values = submission.given("update_from_one_buffer", key, value, list(lengths))
        assert_equal(keys, key, what="keys after the caller has overwritten its tensors", hint=hint)
        assert_equal(values, value, what="values after the caller has overwritten its tensors", hint=hint)


@pytest.mark.points(0.5)
def test_no_graph_is_kept(submission: Any, tensors: Tensors) -> None:
    """What a cache returns does not require grad, whatever was put in."""
    hint = "How far back would a gradient run after a thousand tokens? What takes a tensor out of the graph?"
    pair = new_cache(submission, tensors, (2, 3, 11, 4))
    for positions, key_too in ((2, True), (1, False), (3, True)):
        key, value = (tensor.requires_grad_(wanted) for tensor, wanted in zip(pair.draw(positions), (key_too, True), strict=True))
        for name, returned in zip(("keys", "values"), pair.append_these(key, value), strict=True):
            require(not returned.requires_grad, f"the {name} that update returns require grad.", hint)
    attention = AttentionPair(submission, tensors, 6, 3)
    held = attention.cache(2, 11)
    x = attention.x(2, 3, requires_grad=True)
    for chunk in x.split([2, 1], dim=1):
        attention.attend(chunk, held.cache)
    held.keys, held.values = (tensor.detach() for tensor in naive.keys_and_values(attention.state, 3, x))
    key, value = held.draw(1)
    keys, values = held.cache.update(key, value)
    assert_matches(keys, torch.cat([held.keys, key], dim=2), what="keys that attention stored", hint="Which keys does attention store?")
    assert_matches(values, torch.cat([held.values, value], dim=2), what="values that attention stored", hint="Which values does attention store?")
    require(not keys.requires_grad and not values.requires_grad, "what attention stored requires grad.", hint)


@pytest.mark.points(0.5)
def test_dtype_of_a_cache(submission: Any, tensors: Tensors) -> None:
    """A cache keeps its own dtype, float32 when not said, and casts what comes in."""
    hint = "Whose dtype is it, the cache's or the caller's? In which dtype is a position stored?"
    sizes = (2, 3, 7, 4)
    pair = CachePair(submission.KVCache(*sizes), tensors, sizes, torch.float32)
    pair.append(2, when=" of a cache of the default dtype", hint=hint)
    for dtype, others in (
        (torch.float32, (torch.float64, torch.float32, torch.bfloat16)),
        (torch.float64, (torch.float32, torch.float64)),
        (torch.bfloat16, (torch.float32, torch.float64, torch.bfloat16)),
        (torch.float16, (torch.float32,)),
    ):
        for order in (others, others[::-1]):
            pair = new_cache(submission, tensors, sizes, dtype)
            for other in order:
                key, value = pair.draw(2, other)
                pair.append_these(key, value, when=f" of a {str(dtype).removeprefix('torch.')} cache", hint=hint)


@pytest.mark.points(0.5)
def test_caches_do_not_share(submission: Any, tensors: Tensors) -> None:
    """Caches know nothing of each other, take any memory layout and leave the caller's tensors alone."""
    hint = "What belongs to one cache, and what to the class? Is anything kept under a name that another cache uses too?"
    pairs = [new_cache(submission, tensors, sizes) for sizes in ((2, 3, 11, 4), (2, 3, 11, 4), (3, 2, 7, 2))]
    for one, two, three in ((3, 1, 2), (1, 4, 1), (2, 2, 2)):
        for pair, positions in zip(pairs, (one, two, three), strict=True):
            pair.append(positions, when=" of one of three caches", hint=hint)
    pairs[0].truncate(1)
    pairs[1].append(1, when=" of another cache than the one truncated", hint=hint)
    pairs[0].append(2, when=" of the cache truncated", hint=hint)
    pair = new_cache(submission, tensors, (2, 3, 23, 4))
    turned, stepped = tensors.normal((2, 2, 3, 4), (2, 3, 4, 8))
    hint = "Which step of yours assumes a shape or an order in memory?"
    pair.append_these(turned.transpose(1, 2), turned.transpose(1, 2), when=" of transposed tensors", hint=hint)
    pair.append_these(stepped[..., ::2], stepped[..., 1::2], when=" of every other feature", hint=hint)
    pair.append_these(*(tensor.expand(2, 3, 5, 4) for tensor in pair.draw(1)), when=" of expanded tensors", hint=hint)
    pair.append_these(*(tensor[:1].expand(2, 3, 3, 4) for tensor in pair.draw(3)), when=" of tensors expanded over the batch", hint=hint)
    pair.append(1, when=" after other layouts", hint=hint)
    for sizes in ((2, 2, 6, 2), (1, 1, 4, 1), (3, 3, 9, 3)):
        pair = new_cache(submission, tensors, sizes)
        for _ in range(2):
            pair.append(sizes[0], when=" of a cache with equal sizes", hint=hint)
    assert_inputs_unchanged(submission)


# Attention


@pytest.mark.points(1)
def test_attention_without_cache(submission: Any, tensors: Tensors) -> None:
    """Without a cache: causal self-attention over the chunk itself."""
    hint = "By what are scores divided? Are heads split and joined in the right order, and does w_o come last? Query i sees keys j ≤ i."
    for batch, length, num_heads, head_dim in ((2, 7, 3, 5), (3, 4, 2, 3), (1, 6, 1, 4), (2, 1, 2, 7), (3, 2, 5, 1)):
        pair = AttentionPair(submission, tensors, num_heads * head_dim, num_heads)
        pair.check(pair.x(batch, length), when=" without a cache", hint=hint)


@pytest.mark.points(0.5)
def test_attention_gradients(submission: Any, tensors: Tensors) -> None:
    """Without a cache gradients are ordinary ones, and exactly zero from the future."""
    for batch, length, num_heads, head_dim in ((2, 5, 3, 2), (1, 3, 1, 5)):
        pair = AttentionPair(submission, tensors, num_heads * head_dim, num_heads)
        x, parameters = pair.x(batch, length, requires_grad=True), pair.learned()
        output, cotangent = pair.attend(x), tensors.normal((batch, length, num_heads * head_dim))
        state = leaves(pair.state)
        found = gradients(output, [x, *parameters.values()], cotangent)
        expected = gradients(naive.attention(state, num_heads, x), [x, *state.values()], cotangent)
        hint = "Where is the graph cut? Nothing is stored here, so nothing needs detaching."
        for name, gradient, wanted in zip(("x", *state), found, expected, strict=True):
            assert_matches(gradient, wanted, what=f"the gradient of {name}", hint=hint)
        for i in range(length - 1):
            only_i = torch.zeros_like(cotangent)
            only_i[:, i] = cotangent[:, i]
            (gradient,) = gradients(output, [x], only_i)
            require(not gradient[:, i + 1 :].any(), "a position depends on a later one.", "Is a hidden weight exactly 0?")


@pytest.mark.points(1)
def test_one_query_sees_all_that_is_stored(submission: Any, tensors: Tensors) -> None:
    """A single new position sees every stored position and itself."""
    hint = "How many keys are there for this one query, and how many of them does your mask show it? is_causal counts from the top left."
    for batch, num_heads, head_dim, stored in ((2, 3, 5, 7), (1, 2, 4, 1), (3, 4, 3, 6)):
        pair = AttentionPair(submission, tensors, num_heads * head_dim, num_heads)
        held = pair.cache(batch, stored + 3)
        held.append(stored)
        pair.check_after(held, pair.x(batch, 1), when=" of one query after stored positions", hint=hint)


@pytest.mark.points(1)
def test_chunk_sees_what_is_stored_and_its_own_past(submission: Any, tensors: Tensors) -> None:
    """Query i of a chunk sees all stored positions and the chunk's positions up to itself."""
    hint = "Write the mask down for 3 queries and 4 + 3 keys: at which key does row 0 end, and row 2?"
    for batch, num_heads, stored, length in ((2, 3, 4, 3), (1, 2, 5, 5), (3, 2, 1, 6), (2, 4, 7, 2), (2, 3, 0, 3)):
        pair = AttentionPair(submission, tensors, num_heads * 5, num_heads)
        held = pair.cache(batch, 13)
        if stored:
            held.append(stored)
        pair.check_after(held, pair.x(batch, length), when=" of a chunk after stored positions", hint=hint)


@pytest.mark.points(1)
def test_attention_in_chunks(submission: Any, tensors: Tensors) -> None:
    """However the positions are cut into chunks, with or without gradients, every output is that of one pass."""
    hint = "Which outputs are the first to differ: those of chunks of one, or of longer chunks after the first? What does a query see then?"
    pair = AttentionPair(submission, tensors, 12, 3)
    for index, lengths in enumerate(CHUNKINGS):
        training, grad = MODES[index % len(MODES)]
        pair.module.train(training)
        with torch.set_grad_enabled(grad):
            pair.check_chunks(pair.x(2, 9), lengths, when=chunk_text(lengths), hint=hint)
    for training, grad in MODES:
        pair.module.train(training)
        with torch.set_grad_enabled(grad):
            pair.check_chunks(pair.x(3, 6), (3, 1, 2), when=mode_text(training, grad), hint="Which branch of your code is taken only in this mode?")
    pair.require_only_given_weights("of attention after calls")


@pytest.mark.points(0.5)
def test_attention_of_any_layout(submission: Any, tensors: Tensors) -> None:
    """Sizes may be equal, x may lie in memory in any order, and calls do not depend on each other."""
    hint = "Does a step of your code hold only for some sizes, for one order in memory, or for the first call?"
    for num_heads, head_dim, batch, chunks in ((2, 2, 2, (2, 2, 2)), (1, 1, 1, (1, 1, 1)), (4, 1, 3, (4, 4)), (3, 3, 3, (3, 3, 1))):
        pair = AttentionPair(submission, tensors, num_heads * head_dim, num_heads)
        pair.check_chunks(pair.x(batch, sum(chunks)), chunks, when=" at some sizes", hint=hint)
    pair = AttentionPair(submission, tensors, 12, 3)
    turned, expanded = tensors.normal((5, 2, 12), (2, 1, 12))
    pair.check_chunks(turned.transpose(0, 1), (2, 3), when=" of a transposed x", hint=hint)
    pair.check_chunks(expanded.expand(2, 4, 12), (1, 3), when=" of an expanded x", hint=hint)
    pair.check_chunks(pair.x(1, 4).expand(3, 4, 12), (2, 2), when=" of an x expanded over the batch", hint=hint)
    x = pair.x(2, 11)
    pair.check_chunks(x[:, ::2], (4, 2), when=" of every other position of x", hint=hint)
    one, two = pair.cache(2, 7), pair.cache(2, 13)
    first = [pair.attend(x[:, :4], one.cache), pair.attend(x[:, :2], two.cache), pair.module(x[:, 4:5], cache=one.cache)]
    first += [pair.attend(x[:, 2:], two.cache), pair.attend(x[:, 5:6], one.cache)]
    whole = pair.attend(x).detach()
    assert_matches(torch.cat([first[0], first[2], first[4]], dim=1), whole[:, :6], what="the outputs with one of two caches in turn", hint=hint)
    assert_matches(torch.cat([first[1], first[3]], dim=1), whole, what="the outputs with the other cache", hint=hint)
    if refuses(partial(one.cache.update, *one.draw(2))):  # a cache that does not has lost the points for that already
        assert_raises_value_error(partial(pair.module, x[:, :2], one.cache), when="attention is given a cache that is too full for the chunk")
    assert_matches(pair.module(x, cache=None), whole, what="the output with cache=None", hint=hint)
    assert_inputs_unchanged(submission)


@pytest.mark.points(0.5)
def test_attention_precision(submission: Any, tensors: Tensors) -> None:
    """Large scores are no problem, and every dtype is kept and computed in no less than its own precision."""
    hint = "e to the 1500 is infinite: what is subtracted before exp, and is what hides a key below every score?"
    scales = {"w_q.weight": 20.0, "w_k.weight": 20.0, "w_q.bias": 40.0}
    pair = AttentionPair(submission, tensors, 12, 2, scales=scales)
    pair.check(pair.x(2, 5), when=" with large scores", hint=hint)
    held = pair.cache(2, 11)
    held.append_these(*(20 * tensor for tensor in held.draw(5)))
    pair.check_after(held, pair.x(2, 3), when=" with large scores and a cache", hint=hint)
    hint = "Results have the dtype of x, with a cache too."
    for dtype in (torch.float32, torch.bfloat16):
        pair = AttentionPair(submission, tensors, 12, 3, dtype=dtype)
        named = f" for {str(dtype).removeprefix('torch.')}"
        pair.check(pair.x(2, 5), when=named, hint=hint)
        held = pair.cache(2, 11)
        held.append(4)
        pair.check_after(held, pair.x(2, 3), when=f"{named} and a cache", hint=hint)


# The language model


@pytest.mark.points(1)
def test_logits_without_caches(submission: Any, tensors: Tensors) -> None:
    """Without caches: embedding and positions, the blocks, the norm, and the embedding again as the head."""
    hint = "Which rows of position_embedding are added, does every block get its turn, and what stands between the last block and the head?"
    sizes = ((1, (11, 12, 3, 7), 11, ((2, 5), (3, 1), (1, 11))), (2, (7, 4, 2, 13), 7, ((2, 7), (3, 2))), (3, (5, 6, 1, 8), 9, ((2, 4),)))
    for num_layers, shape, max_len, batches in sizes:
        model = ModelPair(submission, tensors, num_layers, shape, max_len)
        for batch, length in batches:
            model.check(model.tokens(batch, length), when=" without caches", hint=hint)
        model.require_only_given_weights("of the model after calls")
    model = ModelPair(submission, tensors, dtype=torch.float32)
    model.check(model.tokens(2, 3), when=" for float32", hint=hint)
    assert_inputs_unchanged(submission)


@pytest.mark.points(0.5)
def test_tied_head(submission: Any, tensors: Tensors) -> None:
    """The head is the embedding of the moment, and gradients reach all weights by every way."""
    model = ModelPair(submission, tensors)
    token_ids = model.tokens(2, 4) // 2  # some tokens never come in, but every one is a possible answer
    model.logits(token_ids)
    model.load(model.random_state())
    model.check(token_ids, when=" with weights loaded later", hint="Does the head use the weights of the moment, or some that were copied before?")
    parameters, cotangent = model.learned(), tensors.normal((2, 4, model.vocab_size))
    state = leaves(model.state)
    found = gradients(model.logits(token_ids), list(parameters.values()), cotangent)
    expected = gradients(model.naive(token_ids, state), list(state.values()), cotangent)
    hint = "The embedding is used twice, on the way in and on the way out: does the gradient come back along both? Is the graph cut elsewhere?"
    for name, gradient, wanted in zip(state, found, expected, strict=True):
        assert_matches(gradient, wanted, what=f"the gradient of {name}", hint=hint)


@pytest.mark.points(0.5)
def test_new_caches(submission: Any, tensors: Tensors) -> None:
    """new_caches makes an empty cache of its own for each layer, in the dtype of the weights and with the room asked for."""
    for num_layers, dtype, room in ((3, torch.float64, None), (1, torch.float64, 7), (2, torch.float32, 5)):
        model = ModelPair(submission, tensors, num_layers, dtype=dtype)
        places = model.max_len if room is None else room
        sizes = (2, model.num_heads, places, model.d_model // model.num_heads)
        pairs = [CachePair(cache, tensors, sizes, dtype) for cache in model.caches(2, room) + model.caches(2, room)]
        for pair in pairs:
            pair.append(2, when=" of a cache from new_caches", hint="Which sizes and which dtype fit the keys of a layer?")
        hint = "Is there one cache for each layer and each call, or one under several names?"
        full = new_cache(submission, tensors, sizes, dtype)
        full.append(places)
        strict = refuses(partial(full.cache.update, *full.draw(1)))  # a cache that is not has lost the points for that already
        for pair in pairs:
            pair.append(places - 2, when=" of the caches from new_caches, filled in turn", hint=hint)
            if strict:
                refused = partial(pair.cache.update, *pair.draw(1))
                assert_raises_value_error(refused, when="a cache from new_caches holds max_len positions already")


@pytest.mark.points(1)
def test_model_in_chunks(submission: Any, tensors: Tensors) -> None:
    """However a sequence is cut into chunks, the logits at every position are those of one pass without caches."""
    hint = "At which position does a chunk begin, and who knows? Does each layer use its own cache? Are the logits off at the first chunk already?"
    models = [ModelPair(submission, tensors, num_layers) for num_layers in (1, 2, 3)]
    sequences = [model.tokens(2, 9) for model in models]
    for index, lengths in enumerate(CHUNKINGS):
        model, token_ids = models[index % 3], sequences[index % 3]
        training, grad = MODES[index % len(MODES)]
        model.module.train(training)
        caches = model.caches(2)
        with torch.set_grad_enabled(grad):
            found = model.in_chunks(token_ids, lengths, caches)
        model.check_logits(found, token_ids, when=chunk_text(lengths), hint=hint)
        for cache in caches:
            assert_length(cache, 9, when="of a layer's cache after 9 tokens", hint="Which cache does each layer get?")
    for model, batch, lengths in zip(models, (1, 3, 4), ((3, 2), (1, 3, 3), (4, 4, 1)), strict=True):
        token_ids = model.tokens(batch, sum(lengths))
        found = model.in_chunks(token_ids, lengths, model.caches(batch))
        model.check_logits(found, token_ids, when=f" of a batch of {batch}{chunk_text(lengths)}", hint=hint)
        model.require_only_given_weights("of the model after calls with caches")


@pytest.mark.points(0.5)
def test_two_sequences_in_turn(submission: Any, tensors: Tensors) -> None:
    """Two sequences with caches of their own can be read in turn, with other calls between them."""
    hint = "What does the model itself remember between calls? All that belongs to a sequence is in its caches."
    model = ModelPair(submission, tensors)
    one, two = model.tokens(2, 11), model.tokens(2, 9)
    caches_one, caches_two = model.caches(2), model.caches(2)
    found_one, found_two = [], []
    for (begin, end), (other_begin, other_end) in zip(prefixes((5, 1, 3, 2)), prefixes((2, 4, 1, 2)), strict=True):
        found_one.append(model.logits(one[:, begin:end], caches_one))
        found_two.append(model.logits(two[:, other_begin:other_end], caches_two))
        model.logits(model.tokens(3, 4))
    model.check_logits(torch.cat(found_one, dim=1), one, when=" of a sequence read in turn with another", hint=hint)
    model.check_logits(torch.cat(found_two, dim=1), two, when=" of the other sequence", hint=hint)


@pytest.mark.points(0.5)
def test_roll_back(submission: Any, tensors: Tensors) -> None:
    """After truncate in every layer, another continuation has the logits of one pass over it."""
    hint = "Where do positions go on after a roll-back? Who tells the model, and what is left of the tokens given up?"
    model = ModelPair(submission, tensors, 3)
    token_ids, caches = model.tokens(2, 9), model.caches(2)
    model.in_chunks(token_ids, (5, 4), caches)
    for kept, length in ((6, 3), (2, 7), (0, 4)):
        for cache in caches:
            cache.truncate(kept)
        token_ids = torch.cat([token_ids[:, :kept], model.tokens(2, length)], dim=1)
        found = model.in_chunks(token_ids[:, kept:], (1, length - 1), caches)
        model.check_logits(found, token_ids, when=" after a roll-back", hint=hint)


@pytest.mark.points(0.5)
def test_positions_end_at_max_len(submission: Any, tensors: Tensors) -> None:
    """Every position below max_len can be used; past it is a ValueError, before any layer's cache changes."""
    model = ModelPair(submission, tensors, 3, max_len=9)
    roomy = partial(submission.KVCache, 2, model.num_heads, 20, model.d_model // model.num_heads, dtype=torch.float64)
    too_long = model.tokens(2, 10)
    answers = [asked(partial(model.module, too_long, *caches)) for caches in ((), (model.caches(2),), ([roomy() for _ in range(3)],))]
    for answer in answers:
        assert_raises_value_error(answer, when="there are more tokens than max_len")
    hint = "What is checked before the first layer runs? A refused call leaves every cache as it was."
    token_ids = model.tokens(2, 9)
    for caches in (model.caches(2), [roomy() for _ in range(3)]):
        found = []
        for (begin, end), too_many in zip(prefixes((4, 3, 2)), (6, 3, 1), strict=True):
            found.append(model.logits(token_ids[:, begin:end], caches))
            assert_raises_value_error(partial(model.module, model.tokens(2, too_many), caches), when="the tokens run past max_len")
            for cache in caches:
                assert_length(cache, end, when="of a layer's cache after a refused call", hint=hint)
        model.check_logits(torch.cat(found, dim=1), token_ids, when=" of the last positions, after refused calls", hint=hint)


@pytest.mark.points(1)
def test_cost_of_a_step(submission: Any, tensors: Tensors) -> None:
    """A step computes its own positions, and nothing again: its cost grows with what is stored by no more than attention to it."""
    num_layers, (vocab_size, d_model, num_heads, d_ff), max_len = 2, (13, 8, 2, 128), 31
    model = ModelPair(submission, tensors, num_layers, (vocab_size, d_model, num_heads, d_ff), max_len)
    each = num_layers * (8 * d_model**2 + 4 * d_model * d_ff) + 2 * d_model * vocab_size
    attention = num_layers * 4 * max_len * d_model  # to every place of the cache, full or not
    token_ids, caches = model.tokens(1, 29), model.caches(1)
    found = []
    for begin, end in prefixes((3, 1, 17, 1, 4, 1, 2)):
        with submission.measuring() as cost:
            found.append(model.logits(token_ids[:, begin:end], caches))
        hint = "What of the earlier positions is computed again? Keys and values of each layer are all that later positions need."
        # FLOPs under inference_mode are not all seen; a tensor with a hidden layer of all positions is. A mask of all pairs is no crime.
        largest = max((end - begin) * d_ff, d_model * d_ff, 2 * max_len * d_model, num_heads * max_len**2)
        cheap = cost.flops <= 1.5 * (end - begin) * (each + attention) and cost.largest_tensor <= 1.5 * largest
        require(cheap, "a step with caches computes far more than its own positions need.", hint)
        hint = "Is all of it computed by operations on tensors?"
        require(cost.flops >= 0.5 * (end - begin) * each, "a step multiplies fewer matrices than its own positions need.", hint)
    model.check_logits(torch.cat(found, dim=1), token_ids, when=" whose cost is measured", hint="Is the result right, before its cost is looked at?")


# Generation


@pytest.mark.points(1)
def test_generate(submission: Any, tensors: Tensors) -> None:
    """generate appends the likeliest token again and again, with and without caches, for one sequence or many, call after call."""
    models = [ModelPair(submission, tensors, num_layers, (31, 12, 3, 7)) for num_layers in (2, 1)]
    hint = "Which position's logits choose the next token, and along which dimension? What does the model see of the tokens before?"
    for index, (batch, length, new) in enumerate(((3, 2, 4), (1, 1, 8), (2, 4, 1), (4, 5, 6), (2, 3, 3))):
        model = models[index % 2]
        model.module.train(index % 3 == 0)
        prompt = model.tokens(batch, length)
        model.check_generated(submission.generate(model.module, prompt, new), prompt, new, when=" with caches", hint=hint)
        uncached = submission.generate(model.module, prompt, new, use_cache=False)
        model.check_generated(uncached, prompt, new, when=" without caches", hint=hint)
    model = models[0]
    prompt = model.tokens(7, 3).T  # three prompts of seven tokens, transposed
    for again in (False, True):
        when = " again" if again else " from a transposed prompt"
        hint_again = "What is left of the last call? Every call begins with new caches."
        model.check_generated(submission.generate(model.module, prompt, 5, use_cache=True), prompt, 5, when=when, hint=hint_again)
    speller = ModelPair(submission, tensors, 1, (12, 12, 3, 7))
    speller.load(spelling_state(speller.state, [0, 11, 1, 2, *range(3, 11), 0]))
    for batch, new in ((1, 12), (2, 5)):
        prompt = speller.tokens(batch, 1)
        hint_no_end = "Which token would end a text early? None does here: max_new_tokens says how many."
        generated = submission.generate(speller.module, prompt, new)
        speller.check_generated(generated, prompt, new, when=" by a model that names each of its tokens once", hint=hint_no_end)
    single = ModelPair(submission, tensors, 1, (31, 12, 3, 7), dtype=torch.float32)
    assert_tensor(
        submission.generate(single.module, single.tokens(3, 7), max_new_tokens=2), (3, 9), torch.int64, what="the result of generate for float32"
    )
    assert_inputs_unchanged(submission)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_generate")
def test_cost_of_generation(submission: Any, tensors: Tensors) -> None:
    """With caches the model is fed the prompt, then each new token but the last, once; without, the whole prefix each time."""
    model = ModelPair(submission, tensors, 2, (13, 8, 2, 64), 17)
    (batch, length, new), caches = (3, 6, 3), model.caches(3)
    prompt = model.tokens(batch, length)
    with torch.no_grad():
        with submission.measuring() as steps:
            for begin, end in prefixes((length,) + (1,) * (new - 1)):
                model.logits(prompt[:, : end - begin], caches)
        with submission.measuring() as one_more:
            model.logits(prompt[:, :1], caches)
        with submission.measuring() as last_prefix:
            model.logits(torch.cat([prompt, prompt], dim=1)[:, : length + new - 1])
        with submission.measuring() as cached:
            with_caches = submission.given("watch_generation", model.module, prompt, new, True)
        with submission.measuring() as uncached:
            without = submission.given("watch_generation", model.module, prompt, new, False)
    hint = "How many positions does each call feed? The caches hold all that was fed before, and nobody needs the logits after the last token."
    # Who calls something else than the model itself is judged by cost alone. FLOPs under inference_mode are not all seen: there the largest
    # tensor tells long calls, and the activations of the given blocks tell how many.
    # Half of that is the least: what is computed elsewhere costs nothing that is counted.
    least = cached.flops >= 0.5 * steps.flops > 0
    require(least, "generation with caches multiplies fewer matrices than its positions need.", "Is all of it computed by operations on tensors?")
    once = with_caches["positions"] in ([length] + [1] * (new - 1), [])
    cheap = cached.flops <= steps.flops + 0.5 * one_more.flops and cached.largest_tensor <= 1.1 * steps.largest_tensor
    few = cached.operations[_ACTIVATION] <= steps.operations[_ACTIVATION]
    require(once and cheap and few, "generation with caches computes more than its positions, each once.", hint)
    hint = "use_cache=False is there to compare with: what does the model see when nothing is stored?"
    all_again = uncached.flops >= 0.7 * new * last_prefix.flops or uncached.largest_tensor >= 0.9 * last_prefix.largest_tensor
    whole = without["positions"] == list(range(length, length + new)) or (without["positions"] == [] and all_again)
    require(whole, "generation without caches does not feed the whole prefix each time.", hint)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_generate")
def test_limits_of_generation(submission: Any, tensors: Tensors) -> None:
    """No new tokens give the prompt; as many as max_len has room for are fine; more, or fewer than none, are a ValueError."""
    model = ModelPair(submission, tensors, 1, max_len=9)
    hint = "How many positions do the prompt and the new tokens need, the last one included?"
    for (length, new), use_cache in product(((5, 0), (9, 0), (5, 4), (8, 1)), (True, False)):
        prompt = model.tokens(2, length)
        generated = submission.generate(model.module, prompt, new, use_cache=use_cache)
        model.check_generated(generated, prompt, new, when=f"{_way(use_cache)} near the limits", hint=hint)
    too_many = "P + max_new_tokens is greater than max_len"
    cases = [(length, new, too_many) for length, new in ((5, 5), (9, 1), (1, 9), (3, 30), (10, 0))]
    cases += [(length, new, "max_new_tokens is negative") for length, new in ((5, -1), (9, -3))]
    for training in (True, False):
        model.module.train(training)
        asked_for = list(product(cases, (True, False)))
        answers = [
            asked(partial(submission.generate, model.module, model.tokens(2, length), new, use_cache=use_cache))
            for (length, new, _), use_cache in asked_for
        ]
        for answer, ((_, _, reason), use_cache) in zip(answers, asked_for, strict=True):
            assert_raises_value_error(answer, when=f"{reason}{_way(use_cache)}")
        mode_hint = "Is the mode changed before the arguments are checked?"
        assert_equal(model.module.training, training, what="training of the model after a refused call", hint=mode_hint)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_generate")
def test_generation_leaves_the_model_alone(submission: Any, tensors: Tensors) -> None:
    """Generation runs in eval mode and keeps no gradients, puts the mode back, and leaves weights as they were."""
    model = ModelPair(submission, tensors, 1)
    before = model.module.state_dict()
    for use_cache, training in ((True, True), (False, False), (False, True), (True, False)):
        model.module.train(training)
        prompt = model.tokens(2, 3)
        with submission.measuring() as cost:
            seen = submission.given("watch_generation", model.module, prompt, 2, use_cache)
        model.check_generated(seen["ids"], prompt, 2, when=mode_text(training, True), hint="Which mode is the model in?")
        hint = "Which mode do models compute in when nobody trains them? Not every model is without dropout."
        assert_equal(seen["in_train_mode"], False, what="training of some part of the model, during generate,", hint=hint)
        hint = "Who will ask for a gradient of generated tokens? What tells torch that nobody will?"
        require(cost.saved_numbers == 0, "tensors are kept for a backward pass during generation.", hint)
        hint = "Which mode did generate find? It may be either, and every part of the model has one."
        require(seen["mode_restored"] is True, "after generate some part of the model is in another mode than before.", hint)
        require(seen["gradient_restored"] is True, "after generate gradients are switched off for good.", "What puts back what no_grad changes?")
    require(model.logits(prompt).requires_grad, "after generate the logits have no gradient any more.", "What did generate switch off for good?")
    after = model.module.state_dict()
    require(set(after) == set(before), "generate adds entries to the model's state dict or takes some away.", "Where do the caches live?")
    for name, value in before.items():
        assert_equal(after[name], value, what=f"{name} after generate")
