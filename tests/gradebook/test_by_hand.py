"""Questions that a person grades: what nbgrader reads of them in its database, and what a later write leaves as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from databases import Database

pytest.importorskip("nbgrader")

from autograder.course.course import Assignment, Course, LatePolicy, Limits
from autograder.course.questions import Question
from autograder.course.roster import Roster, Student
from autograder.gradebook.by_hand import AnswerState, HandGraded, answer_states
from autograder.gradebook.write import write_gradebook
from autograder.reports.model import Report, Status
from autograder.results.standings import standings
from autograder.submissions.answers import Answer

ATTENTION = Assignment("01_attention", "A", 20.0, 1.0, datetime(2026, 10, 5, 23, 59, tzinfo=UTC))
COURSE = Course("demo", "Demo", LatePolicy("percent", 10.0, 50.0), Limits(), (ATTENTION,))
LATE = "2026-10-07T00:00:00+00:00"  # in the second day
FIND = ("attention", "01_attention")
FIGURE = Question("pattern", "figure", 3.0, "Draw it.", "- 3 points: all", "A triangle.")
TEXT = Question("why", "text", 2.0, "Say why.", "- 2 points: all", "Because.")
DRAWN = {"output_type": "display_data", "data": {"image/png": "iVBO"}, "metadata": {}}


@pytest.fixture
def write(database: Database) -> Callable[..., Any]:
    def write(*reports: Report, course: Course = COURSE, questions: Any = (FIGURE, TEXT), **answers: dict[str, str]) -> Any:
        """Of each student the digest of the answer to each question; what is not named was not answered."""
        states = {
            ("01_attention", student): {question.grade_id: AnswerState(found.get(question.id, "")) for question in questions}
            for student, found in answers.items()
        }
        by_hand = HandGraded({"01_attention": questions}, states)
        return write_gradebook(database.url, course, standings(reports, course), None, by_hand)

    return write


def test_answers_wait_for_a_grade_and_what_was_not_answered_counts_0(write, gradebook, make_report) -> None:
    write(make_report(), make_report(student="ben"), ann={"pattern": "1", "why": "2"}, ben={"why": "3"})
    assert gradebook.find_assignment("01_attention").max_score == 25.0
    cells = {cell.name: (cell.max_score, cell.cell_type) for cell in gradebook.find_notebook(*FIND).grade_cells}
    assert (cells["question-pattern"], cells["question-why"]) == ((3.0, "code"), (2.0, "markdown"))
    ann, ben = (gradebook.find_submission("01_attention", student) for student in ("ann", "ben"))
    assert (ann.score, ann.max_score, ann.needs_manual_grade) == (12.0, 25.0, True)
    assert gradebook.find_grade("question-pattern", *FIND, "ann").auto_score is None
    assert (gradebook.find_grade("question-pattern", *FIND, "ben").auto_score, ben.score) == (0.0, 12.0)
    waiting = {grade.name for grade in ben.notebooks[0].grades if grade.needs_manual_grade}
    assert waiting == {"question-why"}
    assert gradebook.find_comment("question-why", *FIND, "ben").comment is None


def _grade_by_hand(gradebook: Any) -> Any:
    grade = gradebook.find_grade("question-pattern", *FIND, "ann")
    grade.manual_score, grade.extra_credit, grade.needs_manual_grade = 2.5, 0.5, False
    gradebook.find_comment("question-pattern", *FIND, "ann").manual_comment = "The diagonal is missing."
    gradebook.db.commit()
    return grade


def test_a_grade_given_by_hand_survives_and_a_changed_answer_is_looked_at_again(write, gradebook, make_report) -> None:
    write(make_report(), ann={"pattern": "1"})
    grade = _grade_by_hand(gradebook)
    write(make_report(), ann={"pattern": "1"})
    gradebook.db.expire_all()
    assert (grade.score, grade.needs_manual_grade) == (3.0, False)
    assert not gradebook.find_submission("01_attention", "ann").needs_manual_grade

    write(make_report(), ann={"pattern": "other"})
    gradebook.db.expire_all()
    assert (grade.manual_score, grade.score, grade.needs_manual_grade) == (2.5, 3.0, True)
    assert gradebook.find_comment("question-pattern", *FIND, "ann").comment == "The diagonal is missing."
    assert gradebook.find_submission("01_attention", "ann").score == 15.0

    grade.needs_manual_grade = False  # looked at, and left as it is
    gradebook.db.commit()
    write(make_report(), ann={"pattern": "other"})
    gradebook.db.expire_all()
    assert not grade.needs_manual_grade
    write(make_report(), ann={})
    gradebook.db.expire_all()
    assert (grade.score, grade.needs_manual_grade) == (3.0, True)


def test_an_answer_that_was_graded_before_anything_was_known_of_it_is_not_doubted(write, gradebook, database: Database, make_report) -> None:
    write(make_report(), ann={"pattern": "1"})
    grade = _grade_by_hand(gradebook)
    database.execute("DROP TABLE autograder_answer")
    write(make_report(), ann={"pattern": "1"})
    gradebook.db.expire_all()
    assert not grade.needs_manual_grade


def test_where_no_answers_are_known_grades_stay_as_they_are(write, gradebook, make_report) -> None:
    write(make_report(), make_report(student="ben"), ann={"pattern": "1"}, ben={"pattern": "1"})
    _grade_by_hand(gradebook)
    before = [grade.to_dict() for student in ("ann", "ben") for grade in gradebook.find_submission("01_attention", student).notebooks[0].grades]
    write(make_report(), make_report(student="ben"))
    write(make_report(), make_report(student="ben"), ann={"pattern": "1"})
    gradebook.db.expire_all()
    after = [grade.to_dict() for student in ("ann", "ben") for grade in gradebook.find_submission("01_attention", student).notebooks[0].grades]
    assert after == before


def test_a_second_write_changes_nothing(write, database, make_report) -> None:
    write(make_report(), ann={"pattern": "1"})
    before = database.dump()
    write(make_report(), ann={"pattern": "1"})
    assert database.dump() == before


def test_a_question_that_is_gone_leaves_unless_somebody_graded_it(write, gradebook, make_report) -> None:
    write(make_report(), ann={"pattern": "1", "why": "2"})
    _grade_by_hand(gradebook)
    update = write(make_report(), questions=(), ann={})
    assert update.warnings == ("01_attention: question-pattern is no longer a question, but has scores given by hand: they still count",)
    gradebook.db.expire_all()
    assert {cell.name for cell in gradebook.find_notebook(*FIND).grade_cells} == {"test_masks", "test_scale", "question-pattern"}
    assert (gradebook.find_assignment("01_attention").max_score, gradebook.find_submission("01_attention", "ann").score) == (20.0, 15.0)


@pytest.mark.parametrize(("policy", "penalty"), [("percent", 5.0), ("zero", 25.0), ("none", 0.0)])
def test_what_is_late_takes_its_share_of_the_questions_too(write, gradebook, make_report, policy: str, penalty: float) -> None:
    course = replace(COURSE, late=LatePolicy(policy, 10.0, 50.0))
    write(make_report(submitted_at=LATE), course=course, ann={"pattern": "1"})
    assert gradebook.find_submission("01_attention", "ann").late_submission_penalty == penalty


def test_an_extension_granted_in_the_gradebook_lifts_the_penalty(write, gradebook, make_report) -> None:
    write(make_report(submitted_at=LATE), ann={"pattern": "1"})
    gradebook.grant_extension("01_attention", "ann", days=1)
    write(make_report(submitted_at=LATE), ann={"pattern": "1"})
    gradebook.db.expire_all()
    assert gradebook.find_submission("01_attention", "ann").late_submission_penalty == 2.5


def test_names_that_would_be_markup_on_nbgraders_pages_are_none(database: Database, gradebook, make_report) -> None:
    reports = (make_report(), make_report(student="<img src=x onerror=alert(1)>"), make_report(student='a"b'))
    roster = Roster((Student("ann", "<b>Ann</b>", "Le<script>"), Student("<i>")))
    update = write_gradebook(database.url, COURSE, standings(reports, COURSE), roster)
    assert [student.id for student in gradebook.students] == ["ann"]
    assert (gradebook.find_student("ann").first_name, gradebook.find_student("ann").last_name) == ("‹b›Ann‹/b›", "Le‹script›")
    assert len(update.warnings) == 2
    assert "rename the folder (no <, > and" in update.warnings[0]


def test_a_file_name_in_a_message_is_no_markup_in_a_comment(write, gradebook, make_report) -> None:
    write(make_report(message='The folder holds <img src=x onerror="alert(1)">, [a](javascript:alert(1)).'))
    assert gradebook.find_comment("submission", *FIND, "ann").comment == (
        'The folder holds < img src=x onerror="alert(1)">, [a] (javascript:alert(1)).'
    )


GIVEN = {"question-pattern": Answer("draw(weights)", (), {}), "question-why": Answer("*Your answer.*", (), {})}


@pytest.mark.parametrize(
    ("question", "answer", "answered"),
    [
        (TEXT, Answer("Because of d_k.", (), {}), True),
        (TEXT, Answer(" *Your   answer.*\n", (), {}), False),
        (TEXT, Answer(" \n", (), {}), False),
        (TEXT, Answer("*Your answer.*", (), {"a.png": {"image/png": "iVBO"}}), True),
        (FIGURE, Answer("draw(weights)", (), {}), False),
        (FIGURE, Answer("draw(weights)", (DRAWN,), {}), True),
        (FIGURE, Answer("draw(weights.T)", (), {}), True),
        (FIGURE, None, False),
    ],
)
def test_an_answer_is_what_differs_from_the_cell_that_was_handed_out(question: Question, answer: Answer | None, answered: bool) -> None:
    found = {question.grade_id: answer} if answer else {}
    assert answer_states([question], found, GIVEN)[question.grade_id].answered is answered


def test_another_figure_is_another_answer_and_another_run_of_the_same_is_not() -> None:
    def digest(**output: Any) -> str:
        return answer_states([FIGURE], {"question-pattern": Answer("draw()", ({**DRAWN, **output},), {})}, GIVEN)["question-pattern"].sha256

    stream = {"output_type": "stream", "name": "stdout"}
    assert digest(**stream, text="a") != digest(**stream, text="b")
    assert digest(**stream, text="a", execution_count=3) == digest(**stream, text="a", execution_count=4, metadata={"x": 1})


def test_who_handed_in_nothing_any_more_has_no_answers(write, gradebook, make_report) -> None:
    write(make_report(), ann={"pattern": "1"})
    write(make_report(status=Status.MISSING, score=0.0, tests=(), submitted_at=None), make_report(student="ben"), ann={}, ben={})
    gradebook.db.expire_all()
    assert not gradebook.find_submission("01_attention", "ann").needs_manual_grade
