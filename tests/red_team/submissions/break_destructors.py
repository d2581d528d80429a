"""Objects whose destructors make more of themselves, raise, and never end, some when the process ends."""

import atexit


class Endless:
    def __del__(self):
        Endless()
        raise RuntimeError("x3141592653_smuggled")


class Reborn:
    kept = ()

    def __del__(self):
        Reborn.kept = [self]
        while True:
            pass


keep = Reborn()
atexit.register(lambda: [None for _ in iter(int, 1)])


def scaled_dot_product_attention(query, key, value, mask=None):
    global keep
    keep = None
    return query, key
