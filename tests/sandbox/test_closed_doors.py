"""What a submission may not do, layer by layer: each is refused by the layers that claim to stop it, and by no luck."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandboxed import LAYER_SETS, STRONG, StartWorker

from autograder.sandbox.readable import ROOT
from autograder.worker import landlock

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernel isolation is tested on Linux")

# Each attempt returns True when it got what it wanted, and False or an OSError when it was refused.
ATTEMPTS = """
import ctypes, mmap, os, resource, signal, socket, subprocess, sys, threading

libc = ctypes.CDLL(None, use_errno=True)

def attempt(name, *arguments):
    try:
        return bool(globals()[name](*arguments))
    except (OSError, RuntimeError):
        return False

def read(path):
    return open(path).read()

def list_folder(path):
    return os.listdir(path) is not None

def create(folder):
    os.close(os.open(folder + "/new", os.O_CREAT | os.O_WRONLY))
    return True

def write_byte(folder):
    with open(folder + "/new", "w") as file:
        file.write("x")
    return True

def delete(path):
    os.unlink(path)
    return True

def connect_tcp(port):
    socket.create_connection(("127.0.0.1", port)).close()
    return True

def connect_unix(path):
    socket.socket(socket.AF_UNIX).connect(path)
    return True

def connect_abstract(name):
    socket.socket(socket.AF_UNIX).connect("\\0" + name)
    return True

def send_datagram(port):
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port))

def fork():
    child = os.fork()
    if child == 0:
        os._exit(0)
    return os.waitpid(child, 0)

def execute():
    return subprocess.run([sys.executable or "/bin/true", "-c", ""], timeout=5).returncode == 0

def thread():
    started = threading.Thread(target=lambda: None)
    started.start()
    return True

def replace_program():
    os.execv("/bin/true", ["true"])

def signal_zygote():
    os.kill(os.getppid(), 0)
    return True

def signal_process(pid):
    os.kill(pid, 0)
    return True

def signal_everyone():
    os.kill(-1, 0)
    return True

def signal_by_descriptor_owner():
    import fcntl
    fcntl.fcntl(int(descriptors()[-1]), fcntl.F_SETOWN, os.getppid())
    return True

def trace_zygote():
    return libc.ptrace(0x4206, ctypes.c_long(os.getppid()), None, None) == 0

def read_zygote_memory():
    return open(f"/proc/{os.getppid()}/mem", "rb").read(1)

def read_process_memory(pid):
    return open(f"/proc/{pid}/environ", "rb").read(1)

def copy_zygote_memory():
    buffer = ctypes.create_string_buffer(8)
    part = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
    return libc.process_vm_readv(os.getppid(), part, 1, part, 1, 0) > 0

def become_dumpable():
    return libc.prctl(4, 1, 0, 0, 0) == 0 and libc.prctl(3, 0, 0, 0, 0) == 1

def gain_capabilities():
    data = (ctypes.c_uint32 * 6)(*([0xFFFFFFFF] * 6))
    return libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), data) == 0

def change_user():
    os.setuid(12345)
    return True

def mount():
    return libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0

def new_namespace():
    return libc.unshare(0x10000000) == 0

def raise_limits():
    raised = []
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE, resource.RLIMIT_CORE):
        _, hard = resource.getrlimit(kind)
        try:
            resource.setrlimit(kind, (hard + 1, hard + 1))
            raised.append(kind)
        except (ValueError, OSError):
            pass
    return raised

def shared_memory_file():
    return os.memfd_create("x") >= 0

def system_v_memory():
    return libc.shmget(0, 4096, 0o1600) >= 0

def io_ring():
    return libc.syscall(425, 1, ctypes.create_string_buffer(120)) >= 0

def descriptors():
    found = []
    for number in range(256):
        try:
            os.fstat(number)
        except OSError:
            continue
        found.append(number)
    return found
"""

FILES = ("bubblewrap", "landlock")
NETWORK = ("bubblewrap", "seccomp")
CALLS = ("seccomp",)
# An ordinary user's limit on processes holds; root has none.
PROCESSES = CALLS if os.getuid() == 0 else ("seccomp", "none", "bubblewrap", "landlock")
# A process of the same user may look into another; a worker of root's has too few privileges to look into a grader of root's.
OTHERS = (*FILES, "seccomp", "none") if os.getuid() == 0 else FILES
# attempt -> the layers that stop it, each of them by itself.
STOPPED_BY: dict[str, tuple[str, ...]] = {
    "read": FILES,
    "list_folder": FILES,
    "create": FILES,
    "delete": ("bubblewrap", "landlock", "seccomp"),
    "connect_tcp": ("bubblewrap", "landlock", "seccomp"),
    "connect_unix": NETWORK,
    "connect_abstract": ("bubblewrap", "landlock", "seccomp"),
    "fork": PROCESSES,
    "thread": PROCESSES,
    "execute": ("landlock", *PROCESSES),
    "read_process_memory": OTHERS,
    "signal_zygote": ("landlock", "seccomp"),
    "signal_process": ("bubblewrap", "landlock", "seccomp"),
    "shared_memory_file": CALLS,
    "system_v_memory": CALLS,
}
# The ABI since which Landlock stops it.
LANDLOCK_SINCE = {"connect_tcp": 4, "connect_abstract": 6, "signal_zygote": 6, "signal_process": 6}
# What the kernel refuses to any process without privileges, whatever the layers.
ALWAYS_STOPPED = (
    "write_byte",
    "trace_zygote",
    "copy_zygote_memory",
    "io_ring",
    "read_zygote_memory",
    "gain_capabilities",
    "change_user",
    "mount",
    "raise_limits",
)


@pytest.fixture
def targets() -> Iterator[dict[str, object]]:
    """What attempts reach for, by their names."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        secret = Path(folder, "secret")
        secret.write_text("a hidden test")
        unix.bind(f"{folder}/socket")
        unix.listen()
        abstract = socket.socket(socket.AF_UNIX)
        abstract.bind(f"\0{Path(folder).name}")
        abstract.listen()
        with abstract:
            yield {
                "read": str(secret),
                "list_folder": folder,
                "create": folder,
                "write_byte": folder,
                "delete": str(secret),
                "connect_tcp": tcp.getsockname()[1],
                "connect_unix": f"{folder}/socket",
                "connect_abstract": Path(folder).name,
                "signal_process": os.getpid(),
                "read_process_memory": os.getpid(),
            }


@pytest.mark.parametrize("layers", LAYER_SETS)
def test_each_layer_stops_what_it_claims_to_stop_and_no_other(start_worker: StartWorker, layers: str, targets: dict[str, object]) -> None:
    active = set(layers.split("+"))
    outdated = {name for name, since in LANDLOCK_SINCE.items() if landlock.abi() < since}
    worker = start_worker(layers)
    worker.load(ATTEMPTS)
    # Deleting comes last: other attempts need what it deletes.
    for name in sorted(STOPPED_BY, key=lambda name: name == "delete"):
        got_through = worker.call("attempt", name, *([targets[name]] if name in targets else []))
        stopped = (active - {"landlock"} if name in outdated else active) & set(STOPPED_BY[name])
        assert got_through == (not stopped), name


@pytest.mark.parametrize("layers", LAYER_SETS)
def test_some_doors_are_closed_under_any_layers(start_worker: StartWorker, layers: str, targets: dict[str, object]) -> None:
    worker = start_worker(layers)
    worker.load(ATTEMPTS)
    for name in ALWAYS_STOPPED:
        assert worker.call("attempt", name, *([targets[name]] if name in targets else [])) is False, name


@pytest.mark.parametrize("layers", LAYER_SETS)
def test_no_datagram_leaves_where_the_network_is_closed(start_worker: StartWorker, layers: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mailbox:
        mailbox.bind(("127.0.0.1", 0))
        mailbox.setblocking(False)
        worker = start_worker(layers)
        worker.load(ATTEMPTS)
        worker.call("attempt", "send_datagram", mailbox.getsockname()[1])
        with contextlib.ExitStack() as stack:
            if set(layers.split("+")) & set(NETWORK):
                stack.enter_context(pytest.raises(BlockingIOError))
            mailbox.recv(1)


@pytest.mark.parametrize("layers", STRONG)
@pytest.mark.parametrize("name", ["become_dumpable", "new_namespace", "signal_everyone", "signal_by_descriptor_owner", "replace_program"])
def test_system_calls_that_reach_further_are_refused(start_worker: StartWorker, layers: str, name: str) -> None:
    worker = start_worker(layers)
    worker.load(ATTEMPTS)
    assert worker.call("attempt", name) is False


@pytest.mark.parametrize("layers", LAYER_SETS)
def test_a_worker_inherits_only_null_streams_and_its_own_socket(start_worker: StartWorker, layers: str) -> None:
    worker = start_worker(layers)
    worker.load(ATTEMPTS)
    found = worker.call("descriptors")
    assert found[:3] == [0, 1, 2]
    assert len(found) == 4


OUTSIDE = (
    *("/proc/self/maps", "/proc/1/cmdline", "/sys/kernel", "/etc/passwd", "/dev/shm", "/tmp"),
    *(__file__, str(ROOT), os.path.expanduser("~")),
)


@pytest.mark.parametrize("layers", STRONG)
def test_nothing_outside_pythons_libraries_can_be_read(start_worker: StartWorker, layers: str) -> None:
    worker = start_worker(layers)
    worker.load(ATTEMPTS)
    for path in OUTSIDE:
        assert worker.call("attempt", "read", path) is False, path
        assert worker.call("attempt", "list_folder", path) is False, path
