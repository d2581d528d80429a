"""A results.json for each student and assignment, in the format that Gradescope's autograder harness reads.

Gradescope takes no file of grades for a whole class: it runs an autograder for each submission and reads /autograder/results/results.json.
So the folder holds, for each assignment, these files and an index of them by e-mail address, from which such an autograder picks one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from autograder.course.names import SafeNameError, check_name
from autograder.exports.model import ClassGrades, Exported, ExportError, Person, QuestionGrade, Rules, Submission, named, totals
from autograder.results.spreadsheet import number

VISIBILITIES = ("visible", "after_due_date", "after_published", "hidden")


def gradescope_results(grades: ClassGrades, rules: Rules, to: Path, visibility: str) -> Exported:
    """Files NN_name/STUDENT/results.json and NN_name/index.json below `to`. Raises ExportError."""
    warnings: list[str] = []
    scores = totals(grades, rules, warnings)
    emails = _emails(grades)
    files: dict[Path, bytes] = {}
    unfit = [person for person in grades.people if not _can_be_a_folder(person.id)]
    for assignment in filter(_can_be_a_folder, grades.assignments):
        index = {}
        for person in grades.people:
            score = scores[assignment, person.id]
            if score is None or person in unfit:
                continue
            results = _results(person, assignment, grades.submissions.get((assignment, person.id)), score, visibility)
            files[to / assignment / person.id / "results.json"] = _json(results)
            if person.id in emails:
                index[emails[person.id]] = f"{person.id}/results.json"
        files[to / assignment / "index.json"] = _json(dict(sorted(index.items())))
    warnings += named("students are left out", unfit, "their ids cannot be names of folders")
    without = [person for person in grades.people if person.id not in emails and person not in unfit]
    warnings += named("students are not in index.json", without, "fill in gradescope_email or email in the roster")
    return Exported(files, warnings)


def _emails(grades: ClassGrades) -> dict[str, str]:
    """The address at Gradescope by student. Raises ExportError when two students share one."""
    found: dict[str, str] = {}
    owners: dict[str, str] = {}
    for person in grades.people:
        address = (person.gradescope_email or person.email).strip().lower()
        if address:
            owner = owners.setdefault(address, person.id)
            if owner != person.id:
                raise ExportError(f"the address {address!r} belongs to two students, {owner!r} and {person.id!r}; correct the roster")
            found[person.id] = address
    return found


def _can_be_a_folder(name: str) -> bool:
    try:
        check_name(name)
    except SafeNameError:
        return False
    return True


def _results(person: Person, assignment: str, submission: Submission | None, score: float, visibility: str) -> dict[str, Any]:
    said = [submission.comment] if submission is not None and submission.comment else []
    if submission is None:
        said.append("Nothing was handed in.")
    elif submission.late_penalty:
        said.append(f"Late: {number(submission.late_penalty)} points less.")
    questions = submission.questions if submission is not None else ()
    return {
        "score": _rounded(score),
        "output": "\n\n".join(said),
        "output_format": "text",
        "visibility": visibility,
        "stdout_visibility": "hidden",
        "tests": [_test(question, str(position), visibility) for position, question in enumerate(questions, 1)],
        "extra_data": {
            "student": person.id,
            "assignment": assignment,
            "late_penalty": _rounded(submission.late_penalty if submission is not None else 0.0),
            "needs_manual_grade": submission is not None and submission.needs_manual_grade,
        },
    }


def _test(question: QuestionGrade, position: str, visibility: str) -> dict[str, Any]:
    waits = question.needs_manual_grade and question.manual_score is None
    output = question.comment or ("A person has yet to grade this." if waits else "")
    test: dict[str, Any] = {
        "name": question.title,
        "number": position,
        "score": _rounded(question.score),
        "max_score": _rounded(question.max_score),
        "output": output,
        "output_format": "text",
        "name_format": "text",
        "tags": [question.kind],
        "visibility": visibility,
    }
    if not waits:
        test["status"] = "passed" if question.score >= question.max_score else "failed"
    return test


def _rounded(value: float) -> float:
    return round(value, 6) + 0.0


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "replace")
