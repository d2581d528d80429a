"""The two CSV files that Moodle takes: its gradebook's import, and the grading worksheet of one assignment.

The import finds a user by one column, and one user whom it does not find undoes the whole import. The worksheet finds a participant by
"Identifier", and looks at "Last modified (grade)" to see whether somebody graded in Moodle meanwhile: both come from Moodle. Its
feedback is HTML. PHP reads a backslash before a double quote in its own way, so we write neither into a cell.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from autograder.exports.model import ClassGrades, Exported, ExportError, Person, Rules, Submission, check_ids, named, totals
from autograder.exports.template import Template
from autograder.results.spreadsheet import FORMULA_CHARACTERS, csv_line, is_safe, number, one_line_text

# What a user is found by: the roster's column, and the title that Moodle has for it.
KEYS = {"email": ("email", "Email address"), "idnumber": ("moodle_idnumber", "ID number"), "username": ("moodle_username", "Username")}
_HIGHEST_GRADE = 100  # Moodle refuses an import with a higher one unless its administrator allowed it


def moodle_csv(grades: ClassGrades, rules: Rules, to: Path, columns: Mapping[str, str], key: str) -> Exported:
    """A file for "Import > CSV file" of the gradebook. columns: another title for an assignment, by its folder. Raises ExportError."""
    attribute, title = KEYS[key]
    check_ids(grades.people, [attribute])
    warnings: list[str] = []
    scores = totals(grades, rules, warnings)
    titles = [columns.get(name, name) for name in grades.assignments]
    for text in titles:
        if not is_safe(text) or "\\" in text or '"' in text:
            raise ExportError(f"the column {text!r} cannot be in a file for Moodle; give it another title with --column")
    lines = [csv_line([title, *titles])]
    for person in grades.people:
        value = getattr(person, attribute)
        if "\\" in value or '"' in value:
            raise ExportError(f"Moodle would misread {attribute} {value!r} of student {person.id!r}; correct the roster")
        if value:
            cells = (scores[name, person.id] for name in grades.assignments)
            lines.append(csv_line([value, *("" if score is None else number(score) for score in cells)]))
    without = [person for person in grades.people if not getattr(person, attribute)]
    warnings += named(f"students have no {attribute} and are left out", without, "fill it in in the roster")
    if any(score is not None and score > _HIGHEST_GRADE for score in scores.values()):
        warnings.append(f"there are scores above {_HIGHEST_GRADE}: Moodle refuses the whole file unless its administrator allows such grades")
    return Exported({to: ("\ufeff" + "".join(lines)).encode()}, warnings)


def moodle_worksheet(grades: ClassGrades, rules: Rules, to: Path, worksheet: Path, *, feedback: bool = True) -> Exported:
    """The worksheet of one assignment with "Grade" and "Feedback comments" filled in; all else stays as it is. Raises ExportError."""
    if len(grades.assignments) != 1:
        raise ExportError("a grading worksheet is of one assignment: say which with --assignment")
    [assignment] = grades.assignments
    template = Template(worksheet)
    for title in ("Identifier", "Last modified (grade)"):
        template.column(title)
    grade_column = template.column("Grade")
    assert grade_column is not None
    feedback_column = template.column("Feedback comments", needed=False) if feedback else None
    changeable, maximum = template.column("Grade can be changed", needed=False), template.column("Maximum Grade", needed=False)
    warnings: list[str] = []
    scores = totals(grades, rules, warnings)
    students = _students(grades, template)
    for person, index in students.items():
        score, row = scores[assignment, person.id], template.rows[index]
        if score is None:
            continue
        if changeable is not None and row[changeable].strip() == "No":
            warnings.append(f"{person.id!r}: the grade is locked in Moodle and stays as it is, though the score here is {number(score)}")
            continue
        if maximum is not None and row[maximum].strip():
            highest = _points(row[maximum])
            if highest is None:
                raise ExportError(f"{worksheet.name}: {assignment} is graded by a scale in Moodle ({row[maximum]!r}); set it to points there")
            if score > highest:
                warnings.append(f"{person.id!r}: {number(score)} is above Moodle's maximum of {number(highest)}, so Moodle will skip it")
        template.fill(index, grade_column, number(score).replace(".", "," if template.delimiter == ";" else "."))
        submission = grades.submissions.get((assignment, person.id))
        if feedback_column is not None and submission is not None and (said := feedback_html(submission)):
            template.fill(index, feedback_column, said)
    absent = [person for person in grades.people if person not in students]
    warnings += named("students are not in the worksheet and are left out", absent, "fill in email, moodle_idnumber or moodle_username in the roster")
    return Exported({to: template.content()}, warnings)


def feedback_html(submission: Submission) -> str:
    """The comments on a submission; "" when there are none. It starts with a tag, so no spreadsheet takes it for a formula."""
    said = [submission.comment, *(question.comment for question in submission.questions)]
    if submission.late_penalty:
        said.append(f"Late: {number(submission.late_penalty)} points less.")
    return "".join(f"<p>{_escaped(text)}</p>" for text in said if text)


def _escaped(text: str) -> str:
    """HTML without double quotes and backslashes, nor what a spreadsheet could take for a formula behind an entity's semicolon."""
    escaped = html.escape(text).replace("\\", "&#92;").replace("\n", "<br>")
    if not is_safe(escaped):
        for character in FORMULA_CHARACTERS:
            escaped = escaped.replace(character, f"&#{ord(character)};")
    return escaped


def _points(text: str) -> float | None:
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        return None


def _students(grades: ClassGrades, template: Template) -> dict[Person, int]:
    """The worksheet's rows of our students, by one of the ids or else by a full name that nobody shares."""
    found: dict[Person, int] = {}
    ways = []
    for attribute, title in KEYS.values():
        if (column := template.column(title, needed=False)) is not None:
            check_ids(grades.people, [attribute])
            ways.append((column, {getattr(person, attribute).casefold(): person for person in grades.people if getattr(person, attribute)}))
    if (column := template.column("Full name", needed=False)) is not None:
        ways.append((column, _by_unique_name(grades, [row[column] for row in template.rows[1:]])))
    for index, row in enumerate(template.rows[1:], 1):
        for column, people in ways:
            person = people.get(" ".join(row[column].split()).casefold())
            if person is not None:
                if person in found:
                    raise ExportError(f"student {person.id!r} is in the worksheet twice, as {template.rows[found[person]][0]!r} and {row[0]!r}")
                found[person] = index
                break
    return found


def _by_unique_name(grades: ClassGrades, listed: list[str]) -> dict[str, Person]:
    names = Counter(" ".join(name.split()).casefold() for name in listed)
    ours = [(one_line_text(f"{person.first_name} {person.last_name}").casefold(), person) for person in grades.people]
    count = Counter(name for name, _ in ours)
    return {name: person for name, person in ours if name and count[name] == 1 and names[name] == 1}
