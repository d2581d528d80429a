"""What the tests of attacks hold out to them."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Targets:
    """A folder with files that hold the canary, and listeners that nothing may reach."""

    folder: Path
    listeners: tuple[socket.socket, ...]
    placeholders: dict[str, str]

    def reached(self) -> bool:
        """Whether anything arrived at a listener."""
        for listener in self.listeners:
            try:
                listener.accept() if listener.type == socket.SOCK_STREAM else listener.recv(1)
            except BlockingIOError:
                continue
            return True
        return False

    def files(self) -> set[Path]:
        return set(self.folder.rglob("*"))
