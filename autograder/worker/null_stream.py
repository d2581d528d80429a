"""Where a submission's prints go: nowhere, so that no print can carry a hidden input out, or fill a disk."""

from __future__ import annotations

import io


class NullStream(io.TextIOBase):
    """A text stream that forgets what it is given."""

    encoding = "utf-8"
    errors = "replace"

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        return None
