"""A system-call filter: what Python and torch need to compute, and nothing else.

No process or thread can be started, no program executed, no socket or pipe made, no signal sent to another process, no
limit raised. A refused call fails with EPERM (known and forbidden) or ENOSYS (everything else, which makes the C library
fall back), so that the student's code sees an ordinary OSError.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

from autograder.worker.linux import PR_SET_SECCOMP, prctl
from autograder.worker.syscall_numbers import NUMBERS

# Names that an architecture does not have are left out for it.
ALLOWED = """
read write futex mmap munmap mprotect madvise brk readv writev pread64 pwrite64 lseek close fstat stat lstat newfstatat statx access
faccessat faccessat2 open openat getdents64 readlink readlinkat getcwd mremap msync mincore rt_sigaction rt_sigprocmask rt_sigreturn
sigaltstack getpid gettid getppid getuid geteuid getgid getegid getpgrp getpgid getsid getgroups uname sysinfo getrandom clock_gettime
clock_getres clock_nanosleep nanosleep gettimeofday time times getrusage getrlimit sched_yield sched_getaffinity sched_getparam
sched_getscheduler sched_get_priority_max sched_get_priority_min getcpu set_robust_list get_robust_list set_tid_address rseq membarrier
arch_prctl exit exit_group restart_syscall poll ppoll select pselect6 dup dup2 dup3 statfs fstatfs umask
getxattr lgetxattr capget
""".split()

# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC: not F_SETOWN, which makes the kernel signal another process.
_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 1030)

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_ERRNO = 0x00050000
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16

_MODE_FILTER = 2
_OWN_PID = 0x7EA51DE5  # stands for the process's own number until the filter is installed: larger than any


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def supported() -> bool:
    """Whether the filter knows this architecture."""
    return platform.machine() in _AUDIT_ARCH


class Filter:
    """The filter, translated once and installed in each fork."""

    def __init__(self) -> None:
        program = build(platform.machine(), _OWN_PID)
        self._buffer = ctypes.create_string_buffer(program, len(program))
        self._pid_at = program.index(struct.pack("<I", _OWN_PID))
        self._descriptor = _Program(len(program) // 8, ctypes.cast(self._buffer, ctypes.c_char_p))
        self._pointer = ctypes.cast(ctypes.byref(self._descriptor), ctypes.c_void_p)

    def install(self) -> None:
        """Filter this process for good. Needs no_new_privs. Raises OSError."""
        struct.pack_into("<I", self._buffer, self._pid_at, os.getpid())
        prctl(PR_SET_SECCOMP, _MODE_FILTER, self._pointer)


def build(machine: str, own_pid: int) -> bytes:
    """The filter as classic BPF. The one process that it lets signals reach is `own_pid`."""
    numbers = NUMBERS[machine]
    code = [
        _instruction(_LOAD, value=_ARCH),
        _instruction(_JUMP_EQUAL, 1, 0, _AUDIT_ARCH[machine]),
        _instruction(_RETURN, value=_KILL),
        _instruction(_LOAD, value=_NUMBER),
    ]
    if machine == "x86_64":
        code += [_instruction(_JUMP_AT_LEAST, 0, 1, _X32_BIT), _instruction(_RETURN, value=_ERRNO | errno.ENOSYS)]
    allowed = [name for name in ALLOWED if name in numbers]
    for name in allowed:
        code += [_instruction(_JUMP_EQUAL, 0, 1, numbers[name]), _instruction(_RETURN, value=_ALLOW)]
    code += _only_if(numbers["tgkill"], _argument_is(0, (own_pid,)))
    code += _only_if(numbers["fcntl"], _argument_is(1, _FCNTL_COMMANDS))
    code += _only_if(numbers["prlimit64"], _reads_own_limits())
    special = {"tgkill", "fcntl", "prlimit64", "clone3"}
    for name, number in numbers.items():
        if name not in special and name not in allowed:
            code += [_instruction(_JUMP_EQUAL, 0, 1, number), _instruction(_RETURN, value=_ERRNO | errno.EPERM)]
    code.append(_instruction(_RETURN, value=_ERRNO | errno.ENOSYS))
    return b"".join(code)


def _instruction(operation: int, if_true: int = 0, if_false: int = 0, value: int = 0) -> bytes:
    return struct.pack("<HBBI", operation, if_true, if_false, value)


def _only_if(number: int, condition: list[bytes]) -> list[bytes]:
    """Run `condition`, which always returns, when the call is `number`; skip it otherwise."""
    return [_instruction(_JUMP_EQUAL, 0, len(condition), number), *condition]


def _argument_is(position: int, values: tuple[int, ...]) -> list[bytes]:
    code = [_instruction(_LOAD, value=_ARGUMENTS + 8 * position)]
    for value in values:
        code += [_instruction(_JUMP_EQUAL, 0, 1, value), _instruction(_RETURN, value=_ALLOW)]
    return [*code, _instruction(_RETURN, value=_ERRNO | errno.EPERM)]


def _reads_own_limits() -> list[bytes]:
    """prlimit64(pid = 0, resource, new limit = NULL, old limit)."""
    halves = (_ARGUMENTS, _ARGUMENTS + 16, _ARGUMENTS + 20)
    code: list[bytes] = []
    for half in halves:
        code += [_instruction(_LOAD, value=half), _instruction(_JUMP_EQUAL, 1, 0, 0), _instruction(_RETURN, value=_ERRNO | errno.EPERM)]
    return [*code, _instruction(_RETURN, value=_ALLOW)]
