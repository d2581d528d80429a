"""What Canvas, Moodle, Gradescope and a spreadsheet read from the exported files."""

from __future__ import annotations

import csv
import html
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from autograder.cli import main
from autograder.results.spreadsheet import is_safe, original_text, safe_cell

CANVAS = (
    "\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,01_attention\r\n"
    "    Points Possible,,,,,10\r\n"
    '"\'-Müller, @home",103,00044,,A 1,\r\n'
    '"Late, Dan",104,00045,,A 1,\r\n'
    "\"O'Neil, =cmd|' /C calc'!A0\",102,00043,,A 2,4.5\r\n"
    '"Łukaszewicz-Åström, Zoë",101,00042,,A 1,9.75\r\n'
)
EXPORTED_BY_CANVAS = (
    '\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,Notes,"Attention, part 1 (77)",Attention (78),Current Score\n'
    ",,,,,,Manual Posting,,\n"
    '    Points Possible,,,,,"",5.00,10.00,(read only)\n'
    '"Müller, ""Cyd""",103,00044,cyd,A 1,=note,1,2.00,50\n'
    '"Åström, Zoë",101,00042,ann,A 1,,1,,50\n'
    "Ben,102,00043,ben,A 2,,1,EX,50\n"
    "Guest,999,,guest,A 2,,1,7.5,50\n"
)
WORKSHEET = (
    '\ufeffIdentifier,"Full name","Email address",Status,Grade,"Maximum Grade","Grade can be changed","Last modified (submission)",'
    '"Last modified (grade)","Feedback comments"\n'
    '"Participant 11","Zoë Łukaszewicz-Åström",ann@x.org,"Submitted for grading",,10.00,Yes,"Monday, 5 October 2026, 8:00 PM",-,\n'
    '"Participant 12","Ben O\'Neil",BEN@x.org,"Submitted for grading",2.00,10.00,No,-,-,"<p>kept</p>"\n'
    '"Participant 13","Eve Noid",,"No submission",,5.00,Yes,-,-,\n'
)
RESULTS = {
    "type": "object",
    "required": ["score", "tests"],
    "additionalProperties": False,
    "properties": {
        "score": {"type": "number"},
        "execution_time": {"type": "number"},
        "output": {"type": "string"},
        "output_format": {"enum": ["text", "html", "simple_format", "md", "ansi"]},
        "test_output_format": {"type": "string"},
        "test_name_format": {"type": "string"},
        "visibility": {"enum": ["hidden", "after_due_date", "after_published", "visible"]},
        "stdout_visibility": {"enum": ["hidden", "after_due_date", "after_published", "visible"]},
        "extra_data": {"type": "object"},
        "leaderboard": {"type": "array"},
        "tests": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "score": {"type": "number"},
                    "max_score": {"type": "number"},
                    "status": {"enum": ["passed", "failed"]},
                    "name": {"type": "string"},
                    "name_format": {"type": "string"},
                    "number": {"type": "string"},
                    "output": {"type": "string"},
                    "output_format": {"type": "string"},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "visibility": {"enum": ["hidden", "after_due_date", "after_published", "visible"]},
                    "extra_data": {"type": "object"},
                },
            },
        },
    },
}


@pytest.fixture
def export(class_folder: Path, capsys: pytest.CaptureFixture[str]):
    def export(target: str, *options: str, roster: bool = True) -> tuple[int, Path, str]:
        to = class_folder / "out"
        given = ["--course", str(class_folder / "course.toml"), "--to", str(to), *options]
        code = main(["export", target, *given, *(["--roster", str(class_folder / "roster.csv")] if roster else [])])
        said = capsys.readouterr()
        return code, to, said.out + said.err

    return export


def _rows(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""), strict=True))


def test_canvas_gets_its_columns_ids_with_zeros_and_accents(export) -> None:
    code, path, said = export("canvas")
    assert path.read_bytes().decode() == CANVAS
    assert code == 1
    assert "1 students have no id of Canvas and are left out" in said
    assert "'eve'" in said
    assert "01_attention: 1 submissions wait for a person" in said


def test_missing_and_ungraded_are_as_chosen(export) -> None:
    _, path, _ = export("canvas", "--missing", "zero", "--ungraded", "partial", "--column", "01_attention=Attention (78)")
    assert [row[-1] for row in _rows(path)] == ["Attention (78)", "10", "6", "0", "4.5", "9.75"]


def test_only_our_cells_of_canvas_own_export_change(export, class_folder: Path) -> None:
    template = class_folder / "template.csv"
    template.write_bytes(EXPORTED_BY_CANVAS.encode())
    _, path, said = export("canvas", "--template", str(template), "--ungraded", "partial")
    expected = EXPORTED_BY_CANVAS.replace("1,2.00,50", "1,6,50").replace("A 1,,1,,50", "A 1,,1,9.75,50")
    assert path.read_bytes().decode() == expected
    assert "'ben' is EX in Canvas and stays so" in said
    assert template.read_bytes() == EXPORTED_BY_CANVAS.encode()


def test_a_template_is_never_overwritten(export, class_folder: Path) -> None:
    (class_folder / "out").write_bytes(EXPORTED_BY_CANVAS.encode())
    code, path, said = export("canvas", "--template", str(class_folder / "out"))
    assert code == 2
    assert "is the template itself" in said
    assert path.read_bytes() == EXPORTED_BY_CANVAS.encode()


def test_moodle_finds_users_by_the_chosen_key(export) -> None:
    _, path, said = export("moodle", "--key", "idnumber")
    assert _rows(path) == [["ID number", "01_attention"], ["0007", "9.75"], ["0008", "4.5"], ["0009", ""], ["0010", ""]]
    assert "1 students have no moodle_idnumber and are left out" in said


def test_a_worksheet_of_moodle_gets_grades_and_feedback(export, class_folder: Path) -> None:
    template = class_folder / "worksheet.csv"
    template.write_bytes(WORKSHEET.encode())
    _, path, said = export("moodle", "--template", str(template))
    before, after = WORKSHEET.splitlines(), path.read_bytes().decode().splitlines()
    assert [after[0], after[2]] == [before[0], before[2]]
    assert after[1].startswith(before[1].removesuffix(',,10.00,Yes,"Monday, 5 October 2026, 8:00 PM",-,') + ',9.75,10.00,Yes,"Monday, 5 October')
    assert after[3] == before[3].replace(",,5.00", ",10,5.00")
    assert "'ben': the grade is locked" in said
    assert "'eve': 10 is above Moodle's maximum of 5" in said
    feedback = _rows(path)[1][-1]
    assert is_safe(feedback)
    assert not set(feedback) & set('"\\')
    assert html.unescape(re.sub("</?p>", "", feedback).replace("<br>", "\n")) == '=1+1; +2\nsays "é"\\'


def test_gradescope_results_follow_the_documented_format(export) -> None:
    _, folder, said = export("gradescope", "--visibility", "after_published")
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.json"))
    assert files == [f"01_attention/{name}" for name in ("ann/results.json", "ben/results.json", "eve/results.json", "index.json")]
    results = {path.parent.name: json.loads(path.read_bytes()) for path in folder.glob("*/*/results.json")}
    for result in results.values():
        jsonschema.validate(result, RESULTS)
    assert {name: result["score"] for name, result in results.items()} == {"ann": 9.75, "ben": 4.5, "eve": 10.0}
    assert "Late: 1.5 points less." in results["ben"]["output"]
    assert [test["status"] for test in results["ben"]["tests"]] == ["passed", "failed"]
    assert json.loads((folder / "01_attention/index.json").read_bytes()) == {"ann@gs.org": "ann/results.json", "ben@x.org": "ben/results.json"}
    assert "are not in index.json" in said


def test_each_question_is_a_row_and_no_cell_a_formula(export) -> None:
    _, path, _ = export("questions")
    rows = [dict(zip(_rows(path)[0], row, strict=True)) for row in _rows(path)[1:]]
    assert all(safe_cell(original_text(cell)) == cell for row in rows for cell in row.values())
    ann = next(row for row in rows if (row["student"], row["question"]) == ("ann", "test_scale"))
    assert [ann[name] for name in ("auto_score", "manual_score", "extra_credit", "score", "max_score")] == ["3", "5.5", "0.25", "5.75", "6"]
    assert ann["last_name"] == "Łukaszewicz-Åström"
    assert ann["comment"] == "'=1+1;' +2\nsays \"é\"\\"
    assert original_text(ann["comment"]) == '=1+1; +2\nsays "é"\\'
    ben = next(row for row in rows if row["student"] == "ben")
    assert (ben["first_name"], ben["submission_late_penalty"], ben["submission_score"]) == ("'=cmd|' /C calc'!A0", "1.5", "4.5")
    assert [row["needs_manual_grade"] for row in rows if row["student"] == "cyd"] == ["no", "yes"]


def test_a_row_for_each_student(export) -> None:
    _, path, _ = export("questions", "--wide", "--missing", "zero")
    rows = {row[0]: row[4:] for row in _rows(path)}
    assert rows["student"] == [f"01_attention/{name}" for name in ("test_scale", "question-pattern", "late_penalty", "score")]
    assert rows["maximum"] == ["6", "4", "", "10"]
    assert rows["cyd"] == ["6", "", "0", ""]
    assert rows["dan"] == ["0", "0", "0", "0"]


def test_an_id_that_is_a_formula_is_refused(export, class_folder: Path) -> None:
    roster = class_folder / "roster.csv"
    roster.write_text(roster.read_text(encoding="utf-8").replace("00043", "=1+1"), encoding="utf-8")
    code, path, said = export("canvas")
    assert code == 2
    assert "sis_user_id '=1+1' of student 'ben' would be a formula" in said
    assert not path.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--assignment", "99"], "the gradebook has no assignment '99'; it has 01_attention"),
        (["--template", "none.csv"], "the template none.csv does not exist"),
        (["--wide"], "--wide means nothing for canvas"),
        (["--gradebook", "sqlite:////none/gradebook.db"], "there is no gradebook /none/gradebook.db"),
    ],
)
def test_a_wrong_option_is_named(export, options: list[str], message: str) -> None:
    code, path, said = export("canvas", *options)
    assert code == 2
    assert message in said
    assert not path.exists()


def test_nbgrader_runs_them_as_plug_ins(class_folder: Path) -> None:
    config = f"c = get_config()\nc.CourseDirectory.course_id = 'demo'\nc.CourseDirectory.db_url = 'sqlite:///{class_folder}/gradebook.db'\n"
    config += "c.AutograderExporter.roster = 'roster.csv'\nc.CanvasExporter.missing = 'zero'\n"
    (class_folder / "nbgrader_config.py").write_text(config, encoding="utf-8")
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": root, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "nbgrader", "export", "--exporter=autograder.exports.CanvasExporter", "--to=canvas.csv"]
    command.append("--CanvasExporter.ungraded=partial")
    done = subprocess.run(command, cwd=class_folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [row[-1] for row in _rows(class_folder / "canvas.csv")] == ["01_attention", "10", "6", "0", "4.5", "9.75"]
