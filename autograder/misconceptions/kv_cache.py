"""Mistakes people make with a cache of keys and values, as edits of reference_solutions/kv_cache.py."""

from __future__ import annotations

from autograder.misconceptions.bank import Misconception

_STORAGE = """        self.keys = torch.zeros(batch_size, num_heads, max_len, head_dim, dtype=dtype, device=device)
        self.values = torch.zeros_like(self.keys)
"""
_SHAPE_CHECK = """            if tensor.dim() != 4 or (tensor.size(0), tensor.size(1), tensor.size(3)) != (B, H, D):
                raise ValueError(f"{name} must be ({B}, {H}, L, {D}), got {tuple(tensor.shape)}")
"""
_LENGTHS_CHECK = """        if key.size(2) != value.size(2):
            raise ValueError(f"key has {key.size(2)} positions, value {value.size(2)}")
"""
_ROOM_CHECK = """        if end > self.max_len:
            raise ValueError(f"the cache holds {self._length} of {self.max_len} positions; {key.size(2)} more do not fit")
"""
_END = "        end = self._length + key.size(2)\n"
_WRITE = """        with torch.no_grad():
            self.keys[:, :, self._length : end] = key
            self.values[:, :, self._length : end] = value
"""
_WRITE_VALUES = "            self.values[:, :, self._length : end] = value\n"
_ADVANCE = "        self._length = end\n"
_ALL_POSITIONS = "return self.keys[:, :, :end], self.values[:, :, :end]  # (B, H, S, D)"
_TRUNCATE_CHECK = "if not 0 <= length <= self._length:"
_TRUNCATE = """            raise ValueError(f"length must be in 0 ... {self._length}, got {length}")
        self._length = length
"""
_STORE = """        if cache is not None:
            k, v = cache.update(k, v)  # (B, H, S, D)
"""
_VISIBLE = "visible = torch.ones(L, S, dtype=torch.bool, device=x.device).tril(S - L)"
_ATTEND = "heads = F.scaled_dot_product_attention(q, k, v, attn_mask=visible)"
_SPLIT = "return projected.unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)"
_JOIN = "return self.w_o(heads.transpose(1, 2).flatten(2))"
_NEW_CACHES = "return [KVCache(batch_size, self.num_heads, room, self.head_dim, weight.dtype, weight.device) for _ in self.blocks]"
_ROOM = "room = self.max_len if max_len is None else max_len"
_START = "start = caches[0].length if caches else 0"
_RANGE_CHECK = """        if end > self.max_len:
            raise ValueError(f"positions {start} ... {end - 1} run past max_len={self.max_len}")
"""
_POSITION = "position = torch.arange(start, end, device=token_ids.device)"
_EMBEDDED = "x = self.embedding(token_ids) + self.position_embedding(position)"
_BLOCK = "x = block(x, caches[index] if caches else None)"
_LOGITS = "return self.norm(x) @ self.embedding.weight.T"
_TOO_FEW = "if max_new_tokens < 0:"
_TOO_MANY = """    if prompt.size(1) + max_new_tokens > model.max_len:
        raise ValueError(f"{prompt.size(1)} + {max_new_tokens} tokens are more than max_len={model.max_len}")
"""
_NO_GRAD = "with torch.no_grad():\n            ids"
_CACHES = "caches = model.new_caches(prompt.size(0)) if use_cache else None"
_FEED = "logits = model(ids[:, fed:], caches)"
_FED = "fed = ids.size(1) if use_cache else 0"
_APPEND = "ids = torch.cat([ids, logits[:, -1].argmax(dim=-1, keepdim=True)], dim=1)"
_RETURN = "            return ids\n"
_PUT_BACK = "model.train(was_training)"

MISCONCEPTIONS: tuple[Misconception, ...] = (
    # The cache
    Misconception(
        "writes-at-the-start",
        "Each update writes to the first places of the cache, over what is stored. New positions go after the stored ones, from `length` on.",
        ((_WRITE, _WRITE.replace("self._length : end", ": key.size(2)")),),
    ),
    Misconception(
        "returns-the-whole-room",
        "You return all max_len places of the cache, those not written yet too. Attention would see keys of zeros, which take a share of the "
        "softmax: return the positions stored so far.",
        ((_ALL_POSITIONS, "return self.keys, self.values"),),
    ),
    Misconception(
        "returns-only-the-new",
        "update returns the positions that it was just given. What attention needs is all positions so far, the stored ones first.",
        ((_ALL_POSITIONS, "return key.detach().to(self.keys), value.detach().to(self.values)"),),
    ),
    Misconception(
        "length-counts-updates",
        "You add 1 to the length in every update; a prompt brings many positions at once. The length grows by as many as were given.",
        ((_ADVANCE, "        self._length += 1\n"),),
    ),
    Misconception(
        "newest-first",
        "You put new positions before the stored ones. The oldest comes first: masks and roll-back count from there.",
        (
            (
                _WRITE,
                _WRITE.replace(
                    "[:, :, self._length : end] = key", "[:, :, :end] = torch.cat([key.to(self.keys), self.keys[:, :, : self._length]], 2)"
                ).replace(
                    "[:, :, self._length : end] = value", "[:, :, :end] = torch.cat([value.to(self.keys), self.values[:, :, : self._length]], 2)"
                ),
            ),
        ),
    ),
    Misconception(
        "joined-over-heads",
        "You join stored and new along the dimension of the heads. Positions are dimension 2 of (B, H, n, D).",
        (
            (_STORAGE, _STORAGE + "        self.parts: list[tuple[Tensor, Tensor]] = []\n"),
            (_WRITE, "        self.parts.append((key.detach().to(self.keys), value.detach().to(self.keys)))\n"),
            (_ALL_POSITIONS, "return torch.cat([part[0] for part in self.parts], dim=1), torch.cat([part[1] for part in self.parts], dim=1)"),
        ),
    ),
    Misconception(
        "values-are-keys",
        "You store the key in the place of the value. Keys decide where to look, values are what is found there: two tensors.",
        ((_WRITE_VALUES, _WRITE_VALUES.replace("= value", "= key")),),
    ),
    Misconception(
        "oldest-fall-out",
        "When the cache is full you drop the oldest positions to make room. Here more than max_len is a ValueError: the positions that are "
        "left would have other logits without a word.",
        (
            (
                _ROOM_CHECK,
                """        if end > self.max_len:
            keep = max(0, self.max_len - key.size(2))
            key, value = key[:, :, -self.max_len :], value[:, :, -self.max_len :]
            self.keys = torch.cat([self.keys[:, :, self._length - keep : self._length], self.keys[:, :, : self.max_len - keep]], dim=2)
            self.values = torch.cat([self.values[:, :, self._length - keep : self._length], self.values[:, :, : self.max_len - keep]], dim=2)
            self._length, end = keep, self.max_len
""",
            ),
        ),
    ),
    Misconception(
        "overflow-not-checked",
        "You do not check whether the new positions fit. A slice past the end is merely shorter, so that torch complains about shapes at best and "
        "stores nothing without a word at worst.",
        ((_ROOM_CHECK, ""),),
    ),
    Misconception(
        "full-cache-refused",
        "You refuse the update that fills the cache to its last place. max_len positions have room.",
        ((_ROOM_CHECK, _ROOM_CHECK.replace("end >", "end >=")),),
    ),
    Misconception(
        "grows-without-limit",
        "Your cache makes itself larger when it is full. max_len is a promise about memory: more than that is a ValueError.",
        (
            (
                _ROOM_CHECK,
                """        if end > self.max_len:
            more = self.keys.new_zeros(B, H, end - self.keys.size(2), D)
            self.keys, self.values = torch.cat([self.keys, more], dim=2), torch.cat([self.values, more], dim=2)
            self.max_len = end
""",
            ),
        ),
    ),
    Misconception(
        "overflow-ignored",
        "When the positions do not fit you leave them out and return what is stored. The caller would never know: it is a ValueError.",
        ((_ROOM_CHECK, "        if end > self.max_len:\n            return self.keys[:, :, : self._length], self.values[:, :, : self._length]\n"),),
    ),
    Misconception(
        "overflow-asserted",
        "You assert that the positions fit. Assertions are for mistakes of your own, and python -O drops them; the caller's mistake is a ValueError.",
        ((_ROOM_CHECK, '        assert end <= self.max_len, f"the cache has room for {self.max_len} positions, {end} are too many"\n'),),
    ),
    Misconception(
        "overflow-as-another-error",
        "A cache that is full raises another error than ValueError. The contract says ValueError, for that is what a caller can catch.",
        ((_ROOM_CHECK, _ROOM_CHECK.replace("ValueError", "IndexError")),),
    ),
    Misconception(
        "counted-before-checked",
        "You set the new length before you know that the positions fit, so that a refused update leaves a wrong length behind. Check first, "
        "change after.",
        (
            (_END, "        self._length += key.size(2)\n        end = self._length\n"),
            (_WRITE, _WRITE.replace("self._length : end", "end - key.size(2) : end")),
        ),
    ),
    Misconception(
        "shapes-not-checked",
        "You do not check batch, heads and head size. Broadcasting writes a batch of 1 to every sequence without a word.",
        ((_SHAPE_CHECK, "            pass\n"),),
    ),
    Misconception(
        "batch-not-checked",
        "You check heads and head size, but not the batch. A batch of 1 is then written to every sequence without a word.",
        (("(tensor.size(0), tensor.size(1), tensor.size(3)) != (B, H, D)", "(tensor.size(1), tensor.size(3)) != (H, D)"),),
    ),
    Misconception(
        "heads-not-checked",
        "You check batch and head size, but not the number of heads. A single head is then written to all of them without a word.",
        (("(tensor.size(0), tensor.size(1), tensor.size(3)) != (B, H, D)", "(tensor.size(0), tensor.size(3)) != (B, D)"),),
    ),
    Misconception(
        "head-size-not-checked",
        "You check batch and heads, but not the head size. A single feature is then written to all of them without a word.",
        (("(tensor.size(0), tensor.size(1), tensor.size(3)) != (B, H, D)", "(tensor.size(0), tensor.size(1)) != (B, H)"),),
    ),
    Misconception(
        "shapes-asserted",
        "You assert the shapes. Assertions are for mistakes of your own, and python -O drops them; the caller's mistake is a ValueError.",
        ((_SHAPE_CHECK, "            assert (tensor.size(0), tensor.size(1), tensor.size(3)) == (B, H, D), name\n"),),
    ),
    Misconception(
        "value-not-checked",
        "You check the shape of the key alone. The value comes from another projection and can be wrong by itself.",
        (('(("key", key), ("value", value))', '(("key", key),)'), (_LENGTHS_CHECK, "")),
    ),
    Misconception(
        "unequal-positions",
        "You do not check that key and value have equally many positions: a single value is written to all places of the keys.",
        ((_LENGTHS_CHECK, ""),),
    ),
    Misconception(
        "graph-kept",
        "The cache keeps the graph of all that it stores: memory grows with every token, and a gradient would run back to the first. What "
        "is stored needs no gradient.",
        ((_WRITE, _WRITE.replace("        with torch.no_grad():\n    ", "").replace("\n    ", "\n")),),
    ),
    Misconception(
        "callers-tensors-kept",
        "You keep the tensors that the caller handed over, and not copies: detach() and slices share memory with them. When the caller writes to its "
        "tensors again, your cache changes too.",
        (
            (
                _WRITE,
                """        key, value = key.detach().to(self.keys), value.detach().to(self.values)
        if self._length == 0:
            self.keys, self.values = key, value
        else:
            self.keys = torch.cat([self.keys[:, :, : self._length], key], dim=2)
            self.values = torch.cat([self.values[:, :, : self._length], value], dim=2)
""",
            ),
        ),
    ),
    Misconception(
        "dtype-of-the-caller",
        "Your cache takes over the dtype of what is put in. It has a dtype of its own, and casts.",
        ((_END, _END + "        self.keys, self.values = self.keys.to(key.dtype), self.values.to(value.dtype)\n"),),
    ),
    Misconception(
        "other-dtype-refused",
        "You refuse positions of another dtype. The cache casts them to its own.",
        (
            (
                _END,
                '        if key.dtype != self.keys.dtype:\n            raise ValueError(f"key is {key.dtype}, the cache {self.keys.dtype}")\n' + _END,
            ),
        ),
    ),
    Misconception(
        "always-float32",
        "Your cache stores float32 whatever dtype it was made with. In a float64 model everything after it is rounded.",
        ((_STORAGE, _STORAGE.replace("dtype=dtype, ", "dtype=torch.float32, ")),),
    ),
    Misconception(
        "no-positions-refused",
        "You refuse an update of no positions. It is legal, and returns what is stored.",
        ((_END, '        if key.size(2) < 1:\n            raise ValueError(f"key has {key.size(2)} positions")\n' + _END),),
    ),
    Misconception(
        "shared-by-the-class",
        "Your storage belongs to the class, not to the object, so that the newest cache takes the place of all others. Each cache has tensors of "
        "its own.",
        ((_STORAGE, _STORAGE.replace("self.", "KVCache.")),),
    ),
    Misconception(
        "truncate-keeps-the-last",
        "truncate keeps the last positions. It is a roll-back: the first stay, the last go.",
        (
            (
                "        self._length = length\n        ### END",
                """        dropped = self._length - length
        self.keys, self.values = self.keys.roll(-dropped, dims=2), self.values.roll(-dropped, dims=2)
        self._length = length
        ### END""",
            ),
        ),
    ),
    Misconception(
        "truncate-drops-that-many",
        "truncate takes away as many positions as its argument says. The argument is the length that is left.",
        ((_TRUNCATE, _TRUNCATE.replace("self._length = length", "self._length -= length")),),
    ),
    Misconception(
        "truncate-not-checked",
        "truncate takes any length. A negative one, or one past what is stored, is a ValueError: there is nothing to keep.",
        ((_TRUNCATE_CHECK, "if False:"),),
    ),
    Misconception(
        "truncate-checks-the-room",
        "truncate takes every length up to max_len. More than is stored brings up places that were never written, or were given up.",
        ((_TRUNCATE_CHECK, "if not 0 <= length <= self.max_len:"),),
    ),
    Misconception(
        "negative-length-kept",
        "truncate checks only that its argument is not too large. A negative length is a ValueError too.",
        ((_TRUNCATE_CHECK, "if length > self._length:"),),
    ),
    Misconception(
        "truncate-clamps",
        "truncate makes a bad length fit instead of refusing it. A length below 0, or above what is stored, is a mistake of the caller: ValueError.",
        ((_TRUNCATE_CHECK, "if False:"), (_TRUNCATE, _TRUNCATE.replace("= length\n", "= max(0, min(length, self._length))\n"))),
    ),
    Misconception(
        "truncate-to-nothing-refused",
        "You refuse truncate(0). It empties the cache.",
        ((_TRUNCATE_CHECK, "if not 0 < length <= self._length:"),),
    ),
    Misconception(
        "truncate-to-all-refused",
        "You refuse to truncate to the length that the cache has. Nothing is rolled back then, and nothing is wrong.",
        ((_TRUNCATE_CHECK, "if not 0 <= length < self._length:"),),
    ),
    Misconception(
        "truncate-takes-the-room",
        "truncate cuts the tensors themselves, and with them the room for what comes next. Only the length goes back.",
        ((_TRUNCATE, _TRUNCATE + "        self.keys, self.values = self.keys[:, :, :length], self.values[:, :, :length]\n"),),
    ),
    # Attention
    Misconception(
        "mask-top-left",
        "Your causal mask is aligned top-left: query 0 of the chunk sees key 0 alone, although everything stored comes before it. With M stored "
        "positions query i sees the keys up to M + i. The is_causal of F.scaled_dot_product_attention is top-left.",
        ((_ATTEND, "heads = F.scaled_dot_product_attention(q, k, v, is_causal=True)"),),
    ),
    Misconception(
        "is-causal-for-chunks",
        "A single new position rightly sees everything, but for longer chunks you use a mask that is aligned top-left. That is right for the first "
        "chunk only: after M stored positions query i sees the keys up to M + i.",
        ((_ATTEND, "heads = F.scaled_dot_product_attention(q, k, v, is_causal=L > 1)"),),
    ),
    Misconception(
        "no-mask-with-a-cache",
        "With a cache you use no mask at all. That is right for a single new position; in a longer chunk each position sees those after it.",
        ((_VISIBLE, "visible = None if cache is not None else torch.ones(L, S, dtype=torch.bool, device=x.device).tril()"),),
    ),
    Misconception(
        "no-mask-after-the-first-chunk",
        "Once something is stored you use no mask. That is right for a single new position; in a longer chunk each position sees those after it.",
        ((_VISIBLE, "visible = None if S > L else torch.ones(L, S, dtype=torch.bool, device=x.device).tril()"),),
    ),
    Misconception(
        "mask-inverted",
        "Your mask shows what it should hide. In F.scaled_dot_product_attention True means visible, the opposite of this course's masks.",
        ((_VISIBLE, "visible = torch.ones(L, S, dtype=torch.bool, device=x.device).triu(S - L + 1)"),),
    ),
    Misconception(
        "sees-one-ahead",
        "Each position sees the one after it: your diagonal lies one too far to the right.",
        ((_VISIBLE, _VISIBLE.replace("tril(S - L)", "tril(S - L + 1)")),),
    ),
    Misconception(
        "chunk-sees-only-itself",
        "You store the chunk's keys and values, and then attend to the chunk alone. What update returns is what the queries look at.",
        ((_STORE, "        if cache is not None:\n            cache.update(k, v)\n"),),
    ),
    Misconception(
        "sees-only-what-was-stored",
        "A chunk after the first looks at what was stored before it, and not at its own positions. Each position sees itself too.",
        (
            (
                _STORE,
                """        if cache is not None:
            L, before = k.size(2), cache.length
            k, v = cache.update(k, v)  # (B, H, S, D)
            k, v = (k[:, :, :before], v[:, :, :before]) if before else (k, v)
""",
            ),
        ),
    ),
    Misconception(
        "no-cache-in-training",
        "In train mode your attention leaves the cache aside. Whoever passes a cache wants it used: the mode is about dropout, and there is none.",
        ((_STORE, _STORE.replace("if cache is not None:", "if cache is not None and not self.training:")),),
    ),
    Misconception(
        "empty-cache-left-aside",
        "You use a cache only when something is in it, so that the first chunk is never stored. Ask whether there is a cache (`is not None`), not "
        "whether it is empty.",
        ((_STORE, _STORE.replace("if cache is not None:", "if cache is not None and cache.length > 0:")),),
    ),
    Misconception(
        "chunk-not-stored",
        "You read what the cache holds and put the chunk behind it, but never store the chunk. The next one would not see it.",
        (
            (
                _STORE,
                """        if cache is not None:
            none = k[:, :, :0]
            stored_k, stored_v = cache.update(none, none)
            k, v = torch.cat([stored_k, k], dim=2), torch.cat([stored_v, v], dim=2)
""",
            ),
        ),
    ),
    Misconception(
        "chunk-stored-twice",
        "You call update twice for one chunk, so that all its positions are stored twice. One call stores and returns.",
        ((_STORE, "        if cache is not None:\n            cache.update(k, v)\n            k, v = cache.update(k, v)\n"),),
    ),
    Misconception(
        "detached-without-a-cache",
        "You detach keys and values without a cache too, so that w_k and w_v never learn. Only what is stored needs no gradient.",
        ((_STORE, "        if cache is None:\n            k, v = k.detach(), v.detach()\n" + _STORE),),
    ),
    Misconception(
        "mask-after-softmax",
        "You set hidden weights to zero after the softmax: each row sums to less than 1. Scores are masked before it, with −inf.",
        ((_ATTEND, "heads = ((q @ k.mT / self.head_dim**0.5).softmax(dim=-1) * visible) @ v"),),
    ),
    Misconception(
        "fill-too-small",
        "You hide keys by a score of −20 or so, which is not low enough: where all visible scores are low, what is hidden takes weight. Fill with −inf.",
        ((_ATTEND, "heads = (q @ k.mT / self.head_dim**0.5).masked_fill(~visible, -20.0).softmax(dim=-1) @ v"),),
    ),
    Misconception(
        "softmax-in-float32",
        "You compute the weights in float32 whatever comes in. float64 is computed in float64 throughout.",
        ((_ATTEND, "heads = (q @ k.mT / self.head_dim**0.5).masked_fill(~visible, -torch.inf).float().softmax(dim=-1).to(v) @ v"),),
    ),
    Misconception(
        "no-maximum-subtracted",
        "You take exp of the scores as they are, which is infinite for large ones. Subtract each row's largest score first, or use softmax.",
        (
            (
                _ATTEND,
                "weights = (q @ k.mT / self.head_dim**0.5).exp() * visible\n        heads = (weights / weights.sum(dim=-1, keepdim=True)) @ v",
            ),
        ),
    ),
    Misconception(
        "scale-of-the-model",
        "You divide scores by √d_model; the scale is √D, the size of one head.",
        ((_ATTEND, "heads = F.scaled_dot_product_attention(q, k, v, attn_mask=visible, scale=self.d_model**-0.5)"),),
    ),
    Misconception(
        "no-scale",
        "You do not divide the scores by √D, the size of one head.",
        ((_ATTEND, "heads = F.scaled_dot_product_attention(q, k, v, attn_mask=visible, scale=1.0)"),),
    ),
    Misconception(
        "scale-by-key-length",
        "You divide the scores by the square root of the number of keys. The scale is √D, the size of one head, and does not change as the cache grows.",
        ((_ATTEND, "heads = F.scaled_dot_product_attention(q, k, v, attn_mask=visible, scale=S**-0.5)"),),
    ),
    Misconception(
        "heads-split-by-view",
        "You split heads by a view of (B, H, L, D), which mixes positions with features. First (B, L, H, D), then the two middle dimensions change "
        "places.",
        ((_SPLIT, "return projected.reshape(projected.size(0), self.num_heads, -1, self.head_dim)"),),
    ),
    Misconception(
        "heads-joined-without-transpose",
        "You join the heads while positions are still inside: a position's row gets features of other positions. First back to (B, L, H, D).",
        ((_JOIN, "return self.w_o(heads.reshape(x.shape))"),),
    ),
    Misconception(
        "heads-interleaved",
        "You give head h every H-th feature. Head h is the features h·D … (h+1)·D − 1 of the projection: the view is (B, L, H, D), not (B, L, D, H).",
        ((_SPLIT, "return projected.unflatten(-1, (self.head_dim, self.num_heads)).permute(0, 3, 1, 2)"),),
    ),
    Misconception(
        "no-output-projection",
        "The joined heads come out as they are. w_o mixes them first.",
        ((_JOIN, "return heads.transpose(1, 2).flatten(2)"),),
    ),
    # The language model
    Misconception(
        "positions-start-again",
        "Every chunk gets positions from 0. A chunk goes on where the caches end: its first position is how many are stored. The tokens "
        "often hide this, the logits do not.",
        ((_POSITION, "position = torch.arange(end - start, device=token_ids.device)"),),
    ),
    Misconception(
        "one-position-for-a-chunk",
        "All tokens of a chunk get the position of its first. They count on from there.",
        ((_POSITION, "position = torch.full((end - start,), start, device=token_ids.device)"),),
    ),
    Misconception(
        "position-one-too-far",
        "Positions after the first chunk are one too far: the next one is `length`, as counting begins at 0.",
        ((_POSITION, "position = torch.arange(start, end, device=token_ids.device).add(1 if start else 0).clamp(max=self.max_len - 1)"),),
    ),
    Misconception(
        "max-len-not-checked",
        "You do not check that positions stay below max_len, so that looking one up fails with an IndexError, or only a later layer notices.",
        ((_RANGE_CHECK, ""),),
    ),
    Misconception(
        "only-the-chunk-checked",
        "You hold the length of the chunk against max_len. What counts is where it ends: stored and new positions together.",
        ((_RANGE_CHECK, _RANGE_CHECK.replace("if end", "if token_ids.size(1)")),),
    ),
    Misconception(
        "max-len-only-with-caches",
        "You check max_len only when caches come along. The positions are as many without.",
        ((_RANGE_CHECK, _RANGE_CHECK.replace("if end", "if caches and end")),),
    ),
    Misconception(
        "too-long-cut",
        "You leave out the tokens for which there is no position. More than max_len is a ValueError.",
        (
            (
                _RANGE_CHECK,
                "        token_ids, end = token_ids[:, : self.max_len - start], min(end, self.max_len)\n",
            ),
        ),
    ),
    Misconception(
        "last-position-refused",
        "You refuse the last position: positions 0 … max_len − 1 are max_len of them.",
        ((_RANGE_CHECK, _RANGE_CHECK.replace("end >", "end >=")),),
    ),
    Misconception(
        "checked-after-the-layers",
        "You check max_len after the layers have run: when the error comes, the caches hold the refused tokens already.",
        (
            (_RANGE_CHECK, ""),
            (_POSITION, "position = torch.arange(start, end, device=token_ids.device).clamp(max=self.max_len - 1)"),
            (_LOGITS, 'if end > self.max_len:\n            raise ValueError(f"positions run past max_len={self.max_len}")\n        ' + _LOGITS),
        ),
    ),
    Misconception(
        "one-cache-for-all-layers",
        "new_caches returns one cache under several names: [cache] * n copies the reference, not the cache. Each layer has its own keys.",
        ((_NEW_CACHES, _NEW_CACHES.replace(" for _ in self.blocks]", "] * len(self.blocks)")),),
    ),
    Misconception(
        "first-cache-for-every-layer",
        "You hand the first cache to every layer. Layer l has keys and values of its own, in caches[l].",
        ((_BLOCK, "x = block(x, caches[0] if caches else None)"),),
    ),
    Misconception(
        "new-caches-made-once",
        "new_caches hands out the same caches again and again. Each call makes new, empty ones.",
        ((_NEW_CACHES, "self.__dict__.setdefault('kept', " + _NEW_CACHES.removeprefix("return ") + ")\n        return self.kept"),),
    ),
    Misconception(
        "new-caches-float32",
        "new_caches makes float32 caches for every model. Their dtype is that of the weights.",
        ((_NEW_CACHES, _NEW_CACHES.replace("weight.dtype, weight.device", "device=weight.device")),),
    ),
    Misconception(
        "room-ignored",
        "new_caches always makes room for the model's max_len positions. Its argument says otherwise when it is given.",
        ((_ROOM, "room = self.max_len"),),
    ),
    Misconception(
        "caches-not-passed",
        "The layers never get the caches, so that every chunk begins with an empty past.",
        ((_BLOCK, "x = block(x)"),),
    ),
    Misconception(
        "no-final-norm",
        "The final norm is missing: logits are norm(x) @ embedding.weight^T.",
        ((_LOGITS, "return x @ self.embedding.weight.T"),),
    ),
    Misconception(
        "embedding-scaled",
        "You multiply the embedding by √d_model. This model adds it to the position's as it is.",
        ((_EMBEDDED, "x = self.embedding(token_ids) * self.embedding.embedding_dim**0.5 + self.position_embedding(position)"),),
    ),
    Misconception(
        "head-detached",
        "The head uses the embedding's weight without its gradient. The embedding is used twice, and learns from both.",
        ((_LOGITS, "return self.norm(x) @ self.embedding.weight.detach().T"),),
    ),
    Misconception(
        "forward-without-gradient",
        "Your model's forward runs under no_grad, so that it can never be trained. That belongs into generate.",
        (("    def forward(self, token_ids", "    @torch.no_grad()\n    def forward(self, token_ids"),),
    ),
    Misconception(
        "caches-made-when-none",
        "Without caches you make some and throw them away. What goes through a cache has lost its graph: without caches gradients are ordinary ones.",
        ((_START, "caches = caches or self.new_caches(token_ids.size(0))\n        start = caches[0].length"),),
    ),
    Misconception(
        "last-logits-only",
        "You return the logits of the last position alone. forward returns those of every new position.",
        ((_LOGITS, "return self.norm(x[:, -1:]) @ self.embedding.weight.T"),),
    ),
    Misconception(
        "probabilities-returned",
        "You return (logarithms of) probabilities. Logits are what the head gives, before any softmax.",
        ((_LOGITS, "return (self.norm(x) @ self.embedding.weight.T).log_softmax(dim=-1)"),),
    ),
    # Generation
    Misconception(
        "prefix-fed-again",
        "With caches you feed the whole prefix in every step, so that the same tokens are stored again and again. Feed only the new one.",
        ((_FED, "fed = 0"),),
    ),
    Misconception(
        "new-caches-every-step",
        "You make new caches in every step and feed the whole prefix: the tokens are right, and everything is computed again. Make them once, then "
        "feed one token a step.",
        ((_FED, "fed, caches = 0, model.new_caches(prompt.size(0)) if use_cache else None"),),
    ),
    Misconception(
        "use-cache-ignored",
        "You never use caches: the tokens are right, at the cost of all earlier positions in every step.",
        ((_CACHES, "caches, use_cache = None, False"),),
    ),
    Misconception(
        "always-cached",
        "You use caches with use_cache=False too. It feeds the whole prefix each time, to compare with.",
        ((_CACHES, "caches, use_cache = model.new_caches(prompt.size(0)), True"),),
    ),
    Misconception(
        "last-token-fed",
        "You feed the last token too, and throw its logits away. The last call is the one that chooses it.",
        ((_RETURN, "            if max_new_tokens and use_cache:\n                model(ids[:, -1:], caches)\n" + _RETURN),),
    ),
    Misconception(
        "prompt-fed-token-by-token",
        "You feed the prompt one token at a time. It is known from the beginning: one call reads all of it.",
        (
            (
                "            fed = 0\n",
                """            fed = 0
            while use_cache and max_new_tokens and fed < ids.size(1) - 1:
                model(ids[:, fed : fed + 1], caches)
                fed += 1
""",
            ),
        ),
    ),
    Misconception(
        "last-two-fed",
        "After the prompt you feed the last two tokens each time, of which the first is stored already. Only the newest is not in the caches.",
        ((_FED, "fed = ids.size(1) - 1 if use_cache else 0"),),
    ),
    Misconception(
        "only-the-new-token-fed-without-caches",
        "Without caches you feed the newest token alone: the model sees nothing of the text before it. Nothing is stored, so feed the whole prefix.",
        ((_FED, "fed = ids.size(1)"),),
    ),
    Misconception(
        "stops-at-a-token",
        "You stop at an end token. There is none here: max_new_tokens says how many come.",
        ((_APPEND, _APPEND + "\n                if (ids[:, -1] == 0).all():\n                    break"),),
    ),
    Misconception(
        "one-token-too-few",
        "You generate one token less than asked for.",
        (("for _ in range(max_new_tokens):", "for _ in range(max_new_tokens - 1):"),),
    ),
    Misconception(
        "one-token-too-many",
        "You generate one token more than asked for. The call that reads the prompt chooses the first.",
        (("for _ in range(max_new_tokens):", "for _ in range(max_new_tokens + 1):"),),
    ),
    Misconception(
        "prompt-not-returned",
        "You return the new tokens alone. The prompt comes first in the result.",
        ((_RETURN, "            return ids[:, prompt.size(1) :]\n"),),
    ),
    Misconception(
        "first-logits-choose",
        "You take the logits of the chunk's first position. The next token follows from those of the last.",
        ((_APPEND, _APPEND.replace("logits[:, -1]", "logits[:, 0]")),),
    ),
    Misconception(
        "first-row-chooses",
        "The token of the first sequence is appended to all sequences of the batch. Each chooses its own.",
        ((_APPEND, "ids = torch.cat([ids, logits[:1, -1].argmax(dim=-1, keepdim=True).expand(ids.size(0), 1)], dim=1)"),),
    ),
    Misconception(
        "caches-kept-on-the-model",
        "The caches stay on the model from one call to the next, and a new prompt follows the old one. Each call makes new ones.",
        (
            (
                _CACHES,
                "model.kept = getattr(model, 'kept', None) or model.new_caches(prompt.size(0))\n"
                "            caches = model.kept if use_cache else None",
            ),
        ),
    ),
    Misconception(
        "gradients-on",
        "You generate with gradients on: every step keeps tensors for a backward pass that never comes.",
        ((_NO_GRAD, _NO_GRAD.replace("torch.no_grad()", "torch.enable_grad()")),),
    ),
    Misconception(
        "gradients-off-for-good",
        "You switch gradients off and never on again: whoever trains the model afterwards gets none. `with torch.no_grad():` puts back what it found.",
        ((_NO_GRAD, _NO_GRAD.replace("with torch.no_grad():", "torch.set_grad_enabled(False)\n        if True:")),),
    ),
    Misconception(
        "never-in-eval-mode",
        "You generate in whatever mode the model is. A model in train mode drops features at random; this one has no dropout, but eval mode is asked for.",
        (("    model.eval()\n    try", "    try"),),
    ),
    Misconception(
        "mode-of-the-parts-forgotten",
        "You put back the flag of the model alone; its layers stay in eval mode. model.train(mode) reaches every part, as model.eval() did.",
        ((_PUT_BACK, "model.training = was_training"),),
    ),
    Misconception(
        "left-in-eval-mode",
        "The model stays in eval mode after generate. Put back the mode that was found.",
        ((_PUT_BACK, "pass"),),
    ),
    Misconception(
        "left-in-train-mode",
        "After generate the model is in train mode, whatever it was in before. Put back the mode that was found.",
        ((_PUT_BACK, "model.train()"),),
    ),
    Misconception(
        "mode-changed-before-the-check",
        "You switch to eval mode and then check the arguments: an error leaves the model in another mode than it was in.",
        (
            ("    if max_new_tokens < 0:\n", "    was_training = model.training\n    model.eval()\n    if max_new_tokens < 0:\n"),
            ("    was_training = model.training\n    model.eval()\n    try", "    try"),
        ),
    ),
    Misconception(
        "limit-left-to-the-model",
        "You leave it to the model to refuse too many tokens. It never sees the last one, so that one too many comes through, and with more the error"
        " comes only after most of the work.",
        ((_TOO_MANY, ""),),
    ),
    Misconception(
        "limit-one-too-low",
        "You refuse as many tokens as max_len has room for. Prompt and new tokens together may be max_len long.",
        ((_TOO_MANY, _TOO_MANY.replace("> model.max_len", ">= model.max_len")),),
    ),
    Misconception(
        "limit-only-with-caches",
        "You check the limit only when caches are used. It is that of the positions, and holds both ways.",
        ((_TOO_MANY, _TOO_MANY.replace("if prompt", "if use_cache and prompt")),),
    ),
    Misconception(
        "limit-cut",
        "You generate fewer tokens when there is no room for all. The caller asked for more than the model can do: ValueError.",
        ((_TOO_MANY, "    max_new_tokens = min(max_new_tokens, model.max_len - prompt.size(1))\n"),),
    ),
    Misconception(
        "window-moves-on",
        "When the text becomes longer than max_len you go on with its last part. Here that is a ValueError, before anything is generated.",
        ((_TOO_MANY, ""), (_FEED, "logits = model(ids[:, max(fed, ids.size(1) - model.max_len) :], caches)")),
    ),
    Misconception(
        "negative-number-taken",
        "You take a negative max_new_tokens as none. It is a ValueError.",
        ((_TOO_FEW, "if False:"),),
    ),
    Misconception(
        "at-least-one-token",
        "You refuse max_new_tokens = 0. No new tokens are fine: the result is the prompt.",
        ((_TOO_FEW, "if max_new_tokens < 1:"),),
    ),
)
