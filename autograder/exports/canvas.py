"""The CSV that Canvas's gradebook imports.

Canvas finds a student by ID, else by SIS User ID, else by SIS Login ID, and an assignment by the number in its title, "Name (123)",
else by its whole title; what it does not find, it offers to create. In the row "Points Possible" it reads what an assignment is out
of. A score is read with a point or a comma; a blank where Canvas has a score is a change too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from autograder.exports.model import ClassGrades, Exported, ExportError, Person, Rules, check_ids, named, totals
from autograder.exports.template import Template
from autograder.results.spreadsheet import csv_line, is_safe, number, one_line_text, safe_cell

_IDS = ("canvas_id", "sis_user_id", "sis_login_id")
_HEADER = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
_POINTS_ROW = "    Points Possible"
# Canvas computes these and ignores what is imported.
_COMPUTED = re.compile(r"(Current|Final) (Score|Points|Grade)|Override (Score|Grade|Status)")
_NUMBERED = re.compile(r"\s*\(\d+\)\s*$")
_EXCUSED, _NOT_ASSIGNED = "EX", "N/A"


def canvas_csv(grades: ClassGrades, rules: Rules, to: Path, columns: Mapping[str, str], template: Path | None = None) -> Exported:
    """columns: the title in Canvas of an assignment, with its number, by the assignment's folder; others are found by their name.

    template: a gradebook that Canvas exported; then only our assignments' cells are filled in. Raises ExportError.
    """
    check_ids(grades.people, _IDS)
    if template is not None:
        return _filled(grades, rules, to, columns, Template(template))
    warnings: list[str] = []
    scores = totals(grades, rules, warnings)
    lines = [csv_line([*_HEADER, *(_title(columns.get(name, name)) for name in grades.assignments)], "\r\n")]
    lines.append(csv_line([_POINTS_ROW, "", "", "", "", *(number(points) for points in grades.max_scores.values())], "\r\n"))
    known = [person for person in grades.people if _has_id(person)]
    for person in sorted(known, key=lambda person: (person.sortable_name.casefold(), person.id)):
        cells = [_shown_name(person), *(getattr(person, column) for column in _IDS), safe_cell(one_line_text(person.section))]
        lines.append(csv_line([*cells, *(_cell(scores[name, person.id]) for name in grades.assignments)], "\r\n"))
    unknown = [person for person in grades.people if not _has_id(person)]
    warnings += named("students have no id of Canvas and are left out", unknown, f"fill in {', '.join(_IDS)} in the roster")
    numbered = [name for name in grades.assignments if not _NUMBERED.search(columns.get(name, name))]
    if numbered:
        warnings.append(f"no number of Canvas is known for {', '.join(numbered)}: Canvas looks for these titles, and offers to create what it misses")
    return Exported({to: ("\ufeff" + "".join(lines)).encode()}, warnings)


def _has_id(person: Person) -> bool:
    return any(getattr(person, column) for column in _IDS)


def _title(text: str) -> str:
    if not is_safe(text) or _COMPUTED.search(text):
        raise ExportError(f"the column {text!r} would not be imported as an assignment; give it another title with --column")
    return text


def _shown_name(person: Person) -> str:
    """For human readers: Canvas goes by the ids. It takes a row for that of the points when these words are in it."""
    name = person.sortable_name
    return safe_cell(person.id if "Points Possible" in name else name)


def _cell(score: float | None) -> str:
    return "" if score is None else number(score)


def _filled(grades: ClassGrades, rules: Rules, to: Path, columns: Mapping[str, str], template: Template) -> Exported:
    warnings: list[str] = []
    scores = totals(grades, rules, warnings)
    points = next((row for row in template.rows if "Points Possible" in row[0]), None)
    places = _places(grades, columns, template, points, warnings)
    students = _students(grades, template)
    for person, row in students.items():
        for name, column in places.items():
            before = template.rows[row][column].strip()
            score = scores[name, person.id]
            if score is None:
                continue
            if before.upper() in (_EXCUSED, _NOT_ASSIGNED):
                warnings.append(f"{name}: {person.id!r} is {before} in Canvas and stays so, though the score here is {number(score)}")
                continue
            decimal = "," if template.delimiter == ";" else "."
            template.fill(row, column, number(score).replace(".", decimal))
    absent = [person for person in grades.people if person not in students]
    warnings += named("students are not in the template and are left out", absent, f"fill in {', '.join(_IDS)} in the roster")
    return Exported({to: template.content()}, warnings)


def _places(grades: ClassGrades, columns: Mapping[str, str], template: Template, points: list[str] | None, warnings: list[str]) -> dict[str, int]:
    """The columns of the assignments that the template has."""
    header = template.rows[0]
    first = template.column("Section")
    assert first is not None
    usable = [
        index
        for index in range(first + 1, len(header))
        if not _COMPUTED.search(header[index]) and not (points and re.search(r"read\s+only", points[index]))
    ]
    places: dict[str, int] = {}
    for name in grades.assignments:
        if name in columns:
            found = [index for index in usable if header[index].strip() == columns[name].strip()]
            if not found:
                raise ExportError(f"the template has no column {columns[name]!r} to fill in; it has {', '.join(header[index] for index in usable)}")
        else:
            wanted = {_plain(name), _plain(name.split("_", 1)[-1])}
            found = [index for index in usable if _plain(_NUMBERED.sub("", header[index])) in wanted]
        if len(found) > 1:
            raise ExportError(f"{name} may be {' or '.join(repr(header[index]) for index in found)}; choose with --column {name}=TITLE")
        if not found:
            warnings.append(f"{name} has no column in the template and is left out; name it with --column {name}=TITLE")
            continue
        places[name] = found[0]
        if points and points[found[0]].strip() and _differs(points[found[0]], grades.max_scores[name]):
            warnings.append(f"{name} is out of {points[found[0]].strip()} in Canvas and of {number(grades.max_scores[name])} here")
    if shared := [name for name in places if list(places.values()).count(places[name]) > 1]:
        raise ExportError(f"{' and '.join(shared)} would be written into one column, {header[places[shared[0]]]!r}; choose with --column")
    return places


def _differs(text: str, points: float) -> bool:
    try:
        return abs(float(text.strip().replace(",", ".")) - points) > 0.005
    except ValueError:
        return True


def _plain(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _students(grades: ClassGrades, template: Template) -> dict[Person, int]:
    """The rows of our students, by the ids in the order in which Canvas tries them; without any, a student's folder is the login."""
    titles = dict(zip(_IDS, ("ID", "SIS User ID", "SIS Login ID"), strict=True))
    indexes = {}
    for attribute, title in titles.items():
        column = template.column(title, needed=False)
        if column is None:
            continue
        rows: dict[str, int] = {}
        for index, row in enumerate(template.rows):
            if index and row[column].strip() and "Points Possible" not in row[0]:
                rows.setdefault(_key(attribute, row[column]), index)
        indexes[attribute] = rows
    found: dict[Person, int] = {}
    owners: dict[int, Person] = {}
    for person in grades.people:
        ids = {attribute: getattr(person, attribute) for attribute in _IDS}
        if not any(ids.values()):
            ids["sis_login_id"] = person.id
        for attribute, value in ids.items():
            row_index = indexes.get(attribute, {}).get(_key(attribute, value)) if value else None
            if row_index is not None:
                other = owners.setdefault(row_index, person)
                if other is not person:
                    raise ExportError(f"students {other.id!r} and {person.id!r} are one student in the template; correct their ids in the roster")
                found[person] = row_index
                break
    return found


def _key(attribute: str, text: str) -> str:
    """Canvas reads its ID as a number; the others are texts whose zeros count."""
    text = text.strip()
    return text.lstrip("0") if attribute == "canvas_id" else text.casefold()
