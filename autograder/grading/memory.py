"""How much memory a submission's answers may cost the grader, whatever sizes they have and whatever a test multiplies them with."""

from __future__ import annotations

import contextlib
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

_BYTES = 3 << 30  # several times what any suite needs, and what its replays of mistakes need


@contextlib.contextmanager
def memory_for_answers(more_bytes: int = _BYTES) -> Iterator[None]:
    """Inside the block this process cannot grow by more: an allocation beyond that is an error of the test that asks for it."""
    if sys.platform != "linux":
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + more_bytes
    allowed = min([wanted, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)])
    resource.setrlimit(resource.RLIMIT_AS, (allowed, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
