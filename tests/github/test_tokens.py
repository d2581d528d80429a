"""A GitHub App's tokens: minted from its key, no stronger than asked for, renewed in time, and never shown."""

from __future__ import annotations

import pytest

from autograder.github.client import GitHub, Pace
from autograder.github.errors import RefusedError
from autograder.github.tokens import AppToken, GivenToken, token_from_environment


@pytest.fixture(scope="module")
def keys():
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    public = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    return pem, public


@pytest.fixture
def app(forge, keys):
    forge.app_key = keys[1]
    forge.repository("course/transformer-ada")
    return AppToken("4711", keys[0], "course", {"contents": "read"}, base_url=forge.url)


def test_an_app_reads_with_no_more_than_it_asked_for(forge, app, clock):
    with GitHub(app, forge.url, pace=Pace(sleep=clock.sleep)) as github:
        assert github.get("/repos/course/transformer-ada")["default_branch"] == "main"
    assert [body for _, _, body, _ in forge.asked("POST .*/access_tokens")] == [{"permissions": {"contents": "read"}}]


def test_a_token_is_minted_once(forge, app, clock):
    with GitHub(app, forge.url, pace=Pace(sleep=clock.sleep)) as github:
        for _ in range(3):
            github.get("/repos/course/transformer-ada")
    assert len(forge.asked("POST .*/access_tokens")) == 1


def test_a_token_near_its_end_is_replaced(forge, app, clock):
    from datetime import timedelta

    forge.token_lifetime = timedelta(minutes=2)
    with GitHub(app, forge.url, pace=Pace(sleep=clock.sleep)) as github:
        github.get("/repos/course/transformer-ada")
        github.get("/repos/course/transformer-ada")
    assert len(forge.asked("POST .*/access_tokens")) == 2


def test_a_token_that_was_revoked_is_replaced_once(forge, app, clock):
    with GitHub(app, forge.url, pace=Pace(sleep=clock.sleep)) as github:
        github.get("/repos/course/transformer-ada")
        forge.tokens.clear()
        github.get("/repos/course/transformer-ada")
    assert len(forge.asked("POST .*/access_tokens")) == 2


def test_an_app_that_is_not_installed_is_said(forge, keys, app):
    other = AppToken("4711", keys[0], "elsewhere", {}, base_url=forge.url)
    with pytest.raises(RefusedError, match="the GitHub App 4711 is not installed for elsewhere"):
        other.value()


def test_a_key_that_is_none_is_said_and_not_shown(forge):
    broken = AppToken("4711", "-----BEGIN NOTHING-----\nc2VjcmV0\n", "course", {}, base_url=forge.url)
    with pytest.raises(RefusedError, match="private key of the GitHub App 4711 cannot be read") as raised:
        broken.value()
    assert "c2VjcmV0" not in str(raised.value)


def test_a_key_of_another_app_is_said(forge, keys):
    forge.app_key = keys[1].replace("A", "B")
    stranger = AppToken("4711", keys[0], "course", {}, base_url=forge.url)
    with pytest.raises(RefusedError, match=r"GitHub refuses the App 4711 \(401\)"):
        stranger.value()


def test_nothing_shows_a_token(app):
    assert "ghs" not in repr(app) + repr(GivenToken("ghs_1"))
    assert "ghs_1" not in repr(GivenToken("ghs_1"))


@pytest.mark.parametrize(
    ("environment", "kind"),
    [
        ({"GITHUB_TOKEN": "t"}, GivenToken),
        ({"AUTOGRADER_APP_ID": "1", "AUTOGRADER_APP_PRIVATE_KEY": "k", "GITHUB_TOKEN": "t"}, AppToken),
    ],
)
def test_the_environment_says_which(environment, kind):
    assert isinstance(token_from_environment("course", {}, base_url="https://x", environment=environment), kind)


@pytest.mark.parametrize("environment", [{}, {"AUTOGRADER_APP_ID": "1"}, {"AUTOGRADER_APP_PRIVATE_KEY": "k", "GITHUB_TOKEN": "t"}])
def test_half_of_an_app_or_nothing_is_refused(environment):
    with pytest.raises(RefusedError, match=r"AUTOGRADER_APP_ID|AUTOGRADER_APP_PRIVATE_KEY"):
        token_from_environment("course", {}, base_url="https://x", environment=environment)
