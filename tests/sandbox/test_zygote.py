"""The forking process: fails closed, holds no secret, notices its own end, serves several processes of the grader."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from sandboxed import CANARY, LIMITS, StartWorker, Worker, zygote_of

from autograder.sandbox import bubblewrap
from autograder.sandbox.readable import ROOT
from autograder.sandbox.zygote import SandboxError, Zygote, ZygoteDiedError
from autograder.wire.codec import WireError

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="kernel isolation is tested on Linux")

DOUBLE = "def double(x):\n    return 2 * x\n"


@pytest.fixture(scope="module")
def off() -> Iterator[Zygote]:
    """Without any layer; ends by itself when it is closed."""
    zygote = Zygote.start("off")
    yield zygote
    zygote.close()
    assert zygote._process is not None
    assert zygote._process.returncode == 0


@pytest.fixture
def off_worker(off: Zygote) -> Iterator[Worker]:
    with off.spawn(LIMITS) as stream:
        yield Worker(off, stream)
    off.reap()


@on_linux
def test_require_fails_closed_and_says_how_to_get_what_is_missing() -> None:
    with pytest.raises(SandboxError) as caught:
        Zygote.start("require", layers={"seccomp"})
    text = str(caught.value)
    assert "closed file system: install bubblewrap" in text
    assert "no network" not in text
    assert "autograder doctor" in text


@on_linux
@pytest.mark.parametrize(("layers", "open_door"), [("landlock", "no network"), ("seccomp", "closed file system"), ("none", "no reach into other")])
def test_what_stays_open_under_fewer_layers_is_missing_in_the_report(layers: str, open_door: str) -> None:
    assert any(entry.startswith(open_door) for entry in zygote_of(layers).isolation.missing)


@on_linux
def test_require_is_satisfied_without_a_working_bubblewrap_and_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'setting up uid map: Permission denied' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(bubblewrap, "executable", lambda: str(broken))
    with Zygote.start("require") as zygote:
        assert {"landlock", "seccomp"} <= set(zygote.isolation.layers)
        assert zygote.isolation.missing == ("bubblewrap (setting up uid map: Permission denied)",)


def test_off_is_still_another_process_and_says_what_is_open(off: Zygote, off_worker: Worker) -> None:
    off_worker.load("import os\ndef process():\n    return os.getpid()\n")
    assert off_worker.call("process") != os.getpid()
    assert off.isolation.layers == ("process", "rlimits")
    assert any("no network" in entry for entry in off.isolation.missing)


@pytest.mark.parametrize("layers", ["landlock+seccomp", "bubblewrap+landlock+seccomp"])
def test_a_clone_serves_by_itself_and_outlives_its_own_end_only(layers: str) -> None:
    original = zygote_of(layers)
    clone = original.clone()
    assert clone.isolation == original.isolation
    with original.spawn(LIMITS) as first, clone.spawn(LIMITS) as second:
        workers = [Worker(original, first), Worker(clone, second)]
        for worker in workers:
            worker.load(DOUBLE)
        assert [worker.call("double", 4) for worker in workers] == [8, 8]
    clone.reap()
    clone.close()
    assert original.reap().exit in (None, "exited with status 0")


def test_a_clone_can_forbid_operations_once_for_all_its_workers() -> None:
    with zygote_of("landlock+seccomp").clone(["torch.nn.functional.layer_norm"], ["aten::native_layer_norm"]) as clone:
        with clone.spawn(LIMITS) as stream:
            worker = Worker(clone, stream)
            worker.load("import torch\ndef norm(x):\n    return torch.native_layer_norm(x, (2,), None, None, 1e-5)[0].sum().item()\n")
            with pytest.raises(WireError, match="ForbiddenOperationError"):
                worker.call("norm", torch.ones(2, 2))
        clone.reap()


@on_linux
@pytest.mark.parametrize("moment", ["spawn", "reap", "clone"])
def test_a_dead_zygote_is_noticed_and_its_worker_ends_with_it(moment: str) -> None:
    with zygote_of("landlock+seccomp").clone() as clone:
        with clone.spawn(LIMITS) as stream:
            worker = Worker(clone, stream)
            worker.load("import os\ndef parent():\n    return os.getppid()\n")
            os.kill(worker.call("parent"), signal.SIGKILL)
            assert stream.recv(1) == b""
        with pytest.raises(ZygoteDiedError):
            clone.spawn(LIMITS) if moment == "spawn" else clone.reap() if moment == "reap" else clone.clone()


@on_linux
def test_killing_bubblewrap_ends_all_inside_it() -> None:
    if bubblewrap.executable() is None:
        pytest.skip("bubblewrap is not installed")
    with Zygote.start("best", layers={"bubblewrap"}) as zygote, zygote.spawn(LIMITS) as stream:
        assert zygote._process is not None
        zygote._process.kill()
        assert stream.recv(1) == b""
        with pytest.raises(ZygoteDiedError):
            zygote.reap()


@pytest.mark.parametrize("layers", ["none", "bubblewrap", "landlock+seccomp"])
def test_the_process_holds_no_module_of_the_grader_but_its_own(start_worker: StartWorker, layers: str) -> None:
    worker = start_worker(layers)
    worker.load("import sys, os\ndef found():\n    return [sorted(sys.modules), sys.path, sys.argv, sys.orig_argv, sorted(os.environ)]\n")
    modules, path, argv, original, environment = worker.call("found")
    own = [name for name in modules if name.split(".")[0] in ("autograder", "reference_solutions", "nbgrader", "pytest", "_pytest")]
    allowed = ("autograder", "autograder.checking", "autograder.checking.given", "autograder.checking.measurement")
    assert [name for name in own if name not in allowed and not name.startswith(("autograder.wire", "autograder.worker"))] == []
    assert str(ROOT) not in path
    assert (argv, original) == ([""], [])
    assert set(environment) <= {
        *("LANG", "LC_CTYPE", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TORCHINDUCTOR_CACHE_DIR", "LD_LIBRARY_PATH", "PWD"),
        "PYTHONHASHSEED",
        *(name for name in environment if name.startswith(("TORCH", "PYTORCH", "KMP"))),  # set by torch itself
    }


SEARCH = '''
import re

PREFIX = b"canary" + b"-of-the-grader-"

def search():
    """What follows the prefix, wherever it occurs in this process's memory."""
    found = set()
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps:
            span, mode, *_ = line.split()
            start, end = (int(part, 16) for part in span.split("-"))
            if mode.startswith("rw"):
                try:
                    memory.seek(start)
                    found |= {match.group(1).decode() for match in re.finditer(re.escape(PREFIX) + b"([0-9a-f]{32})", memory.read(end - start))}
                except OSError:
                    pass
    return sorted(found)

def plant():
    global planted
    planted = PREFIX + b"0" * 32
'''


@on_linux
def test_nothing_that_the_grader_knows_is_in_the_memory_of_a_worker(off_worker: Worker) -> None:
    assert os.environ["SANDBOX_TEST_CANARY"] == CANARY  # set before any zygote started
    off_worker.load(SEARCH)  # here, and nowhere else, a worker can read its own memory through /proc
    assert off_worker.call("search") == []
    off_worker.call("plant")
    assert off_worker.call("search") == ["0" * 32]  # the search does find what is there


@on_linux
def test_the_command_line_tells_nothing(off: Zygote) -> None:
    assert off._process is not None
    command = Path(f"/proc/{off._process.pid}/cmdline").read_bytes().decode().rstrip("\0").split("\0")
    assert command[1:5] == ["-s", "-P", "-S", "-B"]
    assert command[5].endswith("autograder/worker/boot.py")
    assert len(command) == 7
