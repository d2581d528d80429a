"""Posting: what is shown, where, once, and only what changed; whatever another machine's report claims."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re

import pytest
import sample_class
from forge import Fault

from autograder.collect.collect import Collection
from autograder.collect.from_github import GitHubSource
from autograder.course.roster import Roster, Student
from autograder.github.client import GitHub, Pace
from autograder.github.errors import RefusedError
from autograder.github.tokens import GivenToken
from autograder.grading.suite import ExpectedTest
from autograder.posting.content import MAX_TEXT, content_of, description_of, fitted
from autograder.posting.post import post_all, posts_of
from autograder.posting.validate import ResultError, keep, read_incoming, validated
from autograder.posting.ways import WAYS
from autograder.reports.model import Diagnosis, Outcome, Status, to_json
from autograder.results.ledger import Ledger
from autograder.results.standings import standings

COURSE = sample_class.course()
FOLDER = "01_attention"
PATH = f"assignments/{FOLDER}/attention.py"
SOURCE = sample_class.SOURCE
PUSHED = "2026-10-05T12:30:00+00:00"


def report(failed=(2, 5), **changes):
    made = sample_class.report("ada", FOLDER, failed, (9,))
    return dataclasses.replace(made, submission_sha256=hashlib.sha256(SOURCE.encode()).hexdigest(), **changes)


@pytest.fixture
def ada(forge):
    repository = forge.repository("course/transformer-ada")
    repository.push({PATH: SOURCE}, PUSHED)
    return repository


@pytest.fixture
def collected(ada, client, tmp_path):
    members = Roster((Student("ada", repository="course/transformer-ada"),))
    Collection(COURSE, COURSE.assignments[:1], tmp_path / "submissions").run(GitHubSource(client, roster=members))
    return tmp_path / "submissions"


@pytest.fixture
def post(collected, client, tmp_path):
    ledger = Ledger(tmp_path / "results")

    def run(*reports, way="check"):
        found, notes = posts_of(standings(reports or (report(),), COURSE), COURSE, collected)
        outcome = post_all(found, client, WAYS[way], ledger)
        outcome.notes += notes
        return outcome

    return run


# What is shown


def content(**changes):
    (standing,) = standings([report(**changes)], COURSE)
    return content_of(standing, COURSE.assignments[0], PATH, SOURCE)


def test_the_title_is_the_score():
    assert content().title == "15.73 of 20 points"
    assert content(failed=()).title == "18.59 of 20 points"


def test_failed_tests_are_told_in_words_with_their_misconception():
    shown = content()
    assert "This looks like:" in shown.details
    assert "You divide by √Dv" in shown.details
    assert "Scores are divided by √D" in shown.summary


def test_annotations_stand_at_the_students_own_lines():
    (annotation,) = content().annotations
    assert (annotation.path, annotation.line) == (PATH, 19)


def test_nothing_that_a_student_may_not_see_is_shown():
    shown = content(flags=("line 3: imports ctypes",), fingerprint="0f" * 32)
    text = json.dumps(dataclasses.asdict(shown))
    assert sample_class.SECRET_SEED not in text
    for secret in ("ctypes", "5c5c5c5c", "5d5d5d5d", "0f0f0f"):
        assert secret not in text


@pytest.mark.parametrize(
    "evil", ["</details><script>x</script>", "@everyone #1 https://evil.example", "| a | b |\n|---|---|", "```\n# huge", "\x1b[31mred"]
)
def test_words_that_a_submission_chose_stay_words(evil):
    made = report()
    tests = (dataclasses.replace(made.tests[2], message=f"the function raised ValueError: {evil}"), *made.tests[:2], *made.tests[3:])
    (standing,) = standings([dataclasses.replace(made, tests=tests)], COURSE)
    shown = content_of(standing, COURSE.assignments[0], PATH, SOURCE)
    text = re.sub(r"\\.", "", shown.details + shown.summary)  # without what is escaped
    for piece in ("<s", "</", "@everyone", "#1", "https://evil", "\x1b"):
        assert piece not in text


def test_what_is_too_long_is_cut_between_tests():
    made = report(failed=tuple(range(14)))
    tests = tuple(dataclasses.replace(test, message="long " * 780) for test in made.tests) * 2
    (standing,) = standings([dataclasses.replace(made, tests=tests)], COURSE)
    shown = content_of(standing, COURSE.assignments[0], PATH, SOURCE)
    assert MAX_TEXT / 2 < len(shown.details) <= MAX_TEXT
    assert len(shown.comment) <= MAX_TEXT
    assert shown.details.endswith("too long to be shown here._\n")
    assert shown.details.count("```") % 2 == 0


def test_a_status_has_140_characters():
    (standing,) = standings([report(status=Status.BROKEN)], COURSE)
    assert len(description_of(content_of(standing, COURSE.assignments[0], None))) <= 140
    assert fitted("x" * 70_000).count("x") < MAX_TEXT


# Where and when


def test_a_check_run_stands_on_the_graded_commit(ada, post):
    assert post().posted == 1
    (run,) = ada.check_runs
    assert (run["head_sha"], run["name"], run["conclusion"]) == (ada.head(), "autograder: 01_attention", "neutral")
    assert run["output"]["title"] == "15.73 of 20 points"
    assert run["_annotations"][0]["path"] == PATH


def test_what_did_not_change_is_not_posted_again(forge, ada, post):
    post()
    before = len(forge.asked("POST|PATCH"))
    assert (post().posted, post().unchanged) == (0, 1)
    assert len(forge.asked("POST|PATCH")) == before


def test_a_regrade_updates_what_is_there(ada, post):
    post()
    post(report(failed=(2,)))
    (run,) = ada.check_runs
    assert run["output"]["title"] == "17.16 of 20 points"


def test_lost_notes_lead_to_no_second_one(ada, post, tmp_path):
    post()
    (tmp_path / "results" / FOLDER / "ada" / "posted").unlink()
    post()
    assert len(ada.check_runs) == 1


@pytest.mark.parametrize("way", ["check", "comment"])
def test_an_answer_that_was_lost_leads_to_no_second_one(forge, ada, post, way):
    forge.faults.append(Fault("POST", 0, after_work=True))
    assert post(way=way).posted == 1
    assert len(ada.check_runs) + len(ada.comments) == 1


def test_more_than_fifty_annotations_go_in_several_calls(forge, ada, post):
    made = report()
    failed = [dataclasses.replace(made.tests[2], id=f"test_{n}", line=n + 1) for n in range(120)]
    post(dataclasses.replace(made, tests=tuple(failed)))
    (run,) = ada.check_runs
    assert len(run["_annotations"]) == 120
    assert len(forge.asked("PATCH")) == 2


def test_a_status_and_a_comment_are_ways_too(ada, post):
    post(way="status")
    assert [(entry["context"], entry["state"], entry["description"]) for entry in ada.statuses] == [
        ("autograder: 01_attention", "failure", "15.73 of 20 points")
    ]
    post(way="comment")
    post(report(failed=()), way="comment")
    (comment,) = ada.comments
    assert "18.59 of 20 points" in comment["body"]


def test_a_students_comment_with_our_mark_is_not_ours(forge, ada, post):
    post(way="comment")
    stolen = dict(ada.comments[0], id=1, user=dict(ada.comments[0]["user"], login="ada", type="User"))
    ada.comments.insert(0, stolen)
    post(report(failed=()), way="comment")
    assert "18.59" not in ada.comments[0]["body"]
    assert "18.59" in ada.comments[1]["body"]


def test_a_repository_that_is_gone_leaves_the_others(forge, client, collected, ada, tmp_path):
    bo = forge.repository("course/transformer-bo")
    bo.push({PATH: SOURCE}, PUSHED)
    members = Roster(tuple(Student(name, repository=f"course/transformer-{name}") for name in ("ada", "bo")))
    Collection(COURSE, COURSE.assignments[:1], collected).run(GitHubSource(client, roster=members))
    ada.gone = True
    found, _ = posts_of(standings([report(), dataclasses.replace(report(), student="bo")], COURSE), COURSE, collected)
    outcome = post_all(found, client, WAYS["check"], Ledger(tmp_path / "results"))
    assert (outcome.posted, len(outcome.problems), len(bo.check_runs)) == (1, 1, 1)


def test_a_token_without_the_permission_is_said(forge, collected, tmp_path):
    forge.tokens["reader"] = {"contents": "read"}
    found, _ = posts_of(standings([report()], COURSE), COURSE, collected)
    with GitHub(GivenToken("reader"), forge.url, pace=Pace(sleep=lambda _s: None)) as github:
        outcome = post_all(found, github, WAYS["check"], Ledger(tmp_path / "results"))
    assert "does the token have the permission for this?" in outcome.problems[0]


def test_a_token_that_is_refused_ends_it(forge, collected, tmp_path):
    found, _ = posts_of(standings([report()], COURSE), COURSE, collected)
    with GitHub(GivenToken("wrong"), forge.url, pace=Pace(sleep=lambda _s: None)) as github, pytest.raises(RefusedError):
        post_all(found, github, WAYS["check"], Ledger(tmp_path / "results"))


def test_a_score_of_another_version_than_the_collected_one_is_not_posted(post, ada):
    outcome = post(dataclasses.replace(report(), submission_sha256="0" * 64))
    assert (outcome.posted, ada.check_runs) == (0, [])
    assert "is not the one that was graded" in outcome.notes[0]


# What another machine says

MANIFEST = tuple(ExpectedTest(test.id, test.title, test.max_points, ()) for test in report().tests)
SUITES = {"attention": "5c5c5c5c"}


def believed(made):
    digest = hashlib.sha256(SOURCE.encode()).hexdigest()
    known = {("ada", FOLDER): {digest}}
    return validated(made, COURSE, {"attention": MANIFEST}, SUITES, lambda student, folder: known[student, folder])


def changed_test(**changes):
    made = report()
    return dataclasses.replace(made, tests=(dataclasses.replace(made.tests[2], **changes), *made.tests[:2], *made.tests[3:]))


def test_an_honest_report_is_kept_as_it_is(tmp_path):
    assert believed(report()).score == pytest.approx(15.73)
    kept = keep(believed(report()), Ledger(tmp_path))
    assert kept.attempt == 1
    assert Ledger(tmp_path).current(FOLDER, "ada") == kept


@pytest.mark.parametrize(
    "forged",
    [
        dataclasses.replace(report(), score=1e9, max_score=1e9),
        dataclasses.replace(report(), tests=tuple(dataclasses.replace(test, points=1e6, max_points=1e6) for test in report().tests)),
        dataclasses.replace(report(), tests=tuple(dataclasses.replace(test, points=-5.0) for test in report().tests)),
    ],
)
def test_points_are_the_courses_own(forged):
    assert believed(forged).score == pytest.approx(15.73)
    assert believed(forged).max_score == pytest.approx(20.02)


@pytest.mark.parametrize(
    ("forged", "why"),
    [
        (dataclasses.replace(report(), student="bo"), "nothing of 01_attention was collected from 'bo'"),
        (dataclasses.replace(report(), student="../ada"), "nothing of"),
        (dataclasses.replace(report(), assignment="99_free_points"), "is no assignment of this course"),
        (dataclasses.replace(report(), suite_sha256="1" * 64), "graded with another suite"),
        (dataclasses.replace(report(), submission_sha256="1" * 64), "another submission than the one that was collected"),
        (dataclasses.replace(report(), tests=report().tests[:-1]), "its tests are not those of the suite"),
        (dataclasses.replace(report(), tests=report().tests + report().tests[:1]), "its tests are not those of the suite"),
        (dataclasses.replace(report(), status=Status.BROKEN), "and yet tests ran"),
    ],
)
def test_what_cannot_be_is_refused(forged, why):
    with pytest.raises(ResultError, match=why):
        believed(forged)


def test_titles_and_misconceptions_are_the_courses_own():
    made = report()
    test = dataclasses.replace(made.tests[2], title="Buy now", misconception=Diagnosis("made-up", "Send me your password."))
    kept = believed(dataclasses.replace(made, tests=(*made.tests[:2], test, *made.tests[3:])))
    assert kept.tests[2].title == made.tests[2].title
    assert kept.tests[2].misconception is None


def test_a_failed_test_has_no_points_whatever_it_says():
    made = report()
    tests = tuple(dataclasses.replace(test, points=test.max_points) for test in made.tests)
    assert [test.points for test in believed(dataclasses.replace(made, tests=tests)).tests if test.outcome is not Outcome.PASSED] == [0.0] * 3


def test_files_that_are_no_reports_are_told_and_leave_the_rest(tmp_path):
    folder = tmp_path / FOLDER / "ada"
    folder.mkdir(parents=True)
    (folder / "good.json").write_text(to_json(report()))
    (folder / "huge.json").write_text(" " * (2 << 20))
    (folder / "deep.json").write_text("[" * 100_000)
    (folder / "not.json").write_bytes(b"\xff\xfe")
    (folder / "link.json").symlink_to("/etc/passwd")
    (folder / "notes.txt").write_text("x")
    found = dict(read_incoming(tmp_path))
    assert len(found) == 5
    assert [path for path, entry in found.items() if not isinstance(entry, ResultError)] == [f"{FOLDER}/ada/good.json"]
