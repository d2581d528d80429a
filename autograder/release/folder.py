"""The folder that a release is written to: nothing outside it is ever read, written or removed, and no link is followed."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from autograder.release.errors import ReleaseError
from autograder.release.manifest import NAME, Manifest, check_path, read_manifest
from autograder.release.update import Plan, There, sha256

_TEMPORARY = re.compile(r"\.release-[0-9a-f]{16}\.tmp")
_NOT_PART_OF_IT = (".git", ".venv")  # a repository's history; an environment with all of torch in it


class Folder:
    """A folder that is, or becomes, a release. Raises ReleaseError when it is something else."""

    def __init__(self, path: Path) -> None:
        if path.exists() and not path.is_dir():
            raise ReleaseError(f"{path} is a file; a release needs a folder")
        self.path = path.resolve()
        self._shown = path

    def manifest(self, course: str) -> Manifest:
        """What the folder was given last; an empty one for a new folder."""
        found = read_manifest(self.path)
        if found is None:
            others = [name for name in self._names() if name != ".git" and not _TEMPORARY.fullmatch(name)]
            if others:
                raise ReleaseError(
                    f"{self._shown} is not empty and no release ({NAME} is missing, {min(others)} is there); name a new or empty folder, "
                    "nothing was written"
                )
            return Manifest(course)
        if found.course != course:
            raise ReleaseError(f"{self._shown} is a release of the course {found.course!r}, not of {course!r}; nothing was written")
        return found

    def look(self, path: str) -> str | There:
        """The SHA-256 of the plain file at `path`, or what else is there."""
        place = self._below(path)
        for parent in reversed(place.relative_to(self.path).parents[:-1]):
            with contextlib.suppress(FileNotFoundError):
                if not stat.S_ISDIR((self.path / parent).lstat().st_mode):
                    return There.NO_FILE
        try:
            if not stat.S_ISREG(place.lstat().st_mode):
                return There.NO_FILE
            return sha256(place.read_bytes())
        except FileNotFoundError:
            return There.NOTHING
        except OSError as error:
            raise ReleaseError(f"{self._shown / path} cannot be read: {error.strerror}; nothing was written") from None

    def apply(self, plan: Plan, before: Manifest, after: Manifest) -> None:
        """Carry out the plan. Killed at any moment and run again, it ends as if it had never been."""
        if not plan.write and not plan.remove and before == after:
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            writing = {path: tuple(before.versions(path)) for path in (*before.writing, *plan.remove)}
            writing |= {path: (*before.versions(path), sha256(data)) for path, data in plan.write.items()}
            self._write(NAME, Manifest(before.course, before.assignments, before.files, writing).text().encode())
            for path, data in plan.write.items():
                self._write(path, data)
            for path in plan.remove:
                self._remove(path)
            self._write(NAME, after.text().encode())
            self._remove_leftovers(after)
        except OSError as error:
            problem = f"{error.filename or self._shown} cannot be written: {error.strerror}"
            raise ReleaseError(f"{problem}; mend that and release again, it goes on where it stopped") from None

    def files(self) -> Iterator[tuple[str, Path]]:
        """Every plain file and every link in the folder, except in a repository's history and a Python environment."""
        if not self.path.is_dir():
            raise ReleaseError(f"{self._shown} does not exist; name the folder of a release")
        for folder, folders, names in os.walk(self.path):
            here = Path(folder)
            if here == self.path:
                folders[:] = [name for name in folders if name not in _NOT_PART_OF_IT]
            folders.sort()
            for name in sorted([*names, *(name for name in folders if (here / name).is_symlink())]):
                yield (here / name).relative_to(self.path).as_posix(), here / name

    def not_looked_at(self) -> list[str]:
        return [name for name in _NOT_PART_OF_IT if (self.path / name).is_dir()]

    def _names(self) -> list[str]:
        try:
            return sorted(os.listdir(self.path))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ReleaseError(f"{self._shown} cannot be read: {error.strerror}") from None

    def _below(self, path: str) -> Path:
        return self.path / check_path(path)

    def _write(self, path: str, data: bytes) -> None:
        place = self.path / NAME if path == NAME else self._below(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = place.with_name(f".release-{secrets.token_hex(8)}.tmp")
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, place)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()

    def _remove(self, path: str) -> None:
        place = self._below(path)
        place.unlink(missing_ok=True)
        for parent in place.parents:
            if parent == self.path:
                break
            try:
                parent.rmdir()
            except OSError:
                break  # something is left in it

    def _remove_leftovers(self, manifest: Manifest) -> None:
        for folder in {self.path, *(self._below(path).parent for path in manifest.files if isinstance(self.look(path), str))}:
            for name in os.listdir(folder):
                if _TEMPORARY.fullmatch(name):
                    (folder / name).unlink(missing_ok=True)
