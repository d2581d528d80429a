"""Stops itself for good, deaf to every signal that can be ignored."""

import contextlib
import signal

for number in range(1, 65):
    with contextlib.suppress(OSError, ValueError):
        signal.signal(number, signal.SIG_IGN)


def scaled_dot_product_attention(query, key, value, mask=None):
    signal.raise_signal(signal.SIGSTOP)
