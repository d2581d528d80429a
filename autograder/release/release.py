"""`autograder release`: write or update the repository that students get, or look through one for what it must not hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from autograder.course.course import Assignment, Course, load_course
from autograder.release.contents import release_files
from autograder.release.errors import ReleaseError
from autograder.release.folder import Folder
from autograder.release.guard import Finding, Guard
from autograder.release.manifest import Manifest
from autograder.release.secrets import read_secrets
from autograder.release.update import Plan, plan_update

_LISTED = 40  # paths; a first release has more and nobody reads them
_NAMED = 3  # findings in an error

Tell = Callable[[str], None]


def release(course_path: Path, out: Path, assignments: Sequence[str] = (), *, tell: Tell = print) -> int:
    """Make `out` a release of these assignments, all when none is named. Raises ReleaseError, and then nothing was written."""
    course = load_course(course_path)
    repository = course_path.resolve().parent
    chosen = _chosen(course, assignments)
    folder = Folder(out)
    before = folder.manifest(course.id)
    files = release_files(repository, course, chosen)
    findings = Guard(read_secrets(repository)).look(files)
    if findings:
        named = "; ".join(str(finding) for finding in findings[:_NAMED])
        more = f"; and {len(findings) - _NAMED} more files" if len(findings) > _NAMED else ""
        raise ReleaseError(f"students must not get this, so nothing was written: {named}{more}")
    plan = plan_update(files, before, folder.look)
    folder.apply(plan, before, Manifest(course.id, tuple(assignment.folder for assignment in chosen), plan.files))
    for line in _report(out, chosen, len(files), plan):
        tell(line)
    return 0


def check(course_path: Path, out: Path, *, tell: Tell = print) -> int:
    """Look through a folder. Exit code 1 when something in it must not go to students."""
    folder = Folder(out)
    links: list[Finding] = []
    files: dict[str, bytes] = {}
    for name, path in folder.files():
        if path.is_symlink():
            if folder.path not in path.resolve().parents:
                links.append(Finding(name, "is a link that leads out of the folder", ""))
        elif path.is_file():
            try:
                files[name] = path.read_bytes()
            except OSError as error:
                links.append(Finding(name, "cannot be read", error.strerror or ""))
    load_course(course_path)
    findings = [*links, *Guard(read_secrets(course_path.resolve().parent)).look(files)]
    for finding in findings:
        tell(str(finding))
    left_out = "".join(f"; {name} was not looked at" for name in folder.not_looked_at())
    tell(f"{len(files)} files looked at, {len(findings) or 'none'} of them not for students{left_out}.")
    return 1 if findings else 0


def _chosen(course: Course, names: Sequence[str]) -> list[Assignment]:
    wanted = {course.find(name).folder for name in names}
    return [assignment for assignment in course.assignments if assignment.folder in wanted or not wanted]


def _report(out: Path, chosen: Sequence[Assignment], total: int, plan: Plan) -> Iterator[str]:
    if len(plan.write) <= _LISTED:
        yield from (f"written  {path}" for path in plan.write)
    yield from (f"removed  {path}" for path in plan.remove)
    yield from (f"kept     {path}: {why}" for path, why in plan.kept.items())
    noun = "assignment" if len(chosen) == 1 else "assignments"
    counts = f"{len(plan.write)} written, {len(plan.remove)} removed, {len(plan.kept)} kept as the student has them"
    yield f"{out}: {len(chosen)} {noun}, {total} files: {counts}. No hidden test, solution or misconception is in it."
