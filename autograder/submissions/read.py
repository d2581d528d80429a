"""Read one submitted file: whatever lies there, the outcome is its text or one sentence that says why not."""

from __future__ import annotations

import codecs
import errno
import hashlib
import os
import re
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from autograder.checking.notebook import NotebookError, Place, read_notebook, solution_source
from autograder.checking.notebook_json import MAX_NOTEBOOK_BYTES, load_json
from autograder.reports.model import Status

_COPY = re.compile(r"(?: ?\(\d+\)| ?- ?copy ?\d*|-checkpoint)(?=\.)")  # what browsers, Windows and Jupyter add to a second file's name


@dataclass(frozen=True)
class Reading:
    """status is GRADED when there is a text to grade. sha256 is of the submitted bytes, "" when none could be read."""

    status: Status
    sha256: str = ""
    text: str = ""
    message: str = ""
    notes: tuple[str, ...] = ()  # for the instructor
    remarks: tuple[str, ...] = ()  # how a notebook was read, for the student too
    places: tuple[Place, ...] = ()  # where the lines of `text` stand in a notebook
    submitted_at: str | None = None


class RefusedError(Exception):
    """A path that is not a plain file to be read. `str()` is one sentence about the file, without its folder."""


def read_submission(folder: Path, name: str, max_bytes: int, stub: str = "", notebook_bytes: int = MAX_NOTEBOOK_BYTES) -> Reading:
    """Read NAME.py or NAME.ipynb from a submission's folder. Nothing is followed out of the folder.

    With both, NAME.py counts, unless it is empty or still the `stub` that was given out. max_bytes: of NAME.py, and of the solution in a notebook.
    """
    try:
        opened = _open_folder(folder)
    except FileNotFoundError:
        return Reading(Status.MISSING, message="Nothing was handed in.")
    except RefusedError as error:
        return Reading(Status.UNREADABLE, message=str(error))
    try:
        return _read_from(opened, name, max_bytes, stub, notebook_bytes)
    finally:
        os.close(opened)


def _read_from(folder: int, name: str, max_bytes: int, stub: str, notebook_bytes: int) -> Reading:
    submitted_at, notes = _timestamp(folder)
    remarks: tuple[str, ...] = ()
    for filename in (f"{name}.py", f"{name}.ipynb"):
        try:
            data = read_plain_file(folder, filename, notebook_bytes if filename.endswith(".ipynb") else max_bytes)
        except FileNotFoundError:
            continue
        except RefusedError as error:
            return Reading(Status.UNREADABLE, message=str(error), notes=notes, submitted_at=submitted_at)
        digest = hashlib.sha256(data).hexdigest()
        read = _text_of(data, filename, name, max_bytes, stub)
        if filename.endswith(".py") and _exists(folder, f"{name}.ipynb"):
            if not data.strip() or read.text.split() == stub.split():
                remarks = (f"{name}.py is {'still the stub' if data.strip() else 'empty'}; {name}.ipynb was graded.",)
                continue
            if not _same_code(folder, f"{name}.ipynb", read.text, notebook_bytes):
                notes += (f"both {name}.py and {name}.ipynb were handed in; {name}.py was graded",)
                remarks = (f"Both {name}.py and {name}.ipynb were handed in; {name}.py was graded.",)
        return replace(read, sha256=digest, notes=notes, remarks=(*remarks, *read.remarks), submitted_at=submitted_at)
    others = _other_files(folder)
    hint = f" The folder holds {', '.join(others)}." if others else ""
    likely = next((other for other in others if _COPY.sub("", other.lower()) in (f"{name}.py", f"{name}.ipynb")), None)
    hint += f" Rename {likely} to {name}{likely[likely.rindex('.') :].lower()} and hand it in again." if likely else ""
    return Reading(Status.MISSING, message=f"{name}.py was not handed in.{hint}", notes=notes, submitted_at=submitted_at)


def read_plain_file(folder: int, filename: str, max_bytes: int) -> bytes:
    """Bytes of a regular file in an opened folder. Raises FileNotFoundError, or RefusedError for anything else that lies there."""
    try:
        descriptor = os.open(filename, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise RefusedError(f"{filename} is a symbolic link; hand in the file itself.") from None
        if error.errno in (errno.ENXIO, errno.ENODEV):
            raise RefusedError(f"{filename} is not a regular file; hand in a plain Python file.") from None
        raise RefusedError(f"{filename} cannot be read: {error.strerror}; check its permissions.") from None
    details = os.fstat(descriptor)
    if not stat.S_ISREG(details.st_mode):
        os.close(descriptor)
        if stat.S_ISDIR(details.st_mode):
            raise RefusedError(f"{filename} is a folder; hand in a file of that name.")
        raise RefusedError(f"{filename} is not a regular file; hand in a plain Python file.")
    with os.fdopen(descriptor, "rb") as file:
        try:
            data = file.read(max_bytes + 1)
        except OSError as error:
            raise RefusedError(f"{filename} cannot be read: {error.strerror}.") from None
    if len(data) > max_bytes:
        advice = "clear the outputs of its largest cells and hand it in again" if filename.endswith(".ipynb") else "a solution needs a few thousand"
        raise RefusedError(f"{filename} has more than {max_bytes:,} bytes ({details.st_size:,}); {advice}.")
    return data


def _open_folder(folder: Path) -> int:
    """The student's folder and the assignment's inside it, neither of them a symbolic link."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        student = os.open(folder.parent, flags)
        try:
            return os.open(folder.name, flags, dir_fd=student)
        finally:
            os.close(student)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise RefusedError(f"{folder.name} is a symbolic link or a file where a folder belongs; hand in the folder itself.") from None
        raise RefusedError(f"{folder.name} cannot be opened: {error.strerror}; check its permissions.") from None


def _text_of(data: bytes, filename: str, name: str, max_bytes: int, stub: str) -> Reading:
    """The text to grade, or a sentence about what is wrong with the file."""

    def unreadable(problem: str) -> Reading:
        return Reading(Status.UNREADABLE, message=f"{filename} {problem}")

    if not data.strip():
        return unreadable("is empty.")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return unreadable("is UTF-16 text, as Windows writes it: save it as UTF-8 and hand it in again.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return unreadable(f"is not UTF-8 text (line {line}): save it as UTF-8 and hand it in again.")
    if "\0" in text:
        return unreadable(f"holds a NUL character (line {text[: text.index(chr(0))].count(chr(10)) + 1}): it is not a text file.")
    plain = Reading(Status.GRADED, text=text.replace("\r\n", "\n").replace("\r", "\n"))
    is_notebook = filename.endswith(".ipynb")
    if not is_notebook and not (text.lstrip().startswith("{") and '"cells"' in text):
        return plain
    try:
        solution = read_notebook(text, name, stub)
    except NotebookError as error:
        return unreadable(str(error)) if is_notebook else plain
    if len(solution.source.encode("utf-8", "replace")) > max_bytes:
        return unreadable(f"holds a solution of more than {max_bytes:,} bytes; a solution needs a few thousand.")
    remarks = solution.notes if is_notebook else (f"{filename} is a notebook; it was read as {name}.ipynb.", *solution.notes)
    return Reading(Status.GRADED, text=solution.source, remarks=remarks, places=solution.places)


def _same_code(folder: int, notebook: str, text: str, max_bytes: int) -> bool:
    """Whether a notebook holds the same as a Python file beside it, as one that was made of it does."""
    try:
        held = read_plain_file(folder, notebook, max_bytes).decode("utf-8-sig")
        return text.split() in (solution_source(held).split(), _only_cell(held).split())
    except (OSError, RefusedError, NotebookError, ValueError, RecursionError):
        return False


def _only_cell(notebook: str) -> str:
    """The text of a notebook's cell when it has just one, as one that was made of a file; else ""."""
    parsed = load_json(notebook)
    cells = parsed.get("cells") if isinstance(parsed, dict) else None
    source = cells[0].get("source") if isinstance(cells, list) and len(cells) == 1 and isinstance(cells[0], dict) else None
    return source if isinstance(source, str) else ""


def _timestamp(folder: int) -> tuple[str | None, tuple[str, ...]]:
    """When it was handed in: nbgrader's timestamp.txt beside the file, as UTC; None when there is none."""
    from autograder.course.late import parse_time

    try:
        text = read_plain_file(folder, "timestamp.txt", 200).decode("utf-8").strip()
        return parse_time(text).isoformat(), ()
    except FileNotFoundError:
        return None, ()
    except (RefusedError, ValueError, OverflowError):
        return None, ("timestamp.txt cannot be read as a time; the submission counts as on time",)


def _exists(folder: int, filename: str) -> bool:
    try:
        os.stat(filename, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return True


def _other_files(folder: int) -> list[str]:
    names = [name for name in sorted(os.listdir(folder)) if not name.startswith(".") and name != "timestamp.txt"]
    printable = [name for name in names if name.isprintable() and len(name) <= 60]
    return printable[:5]
