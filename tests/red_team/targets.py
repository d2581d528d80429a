"""What the attacks would like to get hold of or to harm, and what they left of it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from warm_grader import CANARY, ROOT

SHM_KEY = 0x7ED7EA  # of the System V shared memory that an attack leaves
KEY_NAME = "red-team-mark"
ABSTRACT_MARK = "red-team-mark"
# What the attacks of this folder would leave in places that all may write to.
_NAMES = """out huge link results.json gradebook.db conftest.py sitecustomize.py usercustomize.py pytest.ini evil.pth red-team-mark red-team-fifo
red-team-many attention.py torch""".split()
_PLACES = ("/", "/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run", str(Path.home()))
_PR_SET_CHILD_SUBREAPER = 36
_KEYCTL = {"x86_64": 250, "aarch64": 219}


@dataclass
class Targets:
    """A folder with files that hold the canary, listeners that nothing may reach, and a process of the same user that nothing may touch."""

    folder: Path
    listeners: list[socket.socket] = field(default_factory=list)
    placeholders: dict[str, str] = field(default_factory=dict)
    bystander: subprocess.Popen[bytes] | None = None

    @classmethod
    def set_up(cls) -> Targets:
        if sys.platform == "linux":  # what a worker leaves behind becomes a child of this process
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        targets = cls(Path(tempfile.mkdtemp(prefix="red-team-targets-")))
        targets.restore()
        abstract = f"{targets.folder.name}-{os.getpid()}"
        tcp, udp = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(tcp.getsockname())
        targets.listeners += [tcp, udp]
        for address in (str(targets.folder / "socket"), f"\0{abstract}") if sys.platform == "linux" else ():
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(address)
            listener.listen()
            targets.listeners.append(listener)
        for listener in targets.listeners:
            listener.setblocking(False)
        targets.placeholders = {
            "@FOLDER@": str(targets.folder), "@ROOT@": str(ROOT), "@PORT@": str(tcp.getsockname()[1]), "@ABSTRACT@": abstract
        }  # fmt: skip
        targets.restore()
        return targets

    def restore(self) -> None:
        """Put back what an attack harmed, and clear away what it left."""
        other = self.folder / "students" / "ann" / "01_attention"
        other.mkdir(parents=True, exist_ok=True)
        (self.folder / "secret.txt").write_text(CANARY)
        (self.folder / "gradebook.db").write_text(f"SQLite format 3\0 {CANARY}")
        (other / "attention.py").write_text(f"# {CANARY}\n")
        if self.bystander is None or self.bystander.poll() is not None:
            self.bystander = subprocess.Popen(["sleep", "100000"], env={"RED_TEAM_CANARY": CANARY})
        self.placeholders["@BYSTANDER@"] = str(self.bystander.pid)
        self.bystander.send_signal(signal.SIGCONT)
        for path in self.left_elsewhere():
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
        if sys.platform == "linux":
            libc = ctypes.CDLL(None)
            found = libc.shmget(SHM_KEY, 0, 0)
            if found >= 0:
                libc.shmctl(found, 0, None)
            for keyring in (-3, -5):  # the session's and the user's
                key = libc.syscall(_KEYCTL[platform.machine()], 10, ctypes.c_long(keyring), b"user", KEY_NAME.encode(), 0)
                if key >= 0:
                    libc.syscall(_KEYCTL[platform.machine()], 21, ctypes.c_long(key))
        self.reached()

    def reached(self) -> bool:
        """Whether anything arrived at a listener."""
        arrived = False
        for listener in self.listeners:
            with contextlib.suppress(BlockingIOError):
                while True:  # until there is nothing more
                    if listener.type == socket.SOCK_STREAM:
                        listener.accept()[0].close()
                    else:
                        listener.recv(1)
                    arrived = True
        return arrived

    def files(self) -> dict[Path, bytes | None]:
        return {path: path.read_bytes() if path.is_file() else None for path in self.folder.rglob("*")}

    def bystander_state(self) -> str:
        """ "S" for a process that sleeps, "T" for one that was stopped, "Z" for one that was ended."""
        assert self.bystander is not None
        if sys.platform != "linux":
            return "S" if self.bystander.poll() is None else "Z"
        try:
            return Path(f"/proc/{self.bystander.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return "Z"

    @staticmethod
    def left_elsewhere() -> set[str]:
        """Files in places that all may write to, System V shared memory, and sockets without a file."""
        found = {f"{folder.rstrip('/')}/{name}" for folder in _PLACES for name in _NAMES}
        return {path for path in found if os.path.lexists(path)}

    @staticmethod
    def left_in_the_kernel() -> set[str]:
        left = set()
        for path, mark in (("/proc/sysvipc/shm", str(SHM_KEY)), ("/proc/net/unix", f"@{ABSTRACT_MARK}"), ("/proc/keys", KEY_NAME)):
            with contextlib.suppress(OSError):
                if any(mark in line for line in Path(path).read_text().splitlines()):
                    left.add(path)
        return left

    def close(self) -> None:
        self.restore()
        for listener in self.listeners:
            listener.close()
        if self.bystander is not None:
            self.bystander.kill()
            self.bystander.wait()
        shutil.rmtree(self.folder)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
            collect_ended()


def descendants() -> set[int]:
    """Processes below this one, zombies too; none where there is no /proc."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {os.getpid()}
    while grown := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= grown
    return found - {os.getpid()}


def left_processes(before: set[int], patience: float = 10.0) -> set[int]:
    """Processes that came and stay; none when no more are there than before, as the forking process may have been replaced by another."""
    deadline = time.monotonic() + patience
    while len(found := descendants()) > len(before):
        collect_ended()
        if time.monotonic() > deadline:
            return found - before
        time.sleep(0.02)
    return set()


def collect_ended() -> None:
    """What outlived its own parent ends as a child of this process."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def end(processes: set[int]) -> None:
    """End what was left and is not waited for by anyone."""
    for pid in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    for pid in processes:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
