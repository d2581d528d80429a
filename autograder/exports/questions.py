"""One row per student and question, or one row per student with a column for each question."""

from __future__ import annotations

from pathlib import Path

from autograder.exports.model import ClassGrades, Exported, Person, QuestionGrade, Rules, Submission, named, totals
from autograder.results.spreadsheet import csv_line, is_safe, number, one_line_text, safe_cell

COLUMNS = (
    "student", "last_name", "first_name", "email", "assignment", "question", "title", "kind", "auto_score", "manual_score", "extra_credit",
    "score", "max_score", "needs_manual_grade", "comment", "submission_late_penalty", "submission_score",
)  # fmt: skip


def questions_csv(grades: ClassGrades, rules: Rules, to: Path, *, wide: bool = False) -> Exported:
    """Who handed in nothing has no row in the long form, and blanks or zeros in the wide one."""
    warnings: list[str] = []
    scores = totals(grades, rules, warnings)
    unsafe = [person for person in grades.people if not is_safe(person.id) or one_line_text(person.id) != person.id]
    people = [person for person in grades.people if person not in unsafe]
    lines = _wide(grades, rules, people, scores) if wide else _long(grades, people, scores)
    warnings += named(
        "students are left out", unsafe, "their ids would be formulas in a spreadsheet, and ids are never changed; rename their folders"
    )
    return Exported({to: ("\ufeff" + "".join(lines)).encode("utf-8", "replace")}, warnings)


def _long(grades: ClassGrades, people: list[Person], scores: dict[tuple[str, str], float | None]) -> list[str]:
    lines = [csv_line(COLUMNS, "\r\n")]
    for assignment in grades.assignments:
        for person in people:
            submission = grades.submissions.get((assignment, person.id))
            if submission is None:
                continue
            before = [person.id, *_names(person), safe_cell(assignment)]
            after = [number(submission.late_penalty), _cell(scores[assignment, person.id])]
            lines += [csv_line([*before, *_question(question), *after], "\r\n") for question in submission.questions]
    return lines


def _question(question: QuestionGrade) -> list[str]:
    return [
        safe_cell(question.id),
        safe_cell(question.title),
        question.kind,
        _cell(question.auto_score),
        _cell(question.manual_score),
        _cell(question.extra_credit),
        number(question.score),
        number(question.max_score),
        "yes" if question.needs_manual_grade else "no",
        safe_cell(question.comment),
    ]


def _wide(grades: ClassGrades, rules: Rules, people: list[Person], scores: dict[tuple[str, str], float | None]) -> list[str]:
    """A row of maxima after the header; for each assignment its questions, the late penalty and the score."""
    header: list[str] = ["student", "last_name", "first_name", "email"]
    maxima: list[str] = ["maximum", "", "", ""]
    asked: dict[str, dict[str, float]] = {}
    for assignment in grades.assignments:
        asked[assignment] = {}
    for (assignment, _), submission in grades.submissions.items():
        for question in submission.questions:
            asked[assignment].setdefault(question.id, question.max_score)
    for assignment, questions in asked.items():
        header += [safe_cell(f"{assignment}/{name}") for name in (*questions, "late_penalty", "score")]
        maxima += [*(number(points) for points in questions.values()), "", number(grades.max_scores[assignment])]
    lines = [csv_line(header, "\r\n"), csv_line(maxima, "\r\n")]
    for person in people:
        cells = [person.id, *_names(person)]
        for assignment, questions in asked.items():
            handed_in = grades.submissions.get((assignment, person.id))
            cells += [*_scores(handed_in, list(questions), rules), _cell(scores[assignment, person.id])]
        lines.append(csv_line(cells, "\r\n"))
    return lines


def _scores(submission: Submission | None, questions: list[str], rules: Rules) -> list[str]:
    if submission is None:
        return ["0" if rules.missing == "zero" else ""] * (len(questions) + 1)
    given = {question.id: question for question in submission.questions}
    cells = []
    for name in questions:
        question = given.get(name)
        waits = question is None or (question.needs_manual_grade and rules.ungraded == "blank")
        cells.append("" if question is None or waits else number(question.score))
    return [*cells, number(submission.late_penalty)]


def _names(person: Person) -> list[str]:
    return [safe_cell(one_line_text(text)) for text in (person.last_name, person.first_name, person.email)]


def _cell(score: float | None) -> str:
    return "" if score is None else number(score)
