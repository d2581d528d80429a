"""The table at the end of a run, in wide and narrow terminals."""

import io
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console
from sample_class import course, report, sample_standings

from autograder.reports.console import RunCounts, grades_table
from autograder.reports.model import Status
from autograder.results.standings import standings


def ten_assignments():
    three = course().assignments
    return replace(course(), assignments=tuple(replace(three[k % 3], folder=f"{k + 1:02}_{three[k % 3].name}") for k in range(10)))


def shown(course, found, width=100, counts=None, colour=False):
    console = Console(width=width, force_terminal=colour, color_system="standard" if colour else None, record=True, file=io.StringIO())
    console.print(grades_table(course, found, counts or RunCounts(len(found), 0)))
    return console.export_text(styles=colour)


def test_a_row_has_scores_penalty_marks_and_total():
    lines = {line.split()[0]: line.split() for line in shown(course(), sample_standings()).splitlines() if line.strip()}
    assert lines["d'souza_priya"] == ["d'souza_priya", "(−4)", "16*", "18.2", "18.2", "88", "%"]
    assert lines["ivan.petrov"] == ["ivan.petrov", "20", "20", "18.2^", "96", "%"]
    assert lines["khadija.b"] == ["khadija.b", "(−4)", "3.15*", "-", "-", "4", "%"]
    assert lines["mei-ling.chen"][3] == "0?"


def test_the_legend_explains_the_marks_that_occur_and_no_others():
    assert "flagged" not in shown(course(), standings([report("a", "01_attention")], course()))
    text = shown(course(), standings([report("a", "01_attention", status=Status.BROKEN)], course()))
    assert "! could not be run" in text
    assert "- not handed in" not in text


def test_the_last_line_says_what_the_run_did():
    last = shown(course(), sample_standings(), width=200, counts=RunCounts(graded=3, unchanged=39, wall_seconds=4.13)).rstrip().splitlines()[-1]
    assert last == ("3 submissions graded in 4.1 s, 39 unchanged; 1 could not be run; 1 could not be read; 2 not handed in; 1 flagged for review.")


@pytest.mark.parametrize("width", [40, 80, 100, 200])
def test_every_score_is_legible_at_any_width(width):
    ten = ten_assignments()
    found = [
        replace(entry, report=replace(entry.report, assignment=assignment.folder))
        for place, assignment in enumerate(ten.assignments)
        for entry in sample_standings()
        if entry.report.assignment == course().assignments[place % 3].folder
    ]
    text = shown(ten, found, width)
    assert all(cell_len(line) <= width for line in text.splitlines())
    assert text.count("…") == 0
    row = " ".join(line for line in text.splitlines() if "noah.schmidt" in line).split()
    assert [cell for cell in row if cell.startswith("14.3")] == ["14.3"] * 4
    assert row[-2:] == ["77", "%"]


def test_names_from_disk_cannot_touch_the_terminal():
    names = ("\x1b[2J\x1b]0;owned\x07evil", "[red]not markup[/red]", "\u202efdp", "new\nline", "x" * 500)
    text = shown(course(), standings([report(name, "01_attention") for name in names], course()), colour=True)
    assert "\x1b[2J" not in text
    assert "\x1b]0" not in text
    assert "\u202e" not in text
    assert "[red]not markup[/red]" in text
    assert "new line" in text


def test_an_empty_class_is_one_line():
    assert shown(course(), []).strip() == "0 submissions graded, 0 unchanged."
