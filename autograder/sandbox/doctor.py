"""What this machine gives: `autograder doctor` says what isolation works here, what is missing and how to get it."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from autograder.sandbox import bubblewrap
from autograder.sandbox.errors import SandboxError, ZygoteDiedError
from autograder.sandbox.zygote import Zygote
from autograder.worker import landlock, seccomp

_GIB = 2**30
_MEMORY_BYTES = 3 * _GIB
_DISK_BYTES = 1 * _GIB
_NEW_USER_NAMESPACE = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x10000000) != 0)"
_APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_MAX_NAMESPACES = Path("/proc/sys/user/max_user_namespaces")
_DEBIAN_SWITCH = Path("/proc/sys/kernel/unprivileged_userns_clone")
_NO_NAMESPACES_NEEDED = "not needed where Landlock and the system-call filter work"


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `advice` is empty when there is nothing to do."""

    name: str
    ok: bool
    detail: str
    advice: str = ""


def diagnose() -> list[Finding]:
    """Look at everything that grading needs or profits from; starts one isolated process to see what holds."""
    checks: list[Callable[[], Finding]] = [_python, _torch, lambda: _program("make"), lambda: _program("git")]
    if sys.platform == "linux":
        checks += [_user_namespaces, _bubblewrap, _landlock, _seccomp]
    checks += [_limits, _memory, _cores, _disk]
    return [check() for check in checks] + _modes()


def render(findings: list[Finding], stream: TextIO | None = None) -> None:
    """Print a table, with rich where it is installed."""
    stream = stream or sys.stdout
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        for finding in findings:
            print(f"{'ok     ' if finding.ok else 'MISSING'} {finding.name}: {finding.detail}", file=stream)
            if finding.advice:
                print(f"        -> {finding.advice}", file=stream)
        return
    table = Table(box=None, pad_edge=False)
    for title in ("", "What", "Found", "What to do"):
        table.add_column(title, overflow="fold")
    for finding in findings:
        table.add_row("[green]ok[/]" if finding.ok else "[red]missing[/]", finding.name, _plain(finding.detail), _plain(finding.advice))
    Console(file=stream, highlight=False).print(table)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


def _python() -> Finding:
    good = sys.version_info >= (3, 11)
    return Finding("Python", good, platform.python_version(), "" if good else "install Python 3.11 or newer")


def _torch() -> Finding:
    try:
        import torch
    except ImportError as error:
        return Finding("torch", False, f"does not import: {error}", "run `make grade`: it installs what is missing")
    if torch.version.cuda is None and getattr(torch.version, "hip", None) is None:
        return Finding("torch", True, f"{torch.__version__}, CPU build")
    build = f"{torch.__version__}, GPU build"
    return Finding("torch", True, build, "a CPU build is smaller and starts faster: https://download.pytorch.org/whl/cpu")


def _program(name: str) -> Finding:
    path = shutil.which(name)
    return Finding(name, path is not None, path or "not found", "" if path else f"install it, for example: apt-get install {name}")


def _user_namespaces() -> Finding:
    name = "user namespaces"
    probe = subprocess.run([sys.executable, "-I", "-S", "-c", _NEW_USER_NAMESPACE], capture_output=True, check=False)
    if probe.returncode == 0:
        return Finding(name, True, "an ordinary process can make one")
    return Finding(name, False, "refused", f"{namespace_advice()}; {_NO_NAMESPACES_NEEDED}")


def namespace_advice() -> str:
    """How to get user namespaces, by the setting that stands in the way."""
    if _setting(_APPARMOR) == "1":
        return "AppArmor restricts them: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or a profile for bwrap that allows userns"
    if _setting(_DEBIAN_SWITCH) == "0":
        return "sysctl -w kernel.unprivileged_userns_clone=1"
    if _setting(_MAX_NAMESPACES) == "0":
        return "sysctl -w user.max_user_namespaces=10000"
    return "the container's own system-call filter or the kernel refuses them: allow unshare in its profile"


def _bubblewrap() -> Finding:
    program = bubblewrap.executable()
    if program is None:
        return Finding("bubblewrap", False, "bwrap is not installed", f"apt-get install bubblewrap; {_NO_NAMESPACES_NEEDED}")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    trial = subprocess.run(
        [program, "--unshare-all", "--ro-bind", "/", "/", sys.executable, "-I", "-S", "-c", ""], capture_output=True, text=True, check=False
    )
    if trial.returncode == 0:
        return Finding("bubblewrap", True, f"{version} works")
    said = trial.stderr.strip().splitlines()
    return Finding("bubblewrap", False, f"{version} fails: {said[-1] if said else '-'}", f"{namespace_advice()}; {_NO_NAMESPACES_NEEDED}")


def _landlock() -> Finding:
    version = landlock.abi()
    if version == 0:
        return Finding("Landlock", False, "the kernel has none", "Linux 5.13 or newer with `landlock` in the boot option lsm=; or bubblewrap instead")
    if version < 6:
        return Finding("Landlock", True, f"ABI {version}: files" + (", TCP" if version >= 4 else ""), "Linux 6.12 or newer also keeps signals apart")
    return Finding("Landlock", True, f"ABI {version}: files, TCP, signals")


def _seccomp() -> Finding:
    if not seccomp.supported():
        return Finding("system-call filter", False, f"none for {platform.machine()}", "grade on x86_64 or aarch64, or with --sandbox best")
    known = Path("/proc/sys/kernel/seccomp/actions_avail").exists()
    return Finding("system-call filter", known, "seccomp" if known else "the kernel has none", "" if known else "a kernel with CONFIG_SECCOMP_FILTER")


def _limits() -> Finding:
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    good = files == resource.RLIM_INFINITY or files >= 256
    shown = "unlimited" if files == resource.RLIM_INFINITY else str(files)
    return Finding("open files", good, shown, "" if good else "raise it: ulimit -n 1024")


def _memory() -> Finding:
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    container = _setting(Path("/sys/fs/cgroup/memory.max"))
    if container is not None and container.isdigit():
        found = min(found, int(container))
    good = found >= _MEMORY_BYTES
    return Finding("memory", good, f"{found / _GIB:.1f} GiB", "" if good else "grade with --jobs 1, and with 3 GiB or more")


def _cores() -> Finding:
    count = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return Finding("cores", True, str(count))


def _disk() -> Finding:
    free = shutil.disk_usage(".").free
    good = free >= _DISK_BYTES
    return Finding("free disk", good, f"{free / _GIB:.1f} GiB", "" if good else "free 1 GiB: reports and the gradebook are written here")


def _modes() -> list[Finding]:
    """Whether `--sandbox require` and `--sandbox best` would work, by starting what they start."""
    try:
        with Zygote.start("best") as zygote:
            isolation, open_doors = zygote.isolation, zygote.open_doors
    except (SandboxError, ZygoteDiedError, OSError) as error:
        failed = f"no worker starts: {error}"
        return [
            Finding(f"--sandbox {mode}", False, failed, "run `make grade`, which installs what is missing, then `make doctor`")
            for mode in ("require", "best")
        ]
    return [
        Finding("--sandbox require", not open_doors, isolation.label if not open_doors else "would refuse to grade", "; ".join(open_doors)),
        Finding("--sandbox best", True, isolation.label, ""),
    ]


def _setting(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
