"""Mistakes people make in the decoder block and the causal language model, as edits of reference_solutions/causal_decoder.py."""

from __future__ import annotations

from autograder.misconceptions.bank import Misconception

_FUTURE = "future = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)"
_ATTEND_TO_PAST = "attended, _ = self.self_attention(x, keys, keys, attn_mask=future, key_padding_mask=padding_mask, need_weights=False)"
_ATTEND_TO_MEMORY = "attended, _ = self.cross_attention(x, memory, memory, key_padding_mask=memory_padding_mask, need_weights=False)"
_PRE_SELF = "            x = x + self.dropout(self._attend_to_past(self.norm1(x), padding_mask))\n"
_PRE_CROSS = "                x = x + self.dropout(self._attend_to_memory(self.norm2(x), memory, memory_padding_mask))\n"
_PRE_FEED = "            return x + self.dropout(self._feed_forward(self.norm3(x)))\n"
_POST_SELF = "        x = self.norm1(x + self.dropout(self._attend_to_past(x, padding_mask)))\n"
_POST_CROSS = "            x = self.norm2(x + self.dropout(self._attend_to_memory(x, memory, memory_padding_mask)))\n"
_POST_FEED = "        return self.norm3(x + self.dropout(self._feed_forward(x)))\n"
_CHECK = "        self._check(x, memory, padding_mask, memory_padding_mask)\n"
_ACTIVATE = 'hidden = F.relu(hidden) if self.activation == "relu" else F.gelu(hidden)'
_LINEAR2 = "return self.linear2(self.dropout(hidden))"
_EMBED = "x = self.dropout(self.embedding(token_ids) + self.position_embedding(position))"
_POSITION = "position = torch.arange(length, device=token_ids.device)"
_LAYERS = "        for layer in self.layers:\n            x = layer(x)\n"
_NORM = "        if self.norm is not None:\n            x = self.norm(x)\n"
_HEAD = "return x @ self.embedding.weight.T"
_NO_MEMORY_MASK = "        if memory is None and memory_padding_mask is not None:\n"
_MASK_ERROR = "        if padding_mask is not None and padding_mask.shape != x.shape[:2]:\n"
_MEMORY_MASK_ERROR = "        if memory_padding_mask is not None and memory_padding_mask.shape != memory.shape[:2]:\n"


def _by_hand(mask_and_softmax: str) -> str:
    """Self-attention with a softmax of one's own: lines that make `weights` of `scores` and `hidden`."""
    lines = (
        "layer = self.self_attention",
        "hidden = future if padding_mask is None else future | padding_mask[:, None, None, :]",
        "parts = F.linear(x, layer.in_proj_weight, layer.in_proj_bias).chunk(3, dim=-1)",
        "query, key, value = (part.unflatten(-1, (layer.num_heads, -1)).transpose(1, 2) for part in parts)",
        "scores = query @ key.transpose(-2, -1) / key.size(-1) ** 0.5",
        mask_and_softmax,
        "attended = layer.out_proj((weights @ value).transpose(1, 2).flatten(2))",
    )
    return "\n        ".join(lines)


MISCONCEPTIONS: tuple[Misconception, ...] = (
    # The causal mask
    Misconception(
        "no-causal-mask",
        "You let every position see the whole sequence; a decoder predicts what comes next, so position i sees positions up to i only.",
        (("attn_mask=future, ", ""),),
    ),
    Misconception(
        "causal-mask-inverted",
        "You hide the past and show the future; True means hidden here, so the mask is True where the key comes after the query.",
        ((_FUTURE, "future = torch.ones(length, length, dtype=torch.bool, device=x.device).tril(-1)"),),
    ),
    Misconception(
        "causal-mask-as-visible",
        "You mark what may be seen with True; in nn.MultiheadAttention True means hidden, the opposite of F.scaled_dot_product_attention.",
        ((_FUTURE, "future = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()"),),
    ),
    Misconception(
        "causal-mask-hides-itself",
        "You hide the diagonal, so that no position sees itself and the first sees nothing; the mask begins one above the diagonal.",
        ((_FUTURE, "future = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(0)"),),
    ),
    Misconception(
        "causal-mask-one-too-loose",
        "You show every position the one after it; the mask begins one above the diagonal, not two.",
        ((_FUTURE, "future = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(2)"),),
    ),
    Misconception(
        "causal-mask-only-in-training",
        "You leave the causal mask out in eval mode; a model that was trained not to see the future must not see it later either.",
        ((_FUTURE, _FUTURE + "\n        future = future if self.training else torch.zeros_like(future)"),),
    ),
    Misconception(
        "causal-fill-too-small",
        "You add −20 to the scores of the future, which leaves it a small weight; a hidden weight is exactly 0.",
        (
            (
                _FUTURE,
                "future = torch.full((length, length), -20.0, dtype=x.dtype, device=x.device).triu(1)\n"
                "        if padding_mask is not None:\n"
                "            padding_mask = torch.zeros_like(padding_mask, dtype=x.dtype).masked_fill(padding_mask, -20.0)",
            ),
        ),
    ),
    Misconception(
        "mask-after-softmax",
        "You set weights to zero after the softmax, so that those left no longer add up to 1; hide the scores before it.",
        ((_ATTEND_TO_PAST, _by_hand("weights = torch.softmax(scores, dim=-1).masked_fill(hidden, 0.0)")),),
    ),
    Misconception(
        "padding-replaces-causal",
        "With a padding mask you forget the causal one; a key is hidden if either mask hides it.",
        ((_ATTEND_TO_PAST, "future = future if padding_mask is None else None\n        " + _ATTEND_TO_PAST),),
    ),
    Misconception(
        "causal-cross-attention",
        "You hide the later part of the memory as well; the memory is there as a whole from the first position on.",
        (
            (
                _ATTEND_TO_MEMORY,
                "future = torch.ones(x.size(1), memory.size(1), dtype=torch.bool, device=x.device).triu(1)\n        "
                + _ATTEND_TO_MEMORY.replace("memory, memory,", "memory, memory, attn_mask=future,"),
            ),
        ),
    ),
    # Padding
    Misconception(
        "padding-ignored",
        "You take padding_mask and do not use it; padding of x is hidden from self-attention.",
        (("attn_mask=future, key_padding_mask=padding_mask", "attn_mask=future"),),
    ),
    Misconception(
        "memory-padding-ignored",
        "You take memory_padding_mask and do not use it; padding of the memory is hidden from cross-attention.",
        (("memory, memory, key_padding_mask=memory_padding_mask", "memory, memory"),),
    ),
    Misconception(
        "padding-inverted",
        "You hide the positions that are no padding; True means padding, and True is hidden.",
        ((_CHECK, _CHECK + "        padding_mask = None if padding_mask is None else ~padding_mask\n"),),
    ),
    Misconception(
        "memory-padding-inverted",
        "You hide the part of the memory that is no padding; True means padding, and True is hidden.",
        ((_CHECK, _CHECK + "        memory_padding_mask = None if memory_padding_mask is None else ~memory_padding_mask\n"),),
    ),
    Misconception(
        "padding-mask-in-cross-attention",
        "You hide the memory by the mask of x; the mask of x is for self-attention, memory_padding_mask for cross-attention.",
        (
            (_PRE_CROSS, _PRE_CROSS.replace("memory_padding_mask", "self._fitting(padding_mask, memory)")),
            (_POST_CROSS, _POST_CROSS.replace("memory_padding_mask", "self._fitting(padding_mask, memory)")),
            (
                "    def _feed_forward(",
                "    def _fitting(self, mask, memory):\n"
                "        return mask if mask is not None and mask.shape == memory.shape[:2] else None\n\n"
                "    def _feed_forward(",
            ),
        ),
    ),
    Misconception(
        "padded-rows-are-zero",
        "You set the rows of padded positions to zero; padding is hidden as a key, and its own row is computed like any other.",
        (
            (
                _POST_FEED,
                "        x = self.norm3(x + self.dropout(self._feed_forward(x)))\n"
                "        return x if padding_mask is None else x.masked_fill(padding_mask.unsqueeze(-1), 0.0)\n",
            ),
            (
                _PRE_FEED,
                "            x = x + self.dropout(self._feed_forward(self.norm3(x)))\n"
                "            return x if padding_mask is None else x.masked_fill(padding_mask.unsqueeze(-1), 0.0)\n",
            ),
        ),
    ),
    Misconception(
        "padding-zeroed-in-x",
        "You set padded positions of x to zero; padding is hidden as a key by the mask, and its own row starts from x as it was given.",
        ((_CHECK, _CHECK + "        x = x if padding_mask is None else x.masked_fill(padding_mask.unsqueeze(-1), 0.0)\n"),),
    ),
    Misconception(
        "padding-hides-queries",
        "You hide everything from padded queries and nothing from the others; padding is hidden as a key, in the last dimension of the scores.",
        (
            (
                _ATTEND_TO_PAST,
                "if padding_mask is not None:\n"
                "            future = (future | padding_mask.unsqueeze(-1)).repeat_interleave(self.self_attention.num_heads, dim=0)\n        "
                + _ATTEND_TO_PAST.replace("key_padding_mask=padding_mask, ", ""),
            ),
        ),
    ),
    # Rows without keys
    Misconception(
        "no-keys-nan",
        "A row whose keys are all hidden gets NaN; nn.MultiheadAttention does that unless need_weights=False. It should get the output bias.",
        (
            (_ATTEND_TO_PAST, _ATTEND_TO_PAST.replace("need_weights=False", "need_weights=True")),
            (_ATTEND_TO_MEMORY, _ATTEND_TO_MEMORY.replace("need_weights=False", "need_weights=True")),
        ),
    ),
    Misconception(
        "no-keys-sees-itself",
        "You let a row without keys see itself; a hidden position is hidden from its own row too, which takes nothing and gets the output bias.",
        (
            (
                _ATTEND_TO_PAST,
                "if padding_mask is not None:\n"
                "            both = future | padding_mask.unsqueeze(1)\n"
                "            both = both & ~(both.all(-1, keepdim=True) & torch.eye(length, dtype=torch.bool, device=x.device))\n"
                "            future = both.repeat_interleave(self.self_attention.num_heads, dim=0)\n        "
                + _ATTEND_TO_PAST.replace("key_padding_mask=padding_mask, ", ""),
            ),
        ),
    ),
    Misconception(
        "diagonal-never-hidden",
        "You never hide a position from itself, padding or not; padding is hidden from every row, its own included.",
        (
            (
                _ATTEND_TO_PAST,
                "if padding_mask is not None:\n"
                "            both = (future | padding_mask.unsqueeze(1)) & ~torch.eye(length, dtype=torch.bool, device=x.device)\n"
                "            future = both.repeat_interleave(self.self_attention.num_heads, dim=0)\n        "
                + _ATTEND_TO_PAST.replace("key_padding_mask=padding_mask, ", ""),
            ),
        ),
    ),
    Misconception(
        "no-keys-mean",
        "A row whose keys are all hidden takes the mean of the values, as equal fills give equal weights; it should get the output bias.",
        (
            (
                _ATTEND_TO_PAST,
                "if padding_mask is not None:\n"
                "            both = (future | padding_mask.unsqueeze(1)).repeat_interleave(self.self_attention.num_heads, dim=0)\n"
                "            future = torch.zeros_like(both, dtype=x.dtype).masked_fill(both, -1e9)\n        "
                + _ATTEND_TO_PAST.replace("key_padding_mask=padding_mask, ", ""),
            ),
        ),
    ),
    Misconception(
        "no-keys-zero",
        "You replace what a row without keys gets by zero; its heads are zero, and the output projection still adds its bias.",
        (
            (
                _ATTEND_TO_PAST,
                _ATTEND_TO_PAST + "\n        if padding_mask is not None:\n"
                "            attended = attended.masked_fill((future | padding_mask.unsqueeze(1)).all(-1, keepdim=True), 0.0)",
            ),
        ),
    ),
    Misconception(
        "no-keys-gradient-nan",
        "Your result for a row without keys is right, but NaN comes back in its gradient: you add -inf to its scores and replace the NaN after that. "
        "Hide scores with masked_fill, or leave it to nn.MultiheadAttention.",
        (
            (
                _ATTEND_TO_PAST,
                _by_hand("weights = torch.softmax(scores + torch.zeros_like(scores).masked_fill(hidden, -torch.inf), dim=-1).nan_to_num(0.0)"),
            ),
        ),
    ),
    # Norms and residual connections
    Misconception(
        "norm-order-ignored",
        "You normalise after each sub-layer whatever norm_first says; with norm_first each sub-layer gets the normalised x.",
        (("        if self.norm_first:\n", "        if False:\n"),),
    ),
    Misconception(
        "norm-order-swapped",
        "You take norm_first the wrong way round; without it, as in the paper, the sum of x and the sub-layer's output is normalised.",
        (("        if self.norm_first:\n", "        if not self.norm_first:\n"),),
    ),
    Misconception(
        "norm-of-the-sub-layer-only",
        "In post-norm you normalise what a sub-layer gives and add x after that; the sum is normalised.",
        (
            (_POST_SELF, "        x = x + self.norm1(self.dropout(self._attend_to_past(x, padding_mask)))\n"),
            (_POST_CROSS, "            x = x + self.norm2(self.dropout(self._attend_to_memory(x, memory, memory_padding_mask)))\n"),
            (_POST_FEED, "        return x + self.norm3(self.dropout(self._feed_forward(x)))\n"),
        ),
    ),
    Misconception(
        "residual-of-the-normalised",
        "With norm_first you add the sub-layer's output to the normalised x; the residual connection carries x itself.",
        (
            (_PRE_SELF, "            x = self.norm1(x)\n            x = x + self.dropout(self._attend_to_past(x, padding_mask))\n"),
            (
                _PRE_CROSS,
                "                x = self.norm2(x)\n                x = x + self.dropout(self._attend_to_memory(x, memory, memory_padding_mask))\n",
            ),
            (_PRE_FEED, "            x = self.norm3(x)\n            return x + self.dropout(self._feed_forward(x))\n"),
        ),
    ),
    Misconception(
        "no-residual-around-cross-attention",
        "You replace x by what cross-attention gives; like every sub-layer it has a residual connection.",
        ((_PRE_CROSS, _PRE_CROSS.replace("x + ", "")), (_POST_CROSS, _POST_CROSS.replace("x + ", ""))),
    ),
    Misconception(
        "norms-two-and-three-swapped",
        "You use norm3 for cross-attention and norm2 for the feed-forward network; norm2 is cross-attention's, norm3 the network's.",
        (
            (_PRE_CROSS, _PRE_CROSS.replace("norm2", "norm3")),
            (_PRE_FEED, _PRE_FEED.replace("self.norm3", "(self.norm3 if memory is None else self.norm2)")),
            (_POST_CROSS, _POST_CROSS.replace("norm2", "norm3")),
            (_POST_FEED, _POST_FEED.replace("self.norm3", "(self.norm3 if memory is None else self.norm2)")),
        ),
    ),
    Misconception(
        "one-norm-for-all",
        "You use norm1 three times; each sub-layer has a norm of its own.",
        (
            (_PRE_CROSS, _PRE_CROSS.replace("norm2", "norm1")),
            (_PRE_FEED, _PRE_FEED.replace("norm3", "norm1")),
            (_POST_CROSS, _POST_CROSS.replace("norm2", "norm1")),
            (_POST_FEED, _POST_FEED.replace("norm3", "norm1")),
        ),
    ),
    # The memory
    Misconception(
        "memory-normalised",
        "You normalise the memory too; it comes from a stack that has normalised it, and norm2 is meant for x.",
        ((_PRE_CROSS, _PRE_CROSS.replace("(x), memory,", "(x), self.norm2(memory),")),),
    ),
    Misconception(
        "memory-detached",
        "You detach the memory; the encoder that made it learns from the decoder's gradient alone, which ends here.",
        (("self.cross_attention(x, memory, memory,", "self.cross_attention(x, memory.detach(), memory.detach(),"),),
    ),
    Misconception(
        "memory-asks",
        "You swap the roles in cross-attention; x asks (query), the memory answers (key and value).",
        ((_ATTEND_TO_MEMORY, "attended, _ = self.cross_attention(memory, x, x, need_weights=False)"),),
    ),
    Misconception(
        "self-attention-layer-for-the-memory",
        "You attend to the memory with the weights of self_attention; cross-attention has a layer of its own.",
        ((_ATTEND_TO_MEMORY, _ATTEND_TO_MEMORY.replace("self.cross_attention", "self.self_attention")),),
    ),
    Misconception(
        "cross-attention-first",
        "You attend to the memory before the sequence attends to itself; self-attention comes first, cross-attention second.",
        (
            (
                _POST_SELF,
                "        if memory is not None:\n" + _POST_CROSS + _POST_SELF,
            ),
            ("        if memory is not None:\n" + _POST_CROSS + _POST_FEED, _POST_FEED),
        ),
    ),
    Misconception(
        "memory-beside-self-attention",
        "You feed both attentions with the same x and add them up; cross-attention gets what self-attention has made of x.",
        (
            (_PRE_SELF, "            start = x\n" + _PRE_SELF),
            (_PRE_CROSS, _PRE_CROSS.replace("self.norm2(x)", "self.norm2(start)")),
            (_POST_SELF, "        start = x\n" + _POST_SELF),
            (_POST_CROSS, _POST_CROSS.replace("_memory(x,", "_memory(start,")),
        ),
    ),
    # The feed-forward network
    Misconception(
        "no-activation",
        "You leave the activation out; two linear layers without one are a single linear layer.",
        ((f"        {_ACTIVATE}\n", ""),),
    ),
    Misconception(
        "always-relu",
        'You use ReLU whatever activation says; "gelu" is the exact GELU.',
        ((_ACTIVATE, "hidden = F.relu(hidden)"),),
    ),
    Misconception(
        "tanh-gelu",
        "You use GELU's tanh approximation; the exact one, with the normal distribution's own curve, is asked for.",
        (("F.gelu(hidden)", 'F.gelu(hidden, approximate="tanh")'),),
    ),
    Misconception(
        "activation-after-linear2",
        "You apply the activation after the second layer; it stands between the two.",
        (
            (f"        {_ACTIVATE}\n", ""),
            (_LINEAR2, 'hidden = self.linear2(self.dropout(hidden))\n        return F.relu(hidden) if self.activation == "relu" else F.gelu(hidden)'),
        ),
    ),
    # Dropout
    Misconception(
        "no-dropout-inside",
        "You do not drop anything after the activation; dropout acts there too, not only on the sub-layers' outputs.",
        ((_LINEAR2, "return self.linear2(hidden)"),),
    ),
    Misconception(
        "dropout-before-activation",
        "You drop values before the activation, which GELU makes something else of; dropout acts on what the activation gives.",
        ((_LINEAR2, "return self.linear2(hidden)"), ("hidden = self.linear1(x)", "hidden = self.dropout(self.linear1(x))")),
    ),
    Misconception(
        "no-residual-dropout",
        "You do not drop anything of the sub-layers' outputs; each meets dropout before x is added.",
        (
            (_PRE_SELF, _PRE_SELF.replace("self.dropout", "")),
            (_PRE_CROSS, _PRE_CROSS.replace("self.dropout", "")),
            (_PRE_FEED, _PRE_FEED.replace("self.dropout", "")),
            (_POST_SELF, _POST_SELF.replace("self.dropout", "")),
            (_POST_CROSS, _POST_CROSS.replace("self.dropout", "")),
            (_POST_FEED, _POST_FEED.replace("self.dropout", "")),
        ),
    ),
    Misconception(
        "dropout-on-the-sum",
        "You drop values of the sum; dropout acts on the sub-layer's output, before x is added, so that the residual connection stays whole.",
        (
            (_PRE_SELF, "            x = self.dropout(x + self._attend_to_past(self.norm1(x), padding_mask))\n"),
            (_PRE_CROSS, "                x = self.dropout(x + self._attend_to_memory(self.norm2(x), memory, memory_padding_mask))\n"),
            (_PRE_FEED, "            return self.dropout(x + self._feed_forward(self.norm3(x)))\n"),
            (_POST_SELF, "        x = self.norm1(self.dropout(x + self._attend_to_past(x, padding_mask)))\n"),
            (_POST_CROSS, "            x = self.norm2(self.dropout(x + self._attend_to_memory(x, memory, memory_padding_mask)))\n"),
            (_POST_FEED, "        return self.norm3(self.dropout(x + self._feed_forward(x)))\n"),
        ),
    ),
    Misconception(
        "dropout-on-the-weights",
        "You drop attention weights as well; in this block dropout acts on the sub-layers' outputs and after the activation only.",
        (
            (
                "self.self_attention = nn.MultiheadAttention(d_model, num_heads, batch_first=True)",
                "self.self_attention = nn.MultiheadAttention(d_model, num_heads, dropout=dropout, batch_first=True)",
            ),
            (
                "nn.MultiheadAttention(d_model, num_heads, batch_first=True) if cross_attention else None",
                "nn.MultiheadAttention(d_model, num_heads, dropout=dropout, batch_first=True) if cross_attention else None",
            ),
        ),
    ),
    Misconception(
        "dropout-in-eval",
        "You drop values in eval mode too; dropout acts in train mode only.",
        (
            (_LINEAR2, "return F.dropout(self.linear2(self.dropout(hidden)), self.dropout.p)"),
            (_PRE_FEED, _PRE_FEED.replace("self.dropout", "")),
            (_POST_FEED, _POST_FEED.replace("self.dropout", "")),
            (_EMBED, "x = F.dropout(self.embedding(token_ids) + self.position_embedding(position), self.dropout.p)"),
        ),
    ),
    Misconception(
        "dropout-inside-in-eval",
        "You drop values after the activation in eval mode too; F.dropout does not know the mode unless it is told: training=self.training.",
        ((_LINEAR2, "return self.linear2(F.dropout(hidden, self.dropout.p))"),),
    ),
    Misconception(
        "x-changed-in-place",
        "You add to x in place and so change the caller's tensor; write x = x + …, which makes a new one.",
        (
            (_PRE_SELF, _PRE_SELF.replace("x = x + ", "x += ")),
            (_POST_SELF, "        x += self.dropout(self._attend_to_past(x, padding_mask))\n        x = self.norm1(x)\n"),
        ),
    ),
    # Errors
    # Errors
    Misconception(
        "memory-ignored-in-silence",
        "You ignore a memory that the block cannot attend to; whoever passed it made a mistake and should hear of it by a ValueError.",
        (
            (
                "        if memory is not None and self.cross_attention is None:\n",
                "        if False:\n",
            ),
            ("            if memory is not None:\n" + _PRE_CROSS, "            if self.cross_attention is not None:\n" + _PRE_CROSS),
            ("        if memory is not None:\n" + _POST_CROSS, "        if self.cross_attention is not None:\n" + _POST_CROSS),
        ),
    ),
    Misconception(
        "missing-memory-skipped",
        "You leave cross-attention out when the memory is missing; a block that has it needs one, so that is a ValueError.",
        (("        if memory is None and self.cross_attention is not None:\n", "        if False:\n"),),
    ),
    Misconception(
        "memory-mask-without-memory",
        "You ignore a memory mask that comes without a memory; the two belong together, so that is a ValueError.",
        ((_NO_MEMORY_MASK, "        if False:\n"), (_MEMORY_MASK_ERROR, _MEMORY_MASK_ERROR.replace("if ", "if memory is not None and "))),
    ),
    Misconception(
        "masks-broadcast",
        "You let a mask with one row hide the same keys in every sequence; a mask has one row per sequence, any other shape is a ValueError.",
        (
            (
                _CHECK,
                "        if padding_mask is not None and padding_mask.shape == (1, x.size(1)):\n"
                "            padding_mask = padding_mask.expand(x.size(0), -1)\n"
                "        if memory is not None and memory_padding_mask is not None and memory_padding_mask.shape == (1, memory.size(1)):\n"
                "            memory_padding_mask = memory_padding_mask.expand(x.size(0), -1)\n" + _CHECK,
            ),
        ),
    ),
    Misconception(
        "masks-unchecked",
        "You do not check the shapes of the masks; what does not fit raises ValueError with both shapes, not whatever fails first inside.",
        ((_MASK_ERROR, "        if False:\n"), (_MEMORY_MASK_ERROR, "        if False:\n")),
    ),
    Misconception(
        "assert-for-errors",
        "You check the arguments with assert; a bad argument raises ValueError, since asserts vanish under python -O.",
        (
            ('raise ValueError(f"memory {tuple', 'raise AssertionError(f"memory {tuple'),
            ('raise ValueError("memory is None', 'raise AssertionError("memory is None'),
            ('raise ValueError(f"memory_padding_mask {tuple', 'raise AssertionError(f"memory_padding_mask {tuple'),
            ('raise ValueError(f"padding_mask must', 'raise AssertionError(f"padding_mask must'),
            ('raise ValueError(f"memory_padding_mask must', 'raise AssertionError(f"memory_padding_mask must'),
            ('raise ValueError(f"token_ids must', 'raise AssertionError(f"token_ids must'),
            ('raise ValueError(f"token_ids holds', 'raise AssertionError(f"token_ids holds'),
        ),
    ),
    # The language model
    Misconception(
        "embedding-scaled",
        "You multiply the token embedding by √d_model; this model adds token and position embedding as they are.",
        ((_EMBED, "x = self.dropout(self.embedding(token_ids) * self.embedding.embedding_dim**0.5 + self.position_embedding(position))"),),
    ),
    Misconception(
        "logits-scaled",
        "You divide the logits by √d_model; they are plain inner products with the embedding.",
        ((_HEAD, "return x @ self.embedding.weight.T / self.embedding.embedding_dim**0.5"),),
    ),
    Misconception(
        "no-positions",
        "You leave the position embedding out; without it a model can hardly tell in which order the tokens came.",
        ((_EMBED, "x = self.dropout(self.embedding(token_ids))"),),
    ),
    Misconception(
        "positions-from-one",
        "You count positions from 1, and the last one has no embedding; the first position is row 0.",
        ((_POSITION, "position = torch.arange(1, length + 1, device=token_ids.device).clamp(max=self.max_len - 1)"),),
    ),
    Misconception(
        "positions-from-the-end",
        "You count positions from the end of the sequence; a token's position must not depend on what comes after it.",
        ((_POSITION, "position = torch.arange(length, device=token_ids.device).flip(0)"),),
    ),
    Misconception(
        "softmax-of-the-logits",
        "You return probabilities; logits are asked for, and the loss takes the softmax itself.",
        ((_HEAD, "return torch.softmax(x @ self.embedding.weight.T, dim=-1)"),),
    ),
    Misconception(
        "log-probabilities",
        "You return log-probabilities; logits are asked for, and the loss takes the log-softmax itself.",
        ((_HEAD, "return torch.log_softmax(x @ self.embedding.weight.T, dim=-1)"),),
    ),
    Misconception(
        "logits-in-float32",
        "You compute the logits in float32; results have the dtype of the module, so a float64 model gives float64.",
        ((_HEAD, "return x.float() @ self.embedding.weight.float().T"),),
    ),
    Misconception(
        "last-position-only",
        "You return the logits of the last position alone; every position predicts its successor, so the result is (B, L, V).",
        ((_HEAD, "return x[:, -1:] @ self.embedding.weight.T"),),
    ),
    Misconception(
        "head-without-gradient",
        "You detach the embedding in the head; it is used twice, and its gradient is the sum of both uses.",
        ((_HEAD, "return x @ self.embedding.weight.detach().T"),),
    ),
    Misconception(
        "head-copied",
        "You copy the embedding for the head once; the head is the embedding itself and has to see weights that are loaded or learned later.",
        (
            (
                _HEAD,
                'if not hasattr(self, "_head"):\n'
                "            object.__setattr__(self, '_head', self.embedding.weight.detach().clone())\n"
                "        return x @ self._head.to(x.dtype).T",
            ),
        ),
    ),
    Misconception(
        "no-final-norm",
        "With norm_first you leave out the norm after the last layer; nothing else has normalised the residual sum.",
        ((_NORM, ""),),
    ),
    Misconception(
        "first-layer-only",
        "You use the first layer again and again; each layer has weights of its own.",
        ((_LAYERS, "        for _ in self.layers:\n            x = self.layers[0](x)\n"),),
    ),
    Misconception(
        "layers-not-chained",
        "You give every layer the embedding; each gets what the one before it gave.",
        ((_LAYERS, "        start = x\n        for layer in self.layers:\n            x = layer(start)\n"),),
    ),
    Misconception(
        "no-embedding-dropout",
        "You do not drop anything of the embeddings' sum; dropout acts on it before the first layer.",
        ((_EMBED, "x = self.embedding(token_ids) + self.position_embedding(position)"),),
    ),
    Misconception(
        "dropout-before-positions",
        "You drop values of the token embedding alone; dropout acts on the sum of token and position embedding.",
        ((_EMBED, "x = self.dropout(self.embedding(token_ids)) + self.position_embedding(position)"),),
    ),
    Misconception(
        "dropout-on-each-embedding",
        "You drop values of the two embeddings one by one; dropout acts once, on their sum.",
        ((_EMBED, "x = self.dropout(self.embedding(token_ids)) + self.dropout(self.position_embedding(position))"),),
    ),
    Misconception(
        "dropout-before-the-head",
        "You drop values once more before the head; in the model itself dropout acts on the embeddings' sum only, and the layers have their own.",
        ((_HEAD, "return self.dropout(x) @ self.embedding.weight.T"),),
    ),
    Misconception(
        "token-zero-hidden",
        "You hide token 0 as padding; the language model knows no padding token, and every id is a token like any other.",
        ((_LAYERS, "        for layer in self.layers:\n            x = layer(x, padding_mask=token_ids == 0)\n"),),
    ),
    Misconception(
        "max-len-refused",
        "You refuse max_len tokens; only more than max_len are too many.",
        (("if length > self.max_len:", "if length >= self.max_len:"),),
    ),
    Misconception(
        "too-long-cut",
        "You cut sequences to max_len in silence; more tokens than that are a ValueError.",
        (
            (
                "        if length > self.max_len:\n",
                "        token_ids = token_ids[:, -self.max_len :]\n        length = token_ids.size(1)\n        if length > self.max_len:\n",
            ),
        ),
    ),
    Misconception(
        "one-sequence-accepted",
        "You take 1-D token ids as one sequence; token_ids is always (B, L), anything else is a ValueError.",
        (
            (
                "        if token_ids.dim() != 2:\n",
                "        token_ids = token_ids.unsqueeze(0) if token_ids.dim() == 1 else token_ids\n        if token_ids.dim() != 2:\n",
            ),
        ),
    ),
)
