"""Workers for the tests of the sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sandboxed import LIMITS, StartWorker, Worker, running, zygote_of

from autograder.worker.limits import WorkerLimits


@pytest.fixture(scope="package", autouse=True)
def _end_zygotes() -> Iterator[None]:
    yield
    for zygote in running.values():
        zygote.close()
    running.clear()


@pytest.fixture
def start_worker() -> Iterator[StartWorker]:
    """start_worker(layers, limits=…) -> Worker, ended after the test."""
    started: list[Worker] = []

    def start(layers: str, limits: WorkerLimits = LIMITS) -> Worker:
        zygote = zygote_of(layers)
        worker = Worker(zygote, zygote.spawn(limits))
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.stream.close()
        worker.zygote.reap()
