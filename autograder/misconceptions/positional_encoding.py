"""What students get wrong about 02_positional_encoding."""

from __future__ import annotations

from autograder.misconceptions.bank import Misconception

_EXPONENT = "angle = position * base ** (-even_column / d_model)  # (length, ceil(d_model / 2))"
_POSITION = "position = torch.arange(length, dtype=torch.float64).unsqueeze(1)"
_EVEN_COLUMN = "even_column = torch.arange(0, d_model, 2, dtype=torch.float64)"
_SINES = "    table[:, 0::2] = torch.sin(angle)\n"
_COSINES = "    table[:, 1::2] = torch.cos(angle)[:, : d_model // 2]\n"
_GIVEN_DROPOUT = "        self.dropout = nn.Dropout(dropout)\n"
_SHAPE_CHECK = """        if x.dim() != 3 or x.size(-1) != self.d_model:
            raise ValueError(f"x must be (B, L, {self.d_model}), got shape {tuple(x.shape)}")
"""
_RANGE_CHECK = "if start < 0 or end > self.max_len:"
_RANGE_ERROR = """            raise ValueError(f"positions must lie in 0 ... {self.max_len - 1}, got start={start} and length {x.size(1)}")
"""
_ROWS = "rows = sinusoidal_encoding(end, self.d_model)[start:]  # (L, E), float64"
_RESULT = "return self.dropout(x + rows.to(x))  # (B, L, E)"


def _from_a_table(stored: str, added: str = "self.dropout(x + rows.to(x))") -> tuple[tuple[str, str], ...]:
    """Edits that make the table once, in the constructor, and take rows of it."""
    return (
        (_GIVEN_DROPOUT, f"{_GIVEN_DROPOUT}        {stored}\n"),
        (_ROWS, "rows = self.table[start:end]"),
        (_RESULT, f"return {added}"),
    )


MISCONCEPTIONS: tuple[Misconception, ...] = (
    # The formula
    Misconception(
        "sines-then-cosines",
        "You put all sines in the first half of the columns and all cosines in the second. Sine and cosine take turns here: column 2i is a "
        "sine, column 2i + 1 the cosine of the same angle.",
        ((_SINES + _COSINES, "    table = torch.cat([torch.sin(angle), torch.cos(angle)], dim=-1)[:, :d_model]\n"),),
    ),
    Misconception(
        "cosine-first",
        "You put the cosine of each pair before the sine. Even columns hold sines: position 0 reads 0, 1, 0, 1, …",
        (
            (_SINES, "    table[:, 0::2] = torch.cos(angle)\n"),
            (_COSINES, "    table[:, 1::2] = torch.sin(angle)[:, : d_model // 2]\n"),
        ),
    ),
    Misconception(
        "cosine-with-own-exponent",
        "You use the column's own number 2i + 1 in the exponent of the cosines. Both columns of a pair share the exponent 2i / d_model, so "
        "that they are one point on a circle.",
        ((_COSINES, "    table[:, 1::2] = torch.cos(position * base ** (-(even_column + 1) / d_model))[:, : d_model // 2]\n"),),
    ),
    Misconception(
        "index-doubled-twice",
        "You double the index twice: the even column number already is 2i, so the exponent 2i / d_model is that number over d_model. Your "
        "waves slow down twice as fast from pair to pair.",
        ((_EXPONENT, "angle = position * base ** (-2 * even_column / d_model)"),),
    ),
    Misconception(
        "index-not-doubled",
        "You use i / d_model as the exponent, where i counts the pairs; it is 2i / d_model. Your slowest wave is far faster than the formula's.",
        ((_EXPONENT, "angle = position * base ** (-(even_column / 2) / d_model)"),),
    ),
    Misconception(
        "exponent-positive",
        "You multiply the position by base ** (2i / d_model); it is divided by it. Frequencies fall from pair to pair, from 1 down to about"
        " 1 / base.",
        ((_EXPONENT, "angle = position * base ** (even_column / d_model)"),),
    ),
    Misconception(
        "base-ignored",
        "You use 10000 whatever base the caller asks for. It is only the default of the argument.",
        ((_EXPONENT, "angle = position * 10000.0 ** (-even_column / d_model)"),),
    ),
    Misconception(
        "base-1000",
        "Your frequencies fall with a base of 1000; the default is 10000.",
        (("d_model: int, base: float = 10000.0)", "d_model: int, base: float = 1000.0)"),),
    ),
    Misconception(
        "base-e",
        "You use e as the base: exp(−2i / d_model). The logarithm of the base is missing from the exponent: base ** y is exp(y · ln base).",
        ((_EXPONENT, "angle = position * torch.exp(-even_column / d_model)"),),
    ),
    Misconception(
        "common-logarithm",
        "You use the logarithm to base 10 together with exp. exp undoes the natural logarithm: base ** y is exp(y · ln base).",
        ((_EXPONENT, "angle = position * torch.exp(-even_column / d_model * torch.log10(torch.tensor(base, dtype=torch.float64)))"),),
    ),
    Misconception(
        "exponent-floor-division",
        "You divide the index by d_model with //, which rounds down before the power is taken: all pairs get one of two frequencies. The "
        "exponent is a fraction.",
        ((_EXPONENT, "angle = position * base ** (-even_column // d_model)"),),
    ),
    Misconception(
        "exponent-over-number-of-pairs",
        "You divide by d_model − 2, so that the last pair has exactly the frequency 1 / base. The formula divides by d_model and stops just"
        " short of it.",
        ((_EXPONENT, "angle = position * base ** (-even_column / max(d_model - 2, 1))"),),
    ),
    Misconception(
        "position-from-one",
        "You count positions from 1. The first position is 0, and its row is 0, 1, 0, 1, …",
        ((_POSITION, "position = torch.arange(1, length + 1, dtype=torch.float64).unsqueeze(1)"),),
    ),
    Misconception(
        "position-over-length",
        "You divide positions by the length, so that a position's row depends on how long the table is. A position is an integer: the same "
        "row in every table.",
        ((_POSITION, "position = torch.arange(length, dtype=torch.float64).unsqueeze(1) / length"),),
    ),
    Misconception(
        "odd-width-crashes",
        "You assign as many cosines as sines, which an odd d_model has no columns for. It has one sine more than cosines.",
        ((_COSINES, "    table[:, 1::2] = torch.cos(angle)\n"),),
    ),
    Misconception(
        "odd-width-rounded-up",
        "For an odd d_model you compute the table of d_model + 1 and cut a column off, so the exponent holds d_model + 1. It divides by "
        "d_model as it is.",
        ((_EXPONENT, "angle = position * base ** (-even_column / (d_model + d_model % 2))"),),
    ),
    Misconception(
        "odd-width-refused",
        "You refuse an odd d_model. It is legal: the last column is a sine without its cosine.",
        (("    if length < 1 or d_model < 1:", "    if length < 1 or d_model < 1 or d_model % 2 != 0:"),),
    ),
    Misconception(
        "odd-width-ends-on-zero",
        "For an odd d_model you leave the last column 0. It is the sine of the last frequency.",
        (
            ("table = torch.empty(length, d_model, dtype=torch.float64)", "table = torch.zeros(length, d_model, dtype=torch.float64)"),
            (_SINES, "    table[:, 0 : d_model // 2 * 2 : 2] = torch.sin(angle)[:, : d_model // 2]\n"),
        ),
    ),
    Misconception(
        "bad-table-arguments-accepted",
        "You return a table (an empty one, or one of NaN) when length or d_model is less than 1 or the base is not positive. That is a "
        "mistake of the caller's, and a ValueError says so where it happened.",
        (
            ("    if length < 1 or d_model < 1:", "    if length < 0 or d_model < 0:"),
            ("    if base <= 0:", "    if base != base:"),
        ),
    ),
    # Precision
    Misconception(
        "table-in-float32",
        "You compute the table in float32 and the module adds it to x of any dtype. A float64 x needs angles computed in float64: "
        "converting the finished table does not bring back what was rounded away.",
        (
            (_POSITION, "position = torch.arange(length, dtype=torch.float32).unsqueeze(1)"),
            (_EVEN_COLUMN, "even_column = torch.arange(0, d_model, 2, dtype=torch.float32)"),
            ("table = torch.empty(length, d_model, dtype=torch.float64)", "table = torch.empty(length, d_model)"),
        ),
    ),
    Misconception(
        "tutorial-table-in-float32",
        "You make the table once, with torch.arange and torch.exp in their default float32, and add its rows to x of any dtype. A float64 x"
        " needs angles computed in float64: converting the finished table does not bring back what was rounded away.",
        (
            (_POSITION, "position = torch.arange(length).unsqueeze(1)"),
            (_EVEN_COLUMN, "even_column = torch.arange(0, d_model, 2).float()"),
            (_EXPONENT, "angle = position * torch.exp(even_column * (-math.log(base) / d_model))"),
            ("table = torch.empty(length, d_model, dtype=torch.float64)", "table = torch.empty(length, d_model)"),
            ("import torch\nfrom jaxtyping", "import math\n\nimport torch\nfrom jaxtyping"),
            *_from_a_table('self.register_buffer("table", sinusoidal_encoding(max_len, d_model), persistent=False)'),
        ),
    ),
    Misconception(
        "buffer-in-float32",
        "Your table is right, but the module keeps it in float32. A float64 x then meets rounded rows, also when the module is converted to"
        " float64 afterwards.",
        _from_a_table('self.register_buffer("table", sinusoidal_encoding(max_len, d_model).float(), persistent=False)'),
    ),
    Misconception(
        "buffer-rounded-by-conversion",
        "You keep the table in a buffer, and .to(dtype) converts buffers. After .to(torch.bfloat16) or .to(torch.float32) its rows are "
        "rounded for good, while the precision has to be that of x.",
        _from_a_table('self.register_buffer("table", sinusoidal_encoding(max_len, d_model), persistent=False)'),
    ),
    Misconception(
        "angles-in-the-dtype-of-x",
        "You compute positions and angles in the dtype of x. bfloat16 cannot tell integers above 256 apart, nor float16 above 2048: far "
        "positions get the same row, or a wrong one. Compute angles in high precision and round the finished row.",
        (
            ("base: float = 10000.0) ->", "base: float = 10000.0, dtype: torch.dtype = torch.float64) ->"),
            (_POSITION, "position = torch.arange(length, dtype=dtype).unsqueeze(1)"),
            (_EVEN_COLUMN, "even_column = torch.arange(0, d_model, 2, dtype=dtype)"),
            (_ROWS, "rows = sinusoidal_encoding(end, self.d_model, dtype=x.dtype)[start:]"),
        ),
    ),
    Misconception(
        "result-in-the-dtype-of-the-table",
        "You add a float64 table to x as it is, so the result is float64 whatever x was. The result has the dtype of x.",
        ((_RESULT, "return self.dropout(x + rows)"),),
    ),
    # What is kept
    Misconception(
        "table-in-state-dict",
        "You register the table as a buffer that is saved: it appears in state_dict(). It follows from d_model, and a checkpoint that holds"
        " it cannot be loaded with another max_len.",
        _from_a_table('self.register_buffer("table", sinusoidal_encoding(max_len, d_model))'),
    ),
    Misconception(
        "table-as-parameter",
        "You keep the table as an nn.Parameter, which an optimizer would change. Sinusoidal positions are fixed, nothing about them is learned.",
        _from_a_table("self.table = nn.Parameter(sinusoidal_encoding(max_len, d_model))"),
    ),
    Misconception(
        "table-of-the-first-call",
        "You compute the table in the first call, for that call's length, and keep it. A longer sequence or a later start then finds too few rows.",
        (
            (_GIVEN_DROPOUT, f"{_GIVEN_DROPOUT}        self.table = None\n"),
            (_ROWS, "if self.table is None:\n            self.table = sinusoidal_encoding(end, self.d_model)\n        rows = self.table[start:end]"),
        ),
    ),
    Misconception(
        "start-remembered",
        "Your module goes on where the last call ended. It keeps no count: positions begin at the start of this call, 0 when none is given.",
        (
            (_GIVEN_DROPOUT, f"{_GIVEN_DROPOUT}        self.seen = 0\n"),
            (_ROWS, "rows = sinusoidal_encoding(self.seen + end, self.d_model)[self.seen + start :]\n        self.seen += x.size(1)"),
        ),
    ),
    # What is added, and where
    Misconception(
        "x-scaled",
        "You multiply x by sqrt(d_model) before adding. That scale belongs to the embedding in the paper; this module adds to x as it is.",
        ((_RESULT, "return self.dropout(x * self.d_model**0.5 + rows.to(x))"),),
    ),
    Misconception(
        "multiplied-instead-of-added",
        "You multiply x by the encoding; it is added.",
        ((_RESULT, "return self.dropout(x * rows.to(x))"),),
    ),
    Misconception(
        "concatenated-instead-of-added",
        "You append the encoding to the features of x, which makes it twice as wide. It is added, and the width stays d_model.",
        ((_RESULT, "return self.dropout(torch.cat([x, rows.to(x).expand_as(x)], dim=-1))"),),
    ),
    Misconception(
        "position-along-the-batch",
        "You take the first dimension of x for the position. Here x is (B, L, E), batch first: every sequence gets the same rows, one for "
        "each step along L.",
        (
            ("end = start + x.size(1)", "end = start + x.size(0)"),
            (_RESULT, "return self.dropout(x + rows.to(x).unsqueeze(1))"),
        ),
    ),
    Misconception(
        "one-row-for-all",
        "You add the row of position start to every position. Position l of x gets row start + l.",
        ((_ROWS, "rows = sinusoidal_encoding(end, self.d_model)[start : start + 1]"),),
    ),
    Misconception(
        "start-ignored",
        "You ignore start and always add the rows from position 0. A chunk that continues a sequence begins at row start.",
        ((_ROWS, "rows = sinusoidal_encoding(x.size(1), self.d_model)"),),
    ),
    Misconception(
        "start-applied-twice",
        "You skip start rows of a table that already begins at start, so positions begin at twice the start.",
        ((_ROWS, "rows = sinusoidal_encoding(end + start, self.d_model)[2 * start :]"),),
    ),
    Misconception(
        "input-changed",
        "You add the encoding to x in place, so the caller's embeddings change as well. Make a new tensor.",
        ((_RESULT, "x += rows.to(x)\n        return self.dropout(x)"),),
    ),
    Misconception(
        "graph-cut",
        "You take x out of the graph (detach, .data or a new tensor made of it) before adding, so no gradient reaches the embeddings. Only "
        "the table is a constant.",
        ((_RESULT, "return self.dropout(x.detach() + rows.to(x))"),),
    ),
    # Dropout
    Misconception(
        "dropout-forgotten",
        "You never apply dropout. In train mode it acts on the sum of x and the encoding.",
        ((_RESULT, "return x + rows.to(x)"),),
    ),
    Misconception(
        "dropout-before-adding",
        "You drop values of x and then add the encoding. Dropout acts on the sum, so a dropped value is 0, position and all.",
        ((_RESULT, "return self.dropout(x) + rows.to(x)"),),
    ),
    Misconception(
        "dropout-on-the-encoding",
        "You drop values of the encoding only. Dropout acts on the sum of x and the encoding.",
        ((_RESULT, "return x + self.dropout(rows.to(x))"),),
    ),
    Misconception(
        "dropout-always",
        "You drop values in eval mode too. nn.functional.dropout does so unless it is told that training is over (training=self.training).",
        ((_RESULT, "return nn.functional.dropout(x + rows.to(x), self.dropout.p)"),),
    ),
    Misconception(
        "dropout-unscaled",
        "You zero values and leave the others as they are. Survivors are scaled by 1 / (1 − p), so that the expected value stays the same.",
        (
            (
                _RESULT,
                "x = x + rows.to(x)\n        keep = torch.rand(x.shape) >= self.dropout.p\n        return x.where(keep, 0.0) if self.training else x",
            ),
        ),
    ),
    # Bad arguments
    Misconception(
        "max-len-off-by-one",
        "You refuse the last position that max_len allows. start + L may equal max_len: the last position is max_len − 1.",
        ((_RANGE_CHECK, "if start < 0 or end >= self.max_len:"),),
    ),
    Misconception(
        "max-len-unchecked",
        "You do not compare start + L with max_len. Positions beyond it are a ValueError, also when the formula could go on.",
        ((_RANGE_CHECK, "if start < 0:"),),
    ),
    Misconception(
        "max-len-compared-with-length-only",
        "You compare L with max_len and forget start. It is start + L that may not pass max_len.",
        ((_RANGE_CHECK, "if start < 0 or x.size(1) > self.max_len:"),),
    ),
    Misconception(
        "negative-start-accepted",
        "You accept a negative start, which Python reads as counting from the end of the table. Positions begin at 0: a negative start is a"
        " ValueError.",
        ((_RANGE_CHECK, "if end > self.max_len:"),),
    ),
    Misconception(
        "asserts-instead-of-value-error",
        "You check arguments with assert. Its AssertionError is for mistakes of your own and vanishes under python -O; a caller's mistake "
        "is a ValueError.",
        (
            (_SHAPE_CHECK, "        assert x.dim() == 3 and x.size(-1) == self.d_model\n"),
            (_RANGE_CHECK + "\n" + _RANGE_ERROR, "assert start >= 0 and end <= self.max_len\n"),
        ),
    ),
    Misconception(
        "shape-unchecked",
        "You leave a wrong rank or width of x to broadcasting, which silently makes a result of another shape where a size is 1 or a "
        "dimension is missing. Both are a ValueError.",
        ((_SHAPE_CHECK, ""), ("end = start + x.size(1)", "end = start + x.size(-2)"), (_RANGE_ERROR, '            raise ValueError("too long")\n')),
    ),
    Misconception(
        "rank-unchecked",
        "You check the width of x but not that it has three dimensions. Without its batch dimension x is a ValueError, not a guess.",
        (
            (_SHAPE_CHECK, "        if x.size(-1) != self.d_model:\n            raise ValueError(x.shape)\n"),
            ("end = start + x.size(1)", "end = start + x.size(-2)"),
        ),
    ),
)
