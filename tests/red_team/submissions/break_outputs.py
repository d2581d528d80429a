"""Writes a gigabyte to its streams, raises with a huge text, and fills every disk that it finds."""

import os
import sys

for _ in range(256):
    print("x" * 2**20)
    os.write(1, bytes(2**16))
    sys.stderr.write("x" * 2**10)
for folder in ("/dev/shm", "/tmp", "@FOLDER@", "."):
    try:
        with open(f"{folder}/huge", "wb") as file:
            file.write(bytes(2**20))
        raise SystemExit(folder)
    except OSError:
        pass


def scaled_dot_product_attention(query, key, value, mask=None):
    raise TypeError("x" * 2**26)


def padding_mask(token_ids, pad_id):
    raise type("x" * 2**20, (Exception,), {})


def causal_mask(query_length, key_length=None):
    raise RuntimeError(*range(10**6))
