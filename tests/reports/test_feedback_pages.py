"""What a student is shown, what never, and that nothing that a submission wrote takes effect on the page."""

import urllib.parse
from dataclasses import replace

import pytest
from html_outline import check_page
from markdown_it import MarkdownIt
from sample_class import SECRET_SEED, SOURCE, STUDENTS, course, report, sample_standings

from autograder.reports.feedback import feedback_html, feedback_markdown, student_index_html, write_feedback
from autograder.reports.files import ReportError
from autograder.reports.model import Isolation, Outcome, Status
from autograder.results.standings import standing

ATTENTION = course().assignments[0]
HOSTILE = "<script>alert(1)</script> ![x](http://evil.example/p.png) [a](javascript:x) @everyone \x1b[2J\u202e | # <img src=x onerror=y>"


def standing_of(one):
    return standing(one, course())


def both(one, source=None):
    return feedback_html(standing_of(one), ATTENTION, source), feedback_markdown(standing_of(one), ATTENTION, source)


def with_message(one, message, line=None):
    tests = tuple(replace(test, message=message, line=line) if test.outcome is Outcome.FAILED else test for test in one.tests)
    return replace(one, tests=tests)


def test_a_page_says_score_attempt_outcome_reason_and_misconception():
    one = report("amara", "01_attention", failed=(2, 5), not_run=(6,))
    page = check_page(feedback_html(standing_of(one), ATTENTION, SOURCE))
    for words in (
        "amara",
        "Scaled dot-product attention",
        "15.73 / 20 points",
        "11 of 14 tests passed, 1 could not run yet.",
        "3. Scores are divided by √D, the width of a query",
        "What does softmax do with a row of −inf?",
        "This looks like: You divide by √Dv",
        "line 19 of attention.py",
        "math.sqrt(19)",
        "1.43 / 1.43",
        "which failed",
    ):
        assert words in page.text


def test_the_first_failed_test_is_the_one_to_begin_with():
    html, markdown = both(report("amara", "01_attention", failed=(2, 5)))
    for page in (html, markdown):
        assert page.index("Begin here") < page.index("3. Scores are divided") < page.index("Then look at") < page.index("6. A causal mask")


def test_every_test_passed_says_so():
    html, markdown = both(report("amara", "01_attention"))
    assert "Every test passed." in html
    assert "Begin here" not in html + markdown


@pytest.mark.parametrize("status", [Status.MISSING, Status.UNREADABLE, Status.BROKEN])
def test_a_submission_that_could_not_run_says_why_and_what_to_do_and_lists_no_failures(status):
    one = report("amara", "01_attention", status=status)
    html, markdown = both(one)
    page = check_page(html)
    assert one.message in page.text
    assert "attention.py" in markdown
    assert "failed" not in page.text
    assert "✗" not in markdown


def test_late_penalties_are_said_in_words():
    one = replace(report("amara", "01_attention"), submitted_at="2026-10-07T03:10:00+00:00", attempt=3)
    html, markdown = both(one)
    assert "Handed in 1 day 3 hours late: 4 points off, 20 became 16." in html
    assert "Handed in 1 day 3 hours late: 4 points off, 20 became 16." in markdown
    assert "<dt>Attempt</dt><dd>3</dd>" in html


def test_nothing_of_the_grader_is_shown():
    secrets = {
        "fingerprint": "FINGERPRINT",
        "submission_sha256": "SUBMISSIONHASH",
        "suite_sha256": "SUITEHASH",
        "grader_sha256": "GRADERHASH",
        "torch_version": "TORCHVERSION",
        "seed": SECRET_SEED,
        "flags": ("FLAGGED: copies the source of its neighbour",),
        "sandbox": Isolation("ISOLATIONMODE", ("LAYER",), ("LACKING",)),
    }
    one = with_message(replace(report("amara", "01_attention", failed=(2,)), **secrets), 'File "/srv/SECRETFOLDER/hidden_tests/x.py", line 3')
    one = replace(one, message="see /srv/SECRETFOLDER/results/x.json")
    shown = "".join(both(one, SOURCE)) + student_index_html("amara", course(), [standing_of(one)])
    for secret in (*map(str, secrets.values()), "FLAGGED", "ISOLATIONMODE", "LAYER", "LACKING", "SECRETFOLDER", "hidden_tests"):
        assert secret not in shown


def test_text_of_a_submission_is_shown_and_has_no_effect_in_html():
    one = replace(with_message(report(HOSTILE, "01_attention", failed=(2,)), HOSTILE, line=1), message=HOSTILE)
    for html in (feedback_html(standing_of(one), ATTENTION, HOSTILE + "\n"), student_index_html(HOSTILE, course(), [standing_of(one)])):
        page = check_page(html)
        assert "<script>alert(1)</script>" in page.text
        assert "\u202e" not in html
        assert "\x1b" not in html


def test_text_of_a_submission_is_shown_and_has_no_effect_in_markdown():
    one = replace(with_message(report(HOSTILE, "01_attention", failed=(2, 3)), HOSTILE + "\n# Full marks\n```", line=1), message=HOSTILE)
    markdown = feedback_markdown(standing_of(one), ATTENTION, HOSTILE + " ```")
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    kinds = {child.type for token in tokens for child in [token, *(token.children or ())]}
    assert not kinds & {"html_inline", "html_block", "link_open", "image"}
    assert [token.tag for token in tokens if token.type == "heading_open"].count("h1") == 1
    prose = "".join(token.content for token in tokens if token.type == "inline")
    assert "Full marks" in prose
    assert "@everyone" not in prose
    assert "\x1b" not in markdown


def test_a_table_row_stays_one_row_in_markdown():
    one = report("amara", "01_attention", failed=(2,), not_run=(3,))
    one = replace(one, tests=tuple(replace(test, title=f"a | b\n{place}", message="two\nlines | more") for place, test in enumerate(one.tests)))
    tokens = MarkdownIt("commonmark").enable("table").parse(feedback_markdown(standing_of(one), ATTENTION))
    assert sum(token.type == "tr_open" for token in tokens) == 1 + len(one.tests)


def test_pages_allow_no_script_and_no_style_but_their_own():
    (policy,) = [value for value in check_page(both(report("amara", "01_attention"))[0]).values("content") if "default-src" in value]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_index_has_the_totals_of_what_was_graded():
    found = [entry for entry in sample_standings() if entry.report.student == "d'souza_priya"]
    page = check_page(student_index_html("d'souza_priya", course(), found))
    assert "52.4 / 60" in page.text
    assert "88.2 %" in page.text
    assert page.links == ["01_attention.html", "02_positional_encoding.html", "03_multi_head_attention.html"]


@pytest.mark.parametrize("student", [*STUDENTS, "100% #1?.html", "a\\b'\"", "\udcff not utf-8"])
def test_pages_are_found_under_any_name_that_a_folder_can_have(student, tmp_path):
    found = [standing_of(report(student, folder)) for folder in ("01_attention", "02_positional_encoding")]
    if "\\" in student:
        with pytest.raises(ReportError, match="Rename the submission's folder"):
            write_feedback(tmp_path, course(), student, found)
        return
    index = write_feedback(tmp_path, course(), student, found, {"01_attention": SOURCE})
    assert index == tmp_path / "feedback" / student / "index.html"
    assert sorted(path.name for path in index.parent.iterdir()) == [
        "01_attention.html",
        "01_attention.md",
        "02_positional_encoding.html",
        "02_positional_encoding.md",
        "index.html",
    ]
    for link in check_page(index.read_text("utf-8")).links:
        assert (index.parent / urllib.parse.unquote(link)).is_file()
