"""Mutation testing: what is changed, how a trial is bounded, and what a survivor without a reason comes to."""

from __future__ import annotations

import ast
import json

import pytest

from autograder.authoring.mutants.__main__ import PAGE
from autograder.authoring.mutants.equivalents import EQUIVALENTS, EquivalentsError, load_equivalents, problems
from autograder.authoring.mutants.generate import Key, mutants_of
from autograder.authoring.mutants.journal import Journal
from autograder.authoring.mutants.page import with_counts
from autograder.authoring.mutants.trial import try_source
from autograder.course.course import load_course
from autograder.grading.paths import REFERENCES, REPOSITORY
from autograder.grading.suite import Suite

COURSE = load_course(REPOSITORY / "course.toml")

REFERENCE = '''"""Tiny."""


def clipped(x: int, limit: int = 9) -> int:
    """x, but never above limit. Raises ValueError when x < 0."""
    ### BEGIN SOLUTION
    if x < 0:
        raise ValueError(f"x must be >= 0, got {x + 0}")
    return limit if x > limit else x
    ### END SOLUTION
'''
HIDDEN_TEST = '''"""Tiny."""
from autograder.checking.assertions import assert_raises_value_error, require


def test_small(submission):
    """small"""
    require(submission.clipped(0) == 0 and submission.clipped(7) == 7, "no", "no")


def test_large(submission):
    """large"""
    require(submission.clipped(11) == 9 and submission.clipped(11, 10) == 10, "no", "no")


def test_negative(submission):
    """negative"""
    assert_raises_value_error(lambda: submission.clipped(-1), when="x is negative")
'''
TESTS = ["test_small", "test_large", "test_negative"]
SURVIVOR = Key("clipped", "return limit if x > limit else x", "x > limit → x >= limit")


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "test_tiny.py").write_text(HIDDEN_TEST)
    (folder / "tiny.py").write_text(REFERENCE)
    suite = Suite("tiny", folder, folder)
    yield suite
    suite.close()


def changes(line: str) -> set[str]:
    """What becomes of `line` in a function's region, as programs without what stands around it."""
    body = "\n".join(f"    {part}" for part in line.splitlines())
    source = f"def f():\n    ### BEGIN SOLUTION\n{body}\n    ### END SOLUTION\n    return 0\n"
    found = set()
    for mutant in mutants_of(source):
        statements = ast.parse(mutant.source).body[0].body[:-1]
        found.add("\n".join(ast.unparse(statement) for statement in statements))
    return found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("return a + b", {"return a - b", "return a", "return b", "return None"}),
        ("return a / b", {"return a * b", "return b / a"}),
        ("return a // b", {"return a % b", "return a * b"}),
        ("return a | b", {"return a & b"}),
        ("return a < b", {"return a <= b", "return a >= b", "return a != b"}),
        ("return a == b == c", {"return a != b == c", "return a == b != c", "return a == b", "return b == c"}),
        ("return a is None", {"return a is not None"}),
        ("return a and b", {"return a or b", "return a", "return b"}),
        ("return not a", {"return a"}),
        ("return -a", {"return a"}),
        ("return True", {"return False"}),
        ("return 2", {"return 3", "return 1", "return 0"}),
        ("return 0.5", {"return 1.5", "return 1.0", "return 0.0"}),
        ("return 'relu'", {"return 'relu_'"}),
        ("return a.sum(dim=-1, keepdim=True)", {"return a.sum(dim=-1)", "return a.sum(keepdim=True)", "return a.sum(dim=-1, keepdim=False)"}),
        ("return a.sum(-1)", {"return a.sum(1)", "return a.sum(-2)", "return a.sum(-0)", "return a.mean(-1)", "return a"}),
        ("return f(a, b)", {"return f(b, a)", "return f(a)", "return f(b)", "return a"}),
        ("return a.add_(b)", {"return a.add(b)", "return a"}),
        ("return a[1:b]", {"return a[:b]", "return a[1:]", "return a[1:b + 1]", "return a[1:b - 1]", "return a[2:b]", "return a"}),
        ("return a[:, 0::2]", {"return a[:, ::2]", "return a[:, 0:]", "return a[:, 1::2]", "return a[:, 0::3]"}),
        ("return torch.float64", {"return torch.float32"}),
        ("return a, b", {"return (b, a)", "return a", "return b"}),
        ("return a if b else c", {"return a", "return c", "return a if not b else c"}),
        ("return [a for a in b if c]", {"return [a for a in b if not c]"}),
        ("if a:\n    b()", {"pass", "b()", "if not a:\n    b()", "if a:\n    pass"}),
        ("for a in b:\n    c()", {"pass", "for a in b:\n    c()\n    break"}),
        ("for a in b:\n    continue", {"for a in b:\n    break", "for a in b:\n    pass"}),
        ("with a:\n    b()", {"b()"}),
        ("try:\n    a()\nfinally:\n    b()", {"a()\nb()", "a()"}),
        ("try:\n    a()\nexcept ValueError:\n    b()", {"a()", "try:\n    a()\nexcept TypeError:\n    b()"}),
        ("raise ValueError(a)", {"pass", "raise TypeError(a)"}),
        ("a += b", {"pass", "a -= b"}),
        ("a = b", {"pass"}),
    ],
)
def test_operators(line, expected):
    assert expected <= changes(line)


def test_only_what_a_student_writes_is_changed():
    mutants = mutants_of(REFERENCE)
    assert {mutant.number for mutant in mutants} == {7, 8, 9}
    assert all('f"x must be >= 0, got {x + 0}"' in mutant.source for mutant in mutants if mutant.key.mutation.startswith("return"))
    assert not [mutant.key for mutant in mutants if "x + 0 →" in mutant.key.mutation]
    helper = REFERENCE.replace("def clipped", '### BEGIN SOLUTION\ndef lowest():\n    """Words."""\n    return 0\n\n\n### END SOLUTION\ndef clipped')
    assert {mutant.key.mutation for mutant in mutants_of(helper) if mutant.key.function == "lowest"} == {"return 0 → return None", "0 → 1", "0 → -1"}
    assert len({mutant.key for mutant in mutants}) == len({ast.dump(ast.parse(mutant.source)) for mutant in mutants}) == len(mutants)


def test_every_mutant_but_the_right_one_is_killed(suite):
    survived = [mutant.key for mutant in mutants_of(REFERENCE) if try_source(suite, mutant.source, TESTS, 20).killed_by is None]
    messages = [key for key in survived if "ValueError(" in key.mutation]
    assert [key for key in survived if key not in messages and "x < 0 → x <= " not in key.mutation] == [SURVIVOR]


def test_a_trial_ends_at_the_first_failure(suite):
    trial = try_source(suite, REFERENCE.replace("x > limit", "x < limit"), ["test_negative", "test_small", "test_large"], 20)
    assert trial.killed_by == "test_small"
    assert list(trial.cpu_seconds) == ["test_negative"]


@pytest.mark.parametrize(
    ("statement", "outcome"),
    [
        ("while True: pass", "(time)"),
        ("import os; os._exit(3)", "(crash)"),
        ("bytearray(1 << 44)", "test_small"),
        ("raise SystemExit", "(crash)"),
        ("nonsense(", "test_small"),
    ],
)
def test_a_trial_is_bounded(suite, statement, outcome):
    source = REFERENCE.replace("    if x < 0:\n", f"    {statement}\n    if x < 0:\n")
    assert try_source(suite, source, TESTS, 1).killed_by == outcome


def test_a_survivor_needs_a_reason_and_a_reason_a_survivor():
    other = Key("clipped", "return x", "x → None")
    assert problems([SURVIVOR], {SURVIVOR: "equal either way"}) == []
    assert problems([SURVIVOR], {}) == ["survives: clipped: `return limit if x > limit else x`: x > limit → x >= limit"]
    assert problems([], {other: "gone"}) == ["stale reason, no survivor: clipped: `return x`: x → None"]


def test_reasons_are_read_and_must_be_whole(tmp_path):
    path = tmp_path / "tiny.json"
    assert load_equivalents(path) == {}
    entry = {"reason": "equal either way", "mutants": [list(vars(SURVIVOR).values())]}
    path.write_text(json.dumps([entry]))
    assert load_equivalents(path) == {SURVIVOR: "equal either way"}
    for wrong, words in (([entry, entry], "two reasons"), ([entry | {"reason": " "}], "reason is empty"), ([{"mutants": []}], "must be a list")):
        path.write_text(json.dumps(wrong))
        with pytest.raises(EquivalentsError, match=words):
            load_equivalents(path)


def test_a_journal_goes_on_after_a_run_that_was_killed(tmp_path):
    path = tmp_path / "folder" / "tiny.jsonl"
    Journal(path).note("first", "suite", "test_small", "process")
    Journal(path).note("second", "suite", None, "grading")
    with path.open("a") as file:
        file.write('{"mutant": "cut o')
    journal = Journal(path)
    assert journal.get("first").killed_by == "test_small"
    assert journal.get("second").stage == "grading"
    assert journal.get("third") is None
    journal.note("first", "other suite", None, "process")
    assert journal.get("first").killed_by is None


def test_counts_are_replaced_row_by_row():
    page = with_counts("# Title\n\nWords.\n", {"01_one": (9, 8, 1, 1, 0)})
    page = with_counts(page, {"02_two": (5, 5, 0, 0, 0)})
    assert page.count("| assignment |") == 1  # also where the table ends the page
    page += "\nLast words.\n"
    page = with_counts(page, {"01_one": (10, 8, 1, 2, 0)})
    assert "| 01_one | 10 | 8 | 1 | 2 | 0 |\n| 02_two | 5 | 5 | 0 | 0 | 0 |\n| all | 15 | 13 | 1 | 2 | 0 |\n\nLast words.\n" in page
    assert page.count("01_one") == 1


def test_each_reason_is_for_a_line_of_the_reference():
    for assignment in COURSE.assignments:
        lines = {line.strip() for line in (REFERENCES / f"{assignment.name}.py").read_text(encoding="utf-8").splitlines()}
        known = load_equivalents(EQUIVALENTS / f"{assignment.name}.json")
        assert [key for key in known if key.line not in lines] == []


def test_the_page_counts_every_assignment_and_leaves_none_open():
    page = PAGE.read_text(encoding="utf-8")
    for assignment in COURSE.assignments:
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {assignment.folder} |")]
        mutants, killed, _, equivalent, unexplained = (int(cell) for cell in row.split("|")[2:-1])
        assert (killed + equivalent, unexplained) == (mutants, 0)
        assert equivalent == len(load_equivalents(EQUIVALENTS / f"{assignment.name}.json"))
