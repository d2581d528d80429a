"""The floor: the hidden suite on every submission of a class in one warm process, with no isolation whatever.

    python -m autograder.bench.warm SUBMISSIONS SCORES.json

A submission could change its grade, end the process or run for ever. No course may grade like this; it shows what the checks
themselves cost.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from autograder.bench.checks import SEED, hidden_suite
from autograder.bench.population import source_path
from autograder.checking.submission import LocalSubmission, load_module
from autograder.grading.seeds import seed_for_test


def grade_class(submissions: Path) -> dict[str, dict[str, float]]:
    """Points of each student for each test."""
    suite = hidden_suite()
    return {
        folder.name: {
            test.id: test.points if finished is not None and finished.raised is None else 0.0
            for test, finished in suite.run(
                LocalSubmission(load_module(source_path(submissions, folder.name))), lambda test_id: seed_for_test(SEED, test_id)
            )
        }
        for folder in sorted(submissions.iterdir())
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    Path(sys.argv[2]).write_text(json.dumps(grade_class(Path(sys.argv[1]))), encoding="utf-8")
