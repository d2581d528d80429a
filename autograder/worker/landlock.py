"""Landlock: a process gives up the file system, TCP, and signals to others, for itself and all it forks.

See the kernel's userspace-api/landlock documentation. ABI 1 (Linux 5.13) closes the file system, ABI 4 (6.7) TCP, ABI 6 (6.12) abstract
Unix sockets and signals to processes outside the domain.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

from autograder.worker.linux import syscall

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1

_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_ALL_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_NET_ALL = 0b11
_SCOPE_ALL = 0b11

# Mapping a library needs no _EXECUTE: without it no program can be started.
READ = _READ_FILE | _READ_DIR
READ_FILE = _READ_FILE
DEVICE = _READ_FILE | _WRITE_FILE


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("access", ctypes.c_uint64), ("parent", ctypes.c_int32))


def abi() -> int:
    """The kernel's Landlock ABI; 0 when it has none."""
    try:
        return syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))
    except OSError:
        return 0


def close_file_system(readable: Iterable[Path], devices: Iterable[Path]) -> None:
    """Allow reading below `readable`, reading and writing the `devices`; no other path, no TCP.

    Paths that do not exist are left out. Needs no_new_privs or CAP_SYS_ADMIN. Raises OSError.
    """
    version = abi()
    everything = max(access for since, access in _ALL_BY_ABI.items() if since <= version)
    ruleset = _create(fs=everything, net=_NET_ALL if version >= 4 else 0)
    try:
        for path in readable:
            _allow(ruleset, path, READ if path.is_dir() else READ_FILE)
        for path in devices:
            _allow(ruleset, path, DEVICE)
        restrict(ruleset)
    finally:
        os.close(ruleset)


def apartness() -> int | None:
    """A ruleset that forbids signals and abstract sockets to every process outside; None below ABI 6."""
    return _create(scoped=_SCOPE_ALL) if abi() >= 6 else None


def restrict(ruleset: int) -> None:
    """Put this process and its future children under `ruleset`. Raises OSError."""
    syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))


def _create(fs: int = 0, net: int = 0, scoped: int = 0) -> int:
    attributes = _Ruleset(fs, net, scoped)
    size = 24 if scoped else 16 if net else 8
    return syscall(_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(size), ctypes.c_uint32(0))


def _allow(ruleset: int, path: Path, access: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError, NotADirectoryError):
        return
    try:
        rule = _PathBeneath(access, parent)
        syscall(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_RULE_PATH_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0))
    finally:
        os.close(parent)
