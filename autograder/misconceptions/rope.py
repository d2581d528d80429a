"""What students get wrong about 08_rope, as edits of reference_solutions/rope.py."""

from __future__ import annotations

from autograder.misconceptions.bank import Misconception

_HEAD_DIM_CHECK = """    if head_dim < 2 or head_dim % 2 != 0:
        raise ValueError(f"head_dim must be even and >= 2, got {head_dim}")
"""
_FREQUENCIES = "return base ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)"
_WIDTH = "turned = D if rotary_dim is None else rotary_dim"
_WIDTH_CHECK = """    if turned % 2 != 0 or not 2 <= turned <= D:
        raise ValueError(f"rotary_dim must be even and in 2 ... {D}, got {turned}")
"""
_LAYOUT_CHECK = """    if layout not in ("interleaved", "half"):
        raise ValueError(f'layout must be "interleaved" or "half", got {layout!r}')
"""
_ANGLE = "angle = positions.unsqueeze(-1) * rotary_frequencies(turned, base).to(positions.device)  # (..., L, turned / 2), float64"
_WIDE = "wide = x.dtype if x.dtype in (torch.float32, torch.float64) else torch.float32"
_COS_SIN = "cos, sin = angle.cos().to(wide), angle.sin().to(wide)"
_FRONT = "front = x[..., :turned].to(wide)"
_CHOICE = 'if layout == "interleaved":'
_NEIGHBOURS = "a, b = front[..., 0::2], front[..., 1::2]  # (..., L, turned / 2)"
_WEAVE = "rotated = torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1).flatten(-2)"
_HALVES = "a, b = front.chunk(2, dim=-1)"
_JOIN = "rotated = torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)"
_RESULT = "return torch.cat([rotated.to(x.dtype), x[..., turned:]], dim=-1)  # (..., L, D)"
_GIVEN = "        self.base = base\n"
_DEFAULT_POSITIONS = "positions = torch.arange(x.size(1), device=x.device)"
_ROW_FOR_EACH = """        if positions.dim() == 2:
            positions = positions.unsqueeze(1)  # (B, 1, L): the same for every head
"""
_SPLITS = "q, k, v = (self._split(layer(x)) for layer in (self.w_q, self.w_k, self.w_v))  # (B, H, L, D)"
_TURN = "q, k = apply_rotary(q, positions, self.base), apply_rotary(k, positions, self.base)"
_SCORES = "scores = q @ k.transpose(-2, -1) / math.sqrt(self.head_dim)  # (B, H, L, L)"
_FILL = "scores = scores.masked_fill(mask, -math.inf)"
_SOFTMAX = "weights = torch.softmax(scores, dim=-1)"
_NO_KEYS = "weights = weights.masked_fill(mask.all(dim=-1, keepdim=True), 0.0)"
_OUTPUT = "return self.w_o((weights @ v).transpose(1, 2).flatten(2))  # (B, L, E)"
_SPLIT = "return projected.unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)  # (B, L, E) -> (B, H, L, D)"


def _turned_by(first: str, second: str) -> tuple[tuple[str, str], ...]:
    """Edits that make the two new features of a pair by other formulas, in both layouts."""
    return (
        (_WEAVE, f"rotated = torch.stack([{first}, {second}], dim=-1).flatten(-2)"),
        (_JOIN, f"rotated = torch.cat([{first}, {second}], dim=-1)"),
    )


def _inlined(frequencies: str, kept: str | None = None) -> tuple[tuple[str, str], ...]:
    """Edits that make the module turn by itself, with frequencies that it may keep from its constructor."""
    function = (
        "    def _turn(self, x: Tensor, positions: Tensor) -> Tensor:\n"
        f"        angle = positions.unsqueeze(-1) * {frequencies}\n"
        "        a, b = x[..., 0::2], x[..., 1::2]\n"
        "        turned = torch.stack([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], dim=-1)\n"
        "        return turned.flatten(-2).to(x.dtype)\n"
    )
    constructor = () if kept is None else ((_GIVEN, f"{_GIVEN}        {kept}\n"),)
    return (
        *constructor,
        (_TURN, "q, k = self._turn(q, positions), self._turn(k, positions)"),
        (f"        {_SPLIT}\n", f"        {_SPLIT}\n\n{function}"),
    )


MISCONCEPTIONS: tuple[Misconception, ...] = (
    # Frequencies
    Misconception(
        "exponent-without-two",
        "Your exponent is −i / D where it has to be −2i / D: there are D/2 pairs, and the last of them should turn almost base times as slowly "
        "as the first, not √base times.",
        ((_FREQUENCIES, "return base ** (-torch.arange(head_dim // 2, dtype=torch.float64) / head_dim)"),),
    ),
    Misconception(
        "exponent-doubled-twice",
        "You double the index twice: 0, 2, 4, … already is 2i, so the exponent is that number over D. Your pairs slow down twice as fast.",
        ((_FREQUENCIES, "return base ** (-2 * torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)"),),
    ),
    Misconception(
        "exponent-from-one",
        "You count pairs from 1 in the exponent. The first pair has exponent 0 and turns by one radian from each position to the next.",
        ((_FREQUENCIES, "return base ** (-torch.arange(2, head_dim + 2, 2, dtype=torch.float64) / head_dim)"),),
    ),
    Misconception(
        "exponent-sign",
        "Your exponent is positive, so that pairs turn faster and faster. It is −2i / D: the first pair is the fastest.",
        ((_FREQUENCIES, "return base ** (torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)"),),
    ),
    Misconception(
        "exponent-ends-at-one",
        "You divide by D − 2, so that the last pair has exactly the frequency 1 / base. The formula divides by D and stops short of it.",
        ((_FREQUENCIES, "return base ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / max(head_dim - 2, 1))"),),
    ),
    Misconception(
        "exponent-by-integer-division",
        "You divide by integer division, which leaves a whole number for an exponent. 2i / D is a fraction between 0 and 1.",
        ((_FREQUENCIES, "return base ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) // head_dim)"),),
    ),
    Misconception(
        "frequency-for-each-feature",
        "You return a frequency for each feature, every one twice. A pair shares one frequency, so there are head_dim / 2 of them.",
        (
            (_FREQUENCIES, f"{_FREQUENCIES}.repeat_interleave(2)"),
            (_ANGLE, "angle = positions.unsqueeze(-1) * rotary_frequencies(turned, base)[::2]"),
        ),
    ),
    Misconception(
        "frequencies-ignore-base",
        "rotary_frequencies always uses 10000. The base is an argument; models for long texts use a larger one.",
        ((_FREQUENCIES, "return 10000.0 ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)"),),
    ),
    Misconception(
        "base-in-float32",
        "You make a float32 tensor of the base, torch's default for a number. Where float32 cannot hold the base, all frequencies but the first are a little "
        "off, and far positions multiply that. Leave it a Python number.",
        ((_FREQUENCIES, "return torch.tensor(base) ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)"),),
    ),
    Misconception(
        "odd-head-dim-accepted",
        "rotary_frequencies accepts an odd head_dim, or one below 2. Features turn in pairs, so that is a ValueError.",
        ((_HEAD_DIM_CHECK, ""),),
    ),
    # The rotation of a pair
    Misconception(
        "turned-clockwise",
        "You turn the wrong way round: the minus sign belongs to the first feature, a cos − b sin, so that (1, 0) moves towards (0, 1).",
        _turned_by("a * cos + b * sin", "b * cos - a * sin"),
    ),
    Misconception(
        "two-plus-signs",
        "You add in both features of a pair. In a rotation one of the two sines has a minus sign, otherwise lengths are not kept.",
        _turned_by("a * cos + b * sin", "a * sin + b * cos"),
    ),
    Misconception(
        "second-sign",
        "You mirror each pair instead of turning it: the second feature is a sin + b cos, with a plus sign.",
        _turned_by("a * cos - b * sin", "a * sin - b * cos"),
    ),
    Misconception(
        "sine-and-cosine-swapped",
        "You use the sine where the cosine belongs and the other way round. At position 0 nothing may turn: the cosine, which is 1 there, "
        "multiplies a feature itself.",
        _turned_by("a * sin - b * cos", "a * cos + b * sin"),
    ),
    Misconception(
        "new-feature-used-for-the-second",
        "You overwrite the first feature of a pair and then compute the second from the new one. Both are made of the old two.",
        _turned_by("(new := a * cos - b * sin)", "new * sin + b * cos"),
    ),
    Misconception(
        "added-instead-of-turned",
        "You add sines and cosines to the features, as the sinusoidal encoding does. Here they multiply: each pair is turned and keeps its length.",
        _turned_by("a + sin", "b + cos"),
    ),
    # Layouts
    Misconception(
        "layouts-swapped",
        'You have the two layouts the wrong way round: "interleaved" pairs neighbours, (2i, 2i + 1), and "half" pairs (i, i + D/2).',
        ((_CHOICE, 'if layout == "half":'),),
    ),
    Misconception(
        "always-interleaved",
        'You pair neighbours whatever the layout. With "half", feature i is paired with feature i + D/2.',
        ((_CHOICE, "if True:"),),
    ),
    Misconception(
        "always-half",
        'You pair feature i with i + D/2 whatever the layout. The default, "interleaved", pairs neighbours: (2i, 2i + 1).',
        ((_CHOICE, "if False:"),),
    ),
    Misconception(
        "neighbours-put-back-in-halves",
        "You take neighbours as pairs and put the results back as two halves. Each feature goes back to its own place: 2i and 2i + 1.",
        ((_WEAVE, "rotated = torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)"),),
    ),
    Misconception(
        "halves-put-back-as-neighbours",
        "In the half layout you put the results back as neighbours. Each feature goes back to its own place: i and i + D/2.",
        ((_JOIN, "rotated = torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1).flatten(-2)"),),
    ),
    Misconception(
        "halves-with-frequencies-of-neighbours",
        "You pair feature i with i + D/2 but repeat the frequencies for neighbours, so the two features of a pair turn by different angles and "
        "the result is no rotation.",
        (
            (
                _HALVES,
                "a, b = front.chunk(2, dim=-1)\n"
                "        (ca, cb), (sa, sb) = cos.repeat_interleave(2, -1).chunk(2, -1), sin.repeat_interleave(2, -1).chunk(2, -1)",
            ),
            (_JOIN, "rotated = torch.cat([a * ca - b * sa, a * sb + b * cb], dim=-1)"),
        ),
    ),
    Misconception(
        "neighbours-with-rotate-half",
        "In the interleaved layout you take a feature's partner from the other half, as rotate_half does, while the frequencies are those of "
        "neighbours. Partner and frequency have to follow the same layout.",
        (
            (
                _WEAVE,
                "first, second = front.chunk(2, dim=-1)\n"
                "        rotated = front * cos.repeat_interleave(2, -1) + torch.cat([-second, first], dim=-1) * sin.repeat_interleave(2, -1)",
            ),
        ),
    ),
    Misconception(
        "unknown-layout-accepted",
        "You take any unknown layout for one of the two. A misspelt name would turn the wrong pairs in silence, so it is a ValueError.",
        ((_LAYOUT_CHECK, ""),),
    ),
    Misconception(
        "half-by-default",
        'You turn in the half layout when no layout is given. The default is "interleaved".',
        (('    layout: str = "interleaved",\n', '    layout: str = "half",\n'),),
    ),
    # Base and rotary_dim
    Misconception(
        "base-not-passed-on",
        "apply_rotary does not pass its base on, so that every call uses 10000.",
        ((_ANGLE, "angle = positions.unsqueeze(-1) * rotary_frequencies(turned)"),),
    ),
    Misconception(
        "rotary-dim-ignored",
        "You turn all features whatever rotary_dim says. Only the first rotary_dim turn, and the rest stays as it is.",
        ((_WIDTH_CHECK, f"{_WIDTH_CHECK}    turned = D\n"),),
    ),
    Misconception(
        "exponent-over-all-features",
        "With rotary_dim you still divide by D in the exponent. The features that turn have the frequencies of a vector of rotary_dim features.",
        ((_ANGLE, "angle = positions.unsqueeze(-1) * base ** (-torch.arange(0, turned, 2, dtype=torch.float64) / D)"),),
    ),
    Misconception(
        "last-features-turned",
        "You turn the last rotary_dim features. It is the first that turn.",
        ((_FRONT, "front = x[..., D - turned :].to(wide)"), (_RESULT, "return torch.cat([x[..., : D - turned], rotated.to(x.dtype)], dim=-1)")),
    ),
    Misconception(
        "rest-dropped",
        "You return the turned features alone. The rest follows them unchanged, so that the result has x's shape.",
        ((_RESULT, "return rotated.to(x.dtype)"),),
    ),
    Misconception(
        "rest-zeroed",
        "You leave zeros where features do not turn. They keep what they hold, to the last bit.",
        ((_RESULT, "return torch.cat([rotated.to(x.dtype), torch.zeros_like(x[..., turned:])], dim=-1)"),),
    ),
    Misconception(
        "rest-rounded",
        "The features that do not turn go through float32 on their way, which rounds those of a float64 x. They stay as they are, to the last bit.",
        ((_RESULT, "return torch.cat([rotated.to(x.dtype), x[..., turned:].float().to(x.dtype)], dim=-1)"),),
    ),
    Misconception(
        "rotary-dim-zero-means-all",
        "You take rotary_dim=0 for none given. Only None means all features; 0 is a ValueError like any other number that is not in 2 … D.",
        ((_WIDTH, "turned = rotary_dim or D"),),
    ),
    Misconception(
        "rotary-dim-unchecked",
        "You do not check rotary_dim (or D, when it is not given). An odd number, one below 2 or one above D is a ValueError.",
        ((_WIDTH_CHECK, "    turned = min(turned, D) // 2 * 2\n"),),
    ),
    Misconception(
        "rotary-dim-above-d-unchecked",
        "You leave rotary_dim's check to rotary_frequencies, which knows nothing of D. A rotary_dim above D then ends in another error than ValueError, if in "
        "any: check it yourself, first.",
        ((_WIDTH_CHECK, ""),),
    ),
    Misconception(
        "odd-width-refused",
        "You refuse an odd D even when rotary_dim says which features turn. Only the number of features that turn has to be even.",
        ((_WIDTH_CHECK, f'    if D % 2 != 0:\n        raise ValueError(f"D must be even, got {{D}}")\n{_WIDTH_CHECK}'),),
    ),
    Misconception(
        "asserts-instead-of-value-error",
        "You check arguments with assert. Its AssertionError is for mistakes of your own and vanishes under python -O; a caller's mistake is a "
        "ValueError.",
        (
            (_HEAD_DIM_CHECK, "    assert head_dim >= 2 and head_dim % 2 == 0\n"),
            (_WIDTH_CHECK, "    assert turned % 2 == 0 and 2 <= turned <= D\n"),
            (_LAYOUT_CHECK, '    assert layout in ("interleaved", "half")\n'),
        ),
    ),
    # Positions
    Misconception(
        "positions-ignored",
        "You number the vectors 0 … L − 1 yourself and ignore positions. A vector turns by the position that the caller gives it.",
        ((_ANGLE, "angle = torch.arange(x.size(-2)).unsqueeze(-1) * rotary_frequencies(turned, base)"),),
    ),
    Misconception(
        "positions-only-start",
        "You take the first position and count on from there. Positions come in any order, with gaps and repeats.",
        (
            (
                _ANGLE,
                "angle = (positions[..., :1] + torch.arange(x.size(-2))).unsqueeze(-1) * rotary_frequencies(turned, base)",
            ),
        ),
    ),
    Misconception(
        "positions-from-one",
        "apply_rotary turns by the position plus one. It turns by the position as given: a vector at position 0 stays as it is.",
        ((_ANGLE, "angle = (positions + 1).unsqueeze(-1) * rotary_frequencies(turned, base)"),),
    ),
    Misconception(
        "negative-positions-turned-forwards",
        "You drop the sign of a negative position. It turns the other way round.",
        ((_ANGLE, "angle = positions.abs().unsqueeze(-1) * rotary_frequencies(turned, base)"),),
    ),
    Misconception(
        "negative-positions-refused",
        "You raise an error for negative positions. They are integers like others, and turn the other way round.",
        ((_ANGLE, f'if bool((positions < 0).any()):\n        raise ValueError(f"positions must be >= 0, got {{positions}}")\n    {_ANGLE}'),),
    ),
    Misconception(
        "negative-positions-taken-for-zero",
        "You take negative positions for 0. They turn the other way round, as far as positive ones.",
        ((_ANGLE, "angle = positions.clamp(min=0).unsqueeze(-1) * rotary_frequencies(turned, base)"),),
    ),
    Misconception(
        "table-too-short",
        "You look angles up in a table of fixed length: positions beyond it get no row or a wrong one, and negative ones count from its end. "
        "Positions are any integers, so compute the angles from them.",
        ((_ANGLE, "angle = (torch.arange(4096).unsqueeze(-1) * rotary_frequencies(turned, base))[positions]"),),
    ),
    Misconception(
        "positions-of-one-row-only",
        "You flatten positions, so that only (L,) works. They broadcast to x.shape[:-1]: (B, 1, L) gives each sequence its own.",
        ((_ANGLE, "angle = torch.outer(positions.flatten(), rotary_frequencies(turned, base))"),),
    ),
    Misconception(
        "positions-of-the-first-sequence-for-all",
        "You use the first row of positions for the whole batch. With (B, 1, L) each sequence has its own.",
        (
            (
                _ANGLE,
                "positions = positions.reshape(-1, positions.size(-1))[0]\n    angle = positions.unsqueeze(-1) * rotary_frequencies(turned, base)",
            ),
        ),
    ),
    Misconception(
        "two-dimensional-positions-taken-for-batches",
        "You put a dimension for heads into positions of two dimensions. apply_rotary takes positions as they are, aligned with x.shape[:-1] from the right; the "
        "module is the place for that.",
        ((_ANGLE, f"positions = positions.unsqueeze(1) if positions.dim() == 2 else positions\n    {_ANGLE}"),),
    ),
    Misconception(
        "four-dimensions-only",
        "You unpack x's shape into B, H, L, D, so that only an x of four dimensions gets through. It has any number of leading dimensions, or none.",
        (("D = x.size(-1)", "_, _, _, D = x.shape"),),
    ),
    Misconception(
        "turned-along-the-heads",
        "You number the heads where the positions belong: in (B, H, L, D) a vector turns by its place in L, the dimension before the last.",
        (
            (
                _ANGLE,
                "places = positions if x.dim() < 4 or positions.dim() > 1 else torch.arange(x.size(-3)).unsqueeze(-1)\n"
                "    angle = places.unsqueeze(-1) * rotary_frequencies(turned, base)",
            ),
        ),
    ),
    # Precision and the caller's tensors
    Misconception(
        "angles-in-the-dtype-of-x",
        "You compute positions and angles in the dtype of x. bfloat16 cannot tell integers above 256 apart, nor float16 above 2048. Compute angles "
        "in float32 at least, and round afterwards.",
        ((_ANGLE, "angle = positions.to(x.dtype).unsqueeze(-1) * rotary_frequencies(turned, base).to(x.dtype)"),),
    ),
    Misconception(
        "positions-rounded-to-the-dtype-of-x",
        "You convert positions to the dtype of x. bfloat16 cannot tell integers above 256 apart, nor float16 above 2048; leave positions as they are.",
        ((_ANGLE, "angle = positions.to(x.dtype).unsqueeze(-1) * rotary_frequencies(turned, base)"),),
    ),
    Misconception(
        "angles-rounded-to-the-dtype-of-x",
        "You round angles to the dtype of x before you take their sine and cosine. An angle of 1000 is off by radians in bfloat16. Round sines and "
        "cosines, not angles.",
        ((_COS_SIN, "angle = angle.to(x.dtype)\n    cos, sin = angle.cos().to(wide), angle.sin().to(wide)"),),
    ),
    Misconception(
        "frequencies-rounded-to-the-dtype-of-x",
        "You round frequencies to the dtype of x. bfloat16 keeps three digits of them, and positions multiply what is lost.",
        ((_ANGLE, "angle = positions.unsqueeze(-1) * rotary_frequencies(turned, base).to(x.dtype).double()"),),
    ),
    Misconception(
        "angles-in-float32",
        "You compute angles in float32 for every x. A float64 x is turned by float64 angles; what was rounded away does not come back.",
        ((_ANGLE, "angle = positions.float().unsqueeze(-1) * rotary_frequencies(turned, base).float()"),),
    ),
    Misconception(
        "angles-rounded-to-float32",
        "You round angles to float32 before you take their sine and cosine. For a float64 x they stay float64.",
        ((_COS_SIN, "angle = angle.float()\n    cos, sin = angle.cos().to(wide), angle.sin().to(wide)"),),
    ),
    Misconception(
        "turned-in-float32",
        "You turn every x in float32, a float64 one too. Low precision goes up to float32; float64 stays where it is.",
        ((_WIDE, "wide = torch.float32"),),
    ),
    Misconception(
        "frequencies-in-float32",
        "You compute frequencies in float32, torch's default for a quotient of integers, and then far positions multiply the rounding. A float64 x "
        "needs frequencies in float64 from the start.",
        ((_FREQUENCIES, "return base ** (-torch.arange(0, head_dim, 2) / head_dim)"),),
    ),
    Misconception(
        "frequencies-rounded-to-float32",
        "You round frequencies to float32 before positions multiply them. A float64 x needs them in float64.",
        ((_ANGLE, "angle = positions.unsqueeze(-1) * rotary_frequencies(turned, base).float().double()"),),
    ),
    Misconception(
        "result-in-float64",
        "Your result is float64 whatever x was, because the angles are. It has the dtype of x.",
        ((_WIDE, "wide = torch.float64"), (_RESULT, "return torch.cat([rotated, x[..., turned:].to(wide)], dim=-1)")),
    ),
    Misconception(
        "result-in-float32",
        "Your result is float32 for a bfloat16 or float16 x. It has the dtype of x: round at the end.",
        ((_RESULT, "return torch.cat([rotated, x[..., turned:].to(wide)], dim=-1)"),),
    ),
    Misconception(
        "input-changed",
        "You write the turned features into x itself, so the caller's tensor changes as well. Make a new tensor.",
        ((_RESULT, "x.detach()[..., :turned] = rotated.detach().to(x.dtype)\n    return torch.cat([rotated.to(x.dtype), x[..., turned:]], dim=-1)"),),
    ),
    Misconception(
        "graph-cut",
        "You take x out of the graph (detach, .data, no_grad) before it turns, so no gradient flows back through the rotation.",
        ((_FRONT, "front = x[..., :turned].detach().to(wide)"),),
    ),
    Misconception(
        "no-gradient-at-all",
        "Your result is cut off from the graph (detach, .data, no_grad), so no gradient reaches x, not even through features that do not turn.",
        ((_RESULT, "return torch.cat([rotated.to(x.dtype), x[..., turned:]], dim=-1).detach()"),),
    ),
    # The module: what turns, and by what
    Misconception(
        "nothing-turned-in-the-module",
        "Your module never turns anything, so the order of its tokens does not show.",
        ((_TURN, ""),),
    ),
    Misconception(
        "value-turned",
        "You turn values too. Only queries and keys turn: what a token contributes does not depend on where it stands.",
        ((_TURN, f"{_TURN}\n        v = apply_rotary(v, positions, self.base)"),),
    ),
    Misconception(
        "only-query-turned",
        "You turn the query and not the key. A score then depends on where the query stands, not on how far away the key is.",
        ((_TURN, "q = apply_rotary(q, positions, self.base)"),),
    ),
    Misconception(
        "key-turned-backwards",
        "You turn query and key in opposite directions, so scores depend on the sum of positions. Turned the same way, only their "
        "difference is left.",
        ((_TURN, "q, k = apply_rotary(q, positions, self.base), apply_rotary(k, -positions, self.base)"),),
    ),
    Misconception(
        "turned-before-the-split",
        "You turn queries and keys before you split them into heads, so each head gets other frequencies. Split first: every head has all of them.",
        (
            (
                _SPLITS,
                "places = positions.squeeze(1) if positions.dim() == 3 else positions\n"
                "        q, k = (apply_rotary(layer(x), places, self.base) for layer in (self.w_q, self.w_k))\n"
                "        q, k, v = self._split(q), self._split(k), self._split(self.w_v(x))",
            ),
            (_TURN, ""),
        ),
    ),
    Misconception(
        "turned-before-the-projections",
        "You turn x and project it afterwards. A projection mixes the pairs, so distances are lost: project and split first, then turn.",
        (
            (
                _SPLITS,
                "places = positions.squeeze(1) if positions.dim() == 3 else positions\n"
                "        turned = apply_rotary(x, places, self.base)\n"
                "        q, k, v = self._split(self.w_q(turned)), self._split(self.w_k(turned)), self._split(self.w_v(x))",
            ),
            (_TURN, ""),
        ),
    ),
    Misconception(
        "half-layout-in-the-module",
        "Your module turns in the half layout. It uses interleaved pairs.",
        ((_TURN, 'q, k = (apply_rotary(t, positions, self.base, layout="half") for t in (q, k))'),),
    ),
    Misconception(
        "half-of-each-head-turned",
        "Your module turns half of each head's features. All of head_dim turns.",
        ((_TURN, "q, k = (apply_rotary(t, positions, self.base, rotary_dim=max(2, self.head_dim // 4 * 2)) for t in (q, k))"),),
    ),
    Misconception(
        "base-not-used-in-the-module",
        "Your module turns with base 10000 whatever its own base is.",
        ((_TURN, "q, k = apply_rotary(q, positions), apply_rotary(k, positions)"),),
    ),
    Misconception(
        "positions-ignored-in-the-module",
        "Your module always counts 0 … L − 1 and ignores the positions that it is given.",
        (
            (
                _TURN,
                "places = torch.arange(x.size(1))\n        q, k = apply_rotary(q, places, self.base), apply_rotary(k, places, self.base)",
            ),
        ),
    ),
    Misconception(
        "positions-of-a-batch-given-to-heads",
        "You hand positions (B, L) on as they are, and they meet (B, H, L, D) from the right: sequence b's row goes to head b. They need a dimension "
        "of size 1 where the heads are.",
        ((_ROW_FOR_EACH, ""),),
    ),
    Misconception(
        "first-row-of-positions-in-the-module",
        "Your module turns every sequence by the first row of positions. With (B, L) each has its own.",
        ((_ROW_FOR_EACH, "        if positions.dim() == 2:\n            positions = positions[0]\n"),),
    ),
    Misconception(
        "default-positions-in-the-dtype-of-x",
        "You make the default positions in the dtype of x. bfloat16 cannot tell 256 and 257 apart: positions are integers.",
        ((_DEFAULT_POSITIONS, "positions = torch.arange(x.size(1), dtype=x.dtype)"),),
    ),
    Misconception(
        "turned-in-float32-in-the-module",
        "Your module converts queries and keys to float32 before they turn, a float64 one's too. float64 is computed in float64 throughout.",
        ((_TURN, "q, k = (apply_rotary(t.float(), positions, self.base).to(t.dtype) for t in (q, k))"),),
    ),
    Misconception(
        "turned-without-gradient-in-the-module",
        "Your module turns queries and keys under no_grad, or detached. Then w_q and w_k learn nothing.",
        ((_TURN, "q, k = apply_rotary(q, positions, self.base).detach(), apply_rotary(k, positions, self.base).detach()"),),
    ),
    Misconception(
        "default-positions-of-the-first-call",
        "You keep the positions of a first call and use them when none are given later. Without positions, tokens stand at 0 … L − 1.",
        (
            (_GIVEN, f"{_GIVEN}        self.places: Tensor | None = None\n"),
            (
                f"            {_DEFAULT_POSITIONS}\n",
                "            kept = self.places is not None and self.places.size(-1) == x.size(1) and self.places.dim() == 1\n"
                "            positions = self.places if kept else torch.arange(x.size(1))\n"
                "        self.places = positions\n",
            ),
        ),
    ),
    Misconception(
        "frequencies-in-a-float32-buffer",
        "Your module keeps its frequencies in a float32 buffer. A float64 x then turns by rounded angles, also when the module is "
        "converted afterwards.",
        _inlined(
            "self.frequencies",
            'self.register_buffer("frequencies", rotary_frequencies(self.head_dim, base).float(), persistent=False)',
        ),
    ),
    Misconception(
        "frequencies-rounded-by-conversion",
        "Your module keeps its frequencies in a buffer, and .to(dtype) converts buffers: after .to(torch.bfloat16) they are rounded for good. Angles "
        "have to be exact to float32 at least, whatever the weights are.",
        _inlined("self.frequencies", 'self.register_buffer("frequencies", rotary_frequencies(self.head_dim, base), persistent=False)'),
    ),
    Misconception(
        "frequencies-in-the-state-dict",
        "Your module registers its frequencies as a buffer that is saved, so they appear in state_dict(). They follow from head_dim and base.",
        ((_GIVEN, f'{_GIVEN}        self.register_buffer("inv_freq", rotary_frequencies(self.head_dim, base))\n'),),
    ),
    Misconception(
        "frequencies-learned",
        "Your module keeps its frequencies as an nn.Parameter, which an optimizer would change. They are fixed.",
        (
            (_GIVEN, f"{_GIVEN}        self.frequencies = nn.Parameter(rotary_frequencies(self.head_dim, base))\n"),
            *_inlined("self.frequencies.double()"),
        ),
    ),
    # The module: the rest of attention
    Misconception(
        "no-scale",
        "You do not divide the scores by √D, the square root of the size of one head.",
        ((_SCORES, "scores = q @ k.transpose(-2, -1)"),),
    ),
    Misconception(
        "scale-in-float32",
        "You take √D of a float32 tensor, which rounds it. Scores of a float64 x are divided by a Python number, math.sqrt(D).",
        ((_SCORES, "scores = q @ k.transpose(-2, -1) / torch.sqrt(torch.tensor(float(self.head_dim)))"),),
    ),
    Misconception(
        "scale-by-d-model",
        "You divide by √d_model; the scale is √D, the square root of the size of one head.",
        ((_SCORES, "scores = q @ k.transpose(-2, -1) / math.sqrt(self.d_model)"),),
    ),
    Misconception(
        "split-by-view",
        "You reshape (B, L, E) straight to (B, H, L, D), which mixes positions and heads; the features are split first, then H moves in front of L.",
        ((_SPLIT, "return projected.reshape(projected.size(0), self.num_heads, -1, self.head_dim)"),),
    ),
    Misconception(
        "merge-by-view",
        "You reshape the heads (B, H, L, D) straight to (B, L, E), which mixes positions; H must first move back behind L.",
        ((_OUTPUT, "return self.w_o((weights @ v).reshape(x.shape))"),),
    ),
    Misconception(
        "no-output-projection",
        "You return the concatenated heads as they are; they still go through w_o.",
        ((_OUTPUT, "return (weights @ v).transpose(1, 2).flatten(2)"),),
    ),
    Misconception(
        "weights-returned-too",
        "You return the weights as well. This module returns the output alone.",
        ((_OUTPUT, "return self.w_o((weights @ v).transpose(1, 2).flatten(2)), weights"),),
    ),
    Misconception(
        "causal-always",
        "You hide later positions although nobody asked for it; which keys are hidden is up to the mask alone.",
        (
            (
                _SOFTMAX,
                "scores = scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -math.inf)\n"
                "        weights = torch.softmax(scores, dim=-1)",
            ),
        ),
    ),
    Misconception(
        "mask-ignored",
        "You accept the mask and do not use it for the scores.",
        ((_FILL, "scores = scores * 1.0"),),
    ),
    Misconception(
        "mask-inverted",
        "You hide the keys where the mask is False; here True means hidden, the opposite of F.scaled_dot_product_attention.",
        ((_FILL, "mask = ~mask\n            scores = scores.masked_fill(mask, -math.inf)"),),
    ),
    Misconception(
        "mask-taken-for-padding",
        "You take a mask of two dimensions for padding, (B, L), when B and L happen to be equal. A mask of two dimensions is always (L, L).",
        (
            (
                _FILL,
                "mask = mask[:, None, None, :] if mask.dim() == 2 and mask.shape == x.shape[:2] else mask\n"
                "            scores = scores.masked_fill(mask, -math.inf)",
            ),
        ),
    ),
    Misconception(
        "mask-of-three-dimensions-taken-for-batches",
        "You put a dimension for heads into a mask of three dimensions. It broadcasts to (B, H, L, L) from the right as it is, so it is (H, L, L).",
        ((_FILL, "mask = mask.unsqueeze(1) if mask.dim() == 3 else mask\n            scores = scores.masked_fill(mask, -math.inf)"),),
    ),
    Misconception(
        "own-token-always-seen",
        "You let every token see itself whatever the mask says. A hidden key is hidden from itself too.",
        (
            (
                _FILL,
                "mask = mask & ~torch.eye(x.size(1), dtype=torch.bool)\n            scores = scores.masked_fill(mask, -math.inf)",
            ),
        ),
    ),
    Misconception(
        "mask-after-softmax",
        "You set weights to zero after the softmax, so that a row no longer adds up to 1; the scores are masked before it.",
        ((_FILL, "pass"), (_NO_KEYS, "weights = weights.masked_fill(mask, 0.0)")),
    ),
    Misconception(
        "mask-value-too-small",
        "You put −100 in place of a hidden score; where visible scores are far below that, the hidden key takes all the weight. A hidden weight is "
        "exactly 0.",
        ((_FILL, "scores = scores.masked_fill(mask, -100.0)"),),
    ),
    Misconception(
        "no-keys-nan",
        "A query whose keys are all hidden gets NaN, the softmax of nothing but −∞; its heads are zeros, and w_o adds its bias.",
        ((_NO_KEYS, "pass"),),
    ),
    Misconception(
        "no-keys-mean",
        "A query whose keys are all hidden takes the mean of the values, since equal fills give equal weights; its heads are zeros.",
        ((_FILL, "scores = scores.masked_fill(mask, -1e9)"), (_NO_KEYS, "pass")),
    ),
    Misconception(
        "no-keys-nan-gradient",
        "You replace NaN in the weights, but adding −∞ to the scores leaves NaN in the gradient; fill the hidden scores instead of adding to them.",
        (
            (_FILL, "scores = scores + torch.zeros_like(scores).masked_fill(mask, -math.inf)"),
            (_NO_KEYS, "weights = torch.nan_to_num(weights)"),
        ),
    ),
    Misconception(
        "no-keys-zero-output",
        "You set the output of a query without keys to zero; its heads are zero, and w_o still adds its bias.",
        (
            (
                _OUTPUT,
                "output = self.w_o((weights @ v).transpose(1, 2).flatten(2))\n"
                "        if mask is not None:\n"
                "            nothing = mask.expand(scores.shape).all(dim=-1).all(dim=1)\n"
                "            output = output.masked_fill(nothing.unsqueeze(-1), 0.0)\n"
                "        return output",
            ),
        ),
    ),
    Misconception(
        "softmax-overflows",
        "You take the exponential of the scores as they are, which overflows; subtract each row's largest score first, or use softmax.",
        ((_SOFTMAX, "weights = scores.exp() / scores.exp().sum(dim=-1, keepdim=True)"),),
    ),
    Misconception(
        "maximum-of-all-rows-subtracted",
        "You subtract one maximum from the scores of all rows. A row far below it is left with 0 / 0; each row needs its own.",
        (
            (
                _SOFTMAX,
                "powers = (scores - scores.max()).exp()\n        weights = powers / powers.sum(dim=-1, keepdim=True)",
            ),
        ),
    ),
)
