"""The client of GitHub's API: pages, rate limits, retries, tokens, and what it says when nothing helps."""

from __future__ import annotations

import pytest
from forge import Fault

from autograder.github.client import GitHub, Pace
from autograder.github.errors import GitHubError, InvalidError, NotFoundError, RefusedError
from autograder.github.tokens import GivenToken


@pytest.fixture
def repository(forge):
    made = forge.repository("course/transformer-ada")
    made.push({"README.md": "hello"}, "2026-10-01T10:00:00Z")
    return made


def test_all_pages_are_read(forge, client, repository):
    for number in range(230):
        forge.repository(f"course/transformer-{number:03}")
    names = [entry["name"] for entry in client.pages("/orgs/course/repos")]
    assert len(names) == len(set(names)) == 231
    assert len(forge.asked("/orgs/course/repos")) == 3


def test_a_server_that_stumbles_is_asked_again(forge, client, repository, clock):
    forge.faults.append(Fault("GET /repos/course/transformer-ada$", 502, times=2))
    assert client.get("/repos/course/transformer-ada")["default_branch"] == "main"
    assert len(clock.waited) == 2


def test_a_connection_that_is_cut_is_tried_again(forge, client, repository):
    forge.faults.append(Fault("GET /repos", 0, times=2))
    assert client.get("/repos/course/transformer-ada")["full_name"] == "course/transformer-ada"


def test_a_server_that_stays_down_is_given_up_in_words(forge, client, repository):
    forge.faults.append(Fault("GET /repos", 500, times=99))
    with pytest.raises(GitHubError, match=r"GET /repos/course/transformer-ada: GitHub answers 500: a fault; run again later"):
        client.get("/repos/course/transformer-ada")
    assert len(forge.requests) == 5


@pytest.mark.parametrize("status", [403, 429])
def test_retry_after_is_obeyed(forge, client, repository, clock, status):
    forge.faults.append(Fault("GET /repos", status, headers={"Retry-After": "37"}))
    client.get("/repos/course/transformer-ada")
    assert clock.waited == [37]


def test_a_used_up_limit_is_waited_for_until_its_reset(forge, client, repository, clock):
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(clock.seconds) + 120)}
    forge.faults.append(Fault("GET /repos", 403, headers=headers))
    client.get("/repos/course/transformer-ada")
    assert clock.waited == [121]


def test_a_limit_that_lasts_too_long_is_said(forge, client, repository, clock):
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(clock.seconds) + 3000)}
    forge.faults.append(Fault("GET /repos", 403, headers=headers))
    with pytest.raises(RefusedError, match="used up for 50 minutes more"):
        client.get("/repos/course/transformer-ada")
    assert clock.waited == []


def test_a_refusal_is_no_limit(forge, client, repository, clock):
    forge.faults.append(Fault("GET /repos", 403, body={"message": "Resource not accessible by integration"}))
    with pytest.raises(RefusedError, match="Resource not accessible by integration; does the token have the permission"):
        client.get("/repos/course/transformer-ada")
    assert clock.waited == []


def test_what_does_not_exist_is_said(client, repository):
    with pytest.raises(NotFoundError, match="there is no such thing, or this token may not see it"):
        client.get("/repos/course/nobody")


def test_a_wrong_request_is_said_with_its_reasons(forge, client, repository):
    forge.faults.append(Fault("POST", 422, body={"message": "Validation Failed", "errors": [{"message": "head_sha is too short"}]}))
    with pytest.raises(InvalidError, match=r"\(422\): Validation Failed; head_sha is too short"):
        client.post("/repos/course/transformer-ada/check-runs", {"name": "x", "head_sha": "0" * 40})


def test_a_token_that_is_not_accepted_is_said(forge, repository):
    with GitHub(GivenToken("wrong"), forge.url) as github, pytest.raises(RefusedError, match=r"does not accept the token \(401\)") as raised:
        github.get("/repos/course/transformer-ada")
    assert "wrong" not in str(raised.value)


def test_a_post_without_an_answer_is_not_repeated(forge, client, repository):
    forge.faults.append(Fault("POST", 0, times=9, after_work=True))
    with pytest.raises(GitHubError, match="does not answer"):
        client.post("/repos/course/transformer-ada/check-runs", {"name": "x", "head_sha": "0" * 40, "status": "completed", "conclusion": "neutral"})
    assert len(repository.check_runs) == 1


def test_writing_keeps_the_pace_that_is_allowed(client, repository, clock):
    for _ in range(3):
        client.post("/repos/course/transformer-ada/check-runs", {"name": "x", "head_sha": "0" * 40, "status": "completed", "conclusion": "neutral"})
    assert clock.waited == pytest.approx([Pace().between_writes] * 2)


def test_a_token_does_not_follow_a_redirect(forge, client, repository):
    # The forge's codeload refuses to be given one.
    assert client.download(f"/repos/course/transformer-ada/tarball/{repository.head()}", 10_000)[:2] == b"\x1f\x8b"


def test_a_download_has_a_bound(client, repository):
    with pytest.raises(InvalidError, match="larger than 50 bytes"):
        client.download(f"/repos/course/transformer-ada/tarball/{repository.head()}", 50)


def test_a_next_page_elsewhere_is_refused(forge, client, repository):
    link = {"Link": '<https://elsewhere.example/steal>; rel="next"'}
    forge.faults.append(Fault("GET /orgs", 200, headers=link, body=[{"name": "x"}]))
    with pytest.raises(GitHubError, match="which cannot be"):
        list(client.pages("/orgs/course/repos"))
