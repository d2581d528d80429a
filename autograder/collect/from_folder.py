"""Submissions that lie in a folder already, one folder for each student, laid as nbgrader lays them or flat."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from autograder.collect.model import CollectError, Files, Place, PlaceError, Version
from autograder.course.names import SafeNameError, check_name
from autograder.submissions.read import RefusedError, read_plain_file

TIMESTAMP = "timestamp.txt"
_MAX_TIMESTAMP_BYTES = 200


class FolderSource:
    """`<folder>/<student>/01_attention/attention.py`, the same below assignments/, or `<folder>/<student>/attention.py`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def places(self) -> Sequence[Place]:
        try:
            names = sorted(entry.name for entry in os.scandir(self._folder) if entry.is_dir(follow_symlinks=False))
        except OSError as error:
            raise CollectError(f"{self._folder} cannot be read: {error.strerror}; it should hold one folder for each student") from None
        found = []
        for name in names:
            try:
                if not name.startswith((".", "_")):
                    found.append(Place(check_name(name, "student"), name))
            except SafeNameError:
                continue
        if not found:
            raise CollectError(f"{self._folder} holds no student's folder")
        return found

    def versions(self, place: Place) -> Sequence[Version]:
        return [Version("", None)]

    def files(self, place: Place, version: Version, paths: Iterable[str], max_bytes: int) -> Files:
        contents: dict[str, bytes] = {}
        notes: list[str] = []
        for path in paths:
            folder, _, name = path.rpartition("/")
            for candidate in (folder, "") if "/" not in folder else (folder,):
                try:
                    contents.setdefault(path, self._read(place, candidate, name, max_bytes))
                    contents.setdefault(f"{folder}/{TIMESTAMP}", self._read(place, candidate, TIMESTAMP, _MAX_TIMESTAMP_BYTES))
                except FileNotFoundError:
                    continue
                except RefusedError as error:
                    notes.append(str(error))
        return Files(contents, tuple(notes))

    def _read(self, place: Place, folder: str, name: str, max_bytes: int) -> bytes:
        """Bytes of a plain file, no part of whose path is a link; cut after max_bytes + 1."""
        opened = os.open(self._folder / place.where, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            for part in filter(None, folder.split("/")):
                try:
                    inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=opened)
                except FileNotFoundError:
                    raise
                except OSError as error:
                    raise RefusedError(f"{part} is no plain folder: {error.strerror}") from None
                os.close(opened)
                opened = inner
            return read_plain_file(opened, name, max_bytes)
        except PermissionError as error:
            raise PlaceError(f"{place.where} cannot be read: {error.strerror}") from None
        finally:
            os.close(opened)
