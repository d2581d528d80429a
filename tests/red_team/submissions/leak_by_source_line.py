"""Fails on lines of its own that hold tags, links, terminal escapes and marks of direction, since a page quotes the line."""


def scaled_dot_product_attention(query, key, value, mask=None):
    raise RuntimeError("</code></pre><script>hostile()</script>")  # ```\n# <img src=x onerror=hostile()> [x](javascript:hostile)


def padding_mask(token_ids, pad_id):
    return token_ids.hostile("\x1b]0;title\x07", "\u202e\u2066\u200b", '"><svg onload=hostile()>')


def causal_mask(query_length, key_length=None):
    raise TypeError("@everyone #12 https://hostile.example ~~~ $$hostile$$")
