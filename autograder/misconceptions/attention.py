"""Mistakes people make in masks and scaled dot-product attention, as edits of reference_solutions/attention.py."""

from __future__ import annotations

from autograder.misconceptions.bank import Misconception

_SCORES = "scores = query @ key.transpose(-2, -1) / math.sqrt(query.size(-1))"
_FILL = "        scores = scores.masked_fill(mask, -math.inf)\n"
_SOFTMAX = "weights = torch.softmax(scores, dim=-1)"
_NO_KEYS = "        weights = weights.masked_fill(mask.all(dim=-1, keepdim=True), 0.0)\n"
_RETURN = "return weights @ value, weights"
_CHECK_SHAPES = "    _check_shapes(query, key, value)\n"
_ASSERT_SHAPES = """    try:
        _check_shapes(query, key, value)
    except ValueError as error:
        raise AssertionError(error) from error
"""
_CHECK_MASK = "        _check_mask(mask, scores.shape)\n"
_MASK_TYPE = '    if mask.dtype != torch.bool:\n        raise ValueError(f"mask must be bool (True = hidden), got {mask.dtype}")\n    try:\n'
_MASK_FITS = "    if not fits:\n"
_LEADING = "    if not query.shape[:-2] == key.shape[:-2] == value.shape[:-2]:\n"
_IS_FUTURE = "return key_position > query_position"
_KEYS_BEFORE = "torch.arange(query_length).unsqueeze(1) + key_length - query_length"
_IS_PADDING = "return token_ids == pad_id"
_ID_CHECKS = """    if token_ids.dim() != 2:
        raise ValueError(f"token_ids must be 2-D (B, S), got shape {tuple(token_ids.shape)}")
    if token_ids.is_floating_point() or token_ids.is_complex() or token_ids.dtype == torch.bool:
        raise ValueError(f"token_ids must be integers, got {token_ids.dtype}")
"""
_NONE_LENGTH = "    if key_length is None:\n        key_length = query_length\n"
_LENGTH_CHECK = """    if query_length < 1 or key_length < 1:
        raise ValueError(f"lengths must be >= 1, got query_length={query_length}, key_length={key_length}")
"""
_COMBINED_CHECKS = """        if mask.dtype != torch.bool:
            raise ValueError(f"{name} must be a bool mask (True = hidden), got {mask.dtype}")
        if mask.dim() != 2:
            raise ValueError(f"{name} must be 2-D, got shape {tuple(mask.shape)}")
"""
_SAME_KEYS = "    if padding.size(1) != causal.size(1):\n"
_BOTH = "return padding[:, None, None, :] | causal"
_PADDING_ALONE = "return padding[:, None, None, :].clone()"
_CAUSAL_ALONE = "return causal if causal is None else causal.clone()"

MISCONCEPTIONS: tuple[Misconception, ...] = (
    # padding_mask
    Misconception(
        "padding-inverted",
        "You mark the real tokens; in this course True means hidden, so True marks the padding.",
        ((_IS_PADDING, "return token_ids != pad_id"),),
    ),
    Misconception(
        "padding-id-zero",
        "You look for 0; the padding's id is whatever pad_id says, since vocabularies differ.",
        ((_IS_PADDING, "return token_ids == 0"),),
    ),
    Misconception(
        "padding-to-the-end",
        "You hide everything after the first padding; padding may stand anywhere, also to the left, so each id decides for itself.",
        ((_IS_PADDING, "return (token_ids == pad_id).cumsum(dim=1) > 0"),),
    ),
    Misconception(
        "padding-not-bool",
        "You return numbers; a mask is bool here, so that it can never be mistaken for something to add to scores.",
        ((_IS_PADDING, "return (token_ids == pad_id).float()"),),
    ),
    Misconception(
        "padding-ids-unchecked",
        "You compare whatever comes; ids that are not 2-D integers are a caller's mistake and raise ValueError before they become a wrong mask.",
        ((_ID_CHECKS, ""),),
    ),
    # causal_mask
    Misconception(
        "causal-inverted",
        "You mark the past; True means hidden, so the keys after the query are the ones to mark.",
        ((_IS_FUTURE, "return key_position <= query_position"),),
    ),
    Misconception(
        "causal-hides-itself",
        "You hide each query's own position too; a query sees itself and all before it, else the first sees nothing.",
        ((_IS_FUTURE, "return key_position >= query_position"),),
    ),
    Misconception(
        "causal-sees-one-ahead",
        "You leave the next position visible; that is the one to be predicted, so hiding starts right after the query's own.",
        ((_IS_FUTURE, "return key_position > query_position + 1"),),
    ),
    Misconception(
        "causal-top-left",
        "You put the first query at the first key; the queries are the last positions of the keys, so the last query stands at the last key.",
        ((_KEYS_BEFORE, "torch.arange(query_length).unsqueeze(1)"),),
    ),
    Misconception(
        "causal-shift-backwards",
        "You shift by L − S; with more keys than queries each query stands S − L keys further on, not further back.",
        ((_KEYS_BEFORE, "torch.arange(query_length).unsqueeze(1) + query_length - key_length"),),
    ),
    Misconception(
        "causal-shift-never-negative",
        "You never shift below 0; when there are more queries than keys, the first ones come before every key and see none.",
        ((_KEYS_BEFORE, "torch.arange(query_length).unsqueeze(1) + max(0, key_length - query_length)"),),
    ),
    Misconception(
        "causal-square-only",
        "You return L × L whatever key_length is; the mask has a column for each key.",
        ((_NONE_LENGTH + _LENGTH_CHECK, _NONE_LENGTH + _LENGTH_CHECK + "    key_length = query_length\n"),),
    ),
    Misconception(
        "causal-zero-is-none",
        "You treat a key_length of 0 like None; no keys at all is a mistake to report, not a request for the default.",
        ((_NONE_LENGTH, "    key_length = key_length or query_length\n"),),
    ),
    Misconception(
        "causal-lengths-unchecked",
        "You accept lengths below 1; a mask without rows or columns hides the caller's mistake, so they raise ValueError.",
        ((_LENGTH_CHECK, ""),),
    ),
    Misconception(
        "causal-not-bool",
        "You return numbers; a mask is bool here, so that it can never be mistaken for something to add to scores.",
        ((_IS_FUTURE, "return (key_position > query_position).float()"),),
    ),
    # combine_masks
    Misconception(
        "combined-by-and",
        "You hide a key only when both masks do; one reason to hide it is enough.",
        ((_BOTH, "return padding[:, None, None, :] & causal"),),
    ),
    Misconception(
        "combined-causal-only",
        "You drop the padding mask when there is a causal one; a key is hidden when either mask hides it.",
        ((_BOTH, "return causal.expand(padding.size(0), 1, -1, -1)"),),
    ),
    Misconception(
        "combined-padding-hides-queries",
        "You put the padding along the queries; it belongs along the keys, the last dimension, since padding is what must not be attended to.",
        ((_BOTH, "return padding[:, None, :, None] | causal"), (_PADDING_ALONE, "return padding[:, None, :, None].clone()")),
    ),
    Misconception(
        "combined-without-heads",
        "You leave no dimension for the heads; scores are (B, H, L, S), and a mask lines up with them from the right.",
        ((_BOTH, "return padding[:, None, :] | causal"), (_PADDING_ALONE, "return padding[:, None, :].clone()")),
    ),
    Misconception(
        "combined-padding-as-it-is",
        "You return the padding mask alone as (B, S); a 2-D mask means (queries, keys), so the batch must be moved in front.",
        ((_PADDING_ALONE, "return padding.clone()"),),
    ),
    Misconception(
        "combined-needs-both",
        "You use both masks without asking whether they are there; each of them may be None.",
        (
            ("        if mask is None:\n            continue\n", ""),
            (f"    if padding is None:\n        {_CAUSAL_ALONE}\n    if causal is None:\n        {_PADDING_ALONE}  # (B, 1, 1, S)\n", ""),
        ),
    ),
    Misconception(
        "combined-none-is-a-mask",
        "You make up a mask when none is given; None says that nothing is hidden, whatever the sizes are.",
        ((_CAUSAL_ALONE, "return torch.zeros(1, 1, 1, 1, dtype=torch.bool) if causal is None else causal.clone()"),),
    ),
    Misconception(
        "combined-types-unchecked",
        "You combine whatever comes; a mask that is not bool or not 2-D raises ValueError, before it hides the wrong keys.",
        ((_COMBINED_CHECKS, ""),),
    ),
    Misconception(
        "combined-keys-unchecked",
        "You let the masks' numbers of keys differ; where one of them is 1 it is silently stretched over all keys.",
        ((_SAME_KEYS, "    if False:\n"),),
    ),
    # scaled_dot_product_attention: scores and softmax
    Misconception(
        "no-scale",
        "You do not divide the scores; they grow with the number of features, so they are divided by √D before the softmax.",
        ((_SCORES, "scores = query @ key.transpose(-2, -1)"),),
    ),
    Misconception(
        "scale-without-root",
        "You divide by D; the scale is √D, which is how the spread of a sum of D products grows.",
        ((_SCORES, "scores = query @ key.transpose(-2, -1) / query.size(-1)"),),
    ),
    Misconception(
        "scale-multiplied",
        "You multiply by √D; scores are divided by it, to keep the softmax from saturating as D grows.",
        ((_SCORES, "scores = query @ key.transpose(-2, -1) * math.sqrt(query.size(-1))"),),
    ),
    Misconception(
        "scale-by-value-width",
        "You divide by the square root of the values' width; the products sum over the features of query and key, so D is theirs.",
        ((_SCORES, "scores = query @ key.transpose(-2, -1) / math.sqrt(value.size(-1))"),),
    ),
    Misconception(
        "scale-by-key-length",
        "You divide by the square root of the number of keys; D is the number of features of a query, the last dimension.",
        ((_SCORES, "scores = query @ key.transpose(-2, -1) / math.sqrt(key.size(-2))"),),
    ),
    Misconception(
        "scale-by-query-length",
        "You divide by the square root of the number of queries; D is the number of features of a query, the last dimension.",
        ((_SCORES, "scores = query @ key.transpose(-2, -1) / math.sqrt(query.size(-2))"),),
    ),
    Misconception(
        "scale-hard-coded",
        "You divide by 8, the √64 of the paper's model; the scale follows from the inputs' own last dimension.",
        ((_SCORES, "scores = query @ key.transpose(-2, -1) / 8.0"),),
    ),
    Misconception(
        "scale-after-softmax",
        "You divide the weights by √D; it is the scores that are divided, before the softmax, and the weights sum to 1.",
        ((_SCORES, "scores = query @ key.transpose(-2, -1)"), (_SOFTMAX, "weights = torch.softmax(scores, dim=-1) / math.sqrt(query.size(-1))")),
    ),
    Misconception(
        "transpose-dimensions-1-and-2",
        "You swap dimensions 1 and 2, counted from the left; the two to swap are the last two, however many come before.",
        ((_SCORES, "scores = query @ key.transpose(1, 2) / math.sqrt(query.size(-1))"),),
    ),
    Misconception(
        "transpose-everything",
        "You reverse all dimensions of key with .T; only the last two are swapped, the batch stays where it is.",
        ((_SCORES, "scores = query @ key.permute(*range(key.dim() - 1, -1, -1)) / math.sqrt(query.size(-1))"),),
    ),
    Misconception(
        "softmax-over-queries",
        "You take the softmax over the queries; each query shares 1 between the keys, the last dimension.",
        ((_SOFTMAX, "weights = torch.softmax(scores, dim=-2)"),),
    ),
    Misconception(
        "softmax-over-dim-1",
        "You take the softmax over dimension 1, which is the keys only for a 2-D input; count from the right instead.",
        ((_SOFTMAX, "weights = torch.softmax(scores, dim=1)"),),
    ),
    Misconception(
        "softmax-over-dim-0",
        "You take the softmax over dimension 0, the batch; each query shares 1 between the keys, the last dimension.",
        ((_SOFTMAX, "weights = torch.softmax(scores, dim=0)"),),
    ),
    Misconception(
        "softmax-without-maximum",
        "You exponentiate the scores as they are, which overflows from about 700 (88 in float32); take each row's largest score off first.",
        ((_SOFTMAX, "powers = torch.exp(scores)\n    weights = powers / powers.sum(dim=-1, keepdim=True)"),),
    ),
    Misconception(
        "softmax-one-maximum-for-all",
        "You take off one maximum of the whole tensor; a row far below it underflows to 0/0, so each row needs its own.",
        ((_SOFTMAX, "powers = torch.exp(scores - scores.max())\n    weights = powers / powers.sum(dim=-1, keepdim=True)"),),
    ),
    # scaled_dot_product_attention: the mask
    Misconception(
        "mask-ignored",
        "You take a mask and do nothing with it; True marks the keys that a query must not attend to.",
        ((_FILL, ""), (_NO_KEYS, "        pass\n")),
    ),
    Misconception(
        "mask-inverted",
        "You hide what the mask leaves visible; True means hidden here, as in nn.MultiheadAttention and unlike F.scaled_dot_product_attention.",
        ((_FILL, "        scores = scores.masked_fill(~mask, -math.inf)\n"), ("mask.all(dim=-1", "(~mask).all(dim=-1")),
    ),
    Misconception(
        "mask-after-softmax",
        "You mask the weights after the softmax, so they no longer sum to 1; hidden keys must be out before it.",
        ((_FILL, ""), (_NO_KEYS, "        weights = weights.masked_fill(mask, 0.0)\n")),
    ),
    Misconception(
        "mask-multiplied-into-scores",
        "You set hidden scores to 0, an ordinary score; only one low enough that exp gives 0 takes a key out.",
        ((_FILL, "        scores = scores * ~mask\n"),),
    ),
    Misconception(
        "mask-times-minus-infinity",
        "You multiply the mask by −inf; 0 · inf is NaN, so every visible key becomes NaN. Fill the hidden places instead.",
        ((_FILL, "        scores = scores + mask * -math.inf\n"),),
    ),
    Misconception(
        "mask-fill-20",
        "You fill with −20, which leaves a hidden key a weight of about e⁻²⁰; a hidden weight is exactly 0.",
        ((_FILL, "        scores = scores.masked_fill(mask, -20.0)\n"),),
    ),
    Misconception(
        "mask-fill-100",
        "You fill with −100, which other scores can undercut and which leaves a weight above 0; a hidden weight is exactly 0.",
        ((_FILL, "        scores = scores.masked_fill(mask, -100.0)\n"),),
    ),
    Misconception(
        "mask-fill-1000",
        "You fill with −1000, which a visible score can undercut; then the hidden keys win. The fill must lie below every score there can be.",
        ((_FILL, "        scores = scores.masked_fill(mask, -1000.0)\n"),),
    ),
    Misconception(
        "no-keys-nan",
        "You leave rows without keys to the softmax, which gives NaN over nothing but −inf; such a query has zero weights and a zero output.",
        ((_NO_KEYS, "        pass\n"),),
    ),
    Misconception(
        "no-keys-mean-of-values",
        "You fill with −1e9, and a row of equal fills becomes an average over all hidden keys; such a query has zero weights and a zero output.",
        ((_FILL, "        scores = scores.masked_fill(mask, -1e9)\n"), (_NO_KEYS, "        pass\n")),
    ),
    Misconception(
        "no-keys-only-when-all",
        "You look for a mask that hides everything; a single query without keys needs its zeros too, so the question is asked row by row.",
        ((_NO_KEYS, "        weights = weights.masked_fill(mask.all(), 0.0)\n"),),
    ),
    Misconception(
        "no-keys-output-only",
        "You zero the output of a query without keys but not its weights; both results are zero there.",
        (
            (_NO_KEYS, "        pass\n"),
            (_RETURN, "output = weights @ value\n    return output.nan_to_num(0.0), weights"),
        ),
    ),
    Misconception(
        "no-keys-nan-gradient-through-value",
        "You replace NaN after multiplying by the values; 0 · NaN is NaN on the way back, and every value's gradient is lost. Clean the weights.",
        ((_NO_KEYS, "        pass\n"), (_RETURN, "return (weights @ value).nan_to_num(0.0), weights.nan_to_num(0.0)")),
    ),
    Misconception(
        "no-keys-nan-gradient-through-addition",
        "You add −inf to hidden scores; what was added lets the NaN of rows without keys through to the gradients. masked_fill stops it.",
        (
            (_FILL, "        scores = scores + torch.zeros_like(scores).masked_fill(mask, -math.inf)\n"),
            (_NO_KEYS, "        weights = weights.nan_to_num(0.0)\n"),
        ),
    ),
    Misconception(
        "mask-2d-is-padding",
        "You take a 2-D mask for (batch, keys); it is always (queries, keys), and padding comes as (B, 1, 1, S).",
        ((_CHECK_MASK, "        if mask.dim() == 2:\n            mask = mask[:, None, None, :]\n" + _CHECK_MASK),),
    ),
    Misconception(
        "mask-3d-without-heads",
        "You give a 3-D mask a dimension for the heads; it lines up from the right like any tensor, so its first dimension is the heads.",
        ((_CHECK_MASK, "        if mask.dim() == 3:\n            mask = mask.unsqueeze(1)\n" + _CHECK_MASK),),
    ),
    Misconception(
        "mask-first-of-batch",
        "You use the first sequence's mask for the whole batch; each sequence has its own padding.",
        ((_FILL, "        mask = mask[:1] if mask.dim() == 4 else mask\n" + _FILL),),
    ),
    # scaled_dot_product_attention: results and arguments
    Misconception(
        "returns-scores",
        "You return the scores beside the output; the second result is the weights, after the softmax.",
        ((_RETURN, "return weights @ value, scores"),),
    ),
    Misconception(
        "returns-output-only",
        "You return the output alone; attention returns the output and the weights.",
        ((_RETURN, "return weights @ value"),),
    ),
    Misconception(
        "results-swapped",
        "You return the weights first; the output comes first, then the weights.",
        ((_RETURN, "return weights, weights @ value"),),
    ),
    Misconception(
        "weights-detached",
        "You detach the weights that you return; both results carry gradients, since a loss may look at the weights too.",
        ((_RETURN, "return weights @ value, weights.detach()"),),
    ),
    Misconception(
        "dropout-always-on",
        "You drop weights at random; this function has no dropout, and with PyTorch's default F.dropout is on at test time too.",
        ((_SOFTMAX, "weights = torch.nn.functional.dropout(torch.softmax(scores, dim=-1), 0.1)"),),
    ),
    Misconception(
        "computed-in-float32",
        "You compute in float32 whatever comes; float64 inputs lose half of their digits on the way.",
        (
            (_SCORES, "scores = query.float() @ key.float().transpose(-2, -1) / math.sqrt(query.size(-1))"),
            (_SOFTMAX, "weights = torch.softmax(scores, dim=-1).to(query.dtype)"),
        ),
    ),
    Misconception(
        "returns-float32",
        "You return float32 whatever comes; the results have the dtype of the inputs.",
        ((_RETURN, "return (weights @ value).float(), weights.float()"),),
    ),
    Misconception(
        "query-scaled-in-place",
        "You scale the caller's query in place; it is used again elsewhere, so make a new tensor.",
        ((_SCORES, "query /= math.sqrt(query.size(-1))\n    scores = query @ key.transpose(-2, -1)"),),
    ),
    Misconception(
        "shapes-unchecked",
        "You leave shapes to torch, which stretches a batch of 1 in silence and raises RuntimeError elsewhere; check first and raise ValueError.",
        ((_CHECK_SHAPES, ""),),
    ),
    Misconception(
        "leading-dimensions-unchecked",
        "You check the last two dimensions but not those before; torch stretches a batch or head of 1 in silence.",
        ((_LEADING, "    if False:\n"),),
    ),
    Misconception(
        "shapes-asserted",
        "You check shapes with assert; wrong arguments raise ValueError, and assert vanishes when Python runs with -O.",
        (
            (
                _CHECK_SHAPES,
                _ASSERT_SHAPES,
            ),
        ),
    ),
    Misconception(
        "mask-cast-to-bool",
        "You turn any mask into bool; an additive or 0/1 mask may mean the opposite, so only bool is accepted.",
        ((_MASK_TYPE, "    try:\n"), (_FILL, "        mask = mask.bool()\n" + _FILL)),
    ),
    Misconception(
        "mask-shape-unchecked",
        "You leave the mask's shape to torch, which lets a larger mask enlarge the result and raises RuntimeError elsewhere; check that it fits.",
        ((_MASK_FITS, "    if False:\n"), (_FILL, "        scores = torch.where(mask, -math.inf, scores)\n")),
    ),
)
