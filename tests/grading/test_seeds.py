"""Seeds: the same submission meets the same inputs, and nobody can foresee them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from autograder.grading.seeds import SECRET_VARIABLE, SecretError, course_secret, seed_for_submission, seed_for_test, submission_seed


@pytest.fixture(autouse=True)
def _no_secret_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SECRET_VARIABLE, raising=False)


def test_seeds_are_what_they_always_were() -> None:
    """A change here gives every submission of every course new inputs."""
    assert submission_seed(b"secret", "01_attention", "ab" * 32) == "cd673c8d1b2b17e45a362ed3ec3ac80b"
    assert seed_for_test("5eed", "test_halves") == 7436894607774239588
    assert seed_for_submission(7) == 2755507558740376269


def test_a_seed_depends_on_secret_assignment_and_content() -> None:
    base = (b"secret", "01_attention", "ab" * 32)
    others = [(b"Secret", *base[1:]), (base[0], "02_attention", base[2]), (*base[:2], "cd" * 32), (b"secret", "01_attentio", "n" + "ab" * 32)]
    seeds = {submission_seed(*parts) for parts in [base, *others]}
    assert len(seeds) == 5
    assert submission_seed(*base) == submission_seed(*base)


def test_each_test_has_its_own_seed_and_the_submission_another() -> None:
    seeds = [seed_for_test("5eed", f"test_{number}") for number in range(50)]
    own = [seed_for_submission(seed) for seed in seeds]
    assert len({*seeds, *own}) == 100
    assert all(0 <= seed < 2**63 for seed in (*seeds, *own))


def test_a_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "course" / ".autograder"
    first = course_secret(folder)
    assert course_secret(folder) == first
    assert stat.S_IMODE((folder / "secret").stat().st_mode) == 0o600
    assert course_secret(tmp_path / "other") != first


def test_the_environment_can_give_the_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET_VARIABLE, "x")
    given = course_secret(tmp_path)
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv(SECRET_VARIABLE, "y")
    assert course_secret(tmp_path) != given


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 64], ids=["empty", "short", "binary"])
def test_a_broken_secret_is_named_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(SecretError, match="secret"):
        course_secret(tmp_path)
    assert (tmp_path / "secret").read_bytes() == content


def test_a_place_for_the_secret_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SecretError, match="AUTOGRADER_SECRET"):
        course_secret(tmp_path / "file")


@pytest.mark.parametrize("error", [FileExistsError(), PermissionError()], ids=["another grader was first", "no hard links"])
def test_a_secret_is_never_seen_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    def link(source: Path, target: Path) -> None:
        if isinstance(error, FileExistsError):
            target.write_text("another grader's secret of thirty-two characters")
        raise error

    monkeypatch.setattr("os.link", link)
    assert course_secret(tmp_path) == course_secret(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
    assert ("another" in (tmp_path / "secret").read_text()) is isinstance(error, FileExistsError)
