"""Mistakes people make in the encoder block, its parts and the stack, as edits of reference_solutions/encoder_block.py."""

from __future__ import annotations

from autograder.misconceptions.bank import Misconception

_CENTRED = "centred = x - x.mean(dim=-1, keepdim=True)"
_VARIANCE = "variance = centred.square().mean(dim=-1, keepdim=True)"
_NORMALISED = "return centred * torch.rsqrt(variance + self.eps) * self.weight + self.bias"
_ACTIVATE = 'hidden = F.relu(hidden) if self.activation == "relu" else F.gelu(hidden)'
_LINEAR2 = "return self.linear2(self.dropout(hidden))"
_ACTIVATION_CHECK = """        if activation not in ("relu", "gelu"):
            raise ValueError(f'activation must be "relu" or "gelu", got {activation!r}')
"""
_PRE_ATTEND = "            x = x + self.dropout1(self._attend(self.norm1(x), padding_mask))\n"
_PRE_FEED = "            return x + self.dropout2(self.feed_forward(self.norm2(x)))\n"
_POST_ATTEND = "        x = self.norm1(x + self.dropout1(self._attend(x, padding_mask)))\n"
_POST_FEED = "        return self.norm2(x + self.dropout2(self.feed_forward(x)))\n"
_ORDER = "        if self.norm_first:\n"
_KEYS = "        keys = x.view_as(x)\n"
_CALL = "attended, _ = self.self_attention(x, keys, keys, key_padding_mask=padding_mask, need_weights=False)"
_CALL_WITH_ROWS = "attended, _ = self.self_attention(x, keys, keys, attn_mask=rows, need_weights=False)"
_RETURN = "        return attended  # (B, L, E)\n"
_MADE = "EncoderBlock(d_model, num_heads, d_ff, activation, dropout, norm_first) for _ in range(num_layers)"
_LAYERS = "self.layers = nn.ModuleList("
_LOOP = "        for layer in self.layers:\n            x = layer(x, padding_mask)\n"
_LAST = "return x if self.norm is None else self.norm(x)"


def _with_mask(lines: str) -> tuple[tuple[str, str], ...]:
    """An edit that runs `lines` where there is a mask, before the attention is called."""
    indented = "".join(f"            {line}\n" for line in lines.splitlines())
    return ((_KEYS, f"{_KEYS}        if padding_mask is not None:\n{indented}"),)


def _keep(indent: str) -> str:
    return f"{indent}return x if padding_mask is None else torch.where(padding_mask.unsqueeze(-1), given, x)\n"


MISCONCEPTIONS: tuple[Misconception, ...] = (
    # Layer normalisation
    Misconception(
        "variance-unbiased",
        "You divide the variance by d_model − 1, as torch.var does unless told otherwise; layer normalisation divides by d_model.",
        ((_VARIANCE, "variance = x.var(dim=-1, keepdim=True)"),),
    ),
    Misconception(
        "eps-outside-the-root",
        "You add eps to the standard deviation; it is added to the variance, inside the root, which matters where features vary little.",
        ((_NORMALISED, "return centred / (torch.sqrt(variance) + self.eps) * self.weight + self.bias"),),
    ),
    Misconception(
        "unbiased-std-plus-eps",
        "You divide by x.std() + eps: torch's standard deviation divides by d_model − 1, and eps belongs to the variance, inside the root.",
        ((_NORMALISED, "return centred / (x.std(dim=-1, keepdim=True) + self.eps) * self.weight + self.bias"),),
    ),
    Misconception(
        "no-eps",
        "You leave eps out; without it equal features give 0/0, and small ones come out too large.",
        ((_NORMALISED, "return centred * torch.rsqrt(variance) * self.weight + self.bias"),),
    ),
    Misconception(
        "eps-hard-coded",
        "You add 1e-5 whatever eps the caller asks for; it is only the default of the argument.",
        ((_NORMALISED, "return centred * torch.rsqrt(variance + 1e-5) * self.weight + self.bias"),),
    ),
    Misconception(
        "eps-1e-6",
        "Your default eps is 1e-6; here it is 1e-5, as in torch.",
        (("d_model: int, eps: float = 1e-5)", "d_model: int, eps: float = 1e-6)"),),
    ),
    Misconception(
        "eps-squared",
        "You add the square of eps to the variance; eps itself is added.",
        ((_NORMALISED, "return centred * torch.rsqrt(variance + self.eps**2) * self.weight + self.bias"),),
    ),
    Misconception(
        "eps-as-a-floor",
        "You keep the variance from falling below eps; eps is added to it, whatever it is.",
        ((_NORMALISED, "return centred * torch.rsqrt(variance.clamp(min=self.eps)) * self.weight + self.bias"),),
    ),
    Misconception(
        "divided-by-variance",
        "You divide by the variance; it is divided by its square root, so that the result has variance 1.",
        ((_NORMALISED, "return centred / (variance + self.eps) * self.weight + self.bias"),),
    ),
    Misconception(
        "mean-not-subtracted",
        "You divide by the root mean square and leave the mean in (that is RMSNorm); layer normalisation subtracts the mean first.",
        ((_CENTRED, "centred = x"),),
    ),
    Misconception(
        "variance-around-zero",
        "You subtract the mean, but your variance is the mean square of x itself; it is that of x minus its mean.",
        ((_VARIANCE, "variance = x.square().mean(dim=-1, keepdim=True)"),),
    ),
    Misconception(
        "norm-over-positions",
        "You take mean and variance over the positions, each feature on its own; they go over the features of one position, the last dimension.",
        ((_CENTRED, "centred = x - x.mean(dim=-2, keepdim=True)"), (_VARIANCE, "variance = centred.square().mean(dim=-2, keepdim=True)")),
    ),
    Misconception(
        "norm-over-the-sequence",
        "You take one mean and variance over all positions and features of a sequence; every position has its own, over its features alone.",
        (
            (_CENTRED, "every = tuple(range(-min(x.dim(), 2), 0))\n        centred = x - x.mean(dim=every, keepdim=True)"),
            (_VARIANCE, "variance = centred.square().mean(dim=every, keepdim=True)"),
        ),
    ),
    Misconception(
        "norm-over-everything",
        "You take one mean and variance over the whole tensor; every position has its own, over its features alone (dim=-1).",
        ((_CENTRED, "centred = x - x.mean()"), (_VARIANCE, "variance = centred.square().mean()")),
    ),
    Misconception(
        "dim-1-is-the-features",
        "You normalise over dim=1, which is the features only where x is 2-D; the features are the last dimension, dim=-1.",
        ((_CENTRED, "centred = x - x.mean(dim=1, keepdim=True)"), (_VARIANCE, "variance = centred.square().mean(dim=1, keepdim=True)")),
    ),
    Misconception(
        "no-weight-and-bias",
        "You return the normalised features as they are; weight and bias then scale and shift each feature, or there is nothing to learn.",
        ((_NORMALISED, "return centred * torch.rsqrt(variance + self.eps)"),),
    ),
    Misconception(
        "norm-bias-forgotten",
        "You scale by weight and never add the bias of the layer norm.",
        ((_NORMALISED, "return centred * torch.rsqrt(variance + self.eps) * self.weight"),),
    ),
    Misconception(
        "bias-before-weight",
        "You add the bias before you multiply by the weight; scale first, then shift.",
        ((_NORMALISED, "return (centred * torch.rsqrt(variance + self.eps) + self.bias) * self.weight"),),
    ),
    Misconception(
        "norm-in-float32",
        "You normalise in float32; what comes in as float64 is computed in float64 throughout.",
        (
            (_CENTRED, "centred = x.float() - x.float().mean(dim=-1, keepdim=True)"),
            (_NORMALISED, "return (centred * torch.rsqrt(variance + self.eps)).to(x.dtype) * self.weight + self.bias"),
        ),
    ),
    Misconception(
        "statistics-detached",
        "You take mean and variance out of the graph (detach, no_grad, item); they depend on x, and its gradient flows through them too.",
        (
            (_CENTRED, "centred = x - x.detach().mean(dim=-1, keepdim=True)"),
            (_VARIANCE, "variance = centred.detach().square().mean(dim=-1, keepdim=True)"),
        ),
    ),
    # The feed-forward network
    Misconception(
        "no-activation",
        "You leave the activation out, so that two linear layers are no more than one.",
        ((_ACTIVATE, "hidden = hidden + 0"),),
    ),
    Misconception(
        "activation-after-linear2",
        "You apply the activation after the second layer; it stands between the two, and the result may have any sign.",
        (
            (_ACTIVATE, "hidden = self.linear2(self.dropout(hidden))"),
            (_LINEAR2, 'return F.relu(hidden) if self.activation == "relu" else F.gelu(hidden)'),
        ),
    ),
    Misconception(
        "activation-twice",
        "You apply the activation after both layers; only the first one is followed by it.",
        ((_LINEAR2, 'return (F.relu if self.activation == "relu" else F.gelu)(self.linear2(self.dropout(hidden)))'),),
    ),
    Misconception(
        "gelu-tanh",
        "You use GELU's tanh approximation; the exact one, z times the normal distribution function of z, is asked for.",
        (("else F.gelu(hidden)", 'else F.gelu(hidden, approximate="tanh")'),),
    ),
    Misconception(
        "gelu-sigmoid",
        "You use z · sigmoid(1.702 z), an approximation of GELU; the exact one, z times the normal distribution function of z, is asked for.",
        (("else F.gelu(hidden)", "else hidden * torch.sigmoid(1.702 * hidden)"),),
    ),
    Misconception(
        "always-relu",
        'You use ReLU whatever activation was asked for; "gelu" is the exact GELU.',
        ((_ACTIVATE, "hidden = F.relu(hidden)"),),
    ),
    Misconception(
        "always-gelu",
        'You use GELU whatever activation was asked for; the default, "relu", is max(0, z).',
        ((_ACTIVATE, "hidden = F.gelu(hidden)"),),
    ),
    Misconception(
        "activation-unchecked",
        "You take any name that is not relu for gelu; a name that is neither is a ValueError, or a slip of the pen trains another model.",
        ((_ACTIVATION_CHECK, ""),),
    ),
    Misconception(
        "residual-in-feed-forward",
        "You add x inside the feed-forward network; the residual connection belongs to the block, and x would be added twice.",
        ((_LINEAR2, "return x + self.linear2(self.dropout(hidden))"),),
    ),
    # The order of norms, sub-layers and sums
    Misconception(
        "norm-first-ignored",
        "You normalise after each sum whatever norm_first says; with norm_first each sub-layer gets the normalised x instead.",
        ((_ORDER, "        if False:\n"),),
    ),
    Misconception(
        "always-norm-first",
        "You normalise before each sub-layer whatever norm_first says; the default, as in the paper, normalises each sum.",
        ((_ORDER, "        if True:\n"),),
    ),
    Misconception(
        "norm-first-swapped",
        "You have the two orders the wrong way round: norm_first=True is the one that normalises before each sub-layer.",
        ((_ORDER, "        if not self.norm_first:\n"),),
    ),
    Misconception(
        "sub-layer-normalised",
        "In post-norm you normalise what the sub-layer gives and then add x; the sum is normalised, x and all.",
        (
            (_POST_ATTEND, "        x = x + self.norm1(self.dropout1(self._attend(x, padding_mask)))\n"),
            (_POST_FEED, "        return x + self.norm2(self.dropout2(self.feed_forward(x)))\n"),
        ),
    ),
    Misconception(
        "residual-normalised",
        "With norm_first you add the sub-layer's result to the normalised x; it is added to x itself, which nothing on the way around changes.",
        (
            (_PRE_ATTEND, "            x = self.norm1(x)\n            x = x + self.dropout1(self._attend(x, padding_mask))\n"),
            (_PRE_FEED, "            x = self.norm2(x)\n            return x + self.dropout2(self.feed_forward(x))\n"),
        ),
    ),
    Misconception(
        "normalised-before-and-after",
        "With norm_first you normalise after the sums as well; there only what a sub-layer gets is normalised.",
        (
            (_PRE_ATTEND, "            x = self.norm1(x + self.dropout1(self._attend(self.norm1(x), padding_mask)))\n"),
            (_PRE_FEED, "            return self.norm2(x + self.dropout2(self.feed_forward(self.norm2(x))))\n"),
        ),
    ),
    Misconception(
        "only-the-query-normalised",
        "With norm_first you normalise the query and attend to keys and values that are not; all three are norm1(x).",
        (
            (_PRE_ATTEND, "            x = x + self.dropout1(self._attend(self.norm1(x), padding_mask, x))\n"),
            ("padding_mask: Tensor | None) -> Tensor:", "padding_mask: Tensor | None, source: Tensor | None = None) -> Tensor:"),
            (_KEYS, "        keys = x.view_as(x) if source is None else source\n"),
        ),
    ),
    Misconception(
        "value-not-normalised",
        "With norm_first you normalise query and key and take x as it is for the value; all three are norm1(x).",
        (
            (_PRE_ATTEND, "            x = x + self.dropout1(self._attend(self.norm1(x), padding_mask, x))\n"),
            ("padding_mask: Tensor | None) -> Tensor:", "padding_mask: Tensor | None, value: Tensor | None = None) -> Tensor:"),
            (_CALL, _CALL.replace("keys, keys", "keys, keys if value is None else value")),
        ),
    ),
    Misconception(
        "first-norm-first-missing",
        "With norm_first your attention gets x as it is; it gets norm1(x), as the feed-forward network gets norm2(x).",
        ((_PRE_ATTEND, "            x = x + self.dropout1(self._attend(x, padding_mask))\n"),),
    ),
    Misconception(
        "second-norm-first-missing",
        "With norm_first your feed-forward network gets x as it is; it gets norm2(x), as attention gets norm1(x).",
        ((_PRE_FEED, "            return x + self.dropout2(self.feed_forward(x))\n"),),
    ),
    Misconception(
        "parallel-sub-layers",
        "With norm_first your feed-forward network works on the x that came into the block; it works on the sum after attention.",
        (
            (_PRE_ATTEND, "            attended = self.dropout1(self._attend(self.norm1(x), padding_mask))\n"),
            (_PRE_FEED, "            return x + attended + self.dropout2(self.feed_forward(self.norm2(x)))\n"),
        ),
    ),
    Misconception(
        "feed-forward-first",
        "You run the feed-forward network before attention; attention is the first sub-layer, in both orders.",
        (
            (_PRE_ATTEND, "            x = x + self.dropout2(self.feed_forward(self.norm2(x)))\n"),
            (_PRE_FEED, "            return x + self.dropout1(self._attend(self.norm1(x), padding_mask))\n"),
            (_POST_ATTEND, "        x = self.norm2(x + self.dropout2(self.feed_forward(x)))\n"),
            (_POST_FEED, "        return self.norm1(x + self.dropout1(self._attend(x, padding_mask)))\n"),
        ),
    ),
    Misconception(
        "one-norm-for-both",
        "You use norm1 after both sub-layers; the second has a norm of its own, norm2.",
        ((_POST_FEED, "        return self.norm1(x + self.dropout2(self.feed_forward(x)))\n"),),
    ),
    Misconception(
        "norms-swapped",
        "You use norm2 with attention and norm1 with the feed-forward network; they are numbered in the order of the sub-layers.",
        (
            (_POST_ATTEND, "        x = self.norm2(x + self.dropout1(self._attend(x, padding_mask)))\n"),
            (_POST_FEED, "        return self.norm1(x + self.dropout2(self.feed_forward(x)))\n"),
        ),
    ),
    Misconception(
        "no-residual-around-attention",
        "You do not add x to what attention gives; without the way around it, a position loses what it was.",
        ((_POST_ATTEND, "        x = self.norm1(self.dropout1(self._attend(x, padding_mask)))\n"),),
    ),
    Misconception(
        "no-residual-around-feed-forward",
        "You do not add x to what the feed-forward network gives; both sub-layers have a way around them.",
        ((_POST_FEED, "        return self.norm2(self.dropout2(self.feed_forward(x)))\n"),),
    ),
    Misconception(
        "residual-from-the-block-input",
        "After the feed-forward network you add the x that came into the block; what is added is what that sub-layer got.",
        (
            (_POST_ATTEND, "        attended = self.norm1(x + self.dropout1(self._attend(x, padding_mask)))\n"),
            (_POST_FEED, "        return self.norm2(x + self.dropout2(self.feed_forward(attended)))\n"),
        ),
    ),
    Misconception(
        "no-norm-between",
        "You normalise once, at the end of the block; post-norm normalises the sum after attention too.",
        ((_POST_ATTEND, "        x = x + self.dropout1(self._attend(x, padding_mask))\n"),),
    ),
    Misconception(
        "no-norm-at-the-end",
        "You return the sum after the feed-forward network as it is; post-norm normalises that sum too, by norm2.",
        ((_POST_FEED, "        return x + self.dropout2(self.feed_forward(x))\n"),),
    ),
    Misconception(
        "causal-mask-too",
        "You hide later positions as a decoder does; in an encoder every position sees all that is not padding.",
        (
            (
                _CALL,
                "later = torch.ones(x.size(1), x.size(1), dtype=torch.bool).triu(1)\n"
                "        attended, _ = self.self_attention(x, keys, keys, key_padding_mask=padding_mask, attn_mask=later, need_weights=False)",
            ),
        ),
    ),
    Misconception(
        "length-first",
        "You turn x to (length, batch, features) for nn.MultiheadAttention, which was made with batch_first=True: so sequences attend to each other.",
        ((_KEYS, "        x = x.transpose(0, 1)\n" + _KEYS), (_RETURN, "        return attended.transpose(0, 1)\n")),
    ),
    Misconception(
        "sum-in-place",
        "You add to x in place (+=), so the caller's x changes as well. Make a new tensor.",
        ((_PRE_ATTEND, "            x += self.dropout1(self._attend(self.norm1(x), padding_mask))\n"),),
    ),
    # Padding
    Misconception(
        "mask-ignored",
        "You never use padding_mask; nn.MultiheadAttention takes it as key_padding_mask.",
        (("key_padding_mask=padding_mask, ", ""),),
    ),
    Misconception(
        "mask-inverted",
        "You hide the tokens and show the padding; True means hidden here and in nn.MultiheadAttention, so the mask needs no ~.",
        _with_mask("padding_mask = ~padding_mask"),
    ),
    Misconception(
        "need-weights",
        "You call nn.MultiheadAttention with need_weights=True, its default; in that case a sequence that is all padding gives NaN.",
        ((", need_weights=False)", ")"),),
    ),
    Misconception(
        "nan-to-num",
        "You replace the NaN of a sequence without keys by 0; attention takes nothing there, but its output projection still adds a bias.",
        ((", need_weights=False)", ")\n        attended = torch.nan_to_num(attended)"),),
    ),
    Misconception(
        "empty-sequence-sees-all",
        "You take the mask off a sequence that is all padding; there attention sees nothing, and gives the bias of its output projection.",
        _with_mask("padding_mask = padding_mask & ~padding_mask.all(dim=-1, keepdim=True)"),
    ),
    Misconception(
        "empty-sequence-sees-first",
        "You show a sequence that is all padding its first key; there attention sees nothing, and gives the bias of its output projection.",
        _with_mask("padding_mask = padding_mask.clone()\npadding_mask[padding_mask.all(dim=-1), 0] = False"),
    ),
    Misconception(
        "mask-value-too-small",
        "You add −20 to hidden scores, which leaves padding a small weight and makes nothing of it beside low scores; a hidden weight is exactly 0.",
        _with_mask("padding_mask = x.new_zeros(padding_mask.shape).masked_fill(padding_mask, -20.0)"),
    ),
    Misconception(
        "mask-value-1e9",
        "You add −1e9 to hidden scores: where all of them are hidden that hides none. "
        "A sequence of padding alone has to give the bias of the output projection.",
        _with_mask("padding_mask = x.new_zeros(padding_mask.shape).masked_fill(padding_mask, -1e9)"),
    ),
    Misconception(
        "mask-as-numbers",
        "You turn padding_mask into numbers; those are added to the scores, so a 1 raises the weight of padding. Hand the bool mask on as it is.",
        _with_mask("padding_mask = padding_mask.to(x.dtype)"),
    ),
    Misconception(
        "nan-made-bias",
        "You replace a NaN after it has arisen: the value is right then, but the NaN comes back in the gradient. need_weights=False does not make one.",
        ((", need_weights=False)", ")\n        attended = torch.where(attended.isnan(), self.self_attention.out_proj.bias, attended)"),),
    ),
    Misconception(
        "padding-taken-for-the-end",
        "You count the tokens of a sequence and hide what comes after that many; padding may stand anywhere, so use the mask itself.",
        _with_mask("padding_mask = torch.arange(x.size(1)) >= (~padding_mask).sum(dim=-1, keepdim=True)"),
    ),
    Misconception(
        "mask-of-the-first-sequence",
        "You use the first sequence's mask for all of them; each row of padding_mask is for the sequence of that row.",
        _with_mask("padding_mask = padding_mask[:1].expand_as(padding_mask)"),
    ),
    Misconception(
        "mask-rows-out-of-order",
        "Your mask for heads repeats the whole batch; the heads of one sequence stand together there (repeat_interleave). "
        "key_padding_mask takes padding_mask as it is.",
        (
            (
                _CALL,
                "rows = None\n"
                "        if padding_mask is not None:\n"
                "            rows = padding_mask[:, None, :].expand(-1, x.size(1), -1).repeat(self.self_attention.num_heads, 1, 1)\n"
                f"        {_CALL_WITH_ROWS}",
            ),
        ),
    ),
    Misconception(
        "padding-guessed",
        "You take positions whose features are all 0 for padding; only padding_mask says what is padding, and without it nothing is.",
        ((_LOOP, "        if padding_mask is None:\n            padding_mask = (x == 0).all(dim=-1)\n" + _LOOP),),
    ),
    Misconception(
        "mask-hides-queries",
        "You hide the rows of padded queries and let everybody see the padding; the mask hides keys: columns of the scores, the same for each query.",
        (
            (
                _CALL,
                "rows = None\n"
                "        if padding_mask is not None:\n"
                "            rows = padding_mask[:, :, None].expand(-1, -1, x.size(1)).repeat_interleave(self.self_attention.num_heads, 0)\n"
                f"        {_CALL_WITH_ROWS}",
            ),
        ),
    ),
    Misconception(
        "mask-hides-queries-too",
        "You hide keys and the rows of padded queries as well; a padded query sees what is not padding, like any other.",
        (
            (
                _CALL,
                "rows = None\n"
                "        if padding_mask is not None:\n"
                "            rows = padding_mask[:, :, None].expand(-1, -1, x.size(1)).repeat_interleave(self.self_attention.num_heads, 0)\n"
                "        attended, _ = self.self_attention(x, keys, keys, attn_mask=rows, key_padding_mask=padding_mask, need_weights=False)",
            ),
        ),
    ),
    Misconception(
        "padding-attention-zeroed",
        "You set what attention gives to padded positions to 0; the mask hides keys only, and such a row is computed like any other.",
        ((_RETURN, "        return attended if padding_mask is None else attended.masked_fill(padding_mask.unsqueeze(-1), 0.0)\n"),),
    ),
    Misconception(
        "padding-zeroed-first",
        "You set padding to 0 in place of hiding it; a key of zeros still gets a score, a weight, and a share of the values' bias.",
        (
            (_KEYS, "        keys = x if padding_mask is None else x.masked_fill(padding_mask.unsqueeze(-1), 0.0)\n"),
            ("key_padding_mask=padding_mask, ", ""),
        ),
    ),
    Misconception(
        "padding-zeroed-in-x",
        "You set padding in x to 0 before the block works on it; hiding the keys is all the mask does, and a padded row keeps its own features.",
        ((_ORDER, f"        if padding_mask is not None:\n            x = x.masked_fill(padding_mask.unsqueeze(-1), 0.0)\n{_ORDER}"),),
    ),
    Misconception(
        "padded-rows-kept",
        "You give padded rows back as they came; the mask hides keys only, and such rows are computed like any other.",
        (
            (_ORDER, f"        given = x\n{_ORDER}"),
            (_PRE_FEED, "            x = x + self.dropout2(self.feed_forward(self.norm2(x)))\n" + _keep("            ")),
            (_POST_FEED, "        x = self.norm2(x + self.dropout2(self.feed_forward(x)))\n" + _keep("        ")),
        ),
    ),
    Misconception(
        "padding-output-zeroed",
        "Your encoder sets the rows of padding to 0; the mask hides keys only, and such rows are computed like any other.",
        ((_LOOP, _LOOP + "        if padding_mask is not None:\n            x = x.masked_fill(padding_mask.unsqueeze(-1), 0.0)\n"),),
    ),
    # Dropout
    Misconception(
        "no-residual-dropout",
        "You never use dropout1 and dropout2; each drops values of what its sub-layer gives, before the sum.",
        (
            (_PRE_ATTEND, "            x = x + self._attend(self.norm1(x), padding_mask)\n"),
            (_PRE_FEED, "            return x + self.feed_forward(self.norm2(x))\n"),
            (_POST_ATTEND, "        x = self.norm1(x + self._attend(x, padding_mask))\n"),
            (_POST_FEED, "        return self.norm2(x + self.feed_forward(x))\n"),
        ),
    ),
    Misconception(
        "no-second-dropout",
        "You never use dropout2; it drops values of what the feed-forward network gives. The dropout inside that network is another one.",
        (
            (_PRE_FEED, "            return x + self.feed_forward(self.norm2(x))\n"),
            (_POST_FEED, "        return self.norm2(x + self.feed_forward(x))\n"),
        ),
    ),
    Misconception(
        "dropout-after-the-sum",
        "You drop values of the sum, x and all; dropout acts on what the sub-layer gives, and the way around stays open.",
        (
            (_PRE_ATTEND, "            x = self.dropout1(x + self._attend(self.norm1(x), padding_mask))\n"),
            (_PRE_FEED, "            return self.dropout2(x + self.feed_forward(self.norm2(x)))\n"),
            (_POST_ATTEND, "        x = self.norm1(self.dropout1(x + self._attend(x, padding_mask)))\n"),
            (_POST_FEED, "        return self.norm2(self.dropout2(x + self.feed_forward(x)))\n"),
        ),
    ),
    Misconception(
        "dropout-after-the-norm",
        "In post-norm you drop values of what the norm gives; dropout acts on what the sub-layer gives, before it is added to x.",
        (
            (_POST_ATTEND, "        x = self.dropout1(self.norm1(x + self._attend(x, padding_mask)))\n"),
            (_POST_FEED, "        return self.dropout2(self.norm2(x + self.feed_forward(x)))\n"),
        ),
    ),
    Misconception(
        "no-dropout-in-feed-forward",
        "You never use the dropout of the feed-forward network; it stands between the activation and linear2.",
        ((_LINEAR2, "return self.linear2(hidden)"),),
    ),
    Misconception(
        "dropout-after-linear2",
        "You drop values of what linear2 gives; inside the network dropout acts after the activation, and the block has another one for its result.",
        ((_LINEAR2, "return self.dropout(self.linear2(hidden))"),),
    ),
    Misconception(
        "dropout-twice-in-feed-forward",
        "You drop values after the activation and again after linear2; what the network gives is dropped once, by the block's dropout2.",
        ((_LINEAR2, "return self.dropout(self.linear2(self.dropout(hidden)))"),),
    ),
    Misconception(
        "dropout-before-the-activation",
        "You drop values before the activation; with GELU that is not the same as after it, where dropout belongs.",
        ((_ACTIVATE, f"hidden = self.dropout(hidden)\n        {_ACTIVATE}"), (_LINEAR2, "return self.linear2(hidden)")),
    ),
    Misconception(
        "feed-forward-dropout-always",
        "You drop values in eval mode too: F.dropout does so unless it is told that training is over (training=self.training).",
        ((_LINEAR2, "return self.linear2(F.dropout(hidden, self.dropout.p))"),),
    ),
    Misconception(
        "dropout-before-the-blocks",
        "Your encoder drops values of x before its first block; that dropout belongs to the embeddings, and the encoder has none of its own.",
        ((_LOOP, "        x = F.dropout(x, self.layers[0].dropout1.p, self.training)\n" + _LOOP),),
    ),
    Misconception(
        "no-attention-dropout",
        "Your attention drops nothing; nn.MultiheadAttention is made with the block's dropout, which then acts on its weights.",
        (("(d_model, num_heads, dropout=dropout, batch_first=True)", "(d_model, num_heads, batch_first=True)"),),
    ),
    # The stack
    Misconception(
        "layers-share-weights",
        "Your blocks are one block, several times: a list times n repeats the object. Make a new EncoderBlock for each layer.",
        ((_MADE, "[EncoderBlock(d_model, num_heads, d_ff, activation, dropout, norm_first)] * num_layers"),),
    ),
    Misconception(
        "layers-in-a-list",
        "You keep the blocks in a plain list, where no optimizer and no state dict finds their weights; nn.ModuleList is the list for layers.",
        ((_LAYERS, "self.layers = list("),),
    ),
    Misconception(
        "first-layer-only",
        "You call the first block again and again; each layer is called once, in order.",
        ((_LOOP, "        for _ in self.layers:\n            x = self.layers[0](x, padding_mask)\n"),),
    ),
    Misconception(
        "last-layer-skipped",
        "You stop before every block has had its turn; all of them are called, in order.",
        (("for layer in self.layers:", "for layer in self.layers[: max(1, len(self.layers) - 1)]:"),),
    ),
    Misconception(
        "layers-in-reverse",
        "You call the blocks from the last to the first; layers[0] comes first.",
        (("for layer in self.layers:", "for layer in reversed(self.layers):"),),
    ),
    Misconception(
        "every-layer-from-the-input",
        "You give the encoder's input to each block and keep the last result; each block works on what the one before it gave.",
        ((_LOOP, "        given = x\n        for layer in self.layers:\n            x = layer(given, padding_mask)\n"),),
    ),
    Misconception(
        "mask-not-passed-on",
        "Your encoder does not hand padding_mask to its blocks; every one of them needs it.",
        (("x = layer(x, padding_mask)", "x = layer(x)"),),
    ),
    Misconception(
        "mask-for-the-first-layer-only",
        "You give padding_mask to the first block alone; padding is still padding after it, so every block needs the mask.",
        ((_LOOP, "        for i, layer in enumerate(self.layers):\n            x = layer(x, padding_mask if i == 0 else None)\n"),),
    ),
    Misconception(
        "no-final-norm",
        "You return what the last block gives; with norm_first nothing has normalised that sum yet, so the encoder's norm does.",
        ((_LAST, "return x"),),
    ),
    Misconception(
        "final-norm-in-the-loop",
        "You normalise after every block; the encoder's norm comes once, after the last one.",
        (
            (_LOOP, _LOOP + "            x = x if self.norm is None else self.norm(x)\n"),
            (_LAST, "return x"),
        ),
    ),
    Misconception(
        "always-a-final-norm",
        "Your encoder has a final norm without norm_first too; there the last block has normalised already.",
        (("self.norm = LayerNorm(d_model) if norm_first else None", "self.norm = LayerNorm(d_model)"),),
    ),
    Misconception(
        "residual-around-the-stack",
        "You add the encoder's input to what its blocks give; every block has its own residual connections, the stack has none.",
        ((_LOOP, "        given = x\n" + _LOOP + "        x = given + x\n"),),
    ),
)
