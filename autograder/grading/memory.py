"""How much memory a submission's answers may cost the grader, whatever sizes they have and whatever a test multiplies them with."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

_OWN_SIZE = Path("/proc/self/statm")
_BYTES = 3 << 30  # several times what any suite needs, and what its replays of mistakes need


@contextlib.contextmanager
def memory_for_answers(more_bytes: int = _BYTES) -> Iterator[None]:
    """Inside the block this process cannot grow by more: an allocation beyond that is an error of the test that asks for it."""
    try:
        mapped_bytes = int(_OWN_SIZE.read_text().split()[0]) * resource.getpagesize()
    except OSError:  # not Linux, or no /proc
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    allowed = min([mapped_bytes + more_bytes, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)])
    resource.setrlimit(resource.RLIMIT_AS, (allowed, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
