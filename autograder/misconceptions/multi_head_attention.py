"""Mistakes people make in multi-head attention, as edits of reference_solutions/multi_head_attention.py."""

from __future__ import annotations

from autograder.misconceptions.bank import Misconception

_SCALE = "scores = q @ k.transpose(-2, -1) / math.sqrt(self.head_dim)"
_CHECK_MASK = "            self._check_mask(mask, scores.shape)\n"
_FILL = "            scores = scores.masked_fill(mask, -math.inf)\n"
_SOFTMAX = "weights = torch.softmax(scores, dim=-1)"
_NO_KEYS = "            weights = weights.masked_fill(mask.all(dim=-1, keepdim=True), 0.0)\n"
_NO_KEYS_STEP = f"""        if mask is not None:
            # softmax over nothing is 0/0; a query that sees no key takes nothing from any.
{_NO_KEYS}"""
_HEADS = "heads = self.dropout(weights) @ v"
_MERGE = "output = self.w_o(heads.transpose(1, 2).flatten(2))"
_SPLIT = "return projected.unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)"
_RETURN = "return output, weights"
_MASK_TYPE = """        if mask.dtype != torch.bool:
            raise ValueError(f"mask must be bool (True = hidden), got {mask.dtype}")
"""
_MASK_RANK = "fits = mask.dim() in (2, 4) and torch.broadcast_shapes(mask.shape, scores_shape) == scores_shape"
_BATCHES = """        if not query.size(0) == key.size(0) == value.size(0):
            raise ValueError(f"batch sizes differ: {shapes}")
"""

MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "no-scale",
        "You do not divide the scores; each head's scores are divided by the square root of its width, or the softmax saturates as heads get wider.",
        ((_SCALE, "scores = q @ k.transpose(-2, -1)"),),
    ),
    Misconception(
        "scale-by-d-model",
        "You divide by √d_model; the scale is √d_k, the square root of the width of one head, since a score adds up that many products.",
        ((_SCALE, "scores = q @ k.transpose(-2, -1) / math.sqrt(self.d_model)"),),
    ),
    Misconception(
        "scale-without-root",
        "You divide by d_k itself; the scale is its square root, which is how the spread of a sum of d_k products grows.",
        ((_SCALE, "scores = q @ k.transpose(-2, -1) / self.head_dim"),),
    ),
    Misconception(
        "scale-by-key-length",
        "You divide by the square root of the number of keys; the scale depends on the width of one head only.",
        ((_SCALE, "scores = q @ k.transpose(-2, -1) / math.sqrt(k.size(-2))"),),
    ),
    Misconception(
        "split-by-view",
        "You reshape (B, L, E) straight to (B, H, L, D), which mixes positions and heads; the features are split first, then H moves in front of L.",
        ((_SPLIT, "return projected.reshape(projected.size(0), self.num_heads, -1, self.head_dim)"),),
    ),
    Misconception(
        "merge-by-view",
        "You reshape the heads (B, H, L, D) straight to (B, L, E), which mixes positions; H must first move back behind L.",
        ((_MERGE, "output = self.w_o(heads.reshape(query.shape))"),),
    ),
    Misconception(
        "heads-interleaved",
        "You give head h every H-th column of the projection; head h is one block of neighbouring columns, h·D to (h+1)·D − 1.",
        (
            (_SPLIT, "return projected.unflatten(-1, (self.head_dim, self.num_heads)).permute(0, 3, 1, 2)"),
            (_MERGE, "output = self.w_o(heads.permute(0, 2, 3, 1).flatten(2))"),
        ),
    ),
    Misconception(
        "merge-interleaved",
        "You merge the heads feature by feature; they are concatenated, all features of head 0 first, then those of head 1.",
        ((_MERGE, "output = self.w_o(heads.permute(0, 2, 3, 1).flatten(2))"),),
    ),
    Misconception(
        "heads-averaged",
        "You average the heads; they are concatenated, so that w_o can use what each of them found.",
        ((_MERGE, "output = self.w_o(heads.mean(dim=1).repeat(1, 1, self.num_heads))"),),
    ),
    Misconception(
        "no-output-projection",
        "You return the concatenated heads as they are; they still go through w_o, which mixes what the heads found.",
        ((_MERGE, "output = heads.transpose(1, 2).flatten(2)"),),
    ),
    Misconception(
        "no-output-bias",
        "You multiply by w_o's matrix and leave its bias out; the whole layer is applied, bias included.",
        ((_MERGE, "output = heads.transpose(1, 2).flatten(2) @ self.w_o.weight.T"),),
    ),
    Misconception(
        "weight-not-transposed",
        "You multiply by w_o's matrix as it is stored; a linear layer computes x Wᵀ + b, its matrix is stored (out, in).",
        ((_MERGE, "output = heads.transpose(1, 2).flatten(2) @ self.w_o.weight + (0 if self.w_o.bias is None else self.w_o.bias)"),),
    ),
    Misconception(
        "query-and-key-layers-swapped",
        "You project the query with w_k and the key with w_q; each layer belongs to the input that it is named after.",
        (("self.w_q(query)", "self.w_k(query)"), ("self.w_k(key)", "self.w_q(key)")),
    ),
    Misconception(
        "key-and-value-layers-swapped",
        "You project the key with w_v and the value with w_k; each layer belongs to the input that it is named after.",
        (("self.w_k(key)", "self.w_v(key)"), ("self.w_v(value)", "self.w_k(value)")),
    ),
    Misconception(
        "value-from-key",
        "You project the key where the value belongs; they may be two different tensors.",
        (("self.w_v(value)", "self.w_v(key)"),),
    ),
    Misconception(
        "value-not-projected",
        "You weigh the values as they come in; they are projected with w_v first, like query and key with theirs.",
        (("self.w_v(value)", "value"),),
    ),
    Misconception(
        "softmax-over-queries",
        "You normalise over the queries; each query spreads a weight of 1 over the keys, the last dimension of the scores.",
        ((_SOFTMAX, "weights = torch.softmax(scores, dim=-2)"),),
    ),
    Misconception(
        "softmax-over-heads",
        "You normalise over the heads; each query of each head spreads a weight of 1 over the keys, the last dimension of the scores.",
        ((_SOFTMAX, "weights = torch.softmax(scores, dim=1)"),),
    ),
    Misconception(
        "softmax-overflows",
        "You take the exponential of the scores as they are, which overflows; subtract each row's largest score first, or use softmax.",
        ((_SOFTMAX, "weights = scores.exp() / scores.exp().sum(dim=-1, keepdim=True)"),),
    ),
    Misconception(
        "softmax-in-float32",
        "You compute the softmax in float32; what comes in as float64 is computed in float64 throughout.",
        ((_SOFTMAX, "weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(scores.dtype)"),),
    ),
    Misconception(
        "mask-inverted",
        "You hide the keys where the mask is False; here True means hidden, the opposite of F.scaled_dot_product_attention.",
        ((_CHECK_MASK, _CHECK_MASK + "            mask = ~mask\n"),),
    ),
    Misconception(
        "mask-after-softmax",
        "You set weights to zero after the softmax, so that a row no longer adds up to 1; the scores are masked before it.",
        ((_FILL, ""), (_NO_KEYS, "            weights = weights.masked_fill(mask, 0.0)\n")),
    ),
    Misconception(
        "mask-value-too-small",
        "You put −20 in place of a hidden score, which leaves the key a small weight; a hidden weight is exactly 0.",
        ((_FILL, "            scores = scores.masked_fill(mask, -20.0)\n"),),
    ),
    Misconception(
        "mask-of-one-head-for-all",
        "You use the first head's mask for every head; a 4-D mask has a dimension for the heads.",
        ((_CHECK_MASK, _CHECK_MASK + "            mask = mask[:, :1] if mask.dim() == 4 else mask\n"),),
    ),
    Misconception(
        "mask-2d-as-padding",
        "You take a 2-D mask for one row of keys per sequence when its first size is B; a 2-D mask is always (L, S).",
        (
            (
                _CHECK_MASK,
                "            if tuple(mask.shape) == (query.size(0), key.size(1)):\n                mask = mask[:, None, None, :]\n" + _CHECK_MASK,
            ),
        ),
    ),
    Misconception(
        "mask-3d-accepted",
        "You accept a 3-D mask as (B, L, S); with as many heads as sequences nobody can tell what is meant, so it is an error.",
        ((_CHECK_MASK, "            mask = mask.unsqueeze(1) if mask.dim() == 3 else mask\n" + _CHECK_MASK),),
    ),
    Misconception(
        "mask-3d-broadcast",
        "You let a 3-D mask broadcast against the scores as (H, L, S); only 2-D and 4-D masks have a meaning, any other is an error.",
        ((_MASK_RANK, "fits = torch.broadcast_shapes(mask.shape, scores_shape) == scores_shape"),),
    ),
    Misconception(
        "mask-of-any-dtype",
        "You turn a mask of another dtype into bool in silence; a float mask usually means numbers to add, so it is an error.",
        ((_MASK_TYPE, ""), (_CHECK_MASK, _CHECK_MASK + "            mask = mask.bool()\n")),
    ),
    Misconception(
        "no-keys-nan",
        "A query whose keys are all hidden gets NaN, the softmax of nothing but −∞; its weights in that head are zeros.",
        ((_NO_KEYS_STEP, ""),),
    ),
    Misconception(
        "no-keys-mean",
        "A query whose keys are all hidden takes the mean of the values, since equal fills give equal weights; its weights in that head are zeros.",
        ((_FILL, "            scores = scores.masked_fill(mask, -1e9)\n"), (_NO_KEYS_STEP, "")),
    ),
    Misconception(
        "no-keys-nan-gradient",
        "You replace NaN in the weights, but adding −∞ to the scores leaves NaN in the gradient; fill the hidden scores instead of adding to them.",
        (
            (_FILL, "            scores = scores + torch.zeros_like(scores).masked_fill(mask, -math.inf)\n"),
            (_NO_KEYS, "            weights = torch.nan_to_num(weights)\n"),
        ),
    ),
    Misconception(
        "no-keys-loses-all-heads",
        "A query without keys in one head loses every head; only the head that hides all keys gives zeros.",
        (
            (
                _NO_KEYS,
                "            nothing = mask.expand(scores.shape).all(dim=-1, keepdim=True)\n"
                "            weights = weights.masked_fill(nothing.any(dim=1, keepdim=True), 0.0)\n",
            ),
        ),
    ),
    Misconception(
        "no-keys-zero-output",
        "You set the output of a query without keys to zero; its heads are zero, and w_o still adds its bias.",
        (
            (
                _RETURN,
                "if mask is not None:\n"
                "            nothing = mask.expand(scores.shape).all(dim=-1).all(dim=1)\n"
                "            output = output.masked_fill(nothing.unsqueeze(-1), 0.0)\n"
                "        return output, weights",
            ),
        ),
    ),
    Misconception(
        "causal-always",
        "You hide later keys although nobody asked for it; which keys are hidden is up to the mask alone.",
        (
            (
                _SOFTMAX,
                "scores = scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -math.inf)\n"
                "        weights = torch.softmax(scores, dim=-1)",
            ),
        ),
    ),
    Misconception(
        "weights-averaged-over-heads",
        "You return the mean of the heads' weights; the result has one (L, S) table for each head.",
        ((_RETURN, "return output, weights.mean(dim=1)"),),
    ),
    Misconception(
        "weights-detached",
        "You detach the weights that you return; both results are differentiable.",
        ((_RETURN, "return output, weights.detach()"),),
    ),
    Misconception(
        "weights-after-dropout",
        "You return the weights after dropout; the weights returned are those before it.",
        ((_HEADS, "weights = self.dropout(weights)\n        heads = weights @ v"),),
    ),
    Misconception(
        "no-dropout",
        "You never use dropout; in train mode it acts on the weights.",
        ((_HEADS, "heads = weights @ v"),),
    ),
    Misconception(
        "dropout-on-output",
        "You apply dropout to the output; it acts on the attention weights.",
        ((_HEADS, "heads = weights @ v"), (_MERGE, "output = self.dropout(self.w_o(heads.transpose(1, 2).flatten(2)))")),
    ),
    Misconception(
        "dropout-on-heads",
        "You apply dropout to the heads' results; it acts on the attention weights, before they meet the values.",
        ((_HEADS, "heads = self.dropout(weights @ v)"),),
    ),
    Misconception(
        "dropout-on-scores",
        "You apply dropout to the scores, where a zero is a score like any other; it acts on the weights, after the softmax.",
        ((_SOFTMAX, "weights = torch.softmax(self.dropout(scores), dim=-1)"), (_HEADS, "heads = weights @ v")),
    ),
    Misconception(
        "dropout-in-eval",
        "You drop weights in eval mode too; dropout acts in train mode only.",
        ((_HEADS, "heads = nn.functional.dropout(weights, self.dropout.p, training=True) @ v"),),
    ),
    Misconception(
        "batch-broadcast",
        "You let a batch of 1 broadcast against the others; inputs with different batch sizes are an error.",
        ((_BATCHES, ""),),
    ),
    Misconception(
        "assert-for-errors",
        "You check the inputs with AssertionError; a bad argument raises ValueError, since asserts vanish under python -O.",
        (
            ('raise ValueError(f"query, key and value must be', 'raise AssertionError(f"query, key and value must be'),
            ('raise ValueError(f"batch sizes differ', 'raise AssertionError(f"batch sizes differ'),
            ('raise ValueError(f"every key needs one value', 'raise AssertionError(f"every key needs one value'),
        ),
    ),
)
