"""A made-up class for tests and for looking at pages: `python tests/reports/sample_class.py FOLDER [STUDENTS]`."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from autograder.course.course import Assignment, Course, LatePolicy, Limits
from autograder.reports.model import Diagnosis, Isolation, Outcome, Report, Status, TestResult
from autograder.results.standings import Standing, standings

SECRET_SEED = "5eed5eed5eed5eed"
DUE = datetime(2026, 10, 5, 23, 59, tzinfo=UTC)
TITLES = {
    "01_attention": (
        "Attention with one key returns that key's value",
        "Attention weights are a distribution over the keys",
        "Scores are divided by √D, the width of a query",
        "padding_mask marks exactly the padding",
        "causal_mask hides the future, and only the future",
        "A causal mask of fewer queries than keys is aligned bottom-right",
        "combine_masks hides what either mask hides",
        "A masked key has weight exactly 0, whatever it holds",
        "A query that sees no key has zero weights and a zero output",
        "Gradients stay finite when a query sees no key",
        "Any number of leading dimensions works, none too",
        "The inputs are not changed",
        "Scores in the thousands do not overflow the softmax",
        "Arguments that do not fit raise ValueError",
    ),
    "02_positional_encoding": (
        "Position 0 is 0, 1, 0, 1, …",
        "Sine and cosine are interleaved",
        "Wavelengths grow geometrically with the column",
        "An odd d_model ends on a sine",
        "base is used, not a constant of 10000",
        "Large positions keep their angle in float32",
        "PositionalEncoding adds the rows that start names",
        "The table is not part of the state dict",
        "The output has the dtype of the input",
        "Dropout acts in train mode only",
        "Arguments that do not fit raise ValueError",
    ),
    "03_multi_head_attention": (
        "One head is plain attention between projections",
        "Heads are split by columns, then merged in the same order",
        "Scores are divided by √(head_dim), not √(d_model)",
        "Cross-attention: keys and values come from elsewhere",
        "Weights are returned per head, before dropout",
        "A 2-D mask is (L, S), also when L equals the batch size",
        "A 4-D mask can hide different keys in each head",
        "A query that sees no key returns the bias of w_o",
        "Dropout acts on the weights, in train mode only",
        "Gradients reach every projection",
        "num_heads that does not divide d_model raises ValueError",
    ),
}
MESSAGES = (
    "the output is off by up to 0.31 (at [1, 2, 4, 5]; 118 of 120 values differ). Which number do you divide the scores by?",
    "the sum of each row of weights is off by up to 0.84 (at [0, 1, 3]; 30 of 30 values differ).",
    "the weights hold NaN in 14 of 210 places, first at [0, 2, 1, 0]. What does softmax do with a row of −inf?",
    "the mask is wrong in 6 of 35 places, first at [0, 3].",
    "scaled_dot_product_attention raised RuntimeError: The size of tensor a (7) must match the size of tensor b (5) at non-singleton dimension 3",
)
MISTAKES = {
    "01_attention": (
        (2, Diagnosis("scale_by_value_width", "You divide by √Dv, the width of a value; the scale is √D, the width of a query and key.")),
        (5, Diagnosis("causal_top_left", "Your causal mask is aligned top-left; the last query sees every key, so it is aligned bottom-right.")),
        (8, Diagnosis("fill_minus_1e9", "A fill of −1e9 gives a query without keys the mean of all values; its weights are to be 0.")),
        (
            1,
            Diagnosis(
                "softmax_over_queries", "Your softmax runs over the queries; each query distributes its weight over the keys, the last dimension."
            ),
        ),
    ),
    "02_positional_encoding": (
        (1, Diagnosis("halves", "You put all sines first and all cosines after; they alternate.")),
        (2, Diagnosis("exponent_2i_twice", "Your exponent doubles the index twice: column 2i has the exponent −2i/d_model.")),
    ),
    "03_multi_head_attention": (
        (
            1,
            Diagnosis("merge_without_transpose", "You merge heads by reshape without moving the head dimension back: positions and heads get mixed."),
        ),
        (2, Diagnosis("scale_by_model_width", "You divide by √d_model; the scale is √head_dim, the size of one head.")),
    ),
}
STUDENTS = (
    "amara.okafor", "bao-nguyen", "carlos mendoza", "d'souza_priya", "elif.yilmaz", "freya.lindqvist", "김민준", "hana <b>novak",
    "ivan.petrov", "joão.silva 🎓", "khadija.b", "liam.oconnor", "mei-ling.chen", "noah.schmidt",
)  # fmt: skip
SOURCE = '"""My attention."""\n\nimport torch\n' + "\n".join(
    f"    scores = query @ key.transpose(-2, -1) / math.sqrt({n})  # <- line {n}" for n in range(4, 120)
)


def course() -> Course:
    names = ("Scaled dot-product attention", "Positional encoding", "Multi-head attention")
    assignments = tuple(
        Assignment(folder, title, 20.0, 2.0 if folder.startswith("03") else 1.0, DUE + timedelta(days=7 * week))
        for week, (folder, title) in enumerate(zip(TITLES, names, strict=True))
    )
    return Course("transformers", "The Transformer, from attention to Transformer-XL", LatePolicy("percent", 10, 50), Limits(), assignments)


def report(student: str, folder: str, failed: tuple[int, ...] = (), not_run: tuple[int, ...] = (), status: Status = Status.GRADED) -> Report:
    """A report whose tests number `failed` and `not_run` (from 0) did not pass."""
    titles = TITLES[folder]
    mistakes = dict(MISTAKES[folder])
    worth = round(20 / len(titles), 2)
    tests = []
    for place, title in enumerate(titles):
        outcome = Outcome.FAILED if place in failed or status is not Status.GRADED else Outcome.NOT_RUN if place in not_run else Outcome.PASSED
        message = {Outcome.FAILED: MESSAGES[place % len(MESSAGES)], Outcome.NOT_RUN: f"It builds on “{titles[max(0, place - 1)]}”, which failed."}
        tests.append(
            TestResult(
                id=f"test_{place:02}",
                title=title,
                outcome=outcome,
                points=worth if outcome is Outcome.PASSED else 0.0,
                max_points=worth,
                message=message.get(outcome, ""),
                misconception=mistakes.get(place) if outcome is Outcome.FAILED and status is Status.GRADED else None,
                line=17 + place if outcome is Outcome.FAILED and place % 2 == 0 else None,
            )
        )
    score = 20.0 if not failed and not not_run and status is Status.GRADED else round(sum(test.points for test in tests), 2)
    words = {
        Status.MISSING: f"Nothing lies at {folder}/{folder[3:]}.py.",
        Status.BROKEN: f"{folder[3:]}.py does not parse: line 31: '(' was never closed.",
        Status.UNREADABLE: f"{folder[3:]}.py is not UTF-8: byte 212 is 0xe9.",
    }
    return Report(
        student=student,
        assignment=folder,
        status=status,
        score=score,
        max_score=20.0,
        tests=tuple(tests),
        fingerprint="f1f1f1f1",
        submission_sha256="5b5b5b5b",
        suite_sha256="5c5c5c5c",
        grader_sha256="5d5d5d5d",
        torch_version="2.13.0",
        seed=SECRET_SEED,
        sandbox=Isolation("require", ("landlock", "seccomp"), ()),
        attempt=1,
        graded_at="2026-11-02T10:00:00+00:00",
        submitted_at=None if status is Status.MISSING else "2026-10-05T12:30:00+00:00",
        wall_seconds=0.8,
        cpu_seconds=0.7,
        peak_memory_bytes=200 << 20,
        message=words.get(status, ""),
    )


def sample_standings(count: int = len(STUDENTS)) -> list[Standing]:
    """`count` students × 3 assignments as a real class is: most right, some late, broken, missing, one flagged."""
    draw = random.Random(7)
    names = STUDENTS if count <= len(STUDENTS) else tuple(f"student{place:04}" for place in range(count))
    found = []
    for place, student in enumerate(names[:count]):
        skill = draw.betavariate(4, 2)
        for folder, titles in TITLES.items():
            status = Status.GRADED
            if place % 13 == 6 and folder.startswith("02"):
                status = Status.BROKEN
            elif place % 13 == 10 and not folder.startswith("01"):
                status = Status.MISSING
            elif place % 13 == 12 and folder.startswith("03"):
                status = Status.UNREADABLE
            failed = tuple(n for n in range(len(titles)) if draw.random() > skill + 0.3 * (1 - n / len(titles)))
            waiting = tuple(n + 1 for n in failed if n + 1 < len(titles) and n + 1 not in failed and draw.random() < 0.3)
            one = report(student, folder, failed, waiting, status)
            if place % 7 == 3 and folder.startswith("01"):
                one = replace(one, submitted_at="2026-10-07T03:10:00+00:00", attempt=2)
            if place == 8 and folder.startswith("03"):
                one = replace(one, flags=("calls torch.nn.functional.scaled_dot_product_attention in line 44",))
            found.append(one)
    return standings(found, course())


if __name__ == "__main__":
    from autograder.reports.class_report import write_class_report
    from autograder.reports.feedback import write_feedback

    target = Path(sys.argv[1])
    everybody = sample_standings(int(sys.argv[2]) if len(sys.argv) > 2 else len(STUDENTS))
    for name in sorted({standing.report.student for standing in everybody})[:20]:
        write_feedback(target, course(), name, everybody, dict.fromkeys(TITLES, SOURCE))
    print(write_class_report(target, course(), everybody))
