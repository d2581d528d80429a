"""Random inputs that the same submission always meets and nobody can foresee: seeds by HMAC from the course's secret."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

SECRET_VARIABLE = "AUTOGRADER_SECRET"


class SecretError(Exception):
    """The course's secret cannot be read or made."""


def course_secret(folder: Path) -> bytes:
    """From the environment variable AUTOGRADER_SECRET, or the file `folder/secret`, made at the first use with mode 0600."""
    given = os.environ.get(SECRET_VARIABLE)
    if given:
        return hashlib.sha256(given.encode()).digest()
    path = folder / "secret"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make_secret(path)
        text = path.read_bytes().decode("ascii", "replace").strip()
        if len(text) < 32 or not text.isascii():
            raise SecretError(f"{path} holds no secret: delete it and a new one is made (all submissions will then be graded on new inputs)")
    except OSError as error:
        raise SecretError(f"the course's secret {path} cannot be read or written: {error.strerror}; or set {SECRET_VARIABLE}") from None
    return hashlib.sha256(text.encode()).digest()


def _make_secret(path: Path) -> None:
    """A secret under `path`, whole or not at all; one that another grader makes at the same time is kept."""
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        except OSError:  # no hard links on this file system
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def submission_seed(secret: bytes, assignment: str, content_sha256: str) -> str:
    """32 hex digits that a report names, so that its inputs can be drawn again."""
    return hmac.new(secret, f"{assignment}\0{content_sha256}".encode(), hashlib.sha256).hexdigest()[:32]


def seed_for_test(seed: str, test_id: str) -> int:
    """Seed of one test's inputs, 0 … 2**63 − 1."""
    return int.from_bytes(hashlib.sha256(f"{seed}\0{test_id}".encode()).digest()[:8]) >> 1


def seed_for_submission(test_seed: int) -> int:
    """Seed of the submission's own random draws in a test. From it the seed of the inputs cannot be found, nor those inputs foreseen."""
    return int.from_bytes(hashlib.sha256(f"submission\0{test_seed}".encode()).digest()[:8]) >> 1
