"""The instructor's page: its numbers, its figures, its links, and that it is safe and repeatable."""

import urllib.parse
import warnings
from dataclasses import replace

import pytest
from html_outline import check_page
from sample_class import course, report, sample_standings

from autograder.reports.class_report import class_report_html, write_class_report
from autograder.reports.feedback import write_feedback
from autograder.reports.model import Diagnosis, Isolation, Outcome, Status
from autograder.reports.summary import summarise
from autograder.results.standings import course_totals, standings


@pytest.fixture(scope="module")
def page():
    return class_report_html(course(), sample_standings())


def test_the_page_is_well_formed_and_loads_nothing(page):
    outline = check_page(page)
    assert "hana <b>novak" in outline.text
    assert sum(tag == "svg" for tag, _ in outline.tags) == 2 + 2 * 3
    assert all(attrs.get("aria-label") for tag, attrs in outline.tags if tag == "svg")


def test_the_page_is_the_same_every_time(page):
    assert class_report_html(course(), list(reversed(sample_standings()))) == page


def test_tiles_count_the_class(page):
    text = check_page(page).text
    for tile in (
        "14 students",
        "40 submissions",
        "69.8 % mean of the course",
        "2 late",
        "2 not handed in",
        "2 could not be run",
        "1 flagged for review",
    ):
        assert tile in text


def test_totals_are_those_of_the_gradebook(page):
    text = check_page(page).text
    for total in course_totals(sample_standings(), course()):
        assert f"{total.percent:.1f} %" in text


def test_misconceptions_are_counted_by_student_most_frequent_first():
    found = [report(name, "01_attention", failed=failed) for name, failed in (("a", (2, 5)), ("b", (2,)), ("c", (2, 5)), ("d", (8,)))]
    (summary,) = summarise(course(), standings(found, course())).assignments
    assert [(entry.says[:24], entry.students) for entry in summary.misconceptions] == [
        ("You divide by √Dv, the w", ("a", "b", "c")),
        ("Your causal mask is alig", ("a", "c")),
        ("A fill of −1e9 gives a q", ("d",)),
    ]


def test_what_could_not_run_is_listed_and_kept_out_of_the_heat_map():
    found = [report("ran", "01_attention", failed=(3,)), report("broken", "01_attention", status=Status.BROKEN)]
    (summary,) = summarise(course(), standings(found, course())).assignments
    assert [test.count(Outcome.FAILED) for test in summary.tests] == [0, 0, 0, 1] + [0] * 10
    text = check_page(class_report_html(course(), standings(found, course()))).text
    assert "does not parse: line 31" in text
    assert "Not shown: 1 could not be run" in text


def test_scores_count_after_the_late_penalty():
    late = replace(report("late", "01_attention"), submitted_at="2026-10-06T10:00:00+00:00")
    (summary,) = summarise(course(), standings([late], course())).assignments
    assert summary.scores == (18.0,)
    assert "late: −2" in class_report_html(course(), standings([late], course()))


def test_links_lead_to_the_feedback_pages(tmp_path):
    found = sample_standings()
    path = write_class_report(tmp_path, course(), found)
    for student in {entry.report.student for entry in found}:
        write_feedback(tmp_path, course(), student, found)
    links = [link for link in check_page(path.read_text("utf-8")).links if not link.startswith("#")]
    assert len(links) > 40
    assert all((tmp_path / urllib.parse.unquote(link)).is_file() for link in links)


def test_flags_and_weaker_isolation_are_said():
    one = replace(report("a", "01_attention"), flags=("calls <b>F.scaled_dot_product_attention</b>",), sandbox=Isolation("off", ()))
    other = replace(report("b", "01_attention"), sandbox=Isolation("best", ("landlock",), ("seccomp",)))
    text = check_page(class_report_html(course(), standings([one, other], course()))).text
    assert "calls <b>F.scaled_dot_product_attention</b>" in text
    assert "1 submission graded with isolation switched off" in text
    assert "1 submission graded without the isolation layer “seccomp”" in text
    assert "unknown" not in text


def test_hostile_names_and_titles_stay_text():
    names = ("$\\frac{1}{0}$", "</svg><i>x</i>", "\x1b[2Ja\u202eb", "_" * 300, "🎓", "#010101")
    found = [replace(report(name, "01_attention", failed=(1,)), flags=("]]></style>\x1b[2J",)) for name in names]
    hostile = "</text>\u202e\x1b[2J$x^$"
    found = [replace(one, tests=tuple(replace(test, title=hostile, misconception=Diagnosis("m", hostile)) for test in one.tests)) for one in found]
    page = class_report_html(course(), standings(found, course()))
    outline = check_page(page)
    for shown_in_table_and_figure in (*names[:2], "ab", "🎓", "#010101", "</text>$x^$"):
        assert outline.text.split("Who failed what")[0].count(shown_in_table_and_figure)
        assert outline.text.split("Who failed what")[1].count(shown_in_table_and_figure)
    assert not {"\x1b", "\u202e"} & set(page)


def test_hundreds_of_students_make_a_page_of_bearable_size():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = class_report_html(course(), sample_standings(300))
    check_page(page)
    assert len(page) < 600_000
    assert "students, best score first" in page


@pytest.mark.parametrize("status", list(Status))
def test_a_class_of_one_has_a_page(status):
    check_page(class_report_html(course(), standings([report("only", "01_attention", status=status)], course())))


def test_an_empty_class_has_a_page():
    assert "Nothing has been graded yet" in check_page(class_report_html(course(), [])).text
