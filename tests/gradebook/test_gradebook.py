"""What nbgrader reads in its own database after standings were written into it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from databases import Database

pytest.importorskip("nbgrader")

from autograder.course.course import Assignment, Course, LatePolicy, Limits
from autograder.course.roster import Roster, Student
from autograder.gradebook.database import GradebookError, open_gradebook
from autograder.gradebook.write import read_extensions, write_gradebook
from autograder.reports.model import Diagnosis, Outcome, Report, Status, TestResult
from autograder.results.standings import standings

ATTENTION = Assignment("01_attention", "A", 20.0, 1.0, datetime(2026, 10, 5, 23, 59, tzinfo=UTC))
COURSE = Course("demo", "Demo", LatePolicy("percent", 10.0, 50.0), Limits(), (ATTENTION,))
LATE = "2026-10-07T00:00:00+00:00"  # in the second day: 4 of 20 points
FIND = ("attention", "01_attention")


@pytest.fixture
def write(database: Database):
    def write(*reports: Report, roster: Roster | None = None):
        return write_gradebook(database.url, COURSE, standings(reports, COURSE, roster), roster)

    return write


def _with_tests(make_report, *tests: TestResult, **changes: object) -> Report:
    return make_report(tests=tests, score=sum(test.points for test in tests), max_score=sum(test.max_points for test in tests), **changes)


def test_nbgrader_reads_scores_points_penalty_and_names(write, gradebook, make_report) -> None:
    roster = Roster((Student("ann", "Ann", "Lee", "a@b.c"), Student("idle")))
    update = write(make_report(submitted_at=LATE), make_report(student="한 'b' 🦜", score=0.0), roster=roster)
    assert (update.submissions, update.warnings) == (2, ())
    submission = gradebook.find_submission("01_attention", "ann")
    assert (submission.score, submission.max_score, submission.late_submission_penalty) == (12.0, 20.0, 4.0)
    assert submission.timestamp == datetime(2026, 10, 7)
    assert not submission.needs_manual_grade
    assert gradebook.find_grade("test_masks", *FIND, "ann").auto_score == 12.0
    assert gradebook.find_grade("test_scale", *FIND, "ann").failed_tests
    assert gradebook.find_grade_cell("test_scale", *FIND).max_score == 8.0
    assert gradebook.find_assignment("01_attention").duedate == datetime(2026, 10, 5, 23, 59)
    assert (gradebook.find_student("ann").last_name, gradebook.find_student("ann").email) == ("Lee", "a@b.c")
    assert {student.id for student in gradebook.students} == {"ann", "idle", "한 'b' 🦜"}


def test_a_second_write_changes_nothing(write, database, make_report) -> None:
    write(make_report(), make_report(student="ben", submitted_at=LATE))
    before = database.dump()
    write(make_report(), make_report(student="ben", submitted_at=LATE))
    assert database.dump() == before


def test_comments_say_what_went_wrong(write, gradebook, make_report) -> None:
    tests = (
        TestResult("test_a", "Right", Outcome.PASSED, 1.0, 1.0),
        TestResult("test_b", "Scaled", Outcome.FAILED, 0.0, 1.0, "Twice too large.", Diagnosis("by_d_model", "You divide by √d_model."), 7),
    )
    write(_with_tests(make_report, *tests, message="Read as a notebook."))
    assert gradebook.find_comment("test_a", *FIND, "ann").comment is None
    assert gradebook.find_comment("test_b", *FIND, "ann").comment == (
        "Scaled\n\nTwice too large.\n\nYou divide by √d_model.\n\nLook at line 7 of your file."
    )
    assert gradebook.find_comment("submission", *FIND, "ann").comment == "Read as a notebook."


def test_what_was_graded_by_hand_survives_a_regrade(write, gradebook, make_report) -> None:
    tests = make_report().tests
    write(make_report())
    grade = gradebook.find_grade("test_scale", *FIND, "ann")
    grade.manual_score, grade.extra_credit = 5.0, 1.0
    gradebook.find_comment("test_scale", *FIND, "ann").manual_comment = "Nearly."
    gradebook.db.commit()
    write(make_report())
    gradebook.db.expire_all()
    assert (grade.auto_score, grade.manual_score, grade.extra_credit, grade.score) == (0.0, 5.0, 1.0, 6.0)
    assert not grade.needs_manual_grade
    assert gradebook.find_comment("test_scale", *FIND, "ann").comment == "Nearly."

    write(_with_tests(make_report, tests[0], TestResult("test_scale", "Scores are scaled", Outcome.PASSED, 8.0, 8.0)))
    gradebook.db.expire_all()
    assert (grade.auto_score, grade.score) == (8.0, 6.0)
    assert grade.needs_manual_grade


def test_a_submission_that_nbgrader_made_needs_no_manual_grade_afterwards(write, gradebook, make_report) -> None:
    write(make_report())
    gradebook.add_student("ben")
    gradebook.add_submission("01_attention", "ben")
    write(make_report(), make_report(student="ben"))
    gradebook.db.expire_all()
    assert gradebook.find_submission("01_attention", "ben").score == 12.0
    assert not gradebook.find_submission("01_attention", "ben").needs_manual_grade


def test_an_extension_granted_in_the_gradebook_is_kept_and_counts(write, gradebook, database, make_report) -> None:
    write(make_report(submitted_at=LATE))
    gradebook.grant_extension("01_attention", "ann", days=3)
    write(make_report(submitted_at=LATE), roster=Roster((Student("ann", extension_days=1),)))
    submission = gradebook.find_submission("01_attention", "ann")
    gradebook.db.expire_all()
    assert (submission.extension, submission.late_submission_penalty, submission.total_seconds_late) == (timedelta(days=3), 0.0, 0)
    assert read_extensions(database.url, COURSE) == {("01_attention", "ann"): timedelta(days=3)}


def test_an_extension_of_the_roster_is_shown(write, gradebook, make_report) -> None:
    write(make_report(submitted_at=LATE), roster=Roster((Student("ann", extension_days=1),)))
    submission = gradebook.find_submission("01_attention", "ann")
    assert (submission.extension, submission.late_submission_penalty) == (timedelta(days=1), 2.0)


def test_a_new_suite_adds_changes_and_retires_tests_for_everybody(write, gradebook, make_report) -> None:
    write(make_report(), make_report(student="ben"), make_report(student="cyd"))
    gradebook.find_grade("test_scale", *FIND, "ben").manual_score = 3.0
    gradebook.db.commit()
    new = (TestResult("test_masks", "Masks hide", Outcome.PASSED, 15.0, 15.0), TestResult("test_new", "New", Outcome.FAILED, 0.0, 5.0, "No."))
    regraded = _with_tests(make_report, *new, graded_at="2026-10-08T00:00:00+00:00")
    update = write(regraded, make_report(student="ben"))
    assert "test_scale is no longer a test, but has scores given by hand" in update.warnings[0]
    assert gradebook.find_assignment("01_attention").max_score == 20.0
    assert not gradebook.find_grade("test_new", *FIND, "ben").needs_manual_grade
    assert not gradebook.find_grade("test_new", *FIND, "cyd").needs_manual_grade

    gradebook.find_grade("test_scale", *FIND, "ben").manual_score = None
    gradebook.db.commit()
    assert write(regraded, make_report(student="ben")).warnings == ()
    gradebook.db.expire_all()
    assert {cell.name for cell in gradebook.find_notebook(*FIND).grade_cells} == {"test_masks", "test_new"}
    assert gradebook.find_submission("01_attention", "ann").score == 15.0
    assert gradebook.find_comment("test_new", *FIND, "ben").comment == "Not graded yet with this test."


def test_a_cell_that_somebody_added_is_left_alone(write, gradebook, make_report) -> None:
    write(make_report())
    gradebook.add_grade_cell("style", *FIND, max_score=4.0, cell_type="markdown")
    write(make_report())
    assert gradebook.find_grade("style", *FIND, "ann").needs_manual_grade
    gradebook.find_grade("style", *FIND, "ann").manual_score = 3.0
    gradebook.db.commit()
    write(make_report())
    gradebook.db.expire_all()
    assert (gradebook.find_grade("style", *FIND, "ann").auto_score, gradebook.find_submission("01_attention", "ann").score) == (None, 15.0)


def test_who_handed_in_nothing_is_a_student_without_a_submission(write, gradebook, make_report) -> None:
    from nbgrader.api import MissingEntry

    missing = {"status": Status.MISSING, "score": 0.0, "tests": (), "submitted_at": None}
    write(make_report(), make_report(student="ben", **missing))
    with pytest.raises(MissingEntry):
        gradebook.find_submission("01_attention", "ben")
    assert gradebook.find_student("ben").score == 0.0

    write(make_report(**missing), make_report(student="cyd"))
    gradebook.db.expire_all()
    assert (gradebook.find_submission("01_attention", "ann").score, gradebook.find_submission("01_attention", "ann").timestamp) == (0.0, None)


def test_a_class_is_written_in_few_transactions(write, database, make_report, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.orm import Session

    commits: list[object] = []
    commit = Session.commit
    monkeypatch.setattr(Session, "commit", lambda self: (commits.append(self), commit(self))[1])
    write(*(make_report(student=f"s{number}") for number in range(36)))
    assert len(commits) <= 3
    assert database.execute("SELECT count(*) FROM grade WHERE NOT needs_manual_grade") == [(72,)]


def test_nbgrader_export_works_on_it(write, database, tmp_path: Path, make_report) -> None:
    write(make_report(submitted_at=LATE), make_report(student="ben"))
    program = Path(sys.executable).parent / "nbgrader"
    environment = {**os.environ, "HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "JUPYTER_CONFIG_DIR": str(tmp_path), "IPYTHONDIR": str(tmp_path)}
    subprocess.run(
        [program, "export", "--to", "out.csv", f"--db={database.url}"], cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=300
    )
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert len(lines) == 3
    assert "01_attention,2026-10-05 23:59:00,2026-10-07 00:00:00,ann,,,,12.0,4.0,8.0,20.0" in lines


def test_a_new_database_needs_no_activated_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_report) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    write_gradebook(f"sqlite:///{tmp_path}/new.db", COURSE, standings([make_report()], COURSE))
    with sqlite3.connect(tmp_path / "new.db") as connection:
        [(version,)] = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    assert version


def test_tables_that_an_interrupted_start_left_without_a_version_get_one(database: Database, write, make_report) -> None:
    database.execute("DROP TABLE alembic_version")
    write(make_report())
    assert database.execute("SELECT count(*) FROM alembic_version") == [(1,)]


def test_the_database_of_another_version_is_refused(database: Database, write, make_report) -> None:
    database.execute("UPDATE alembic_version SET version_num = 'old'")
    before = database.dump()
    with pytest.raises(GradebookError, match=r"another version of nbgrader \(old.*nbgrader db upgrade"):
        write(make_report())
    assert database.dump() == before


def test_a_locked_database_is_named_and_untouched(file: Path, make_report) -> None:
    before = file.read_bytes()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(GradebookError, match=r"gradebook\.db.*locked.*another program holds it"):
        write_gradebook(f"sqlite:///{file}?timeout=0.05", COURSE, standings([make_report()], COURSE))
    other.close()
    assert file.read_bytes() == before


def test_a_failure_in_between_keeps_nothing_of_the_assignment(database: Database, write, make_report, monkeypatch: pytest.MonkeyPatch) -> None:
    write(make_report())
    before = database.dump()

    def fail(*_: object) -> None:
        raise RuntimeError("stopped")

    monkeypatch.setattr("autograder.gradebook.write._write_submission", fail)
    with pytest.raises(RuntimeError):
        write(make_report(student="ben"))
    assert database.dump() == before


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_runs_at_once_make_a_new_gradebook_once(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with ExitStack() as stack:
        made = Database(f"sqlite:///{tmp_path}/new.db")
        if kind == "postgresql":
            made = stack.enter_context(request.getfixturevalue("server").database())

        def open_it(_number: int) -> int:
            with open_gradebook(made.url, "demo") as gradebook:
                return len(gradebook.students)

        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(open_it, range(6))) == [0] * 6
        assert made.execute("SELECT count(*) FROM alembic_version") == [(1,)]
        assert made.execute("SELECT count(*) FROM course") == [(1,)]


def test_two_runs_at_once_wait_for_each_other(database: Database, make_report) -> None:
    def write(number: int) -> int:
        found = standings([make_report(student=f"s{student}", score=float(number)) for student in range(20)], COURSE)
        return write_gradebook(database.url, COURSE, found).submissions

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(write, range(4))) == [20] * 4
    assert database.execute("SELECT count(*), count(DISTINCT student_id) FROM submitted_assignment") == [(20, 20)]
    assert database.execute("SELECT count(*) FROM grade") == [(40,)]


def test_what_a_column_cannot_hold_does_not_stop_the_class(write, gradebook, make_report) -> None:
    roster = Roster((Student("ann", "A\0nn", "Lee" * 50),))
    update = write(make_report(), make_report(student="b" * 129), make_report(student="c" * 128, message="a\0b\ud800"), roster=roster)
    assert {student.id for student in gradebook.students} == {"ann", "c" * 128}
    assert gradebook.find_student("ann").first_name == "Ann"
    assert len(gradebook.find_student("ann").last_name) <= 128
    assert gradebook.find_comment("submission", *FIND, "c" * 128).comment == "ab\ufffd"
    assert [text.split(" is not in the gradebook: rename the folder")[0] for text in update.warnings] == [repr("b" * 129)]


def test_what_is_no_gradebook_is_refused_and_left_as_it_was(tmp_path: Path, make_report) -> None:
    text, foreign = tmp_path / "grades.txt", tmp_path / "music.db"
    text.write_text("my own notes, longer than a header")
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE tracks (id INTEGER)")
    cases = {
        f"sqlite:///{text}": r"grades\.txt is not an SQLite database and is left as it is",
        f"sqlite:///{foreign}": r"music\.db is not a gradebook of nbgrader \(it holds tracks\)",
        f"sqlite:///{tmp_path}": r"is a folder; expected a file",
        f"sqlite:///{tmp_path}/none/gradebook.db": r"the folder .*none does not exist",
        "sqlite://": r"would be lost at the end of the run",
        "gradebook.db": r"not a database URL; expected one like sqlite:///gradebook\.db",
        "oracel://x/y": r"unknown kind of database",
    }
    before = {path: path.read_bytes() for path in (text, foreign)}
    for url, message in cases.items():
        with pytest.raises(GradebookError, match=message):
            write_gradebook(url, COURSE, standings([make_report()], COURSE))
    assert {path: path.read_bytes() for path in before} == before
    assert set(tmp_path.iterdir()) == set(before)


def test_a_read_only_gradebook_is_named(file: Path, make_report) -> None:
    with pytest.raises(GradebookError, match=r"readonly.*make it writable: the file and its folder"):
        write_gradebook(f"sqlite:///file:{file}?mode=ro&uri=true", COURSE, standings([make_report()], COURSE))


def test_without_nbgrader_the_message_says_what_to_install(database: Database, write, make_report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nbgrader.api", None)
    with pytest.raises(GradebookError, match=r"pip install -e '\.\[gradebook\]'"):
        write(make_report())
