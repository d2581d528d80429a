"""What attacks would like to get hold of: canaries in every place that a submission might reach."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from targets import Targets
from warm_grader import CANARY, sandbox_mode, warm_grader


@pytest.fixture(scope="session")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Targets]:
    folder = tmp_path_factory.mktemp("red")
    other = folder / "students" / "ann" / "01_attention"
    other.mkdir(parents=True)
    (folder / "secret.txt").write_text(CANARY)
    (other / "attention.py").write_text(f"# {CANARY}\n")
    abstract = f"{folder.name}-{os.getpid()}"
    tcp, udp = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(tcp.getsockname())
    listeners = [tcp, udp]
    for address in (str(folder / "socket"), f"\0{abstract}") if sys.platform == "linux" else ():
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(address)
        listener.listen()
        listeners.append(listener)
    for listener in listeners:
        listener.setblocking(False)
    root = Path(__file__).resolve().parents[2]
    placeholders = {
        "@FOLDER@": str(folder), "@ROOT@": str(root), "@PORT@": str(tcp.getsockname()[1]), "@ABSTRACT@": abstract
    }  # fmt: skip
    yield Targets(folder, tuple(listeners), placeholders)
    for listener in listeners:
        listener.close()


@pytest.fixture(scope="module", autouse=True)
def _no_diagnosis() -> Iterator[None]:
    """Naming misconceptions is most of the work, and no part of what is tried here."""

    class NoDiagnosis:
        def diagnose(self, failures: object) -> dict[str, object]:
            return {}

    if sandbox_mode() != "require":
        pytest.skip("this machine cannot isolate a submission: `autograder doctor` says what is missing")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warm_grader(), "_diagnostician", lambda _name: NoDiagnosis())
        for name in ("attention", "multi_head_attention"):  # in the grader's memory, beside the hidden tests and the reference
            reference = warm_grader().suite(name)._plugin.reference_module
            patch.setitem(vars(reference._module), "CANARY", CANARY)
        yield
