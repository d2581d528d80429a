"""Raises errors and returns objects whose words are HTML, Markdown, links, formulas and terminal escapes."""

HOSTILE = (
    "<script>hostile()</script><img src=x onerror=hostile()> [x](javascript:hostile) ![](http://hostile/) @everyone #1 \x1b[2J\u202e\u200b\x07 =1+1"
)
kinds = [type("<b onclick=hostile>", (error,), {}) for error in (ValueError, KeyError, TypeError, NameError, NotImplementedError, OSError)]
calls = 0


def fail():
    global calls
    calls += 1
    error = kinds[calls % len(kinds)](HOSTILE)
    error.add_note(HOSTILE)
    raise error


def scaled_dot_product_attention(query, key, value, mask=None):
    fail()  # <img src=x onerror=hostile()> \x1b[2J


def padding_mask(token_ids, pad_id):
    return type("<i hostile>", (), {"__repr__": lambda self: HOSTILE})()


def causal_mask(query_length, key_length=None):
    raise NameError(f"name '{HOSTILE}' is not defined")


def combine_masks(padding=None, causal=None):
    return HOSTILE
