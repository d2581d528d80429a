"""Mistakes people make in Transformer-XL, as edits of reference_solutions/transformer_xl.py."""

from __future__ import annotations

from autograder.misconceptions.bank import Misconception

_ODD = "    if d_model % 2 != 0:\n"
_DISTANCE = "distance = torch.arange(length - 1, -1, -1, dtype=torch.float64)  # (length,)"
_FREQUENCY = "frequency = 10000.0 ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)"
_ENCODING = "return torch.cat([angle.sin(), angle.cos()], dim=1)"
_SHAPE = "*batch, L, S = scores.shape\n"
_PAD = "padded = F.pad(scores, (1, 0)).flatten(-2)  # (..., L * (S + 1))\n"
_SHIFTED = "return padded[..., L:].reshape(*batch, L, S)"
_CONTEXT = "context = x if memory is None else torch.cat([memory.detach(), x], dim=1)  # (B, S, E)"
_SIZES = "L, S = x.size(1), context.size(1)"
_DISTANCES = "distances = relative_positional_encoding(S, self.d_model).to(x)"
_QUERIES = "q = self._split(self.w_q(x))"
_KEYS_AND_VALUES = "k, v = self._split(self.w_k(context)), self._split(self.w_v(context))"
_POSITION_KEYS = "r = self._split(self.w_r(distances).unsqueeze(0))"
_CONTENT = "content = (q + self.u.unsqueeze(1)) @ k.transpose(-2, -1)"
_POSITION = "position = relative_shift((q + self.v.unsqueeze(1)) @ r.transpose(-2, -1))"
_FUTURE = "future = torch.ones(L, S, dtype=torch.bool, device=x.device).triu(1 + S - L)"
_SCORES = "scores = ((content + position) / math.sqrt(self.head_dim)).masked_fill(future, -math.inf)"
_HEADS = "heads = torch.softmax(scores, dim=-1) @ v"
_OUTPUT = "return self.w_o(heads.transpose(1, 2).flatten(2))"
_COUNT_CHECK = """            if len(memories) != len(self.layers):
                raise ValueError(f"memories must hold one for each of the {len(self.layers)} layers, got {len(memories)}")
"""
_BATCH_CHECK = """            for memory in memories:
                if memory.size(0) != token_ids.size(0):
                    raise ValueError(f"a memory has a batch of {memory.size(0)}, token_ids one of {token_ids.size(0)}")
"""
_GIVEN = "        if memories is not None:\n"
_EMBEDDED = "x = self.embedding(token_ids) * math.sqrt(self.d_model)  # (B, L, E)"
_OWN_MEMORY = "memory = None if memories is None else memories[index]\n"
_REMEMBER_AND_STEP = """            new_memories.append(self._remember(memory, x))
            x = layer(x, memory)
"""
_RESULT = "return x @ self.embedding.weight.T, new_memories"
_SEEN = "seen = x if memory is None else torch.cat([memory, x], dim=1)  # (B, M + L, E)"
_KEPT = "return seen[:, max(0, seen.size(1) - self.mem_len) :].detach()"


def _scores_with(hidden: str) -> tuple[tuple[str, str], ...]:
    return ((_SCORES, f"scores = ((content + position) / math.sqrt(self.head_dim)).masked_fill(future, {hidden})"),)


def _rolled_by(amount: str) -> tuple[tuple[str, str], ...]:
    return (
        (_PAD, ""),
        (_SHIFTED, f"return torch.stack([scores[..., i, :].roll({amount}, -1) for i in range(L)], dim=-2)"),
    )


MISCONCEPTIONS: tuple[Misconception, ...] = (
    # The encoding of distances
    Misconception(
        "distances-ascending",
        "You encode distance k in row k. Row 0 holds the farthest distance, length − 1, and the last row distance 0: columns of the scores then run "
        "like the keys, from the oldest to the newest.",
        ((_DISTANCE, "distance = torch.arange(length, dtype=torch.float64)"),),
    ),
    Misconception(
        "distances-from-one",
        "Your distances run from length down to 1. A query's distance to itself is 0, so they run from length − 1 down to 0.",
        ((_DISTANCE, "distance = torch.arange(length, 0, -1, dtype=torch.float64)"),),
    ),
    Misconception(
        "distances-negative",
        "You encode how far forward the key lies, a negative number. The distance counts backwards from the query and is ≥ 0; with the other sign "
        "every sine changes its sign.",
        ((_DISTANCE, "distance = torch.arange(1 - length, 1, dtype=torch.float64)"),),
    ),
    Misconception(
        "encoding-interleaved",
        "You let sine and cosine take turns, as in assignment 02. Here all sines come first and then all cosines, as in the paper's code.",
        ((_ENCODING, "return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)"),),
    ),
    Misconception(
        "cosines-first",
        "You put the cosines before the sines. The first half of the columns holds sines.",
        ((_ENCODING, "return torch.cat([angle.cos(), angle.sin()], dim=1)"),),
    ),
    Misconception(
        "exponent-not-doubled",
        "You use i / d_model as the exponent, where i counts the pairs; it is 2i / d_model.",
        ((_FREQUENCY, "frequency = 10000.0 ** (-torch.arange(d_model // 2, dtype=torch.float64) / d_model)"),),
    ),
    Misconception(
        "odd-width-accepted",
        "You return an encoding that is one column too wide when d_model is odd. Half of the columns are sines and half cosines, so an odd "
        "d_model is a ValueError.",
        ((_ODD, "    if d_model < 1:\n"),),
    ),
    Misconception(
        "encoding-in-float32",
        "You compute distances and angles in float32. A float64 model needs them in float64: converting the finished encoding does not bring back "
        "what was rounded away.",
        (
            (_DISTANCE, "distance = torch.arange(length - 1, -1, -1.0)"),
            (_FREQUENCY, "frequency = 1 / (10000.0 ** (torch.arange(0, d_model, 2.0) / d_model))"),
        ),
    ),
    Misconception(
        "angles-in-the-dtype-of-x",
        "You compute distances and angles in the dtype of x. bfloat16 cannot tell integers above 256 apart: far keys get a wrong distance. Compute "
        "them in high precision and round the finished encoding.",
        (
            ("def relative_positional_encoding(length: int, d_model: int)", "def relative_positional_encoding(length, d_model, dtype=torch.float64)"),
            (_DISTANCE, "distance = torch.arange(length - 1, -1, -1, dtype=dtype)"),
            (_FREQUENCY, "frequency = 10000.0 ** (-torch.arange(0, d_model, 2, dtype=dtype) / d_model)"),
            (_DISTANCES, "distances = relative_positional_encoding(S, self.d_model, x.dtype)"),
        ),
    ),
    # The shift
    Misconception(
        "nothing-shifted",
        "Your relative_shift returns the scores as they came. Column k still stands for a distance, which is at another key for every query: row i "
        "has to move left by L − 1 − i.",
        ((_PAD, ""), (_SHIFTED, "return scores.clone()")),
    ),
    Misconception(
        "pad-behind",
        "You put the column of zeros behind the scores. It goes in front: as it is, every row moves one place too far to the left, the last one too.",
        (("F.pad(scores, (1, 0))", "F.pad(scores, (0, 1))"),),
    ),
    Misconception(
        "shifted-to-the-right",
        "You move the rows to the right. Row i moves left: its distance 0 comes from the last column to key i + S − L.",
        _rolled_by("L - 1 - i"),
    ),
    Misconception(
        "shifted-by-the-row-number",
        "You move row i left by i. It is the first row that moves farthest, by L − 1, and the last one that stays.",
        _rolled_by("-i"),
    ),
    Misconception(
        "shift-counted-from-the-keys",
        "You move row i left by S − 1 − i. How far a row moves depends on the number of queries: L − 1 − i. The two agree only when there is no "
        "memory.",
        _rolled_by("i + 1 - S"),
    ),
    Misconception(
        "shift-of-squares-only",
        "Your relative_shift takes as many keys as queries for granted. With a memory S is greater than L, and each row of the result is S long.",
        ((_SHIFTED, "return padded[..., L:].reshape(*batch, L, L)"),),
    ),
    Misconception(
        "shift-of-four-dimensions-only",
        "Your relative_shift takes exactly four dimensions. There may be any number of leading ones, none too: work from the last two.",
        ((_SHAPE, "B, H, L, S = scores.shape\n    batch = (B, H)\n"),),
    ),
    Misconception(
        "shift-views-its-input",
        "You use view on the caller's scores, which works for one order in memory only. reshape copies where it has to.",
        (
            (_PAD, "flat = scores.view(*batch, L * S)\n    starts = [i * (S - 1) + L - 1 for i in range(L)]\n"),
            (_SHIFTED, "return torch.stack([flat[..., start : start + S] for start in starts], dim=-2)"),
        ),
    ),
    Misconception(
        "scores-shifted-in-place",
        "You move the rows inside the caller's tensor. Make a new one: the scores are not yours to change.",
        (
            (_PAD, "for i in range(L):\n        scores[..., i, :] = scores[..., i, :].roll(i + 1 - L, -1)\n"),
            (_SHIFTED, "return scores"),
        ),
    ),
    # Attention
    Misconception(
        "shift-not-used",
        "You add the position term as it is, with columns by distance, to the content term with columns by key. It has to go through "
        "relative_shift first.",
        ((_POSITION, "position = (q + self.v.unsqueeze(1)) @ r.transpose(-2, -1)"),),
    ),
    Misconception(
        "content-shifted-too",
        "You shift the content term as well. Its columns stand for keys from the beginning; only those of the position term stand for distances.",
        ((_CONTENT, "content = relative_shift((q + self.u.unsqueeze(1)) @ k.transpose(-2, -1))"),),
    ),
    Misconception(
        "no-scale",
        "You do not divide the scores. Both terms are divided by √D, the square root of the width of one head.",
        ((_SCORES, "scores = (content + position).masked_fill(future, -math.inf)"),),
    ),
    Misconception(
        "scale-by-d-model",
        "You divide by √d_model; the scale is √D, the square root of the width of one head, since a score adds up that many products.",
        ((_SCORES, "scores = ((content + position) / math.sqrt(self.d_model)).masked_fill(future, -math.inf)"),),
    ),
    Misconception(
        "position-not-scaled",
        "You divide the content term by √D and add the position term undivided. The sum of both is divided.",
        ((_SCORES, "scores = (content / math.sqrt(self.head_dim) + position).masked_fill(future, -math.inf)"),),
    ),
    Misconception(
        "content-not-scaled",
        "You divide the position term by √D and add the content term undivided. The sum of both is divided.",
        ((_SCORES, "scores = (content + position / math.sqrt(self.head_dim)).masked_fill(future, -math.inf)"),),
    ),
    Misconception(
        "scale-without-root",
        "You divide by D; the scale is its square root, √D.",
        ((_SCORES, "scores = ((content + position) / self.head_dim).masked_fill(future, -math.inf)"),),
    ),
    Misconception(
        "u-added-after-scaling",
        "You divide the query by √D and then add u and v, which are not divided. The whole sum, (q + u) · k + (q + v) · r, is divided.",
        (
            (_QUERIES, "q = self._split(self.w_q(x)) / math.sqrt(self.head_dim)"),
            (_SCORES, "scores = (content + position).masked_fill(future, -math.inf)"),
        ),
    ),
    Misconception(
        "u-and-v-swapped",
        "You add v in the content term and u in the position term. u belongs to the content, v to the position.",
        ((_CONTENT, _CONTENT.replace("self.u", "self.v")), (_POSITION, _POSITION.replace("self.v", "self.u"))),
    ),
    Misconception(
        "u-in-both-terms",
        "You add u in both terms. The position term has a vector of its own, v.",
        ((_POSITION, _POSITION.replace("self.v", "self.u")),),
    ),
    Misconception(
        "v-in-both-terms",
        "You add v in both terms. The content term has a vector of its own, u.",
        ((_CONTENT, _CONTENT.replace("self.u", "self.v")),),
    ),
    Misconception(
        "no-u",
        "You leave u out: the content term is (q + u) · k. It is added to the query, as what is added to a key changes all scores of a query alike.",
        ((_CONTENT, "content = q @ k.transpose(-2, -1)"),),
    ),
    Misconception(
        "no-v",
        "You leave v out: the position term is (q + v) · (w_r R).",
        ((_POSITION, "position = relative_shift(q @ r.transpose(-2, -1))"),),
    ),
    Misconception(
        "no-u-and-v",
        "You leave u and v out. They stand for the query's part of the score that does not depend on what the query is.",
        (
            (_CONTENT, "content = q @ k.transpose(-2, -1)"),
            (_POSITION, "position = relative_shift(q @ r.transpose(-2, -1))"),
        ),
    ),
    Misconception(
        "w-k-for-positions",
        "You project the encoding of distances with w_k. Content and position have a projection each: w_r is the one for positions.",
        ((_POSITION_KEYS, "r = self._split(self.w_k(distances).unsqueeze(0))"),),
    ),
    Misconception(
        "distances-not-projected",
        "You use the encoding of distances as it is. It goes through w_r first.",
        ((_POSITION_KEYS, "r = self._split(distances.unsqueeze(0))"),),
    ),
    Misconception(
        "w-k-for-values",
        "You make the values with w_k. They have a projection of their own, w_v.",
        ((_KEYS_AND_VALUES, "k, v = self._split(self.w_k(context)), self._split(self.w_k(context))"),),
    ),
    Misconception(
        "output-not-projected",
        "You return the heads side by side. They go through w_o at the end.",
        ((_OUTPUT, "return heads.transpose(1, 2).flatten(2)"),),
    ),
    Misconception(
        "heads-of-every-hth-column",
        "You give head h every H-th column of a projection. It has D columns next to each other, h·D to (h + 1)·D − 1.",
        (
            (
                "projected.unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)",
                "projected.unflatten(-1, (self.head_dim, self.num_heads)).permute(0, 3, 1, 2)",
            ),
        ),
    ),
    Misconception(
        "position-term-left-out",
        "Your scores are made of content alone, so that keys could stand in any order. The position term is missing.",
        ((_SCORES, "scores = (content / math.sqrt(self.head_dim)).masked_fill(future, -math.inf)"),),
    ),
    Misconception(
        "mask-without-memory",
        "Your mask hides key j when j > i, as if there were no memory. The segment begins at key M, so query i sees keys up to i + M, itself "
        "included.",
        ((_FUTURE, "future = torch.ones(L, S, dtype=torch.bool, device=x.device).triu(1)"),),
    ),
    Misconception(
        "no-mask",
        "You hide nothing, so queries see what comes after them. And for those keys the shift gives nothing that means anything.",
        ((_FUTURE, "future = torch.zeros(L, S, dtype=torch.bool, device=x.device)"),),
    ),
    Misconception(
        "itself-hidden",
        "Your mask hides each query's own position as well. A query sees itself, at distance 0; without a memory query 0 would see nothing at all.",
        ((_FUTURE, "future = torch.ones(L, S, dtype=torch.bool, device=x.device).triu(S - L)"),),
    ),
    Misconception(
        "one-later-key-seen",
        "Your mask begins one diagonal too late: each query sees one key after itself.",
        ((_FUTURE, "future = torch.ones(L, S, dtype=torch.bool, device=x.device).triu(2 + S - L)"),),
    ),
    Misconception(
        "oldest-keys-hidden",
        "You let every query see equally many keys and hide the oldest from later ones. A query sees the whole memory, however late it comes.",
        ((_FUTURE, f"{_FUTURE}\n        future |= torch.ones(L, S, dtype=torch.bool, device=x.device).tril(-1)"),),
    ),
    Misconception(
        "hidden-scores-zero",
        "You hide a key with a score of 0 or not far below, which is a score like any other. Its exponential has to be 0, so the score is −∞ (or far "
        "below all others).",
        _scores_with("0.0"),
    ),
    Misconception(
        "hidden-scores-minus-100",
        "You set hidden scores to a number that is not far enough below the others. Scores may be −1000 themselves; −∞ is below all.",
        _scores_with("-100.0"),
    ),
    Misconception(
        "mask-after-softmax",
        "You set weights to 0 after the softmax, so that what is left no longer adds up to 1. Hide keys before the softmax.",
        (
            (_SCORES, "scores = (content + position) / math.sqrt(self.head_dim)"),
            (_HEADS, "heads = torch.softmax(scores, dim=-1).masked_fill(future, 0.0) @ v"),
        ),
    ),
    Misconception(
        "softmax-over-queries",
        "Your softmax runs over the queries. A query's weights over its keys add up to 1: the last dimension.",
        ((_HEADS, "heads = torch.softmax(scores, dim=-2) @ v"),),
    ),
    Misconception(
        "softmax-without-maximum",
        "Your softmax takes exp of the scores as they are, which overflows above 709. Subtract each row's maximum first, or let torch.softmax do it.",
        ((_HEADS, "heads = (scores.exp() / scores.exp().sum(dim=-1, keepdim=True)) @ v"),),
    ),
    Misconception(
        "one-maximum-for-all-rows",
        "You subtract the largest of all scores. Rows may differ by thousands, and all of a row’s exponentials become 0: each row has its own maximum.",
        ((_HEADS, "powers = (scores - scores.amax().detach()).exp()\n        heads = (powers / powers.sum(dim=-1, keepdim=True)) @ v"),),
    ),
    Misconception(
        "softmax-in-float32",
        "You compute the softmax in float32 whatever x is. float64 stays float64 throughout.",
        ((_HEADS, "heads = torch.softmax(scores.float(), dim=-1).to(v) @ v"),),
    ),
    Misconception(
        "heads-joined-by-a-bare-reshape",
        "You reshape (B, H, L, D) straight to (B, L, E), which mixes positions; H must first move back behind L.",
        ((_OUTPUT, "return self.w_o(heads.reshape(x.shape))"),),
    ),
    Misconception(
        "residual-added",
        "You add x to the result. The given layer does that already.",
        ((_OUTPUT, "return x + self.w_o(heads.transpose(1, 2).flatten(2))"),),
    ),
    # Attention and its memory
    Misconception(
        "memory-ignored",
        "Your attention never looks at the memory. Keys and values come from memory and segment together.",
        ((_CONTEXT, "context = x"),),
    ),
    Misconception(
        "queries-from-the-first-keys",
        "You make queries of the first L rows of memory and segment together. The segment is the last L of them.",
        ((_QUERIES, "q = self._split(self.w_q(context[:, : x.size(1)]))"),),
    ),
    Misconception(
        "memory-behind-the-segment",
        "You put the memory behind the segment. It is what came before, so it stands in front.",
        ((_CONTEXT, "context = x if memory is None else torch.cat([x, memory.detach()], dim=1)"),),
    ),
    Misconception(
        "queries-from-the-memory-too",
        "You make queries of the memory as well, so the output is longer than x. Only the segment asks; memory and segment answer.",
        ((_QUERIES, "q = self._split(self.w_q(context))"), (_SIZES, "L = S = context.size(1)")),
    ),
    Misconception(
        "encoding-as-long-as-the-segment",
        "Your encoding covers only the L distances of the segment. With a memory the farthest key is L + M − 1 away: it needs S = L + M rows.",
        ((_DISTANCES, "distances = relative_positional_encoding(L, self.d_model).to(x)"),),
    ),
    Misconception(
        "memory-not-detached",
        "You let gradients flow into the memory. It is a constant: detach it, or the graph of one segment reaches into the one before.",
        ((_CONTEXT, "context = x if memory is None else torch.cat([memory, x], dim=1)"),),
    ),
    Misconception(
        "keys-of-the-memory-detached",
        "You cut the graph behind the projections, so w_k and w_v learn nothing from the memory. Only the memory itself is a constant.",
        (
            (
                _KEYS_AND_VALUES,
                "M = S - L\n        k = self._split(torch.cat([self.w_k(context[:, :M]).detach(), self.w_k(x)], dim=1))\n"
                "        v = self._split(torch.cat([self.w_v(context[:, :M]).detach(), self.w_v(x)], dim=1))",
            ),
        ),
    ),
    Misconception(
        "u-and-v-detached",
        "You use u and v without their gradient (detach or .data). They are learned like any weight.",
        ((_CONTENT, _CONTENT.replace("self.u", "self.u.detach()")), (_POSITION, _POSITION.replace("self.v", "self.v.detach()"))),
    ),
    Misconception(
        "w-r-without-gradient",
        "You project the encoding of distances outside the graph, so that w_r never learns. The encoding is a constant, its projection is not.",
        ((_POSITION_KEYS, "r = self._split(self.w_r(distances).unsqueeze(0)).detach()"),),
    ),
    Misconception(
        "projected-distances-kept",
        "You keep the projected encoding from one call to the next. It is made with w_r, which changes whenever the model learns or loads: only the encoding can be kept.",
        (
            (
                _POSITION_KEYS,
                'kept = self.__dict__.setdefault("kept", {})\n        if S not in kept:\n            kept[S] = self._split(self.w_r(distances).unsqueeze(0))\n        r = kept[S].to(x)',
            ),
        ),
    ),
    Misconception(
        "segment-detached",
        "You detach memory and segment together, so that no gradient reaches x by way of keys and values. Only the memory is a constant.",
        ((_CONTEXT, "context = x if memory is None else torch.cat([memory, x], dim=1).detach()"),),
    ),
    # The model
    Misconception(
        "embedding-not-scaled",
        "You do not scale the embedding. Its rows are multiplied by √d_model on the way in.",
        ((_EMBEDDED, "x = self.embedding(token_ids)"),),
    ),
    Misconception(
        "embedding-times-d-model",
        "You multiply the embedding by d_model; it is its square root, √d_model.",
        ((_EMBEDDED, "x = self.embedding(token_ids) * self.d_model"),),
    ),
    Misconception(
        "final-norm-added",
        "You normalise what the last layer gives. Its own norm is the last one: the head comes right after it.",
        ((_RESULT, "return F.layer_norm(x, (self.d_model,)) @ self.embedding.weight.T, new_memories"),),
    ),
    Misconception(
        "log-softmax-returned",
        "You return log-probabilities. Logits were asked for: what the loss makes of them is its own affair.",
        ((_RESULT, "return (x @ self.embedding.weight.T).log_softmax(dim=-1), new_memories"),),
    ),
    Misconception(
        "scaled-embedding-in-the-head",
        "You use the scaled embedding in the head as well. The logits are x times the bare weight.",
        ((_RESULT, "return x @ self.embedding.weight.T * math.sqrt(self.d_model), new_memories"),),
    ),
    Misconception(
        "head-detached",
        "You take the embedding's weight out of the graph in the head (detach or .data). It is used twice, and both uses give it a gradient.",
        ((_RESULT, "return x @ self.embedding.weight.detach().T, new_memories"),),
    ),
    Misconception(
        "absolute-positions-added",
        "You add positions to the embedding. Here only distances count, inside attention: with absolute ones a segment would not know where it "
        "stands once it is read after a memory.",
        (
            (
                _EMBEDDED,
                "x = self.embedding(token_ids) * math.sqrt(self.d_model)\n"
                "        x = x + relative_positional_encoding(x.size(1), self.d_model).flip(0).to(x)",
            ),
        ),
    ),
    Misconception(
        "outputs-remembered",
        "You keep each layer's output. The memory of a layer holds what entered it: the next segment's keys are made of the same kind of thing.",
        (
            (
                _REMEMBER_AND_STEP,
                "            x = layer(x, memory)\n            new_memories.append(self._remember(memory, x))\n",
            ),
        ),
    ),
    Misconception(
        "memory-updated-before-use",
        "You append the segment to the memory before the layer uses it, so that the layer sees the segment twice. It gets the old memory.",
        (
            (
                _REMEMBER_AND_STEP,
                "            memory = self._remember(memory, x)\n            new_memories.append(memory)\n            x = layer(x, memory)\n",
            ),
        ),
    ),
    Misconception(
        "one-memory-for-all-layers",
        "You give every layer the first memory. Each layer has its own, of its own inputs.",
        ((_OWN_MEMORY, "memory = None if memories is None else memories[0]\n"),),
    ),
    Misconception(
        "memory-of-another-layer",
        "You give layer l the memory of layer l − 1. Memory l holds what entered layer l.",
        ((_OWN_MEMORY, "memory = None if memories is None else memories[index - 1]\n"),),
    ),
    Misconception(
        "first-layer-without-memory",
        "Your first layer does not get its memory. It has one like the others: the embedded tokens of before.",
        (("            x = layer(x, memory)\n", "            x = layer(x, memory if index else None)\n"),),
    ),
    Misconception(
        "memory-not-passed-on",
        "Your layers never get the memories that were given to the model.",
        (("            x = layer(x, memory)\n", "            x = layer(x)\n"),),
    ),
    Misconception(
        "only-this-segment-remembered",
        "You keep positions of this segment only. A memory longer than the segment also keeps the end of the old one.",
        ((_SEEN, "seen = x"),),
    ),
    Misconception(
        "one-position-too-many",
        "You keep one position more than mem_len: at most that many are remembered.",
        ((_KEPT, "return seen[:, max(0, seen.size(1) - self.mem_len - 1) :].detach()"),),
    ),
    Misconception(
        "whole-segment-remembered",
        "You keep all of a segment that is longer than mem_len. The last mem_len positions remain, whatever the segment’s length.",
        ((_KEPT, "return seen[:, max(0, seen.size(1) - max(self.mem_len, x.size(1))) :].detach()"),),
    ),
    Misconception(
        "newest-first",
        "You keep the newest position first. A memory runs from the oldest to the newest, like the text.",
        (
            (_KEPT, "return seen[:, max(0, seen.size(1) - self.mem_len) :].detach().flip(1)"),
            (_OWN_MEMORY, _OWN_MEMORY.replace("memories[index]", "memories[index].flip(1)")),
        ),
    ),
    Misconception(
        "first-positions-remembered",
        "You keep the first mem_len positions. What is forgotten is the oldest: the last mem_len remain.",
        ((_KEPT, "return seen[:, : self.mem_len].detach()"),),
    ),
    Misconception(
        "new-positions-in-front",
        "You put the new positions in front of the old memory. It runs from the oldest to the newest.",
        ((_SEEN, "seen = x if memory is None else torch.cat([x, memory], dim=1)"),),
    ),
    Misconception(
        "mem-len-zero-keeps-everything",
        "For mem_len = 0 you keep everything: the slice [-0:] begins at 0. Nothing is to be kept, (B, 0, E).",
        ((_KEPT, "return seen[:, -self.mem_len :].detach()"),),
    ),
    Misconception(
        "mem-len-zero-gives-none",
        "You return no memories for mem_len = 0. There is one for each layer, (B, 0, E), so that the next call needs no special case.",
        ((_RESULT, "return x @ self.embedding.weight.T, new_memories if self.mem_len > 0 else None"),),
    ),
    Misconception(
        "mem-len-ignored",
        "You keep all of the past, whatever mem_len is.",
        ((_KEPT, "return seen.detach()"),),
    ),
    Misconception(
        "memory-padded",
        "You fill a short memory up with zeros to mem_len. Zeros are keys like any other, and they are attended to: a memory is as long as what "
        "was seen.",
        ((_KEPT, "return F.pad(seen, (0, 0, self.mem_len, 0))[:, seen.size(1) :].detach()"),),
    ),
    Misconception(
        "given-memory-padded",
        "You fill a given memory up with zeros before it is used. Zeros are keys like any other: a memory is attended to as it is.",
        (
            (
                _OWN_MEMORY,
                _OWN_MEMORY
                + "            if memory is not None:\n                memory = F.pad(memory, (0, 0, max(0, self.mem_len - memory.size(1)), 0))\n",
            ),
        ),
    ),
    Misconception(
        "memory-with-graph",
        "The memories that you return still hang on the graph of their segment. Detach them, or it grows with every segment.",
        ((_KEPT, "return seen[:, max(0, seen.size(1) - self.mem_len) :]"),),
    ),
    Misconception(
        "old-memory-with-graph",
        "You detach the new positions, but not the old memory that they are appended to. What you return carries no gradient, whatever was given.",
        (
            (_SEEN, "seen = x.detach() if memory is None else torch.cat([memory, x.detach()], dim=1)"),
            (_KEPT, "return seen[:, max(0, seen.size(1) - self.mem_len) :]"),
        ),
    ),
    Misconception(
        "given-memory-cut",
        "You cut a given memory to mem_len before it is attended to. mem_len says what is kept for the next segment; what is given is seen whole.",
        ((_OWN_MEMORY, _OWN_MEMORY.replace("memories[index]\n", "memories[index][:, max(0, memories[index].size(1) - self.mem_len) :]\n")),),
    ),
    Misconception(
        "long-memory-refused",
        "You refuse a memory that is longer than mem_len. mem_len says what is kept; what is given may have any length.",
        (
            (
                "                if memory.size(0) != token_ids.size(0):\n",
                "                if memory.size(0) != token_ids.size(0) or memory.size(1) > self.mem_len:\n",
            ),
        ),
    ),
    Misconception(
        "tuple-refused",
        "You refuse a tuple of memories. A list or a tuple may be given.",
        ((_COUNT_CHECK, _COUNT_CHECK.replace("if len(", "if not isinstance(memories, list) or len(")),),
    ),
    Misconception(
        "layer-input-detached-in-place",
        "You take a layer’s input out of the graph in place (detach_), so the layers below learn nothing. detach gives another view of it and leaves the graph alone.",
        ((_SEEN, "seen = x.detach_() if memory is None else torch.cat([memory, x.detach_()], dim=1)"),),
    ),
    Misconception(
        "memory-kept-in-the-model",
        "Your model keeps its memories between calls. The past comes in as an argument: without one there is none.",
        (
            (_EMBEDDED, f"memories = getattr(self, 'kept', None) if memories is None else memories\n        {_EMBEDDED}"),
            (_RESULT, "self.kept = new_memories\n        return x @ self.embedding.weight.T, new_memories"),
            (_OWN_MEMORY, "memory = memories[index] if memories is not None and memories[index].size(0) == x.size(0) else None\n"),
        ),
    ),
    Misconception(
        "memories-stacked",
        "You return the memories as one tensor. A list with one tensor for each layer was asked for.",
        ((_RESULT, "return x @ self.embedding.weight.T, torch.stack(new_memories)"),),
    ),
    Misconception(
        "memories-as-a-tuple",
        "You return the memories as a tuple. A list was asked for.",
        ((_RESULT, "return x @ self.embedding.weight.T, tuple(new_memories)"),),
    ),
    Misconception(
        "list-of-the-caller-changed",
        "You write the new memories into the caller's list. It is not yours to change, and a tuple cannot be changed at all.",
        (
            ("new_memories = []", "new_memories = [None] * len(self.layers) if memories is None else memories"),
            ("new_memories.append(self._remember(memory, x))", "new_memories[index] = self._remember(memory, x)"),
        ),
    ),
    Misconception(
        "count-unchecked",
        "You do not check how many memories there are. One for each layer is needed; another number is a ValueError, before anything is computed.",
        ((_COUNT_CHECK, ""),),
    ),
    Misconception(
        "too-many-accepted",
        "You refuse too few memories only. More of them than layers are a mistake, too: a ValueError.",
        ((_COUNT_CHECK, _COUNT_CHECK.replace("!=", "<")),),
    ),
    Misconception(
        "empty-list-taken-for-none",
        "You take an empty list of memories for none at all (`if memories:`). Only None says that there is no past; a list of the wrong length is a "
        "ValueError.",
        (
            (_GIVEN, "        if memories:\n"),
            (_OWN_MEMORY, "memory = memories[index] if memories else None\n"),
        ),
    ),
    Misconception(
        "batch-unchecked",
        "You leave a memory of another batch to torch.cat, whose RuntimeError names neither. It is a mistake of the caller's: a ValueError.",
        ((_BATCH_CHECK, ""),),
    ),
    Misconception(
        "batch-of-one-broadcast",
        "You repeat a memory with a batch of 1 for all sequences. Each sequence has a past of its own: another batch, 1 too, is a ValueError.",
        (
            ("                if memory.size(0) != token_ids.size(0):\n", "                if memory.size(0) not in (1, token_ids.size(0)):\n"),
            (_OWN_MEMORY, "memory = None if memories is None else memories[index].expand(x.size(0), -1, -1)\n"),
        ),
    ),
    Misconception(
        "first-memory-checked-only",
        "You check the batch of the first memory only. Each of them can be wrong.",
        (("            for memory in memories:\n", "            for memory in memories[:1]:\n"),),
    ),
    Misconception(
        "asserts-instead-of-value-error",
        "You check arguments with assert. Its AssertionError is for mistakes of your own and vanishes under python -O; a caller's mistake is a "
        "ValueError.",
        (
            (_COUNT_CHECK, "            assert len(memories) == len(self.layers)\n"),
            (_BATCH_CHECK, "            assert all(memory.size(0) == token_ids.size(0) for memory in memories)\n"),
        ),
    ),
)
