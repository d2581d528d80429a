"""What students get wrong about 09_flash_attention."""

from __future__ import annotations

from autograder.misconceptions.bank import Misconception

Edits = tuple[tuple[str, str], ...]

_DEFAULT = "scale = 1.0 / math.sqrt(query.size(-1)) if scale is None else scale\n"
_FORWARD_SCALE = f"    _check(query, key, value, block_q, block_k)\n    {_DEFAULT}"
_BACKWARD_SCALE = f"    _check_results(grad_output, output, logsumexp, query, value)\n    {_DEFAULT}"
_Q = "        q = queries[:, rows].to(wide) * scale  # (N, Bq, D)\n"
_FORWARD_QUERY = f"{_Q}        # The lowest"
_BACKWARD_QUERY = f"{_Q}        d_out ="
_FORWARD_LOOP = f"    for rows in _blocks(L, block_q):\n{_Q}        # The lowest"
_BACKWARD_LOOP = f"    for rows in _blocks(L, block_q):\n{_Q}        d_out"
_FORWARD_TILES = "        for columns in _visible_blocks(rows, L, S, block_k, causal):\n            scores ="
_BACKWARD_TILES = "        for columns in _visible_blocks(rows, L, S, block_k, causal):\n            k, v ="
_FORWARD_HIDE = "            _hide_future(scores, rows, columns, L, S, causal)\n            higher ="
_BACKWARD_HIDE = "            _hide_future(scores, rows, columns, L, S, causal)\n            weights ="
_START = "highest = q.new_full((*q.shape[:2], 1), torch.finfo(wide).min)  # (N, Bq, 1)"
_HIGHER = "higher = torch.maximum(highest, scores.amax(dim=-1, keepdim=True))"
_WEIGHTS = "weights = scores.sub_(higher).exp_()  # (N, Bq, Bk), in place: a fresh tile costs more than its arithmetic"
_SHRINK = "shrink = torch.exp(highest - higher)  # (N, Bq, 1)"
_TOTAL = "total.mul_(shrink).add_(weights.sum(dim=-1, keepdim=True))"
_SUMMED = "summed.mul_(shrink).baddbmm_(weights, values[:, columns].to(wide))"
_OUTPUT = "outputs[:, rows] = (summed / total.masked_fill(total == 0, 1.0)).to(output.dtype)"
_LOGSUMEXP = "logsumexps[:, rows] = highest + torch.log(total)  # log 0 = -inf"
_LOGSUMEXP_DTYPE = "logsumexp = query.new_empty(query.shape[:-1], dtype=wide)  # (..., L)"
_OUTPUT_EMPTY = "output = query.new_empty(*query.shape[:-1], value.size(-1))  # (..., L, Dv)"
_NOT_DIVIDED = "outputs[:, rows] = summed.to(output.dtype)"
# As whoever lets autograd look on writes it: autograd refuses what changes tensors that it saved.
_OUT_OF_PLACE: Edits = (
    (_WEIGHTS, "weights = torch.exp(scores - higher)"),
    (_TOTAL, "total = total * shrink + weights.sum(dim=-1, keepdim=True)"),
    (_SUMMED, "summed = summed * shrink + weights @ values[:, columns].to(wide)"),
)
_BLOCKS = "    for start in range(0, length, block):\n"
_VISIBLE = "visible = min(S, rows.stop + S - L) if causal else S"
_VISIBLE_TEST = "        if columns.start < visible:\n"
_KEY_BLOCKS = "    for columns in _blocks(S, block_k):\n"
_HIDE_TEST = "if causal and columns.stop - 1 > rows.start + S - L:"
_POSITION = "query_position = torch.arange(rows.start, rows.stop, device=scores.device).unsqueeze(1) + S - L  # (Bq, 1)"
_FUTURE = "scores.masked_fill_(key_position > query_position, -math.inf)"
_DELTA = "delta = (d_out * outputs[:, rows].to(wide)).sum(dim=-1, keepdim=True)  # (N, Bq, 1)"
_NORM = "(norms,) = _matrices(logsumexp.masked_fill(logsumexp == -math.inf, 0.0).unsqueeze(-1))  # (N, L, 1)"
_AGAIN = "weights = scores.sub_(norms[:, rows]).exp_()  # (N, Bq, Bk)"
_GRAD_VALUE = "grad_values[:, columns].baddbmm_(weights.mT, d_out)"
_GRAD_SCORES = "grad_scores = torch.bmm(d_out, v.mT).sub_(delta).mul_(weights)  # (N, Bq, Bk)"
_GRAD_QUERY = "grad_queries[:, rows].baddbmm_(grad_scores, k)"
_GRAD_KEY = "grad_keys[:, columns].baddbmm_(grad_scores.mT, q)  # q carries the scale"
_RESULTS = "return grad_query.mul_(scale).to(query.dtype), grad_key.to(key.dtype), grad_value.to(value.dtype)"
_SAVE = "ctx.save_for_backward(query, key, value, output, logsumexp)"
_SETTINGS = "ctx.settings = (causal, scale, block_q, block_k)"
_GRADIENTS = "gradients = flash_attention_backward(grad_output, *ctx.saved_tensors, *ctx.settings)"
_APPLY = "return FlashAttention.apply(query, key, value, causal, scale, block_q, block_k)"
_CHECK = """    shapes = f"query {tuple(query.shape)}, key {tuple(key.shape)}, value {tuple(value.shape)}"
"""
_CHECK_LEAD = "    if not query.shape[:-2] == key.shape[:-2] == value.shape[:-2]:\n"
_MESSAGES = ('f"query, key and value', 'f"leading', 'f"query and key must', 'f"every key', 'f"blocks')
_CHECK_BLOCKS = "    if block_q < 1 or block_k < 1:\n"


def _default_scale(expression: str) -> Edits:
    """Another default in the forward and in the backward pass."""
    return tuple((old, old.replace(_DEFAULT, f"{expression}\n")) for old in (_FORWARD_SCALE, _BACKWARD_SCALE))


def _wide(expression: str) -> Edits:
    line = "    wide = torch.float64 if query.dtype == torch.float64 else torch.float32\n"
    return tuple((old + line, old + f"    wide = {expression}\n") for old in (_FORWARD_SCALE, _BACKWARD_SCALE))


def _with(old: str, line: str, new: str) -> tuple[str, str]:
    """An edit of one line of a longer text, which is there to tell the forward pass from the backward one."""
    return old, old.replace(line, new)


_LOOP = "_blocks(L, block_q)"
_TILES = "_visible_blocks(rows, L, S, block_k, causal)"

MISCONCEPTIONS: tuple[Misconception, ...] = (
    # The running softmax
    Misconception(
        "output-not-rescaled",
        "When a later tile raises the running maximum, you do not shrink the output summed so far. It was made with exp(score − old maximum), so "
        "it has to be multiplied by exp(old maximum − new maximum), like the denominator.",
        ((_SUMMED, "summed.baddbmm_(weights, values[:, columns].to(wide))"),),
    ),
    Misconception(
        "denominator-not-rescaled",
        "When a later tile raises the running maximum, you do not shrink the denominator summed so far. It has to be multiplied by exp(old "
        "maximum − new maximum), like the output.",
        ((_TOTAL, "total.add_(weights.sum(dim=-1, keepdim=True))"),),
    ),
    Misconception(
        "rescaled-the-wrong-way",
        "You rescale by exp(new maximum − old maximum). What was summed before shrinks when the maximum grows: exp(old − new), never above 1.",
        ((_SHRINK, "shrink = torch.where(total == 0, 0.0, torch.exp(higher - highest))"),),
    ),
    Misconception(
        "maximum-of-the-tile-only",
        "You subtract each tile's own maximum, not the running one. When a later tile scores far lower, what was summed before is blown up by "
        "exp(large) and overflows; the maximum may only grow.",
        ((_HIGHER, "higher = scores.amax(dim=-1, keepdim=True).clamp_min(torch.finfo(wide).min)"),),
    ),
    Misconception(
        "maximum-starts-at-zero",
        "Your running maximum starts at 0. Where all scores of a row are far below 0, every exponential underflows to 0 and 0 is divided by 0. It"
        " starts at −∞, below anything that comes.",
        ((_START, "highest = q.new_zeros(*q.shape[:2], 1)"),),
    ),
    Misconception(
        "one-maximum-for-the-tile",
        "You subtract one maximum from the whole tile. Rows of a tile may lie thousands apart, and the low ones underflow; each row needs its own"
        " maximum.",
        ((_HIGHER, "higher = torch.maximum(highest, scores.amax(dim=(-2, -1), keepdim=True))"),),
    ),
    Misconception(
        "no-maximum",
        "You take exp of the scores as they are. Scores of a few hundred overflow, and very low ones all become 0; subtract each row's running "
        "maximum first.",
        ((_HIGHER, "higher = torch.zeros_like(highest)"), (_START, "highest = q.new_zeros(*q.shape[:2], 1)")),
    ),
    Misconception(
        "never-divided",
        "You do not divide by the denominator. The sum of exp(score) · value over all tiles becomes an average only when it is divided by the sum"
        " of exp(score), once, at the end.",
        ((_OUTPUT, _NOT_DIVIDED),),
    ),
    Misconception(
        "divided-in-every-tile",
        "You divide by the running denominator in every tile and then go on adding to the quotient. Either divide once, after the last tile, or "
        "undo the earlier division first.",
        (
            (_SUMMED, f"{_SUMMED}\n            summed = summed / total.masked_fill(total == 0, 1.0)"),
            (_OUTPUT, _NOT_DIVIDED),
        ),
    ),
    Misconception(
        "softmax-of-each-tile",
        "You take a softmax within each tile and add the results. Each then counts as much as any other, whatever its scores; the denominator "
        "belongs to the whole row.",
        (
            (_SUMMED, "summed.baddbmm_(torch.nan_to_num(weights / weights.sum(dim=-1, keepdim=True)), values[:, columns].to(wide))"),
            (_OUTPUT, _NOT_DIVIDED),
        ),
    ),
    Misconception(
        "small-number-in-the-denominator",
        "You add a small number to the denominator, against a division by 0. That changes every output; a sum of 0 happens only where a query sees "
        "nothing, and only there something else is divided by.",
        ((_OUTPUT, "outputs[:, rows] = (summed / (total + 1e-6)).to(output.dtype)"),),
    ),
    # logsumexp
    Misconception(
        "logsumexp-without-the-sum",
        "Your logsumexp is the running maximum alone. The logarithm of the denominator has to be added to it.",
        ((_LOGSUMEXP, "logsumexps[:, rows] = highest.masked_fill(total == 0, -math.inf)"),),
    ),
    Misconception(
        "logsumexp-without-the-maximum",
        "Your logsumexp is the logarithm of the denominator alone. The denominator was made with scores less their maximum, which has to be added"
        " again.",
        ((_LOGSUMEXP, "logsumexps[:, rows] = torch.log(total)"),),
    ),
    Misconception(
        "logsumexp-to-base-2",
        "Your logsumexp is a logarithm to base 2. Kernels like that because exp2 is fast; the contract asks for the natural one.",
        ((_LOGSUMEXP, "logsumexps[:, rows] = (highest + torch.log(total)) / math.log(2)"),),
    ),
    Misconception(
        "logsumexp-of-unscaled-scores",
        "The maximum in your logsumexp is that of scores without the scale. It is about the scaled scores throughout.",
        ((_LOGSUMEXP, "logsumexps[:, rows] = highest / scale + torch.log(total) if scale else highest + torch.log(total)"),),
    ),
    # The scale
    Misconception(
        "no-scale", "Without a scale of the caller's you use none. None means 1 / √D.", _default_scale("scale = 1.0 if scale is None else scale")
    ),
    Misconception(
        "scale-by-d",
        "Your default scale is 1 / D; it is 1 / √D.",
        _default_scale("scale = 1.0 / query.size(-1) if scale is None else scale"),
    ),
    Misconception(
        "scale-by-width-of-values",
        "Your default scale is made from the width of the values. It is 1 / √D, where D is the width of queries and keys: their products are what"
        " grows.",
        _default_scale("scale = 1.0 / math.sqrt(value.size(-1)) if scale is None else scale"),
    ),
    Misconception(
        "scale-zero-is-none",
        "You take a scale of 0.0 for none given: `scale or …` looks at truth, and 0.0 is false. Only None means the default.",
        _default_scale("scale = scale or 1.0 / math.sqrt(query.size(-1))"),
    ),
    Misconception(
        "scale-ignored",
        "You always scale by 1 / √D, whatever scale the caller asks for.",
        _default_scale("scale = 1.0 / math.sqrt(query.size(-1))"),
    ),
    Misconception(
        "scale-ignored-in-backward",
        "Your backward pass always uses 1 / √D, though the forward pass uses the caller's scale.",
        (_with(_BACKWARD_SCALE, _DEFAULT, "scale = 1.0 / math.sqrt(query.size(-1))\n"),),
    ),
    Misconception(
        "scale-never-negative",
        "You take the scale's absolute value. A negative scale is one like any other: it prefers the keys that the query disagrees with.",
        _default_scale("scale = 1.0 / math.sqrt(query.size(-1)) if scale is None else abs(scale)"),
    ),
    # Lengths and blocks
    Misconception(
        "tail-dropped",
        "You count blocks with length // block, so the rest after the last full block is dropped. The last block may be shorter, but it counts.",
        (
            (_BLOCKS, "    for start in range(0, length // block * block, block) or (0,):\n"),
            (_OUTPUT_EMPTY, "output = query.new_zeros(*query.shape[:-1], value.size(-1))"),
            (_LOGSUMEXP_DTYPE, "logsumexp = query.new_zeros(query.shape[:-1], dtype=wide)"),
        ),
    ),
    Misconception(
        "padded-keys-join",
        "You fill the last tile of keys up with zeros and let them take part. A key of zeros has score 0, not −∞, and takes its share of the "
        "softmax.",
        (
            (
                _OUTPUT_EMPTY,
                "if S > block_k and S % block_k:\n"
                "        key, value = (torch.nn.functional.pad(x, (0, 0, 0, -S % block_k)) for x in (key, value))\n"
                f"        S = key.size(-2)\n    {_OUTPUT_EMPTY}",
            ),
        ),
    ),
    Misconception(
        "blocks-must-divide",
        "You refuse lengths that are not multiples of the block. Any length and any block ≥ 1 are legal: the last block is a shorter one.",
        ((_BLOCKS, '    if length > block and length % block:\n        raise ValueError(f"{length} is not a multiple of {block}")\n' + _BLOCKS),),
    ),
    Misconception(
        "as-many-keys-as-queries",
        "You run over as many keys as there are queries. Keys have a length of their own, S.",
        ((_KEY_BLOCKS, "    for columns in _blocks(min(L, S), block_k):\n"),),
    ),
    Misconception(
        "output-as-wide-as-a-query",
        "Your output has as many features as a query. It is a mean of values, so it has theirs: (…, L, Dv).",
        (
            (_OUTPUT_EMPTY, "output = query.new_zeros(query.shape)"),
            (_OUTPUT, "outputs[:, rows] = (summed / total.masked_fill(total == 0, 1.0)).to(output.dtype).expand_as(outputs[:, rows])"),
        ),
    ),
    Misconception(
        "four-dimensions-only",
        "You take for granted that there are a batch and heads. Any leading dimensions are legal, none too.",
        ((_CHECK, f"    batch, heads, length, width = query.shape\n{_CHECK}"),),
    ),
    # Causal
    Misconception(
        "causal-ignored",
        "You ignore causal: later keys are seen as well.",
        ((_VISIBLE, "visible = S"), (_HIDE_TEST, "if False:")),
    ),
    Misconception(
        "causal-aligned-top-left",
        "Your causal mask starts at the top left: query i sees keys 0 … i. Queries are the last ones of the sequence, so the offset S − L is "
        "added: the last query sees the last key.",
        (
            (_VISIBLE, "visible = min(S, rows.stop) if causal else S"),
            (_HIDE_TEST, "if causal and columns.stop - 1 > rows.start:"),
            (_POSITION, "query_position = torch.arange(rows.start, rows.stop, device=scores.device).unsqueeze(1)"),
        ),
    ),
    Misconception(
        "causal-hides-itself",
        "You hide the key at the query's own position too. A query sees itself and all before it: j ≤ i + S − L.",
        (
            (_HIDE_TEST, "if causal and columns.stop - 1 >= rows.start + S - L:"),
            (_FUTURE, "scores.masked_fill_(key_position >= query_position, -math.inf)"),
        ),
    ),
    Misconception(
        "causal-shows-one-too-many",
        "You show each query one key of its future. The last visible key is j = i + S − L.",
        (
            (_VISIBLE, "visible = min(S, rows.stop + S - L + 1) if causal else S"),
            (_FUTURE, "scores.masked_fill_(key_position > query_position + 1, -math.inf)"),
        ),
    ),
    Misconception(
        "causal-skips-the-diagonal",
        "You skip every tile that has a hidden pair. On the diagonal some pairs of a tile are visible and some are not: such a tile is computed "
        "and masked.",
        ((_VISIBLE_TEST, "        if not causal or columns.stop <= rows.start + S - L + 1:\n"),),
    ),
    Misconception(
        "causal-by-number-of-tile",
        "You skip a tile when its number among the keys is higher than that of the queries. That is right only for equal blocks and L = S: "
        "compare the positions of the last query and the first key.",
        (
            ("block_k: int, causal: bool) -> Iterator[slice]:", "block_k: int, causal: bool, block_q: int) -> Iterator[slice]:"),
            _with(_FORWARD_TILES, _TILES, "_visible_blocks(rows, L, S, block_k, causal, block_q)"),
            _with(_BACKWARD_TILES, _TILES, "_visible_blocks(rows, L, S, block_k, causal, block_q)"),
            (_VISIBLE_TEST, "        if not causal or columns.start // block_k <= rows.start // block_q:\n"),
        ),
    ),
    Misconception(
        "causal-masks-tiles-on-the-diagonal-only",
        "You mask only a tile that begins on the diagonal. With unequal blocks, or S ≠ L, the diagonal crosses other tiles too.",
        ((_HIDE_TEST, "if causal and columns.start == rows.start + S - L:"),),
    ),
    Misconception(
        "causal-within-the-tile",
        "You compare positions within the tile, not within the sequence, so every tile gets the same triangle. Add where the tile begins.",
        (
            (_HIDE_TEST, "if causal:"),
            (_POSITION, "query_position = torch.arange(rows.stop - rows.start, device=scores.device).unsqueeze(1) + S - L"),
            (
                "key_position = torch.arange(columns.start, columns.stop, device=scores.device)  # (Bk,)",
                "key_position = torch.arange(columns.stop - columns.start, device=scores.device)",
            ),
        ),
    ),
    Misconception(
        "hidden-scores-at-minus-100",
        "You give hidden pairs a score of −100. Where the visible scores lie lower, the hidden ones win; use −∞.",
        ((_FUTURE, "scores.masked_fill_(key_position > query_position, -100.0)"),),
    ),
    Misconception(
        "maximum-of-hidden-scores-too",
        "Your running maximum counts hidden scores. Where one lies far above all visible ones, every visible exponential underflows to 0; hide "
        "first, then take the maximum.",
        (
            _with(_FORWARD_HIDE, "            _hide_future(scores, rows, columns, L, S, causal)\n", ""),
            (_HIGHER, f"{_HIGHER}\n            _hide_future(scores, rows, columns, L, S, causal)"),
        ),
    ),
    Misconception(
        "hidden-weights-times-zero-in-backward",
        "Your backward pass takes exp of hidden scores and multiplies by 0 afterwards. A hidden score may lie far above the row's logsumexp: exp "
        "is ∞ there, and ∞ times 0 is NaN. Hide the score.",
        (
            _with(_BACKWARD_HIDE, "            _hide_future(scores, rows, columns, L, S, causal)\n", ""),
            (
                _AGAIN,
                "seen = torch.zeros_like(scores)\n"
                "            _hide_future(seen, rows, columns, L, S, causal)\n"
                "            weights = scores.sub_(norms[:, rows]).exp_() * (seen == 0)",
            ),
        ),
    ),
    # Queries without keys
    Misconception(
        "nan-without-keys",
        "A query that sees no key becomes NaN: its maximum is still −∞, and −∞ − (−∞) is not a number. Such a row has output 0.",
        ((_START, "highest = q.new_full((*q.shape[:2], 1), -math.inf)"),),
    ),
    Misconception(
        "zero-over-zero-without-keys",
        "A query that sees no key becomes NaN: its denominator is 0, and 0 / 0 is not a number. Such a row has output 0.",
        ((_OUTPUT, "outputs[:, rows] = (summed / total).to(output.dtype)"),),
    ),
    Misconception(
        "average-without-keys",
        "A query that sees no key averages some values: a fill like −1e9 is then the row's maximum, and exp(0) = 1. Such a row has output 0 and "
        "logsumexp −∞.",
        ((_FUTURE, "scores.masked_fill_(key_position > query_position, -1e9)"),),
    ),
    Misconception(
        "logsumexp-zero-without-keys",
        "The logsumexp of a query that sees no key is 0 here. The logarithm of an empty sum is −∞.",
        ((_LOGSUMEXP, "logsumexps[:, rows] = torch.where(total > 0, highest + torch.log(total), 0.0)"),),
    ),
    Misconception(
        "gradient-nan-without-keys",
        "In the backward pass a query that sees no key gives NaN: exp(−∞ − (−∞)). Its weights are 0, and so is all that comes of them.",
        ((_NORM, "(norms,) = _matrices(logsumexp.unsqueeze(-1))"),),
    ),
    Misconception(
        "logsumexp-plus-infinity-without-keys",
        "The logsumexp of a query that sees no key is +∞ here. That is handy in the backward pass, but the logarithm of an empty sum is −∞.",
        ((_LOGSUMEXP, "logsumexps[:, rows] = torch.where(total > 0, highest + torch.log(total), math.inf)"),),
    ),
    # The backward pass
    Misconception(
        "no-delta",
        "You leave out the row sums of dO · O. The softmax's derivative is P · (dP − Σ P · dP), and that sum is Σ dO · O.",
        ((_GRAD_SCORES, "grad_scores = torch.bmm(d_out, v.mT).mul_(weights)"),),
    ),
    Misconception(
        "delta-is-a-mean",
        "You average dO · O over the features; delta is their sum.",
        ((_DELTA, "delta = (d_out * outputs[:, rows].to(wide)).mean(dim=-1, keepdim=True)"),),
    ),
    Misconception(
        "delta-within-the-tile",
        "You sum P · dP over one tile only. The softmax ran over the whole row: use Σ dO · O, which knows all of it.",
        (
            (
                _GRAD_SCORES,
                "grad_weights = torch.bmm(d_out, v.mT)\n"
                "            grad_scores = weights * (grad_weights - (weights * grad_weights).sum(dim=-1, keepdim=True))",
            ),
        ),
    ),
    Misconception(
        "gradient-of-query-not-scaled",
        "Your gradient of the query lacks the scale. The score is scale · q · k, so its derivative by q is scale · k.",
        ((_RESULTS, "return grad_query.to(query.dtype), grad_key.to(key.dtype), grad_value.to(value.dtype)"),),
    ),
    Misconception(
        "gradient-of-key-not-scaled",
        "Your gradient of the key lacks the scale. The score is scale · q · k, so its derivative by k is scale · q.",
        ((_GRAD_KEY, "grad_keys[:, columns].baddbmm_(grad_scores.mT, queries[:, rows].to(wide))"),),
    ),
    Misconception(
        "gradient-of-key-scaled-twice",
        "Your gradient of the key has the scale twice: the query was scaled already when you multiplied by it and by the scale.",
        ((_RESULTS, "return grad_query.mul_(scale).to(query.dtype), grad_key.mul_(scale).to(key.dtype), grad_value.to(value.dtype)"),),
    ),
    Misconception(
        "weights-from-unscaled-scores",
        "Your backward pass makes the weights again from scores without the scale, but logsumexp is about scaled scores.",
        (
            (
                "            scores = torch.bmm(q, k.mT)  # (N, Bq, Bk)\n",
                "            scores = torch.bmm(queries[:, rows].to(wide), k.mT)\n",
            ),
        ),
    ),
    Misconception(
        "weights-normalised-in-the-tile",
        "Your backward pass makes the weights again by a softmax over one tile. They are normalised by the whole row: exp(score − logsumexp).",
        ((_AGAIN, "weights = torch.nan_to_num(torch.softmax(scores, dim=-1))"),),
    ),
    Misconception(
        "weights-not-normalised",
        "Your backward pass takes exp(score − maximum of the tile) for the weights. They are exp(score − logsumexp), which has the denominator in"
        " it.",
        ((_AGAIN, "weights = torch.exp(scores - scores.amax(dim=-1, keepdim=True).clamp_min(-1e30))"),),
    ),
    Misconception(
        "gradient-of-value-overwritten",
        "Each block of queries overwrites the gradient of the values. A value is seen by all blocks of queries: add them up.",
        ((_GRAD_VALUE, "grad_values[:, columns] = torch.bmm(weights.mT, d_out)"),),
    ),
    Misconception(
        "gradient-of-query-overwritten",
        "Each tile of keys overwrites the gradient of its queries. A query sees all tiles of keys: add them up.",
        ((_GRAD_QUERY, "grad_queries[:, rows] = torch.bmm(grad_scores, k)"),),
    ),
    Misconception(
        "gradient-of-key-overwritten",
        "Each block of queries overwrites the gradient of the keys. A key is seen by all blocks of queries: add them up.",
        ((_GRAD_KEY, "grad_keys[:, columns] = torch.bmm(grad_scores.mT, q)"),),
    ),
    Misconception(
        "no-mask-in-backward",
        "Your backward pass makes the weights again without the causal mask, so hidden pairs get gradients.",
        (_with(_BACKWARD_HIDE, "            _hide_future(scores, rows, columns, L, S, causal)\n", ""),),
    ),
    Misconception(
        "delta-added",
        "You add the row sums of dO · O to dP. The softmax's derivative subtracts them: P · (dP − δ).",
        ((_GRAD_SCORES, "grad_scores = torch.bmm(d_out, v.mT).add_(delta).mul_(weights)"),),
    ),
    # Layouts, dtypes, calls
    Misconception(
        "grad-output-by-view",
        "You reshape grad_output with .view, which asks for contiguous memory and fails for a transposed one. Use .reshape, or none at all.",
        (
            (
                _DELTA,
                "flat = grad_output.view(-1, L, value.size(-1))[:, rows].to(wide)\n"
                "        delta = (flat * outputs[:, rows].to(wide)).sum(dim=-1, keepdim=True)",
            ),
        ),
    ),
    Misconception(
        "query-scaled-in-place",
        "You scale the caller's query in place: a slice of a tensor shares its memory. Make a new tensor.",
        (_with(_FORWARD_QUERY, "queries[:, rows].to(wide) * scale", "queries[:, rows].detach().to(wide).mul_(scale)"),),
    ),
    Misconception(
        "logsumexp-changed-in-place",
        "Your backward pass replaces −∞ in the caller's logsumexp. Make a new tensor: masked_fill, not masked_fill_.",
        ((_NORM, "(norms,) = _matrices(logsumexp.masked_fill_(logsumexp == -math.inf, 0.0).unsqueeze(-1))"),),
    ),
    Misconception(
        "float32-throughout",
        "You compute in float32 even for float64 inputs. float64 is computed in float64 throughout.",
        (*_wide("torch.float32"), (_LOGSUMEXP_DTYPE, "logsumexp = torch.empty(query.shape[:-1])")),
    ),
    Misconception(
        "output-in-float32",
        "Your output is float32 whatever the inputs are in low precision. Results have the dtype of the inputs; only logsumexp stays float32.",
        ((_OUTPUT_EMPTY, "output = query.new_empty(*query.shape[:-1], value.size(-1), dtype=wide)"),),
    ),
    Misconception(
        "logsumexp-in-low-precision",
        "Your logsumexp has the dtype of the inputs. For bfloat16 and float16 it is float32: the backward pass takes an exponential of it.",
        ((_LOGSUMEXP_DTYPE, "logsumexp = query.new_empty(query.shape[:-1])"),),
    ),
    Misconception(
        "gradients-in-float32",
        "Your gradients are float32 for inputs in low precision. Each gradient has the dtype of its input.",
        ((_RESULTS, "return grad_query.mul_(scale), grad_key, grad_value"),),
    ),
    Misconception(
        "settings-on-the-class",
        "You keep causal, scale and the blocks on the class, where the next call overwrites them before the first one is differentiated. They "
        "belong on ctx.",
        (
            (_SETTINGS, "FlashAttention.settings = (causal, scale, block_q, block_k)"),
            (_GRADIENTS, _GRADIENTS.replace("ctx.settings", "FlashAttention.settings")),
        ),
    ),
    Misconception(
        "gradients-in-another-order",
        "FlashAttention.backward returns the gradients in another order than forward takes its arguments: first query, then key, then value.",
        (
            (
                _GRADIENTS,
                f"first, *others = {_GRADIENTS.removeprefix('gradients = ')}\n        gradients = (others[0], first, others[1])",
            ),
        ),
    ),
    Misconception(
        "settings-lost",
        "flash_attention does not hand all its settings on: the scale is lost on the way to FlashAttention.apply.",
        ((_APPLY, "return FlashAttention.apply(query, key, value, causal, None, block_q, block_k)"),),
    ),
    Misconception(
        "nothing-for-the-settings",
        "FlashAttention.backward returns three gradients for seven arguments. Arguments without a gradient get None.",
        (("return (*gradients, None, None, None, None)", "return gradients"),),
    ),
    Misconception(
        "batch-of-one-stretched",
        "You let leading dimensions differ, so a batch of 1 is stretched without a word. Equal leading dimensions are asked for: check them first.",
        ((_CHECK_LEAD, "    if False:\n"),),
    ),
    Misconception(
        "blocks-not-checked",
        "You do not check the block sizes. A block below 1 is a ValueError that names it.",
        (
            (_CHECK_BLOCKS, "    if False:\n"),
            (_OUTPUT_EMPTY, "output = query.new_zeros(*query.shape[:-1], value.size(-1))"),
            (_LOGSUMEXP_DTYPE, "logsumexp = query.new_zeros(query.shape[:-1], dtype=wide)"),
        ),
    ),
    Misconception(
        "shapes-not-checked",
        "You do not check whether query, key and value fit together, so what does not fit fails somewhere inside with another error, or not at all.",
        ((_CHECK, f"    if True:\n        return\n{_CHECK}"),),
    ),
    Misconception(
        "output-changed-in-place",
        "Your backward pass multiplies the caller's output by grad_output in place. Make a new tensor for the product.",
        ((_DELTA, "delta = outputs[:, rows].mul_(grad_outputs[:, rows]).to(wide).sum(dim=-1, keepdim=True)"),),
    ),
    Misconception(
        "logsumexp-in-float64",
        "Your logsumexp is always float64. It is float32 for float32 and below, and float64 for float64 alone.",
        ((_LOGSUMEXP_DTYPE, "logsumexp = query.new_empty(query.shape[:-1], dtype=torch.float64)"),),
    ),
    Misconception(
        "causal-lost",
        "flash_attention does not hand causal on, so every query sees every key.",
        ((_APPLY, "return FlashAttention.apply(query, key, value, False, scale, block_q, block_k)"),),
    ),
    Misconception(
        "blocks-swapped",
        "flash_attention hands its blocks on in the wrong order: block_q is for queries, block_k for keys.",
        ((_APPLY, "return FlashAttention.apply(query, key, value, causal, scale, block_k, block_q)"),),
    ),
    Misconception(
        "causal-forgotten-for-backward",
        "FlashAttention.forward does not keep causal for its backward pass, which then counts hidden pairs.",
        ((_SETTINGS, "ctx.settings = (False, scale, block_q, block_k)"),),
    ),
    Misconception(
        "all-gradients-or-none",
        "FlashAttention.backward gives no gradient at all unless query, key and value all want one. Any of them may want one alone.",
        ((_GRADIENTS, f"if not all(ctx.needs_input_grad[:3]):\n            return (None,) * 7\n        {_GRADIENTS}"),),
    ),
    Misconception(
        "detached",
        "The result of flash_attention is cut off from its inputs: no gradient flows. Return what FlashAttention.apply gives, as it is.",
        ((_APPLY, f"{_APPLY}.detach()"),),
    ),
    Misconception(
        "another-error",
        "You refuse bad arguments with another error than ValueError. An assert is switched off by python -O, and callers wait for a ValueError.",
        tuple((f"raise ValueError({start}", f"raise AssertionError({start}") for start in _MESSAGES),
    ),
    Misconception(
        "backward-checks-nothing",
        "Your backward function does not check its arguments. It can be called by itself: blocks below 1 and shapes that do not fit are ValueErrors there too.",
        ((f"    _check(query, key, value, block_q, block_k)\n{_BACKWARD_SCALE}", f"    {_DEFAULT}"),),
    ),
    # Cost
    Misconception(
        "blocks-ignored",
        "You use tiles of 64 × 64 whatever the caller asks for. Smaller blocks are asked for where memory is short: block_q and block_k say how large a tile is.",
        (
            (_FORWARD_SCALE, f"{_FORWARD_SCALE}    block_q = block_k = 64\n"),
            (_BACKWARD_SCALE, f"{_BACKWARD_SCALE}    block_q = block_k = 64\n"),
        ),
    ),
    Misconception(
        "forward-in-two-passes",
        "You go through the keys twice, first for the maximum and the sum, then for the output: three products for each tile. The running values make one pass do.",
        (
            (_SUMMED, "pass"),
            (
                _OUTPUT,
                "for columns in _visible_blocks(rows, L, S, block_k, causal):\n"
                "            weights = torch.bmm(q, keys[:, columns].to(wide).mT)\n"
                "            _hide_future(weights, rows, columns, L, S, causal)\n"
                "            summed.baddbmm_(weights.sub_(highest).exp_(), values[:, columns].to(wide))\n"
                f"        {_OUTPUT}",
            ),
        ),
    ),
    Misconception(
        "nothing-tiled",
        "You compute ordinary attention and let autograd differentiate it: the whole matrix of scores is made, kept and differentiated. It has to"
        " be done tile by tile, forward and backward, without ever holding that matrix.",
        (
            _with(_FORWARD_LOOP, _LOOP, "_blocks(L, L)"),
            _with(_FORWARD_TILES, _TILES, "_visible_blocks(rows, L, S, S, causal)"),
            _with(_BACKWARD_LOOP, _LOOP, "_blocks(L, L)"),
            _with(_BACKWARD_TILES, _TILES, "_visible_blocks(rows, L, S, S, causal)"),
            *_OUT_OF_PLACE,
            (_APPLY, "return flash_attention_forward(query, key, value, causal, scale, block_q, block_k)[0]"),
        ),
    ),
    Misconception(
        "forward-not-tiled",
        "Your forward pass makes the whole matrix of scores at once. That is what tiles are there to avoid: at no time may more than a tile of it"
        " exist.",
        (_with(_FORWARD_LOOP, _LOOP, "_blocks(L, L)"), _with(_FORWARD_TILES, _TILES, "_visible_blocks(rows, L, S, S, causal)")),
    ),
    Misconception(
        "forward-tiles-over-queries-only",
        "Your forward pass takes a block of queries against all keys at once: a strip whose size grows with S. The keys come in blocks too.",
        (_with(_FORWARD_TILES, _TILES, "_visible_blocks(rows, L, S, S, causal)"),),
    ),
    Misconception(
        "forward-tiles-over-keys-only",
        "Your forward pass takes all queries against a block of keys at once: a strip whose size grows with L. The queries come in blocks too.",
        (_with(_FORWARD_LOOP, _LOOP, "_blocks(L, L)"),),
    ),
    Misconception(
        "whole-mask",
        "You make the causal mask as a whole, L × S. It is as large as the matrix of scores that you avoid; each tile's part follows from its "
        "positions.",
        (
            (_POSITION, "future = torch.ones(L, S, dtype=torch.bool).triu(S - L + 1)"),
            ("        key_position = torch.arange(columns.start, columns.stop, device=scores.device)  # (Bk,)\n", ""),
            (_FUTURE, "scores.masked_fill_(future[rows, columns], -math.inf)"),
        ),
    ),
    Misconception(
        "backward-not-tiled",
        "Your backward pass makes the whole matrix of weights at once. It needs no more than a tile of it at a time, like the forward pass.",
        (_with(_BACKWARD_LOOP, _LOOP, "_blocks(L, L)"), _with(_BACKWARD_TILES, _TILES, "_visible_blocks(rows, L, S, S, causal)")),
    ),
    Misconception(
        "backward-tiles-over-queries-only",
        "Your backward pass takes a block of queries against all keys at once: a strip whose size grows with S. The keys come in blocks too.",
        (_with(_BACKWARD_TILES, _TILES, "_visible_blocks(rows, L, S, S, causal)"),),
    ),
    Misconception(
        "backward-tiles-over-keys-only",
        "Your backward pass takes all queries against a block of keys at once: a strip whose size grows with L. The queries come in blocks too.",
        (_with(_BACKWARD_LOOP, _LOOP, "_blocks(L, L)"),),
    ),
    Misconception(
        "autograd-through-the-tiles",
        "You let autograd differentiate the tiled forward pass. It saves every tile of weights for later: the whole matrix, in pieces. Only "
        "inputs, output and logsumexp may be kept, and tiles are made again.",
        (
            *_OUT_OF_PLACE,
            (_APPLY, "return flash_attention_forward(query, key, value, causal, scale, block_q, block_k)[0]"),
        ),
    ),
    Misconception(
        "forward-skips-nothing",
        "Your causal forward pass computes tiles that lie wholly in the future and then hides them: twice the work. Skip them.",
        (_with(_FORWARD_TILES, _TILES, "_blocks(S, block_k)"),),
    ),
    Misconception(
        "backward-skips-nothing",
        "Your causal backward pass computes tiles that lie wholly in the future and then hides them: twice the work. Skip them.",
        (_with(_BACKWARD_TILES, _TILES, "_blocks(S, block_k)"),),
    ),
    Misconception(
        "backward-products-twice",
        "Your backward pass makes seven products for each tile where five do: scores and dO Vᵀ twice, once for the queries and once for the keys, or "
        "the forward pass again. All three gradients can be summed in one sweep, from the output and logsumexp that are given.",
        (
            (
                _GRAD_KEY,
                "scores_again = torch.bmm(q, k.mT)\n"
                "            _hide_future(scores_again, rows, columns, L, S, causal)\n"
                "            weights_again = scores_again.sub_(norms[:, rows]).exp_()\n"
                "            grad_scores_again = torch.bmm(d_out, v.mT).sub_(delta).mul_(weights_again)\n"
                "            grad_keys[:, columns].baddbmm_(grad_scores_again.mT, q)",
            ),
        ),
    ),
)
