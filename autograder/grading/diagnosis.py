"""Name the mistake: replay a failed test with each known wrong variant in the submission's place.

When a variant's answers equal the submission's, and it fails the test as well, the submission shows that misconception.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass

from autograder.checking.assertions import listen_to_comparisons
from autograder.checking.submission import LocalSubmission
from autograder.grading.answers import OtherAnswerError, Rehearsal, Transcript
from autograder.grading.suite import Suite
from autograder.misconceptions.bank import Misconception
from autograder.reports.model import Diagnosis


@dataclass(frozen=True)
class Failure:
    """A failed test, its seed, and all that the submission answered in it."""

    test_id: str
    seed: int
    transcript: Transcript


class Diagnostician:
    """The misconceptions of one assignment, ready to be replayed. They are the course's own code and run in this process."""

    def __init__(self, suite: Suite, bank: tuple[Misconception, ...], reference_source: str, kills: Mapping[str, frozenset[str]]) -> None:
        self._suite = suite
        self._bank = bank
        self._variants = [LocalSubmission(_module(suite.name, index, entry.apply(reference_source))) for index, entry in enumerate(bank)]
        every_test = frozenset(test.id for test in suite.manifest)
        self._failed_by = [kills.get(entry.name, every_test) for entry in bank]

    def diagnose(self, failures: list[Failure]) -> Mapping[str, Diagnosis]:
        """The misconception shown by each failed test, where one is; a mistake that explains more of the failures goes first.

        Mistakes that explain an earlier failure are tried first, and the others only where none of them explains this one too: most
        submissions make one mistake, and then the whole bank is replayed for its first failure alone.
        """
        matches: dict[str, list[int]] = {}
        known: list[int] = []
        for failure in failures:
            found = [index for index in known if self._shows(failure, index)]
            if not found:
                found = [index for index in range(len(self._bank)) if index not in known and self._shows(failure, index)]
                known += found
            matches[failure.test_id] = found
        explained = [sum(index in found for found in matches.values()) for index in range(len(self._bank))]
        failed = frozenset(matches)
        named = {}
        for test_id, found in matches.items():
            most = [index for index in found if explained[index] == max(explained[other] for other in found)]
            if most:
                # Among mistakes that explain as much, the one that would break least of what the submission does right.
                best = most[0] if len(most) == 1 else min(most, key=lambda index: len(self._failed_by[index] - failed))
                named[test_id] = Diagnosis(self._bank[best].name, self._bank[best].says)
        return named

    def _shows(self, failure: Failure, index: int) -> bool:
        if not failure.transcript.answers or failure.test_id not in self._failed_by[index]:
            return False
        variant = self._variants[index]
        rehearsal = Rehearsal(failure.transcript)
        with variant.observed_by(rehearsal.note), listen_to_comparisons(rehearsal.note_comparison):
            finished = self._suite.run_one(failure.test_id, variant, failure.seed)
        return finished.raised is not None and not isinstance(finished.raised, OtherAnswerError) and rehearsal.complete


def _module(name: str, index: int, source: str) -> types.ModuleType:
    module = types.ModuleType(f"misconception_{index}_of_{name}")
    sys.modules[module.__name__] = module  # dataclasses and typing look a class's module up by its name
    exec(compile(source, f"<misconception of {name}>", "exec", dont_inherit=True), module.__dict__)
    return module
