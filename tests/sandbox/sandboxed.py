"""A worker under any set of layers that this machine gives, driven over the wire without the rest of the grader."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from autograder.sandbox import probe
from autograder.sandbox.zygote import LAYERS, Zygote
from autograder.worker.limits import WorkerLimits

LIMITS = WorkerLimits(memory_bytes=2**30, cpu_seconds=20)
LAYER_SETS = ("bubblewrap+landlock+seccomp", "landlock+seccomp", "bubblewrap", "landlock", "seccomp", "none")
STRONG = LAYER_SETS[:2]

# In the grader's memory and environment before any worker's process starts.
CANARY = f"canary-of-the-grader-{secrets.token_hex(16)}"
os.environ["SANDBOX_TEST_CANARY"] = CANARY

running: dict[str, Zygote] = {}


def zygote_of(layers: str) -> Zygote:
    """The zygote of this layer set, started on first use; skips the test where the machine does not give it."""
    if sys.platform != "linux":
        pytest.skip("kernel isolation is tested on Linux")
    wanted = set() if layers == "none" else set(layers.split("+"))
    if layers not in running:
        running[layers] = Zygote.start("best", layers=wanted)
    got = set(running[layers].isolation.layers) & set(LAYERS)
    if got != wanted:
        pytest.skip(f"this machine does not give {', '.join(sorted(wanted - got))}")
    return running[layers]


@dataclass
class Worker:
    """A worker with a submission loaded."""

    zygote: Zygote
    stream: socket.socket

    def load(self, source: str) -> None:
        probe.load(self.stream, "submission.py", source)

    def call(self, function: str, *arguments: Any) -> Any:
        return probe.call(self.stream, function, *arguments)


StartWorker = Callable[..., Worker]
