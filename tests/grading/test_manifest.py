"""The manifest of a hidden suite: made before a submission is met, and wrong suites refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy import FOLDER, NAME, REFERENCE

from autograder.checking.submission import LocalSubmission, load_module
from autograder.grading.suite import Suite
from autograder.grading.suite_error import SuiteError

HEAD = "import pytest\n\n"


def suite_of(tmp_path: Path, text: str) -> Suite:
    (tmp_path / "test_scaling.py").write_text(HEAD + text)
    (tmp_path / "scaling.py").write_text(REFERENCE)
    return Suite(NAME, tmp_path, tmp_path)


def test_ids_titles_points_and_requirements_in_the_order_of_the_file() -> None:
    suite = Suite(NAME, FOLDER / "hidden_tests", FOLDER / "references")
    first, second, *_ = suite.manifest
    assert (first.id, first.title, first.points, first.requires) == ("test_halves", "halve returns half of every number", 2.0, ())
    assert (second.id, second.points, second.requires) == ("test_keeps_the_dtype", 1.0, ("test_halves",))
    assert suite.points == 9
    suite.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "holds no test"),
        ("@pytest.mark.requires('test_b')\ndef test_a(): pass\n", "test_a requires test_b, which is no test before it"),
        ("@pytest.mark.requires('test_b')\ndef test_a(): pass\ndef test_b(): pass\n", "which is no test before it"),
        ("@pytest.mark.requires('test_a')\ndef test_a(): pass\n", "test_a requires test_a"),
        ("def test_a(): pass\nclass TestB:\n    def test_a(self): pass\n", "two tests named test_a"),
        ("import nowhere_to_be_found\n", "cannot be collected"),
        ("def test_a(:\n", "cannot be collected"),
        ("1 / 0\n", "cannot be collected"),
    ],
)
def test_a_suite_that_cannot_decide_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SuiteError, match=words):
        suite_of(tmp_path, text)


@pytest.mark.parametrize("missing", ["test_scaling.py", "scaling.py"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    suite_of(tmp_path, "def test_a(): pass\n").close()
    (tmp_path / missing).unlink()
    with pytest.raises(SuiteError, match=f"{missing} is missing"):
        Suite(NAME, tmp_path, tmp_path)


def outcomes(tmp_path: Path, text: str) -> dict[str, str]:
    suite = suite_of(tmp_path, text)
    submission = LocalSubmission(load_module(tmp_path / "scaling.py"))
    found = {test.id: "not run" if finished is None else type(finished.raised).__name__ for test, finished in suite.run(submission, lambda _id: 0)}
    suite.close()
    return found


def test_only_a_test_that_ran_to_its_end_passes(tmp_path: Path) -> None:
    """Nothing but returning from the test counts: not a skip, not an expected failure, not an error before or after it."""
    text = """
@pytest.fixture
def broken(): 1 / 0
@pytest.fixture
def broken_after():
    yield
    1 / 0
def test_passes(): pass
def test_fails(): assert False
def test_skips(): pytest.skip("passed")
@pytest.mark.skip
def test_is_skipped(): pass
@pytest.mark.xfail
def test_is_expected_to_fail(): assert False
@pytest.mark.xfail(strict=False)
def test_calls_xfail(): pytest.xfail("passed")
def test_setup_fails(broken): pass
def test_teardown_fails(broken_after): pass
def test_exits(): raise SystemExit(0)
def test_wants_an_unknown_fixture(no_such_fixture): pass
"""
    found = outcomes(tmp_path, text)
    assert found.pop("test_passes") == "NoneType"
    assert len(found) == 9
    assert "NoneType" not in found.values()


def test_a_chain_of_requirements_breaks_where_one_fails(tmp_path: Path) -> None:
    text = """
def test_a(): assert False
@pytest.mark.requires("test_a")
def test_b(): pass
@pytest.mark.requires("test_b")
def test_c(): pass
def test_d(): pass
"""
    assert outcomes(tmp_path, text) == {"test_a": "AssertionError", "test_b": "not run", "test_c": "not run", "test_d": "NoneType"}
