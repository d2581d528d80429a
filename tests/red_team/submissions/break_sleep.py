"""Sleeps, waits for a lock that it holds, and stops itself."""

import os
import signal
import threading
import time


def scaled_dot_product_attention(query, key, value, mask=None):
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(10_000)


def padding_mask(token_ids, pad_id):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def causal_mask(query_length, key_length=None):
    signal.pause()
    time.sleep(10_000)
