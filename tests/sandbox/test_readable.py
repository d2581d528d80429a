"""What a worker may read: libraries, and nothing of the course wherever it is installed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from autograder.sandbox import readable


def covers(paths: list[Path], wanted: Path) -> bool:
    return any(path == wanted or path in wanted.parents for path in paths)


def test_libraries_are_readable_and_the_repository_is_not() -> None:
    paths = readable.paths()
    assert covers(paths, Path(torch.__file__))
    assert covers([path.resolve() for path in paths], Path(readable.standard_library()[0], "dataclasses.py").resolve())
    for name in ("autograder", "reference_solutions", "examples", "course.toml", "tests"):
        assert not covers(paths, readable.ROOT / name), name


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("autograder", True),
        ("transformer_course_autograder-0.1.dist-info", True),
        ("__editable__.course.pth", True),
        ("nbgrader", True),
        ("nbgrader-0.9.6.dist-info", True),
        ("torch", False),
        ("numpy-2.4.6.dist-info", False),
    ],
)
def test_packages_of_the_course_are_hidden_by_name(name: str, hidden: bool) -> None:
    assert readable.is_hidden_package(name) is hidden


def test_a_folder_is_opened_around_what_is_hidden_in_it(tmp_path: Path) -> None:
    for name in ("lib/site-packages/torch/a.py", "lib/site-packages/autograder/hidden_tests/t.py", "lib/os.py", "lib/json/x.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    lib = tmp_path / "lib"
    hidden = lib / "site-packages/autograder"
    assert set(readable.without(lib, {hidden})) == {lib / "json", lib / "os.py", lib / "site-packages/torch"}
    assert list(readable.without(lib, {tmp_path / "elsewhere"})) == [lib]


def test_a_link_to_what_is_hidden_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages/secret").mkdir()
    (tmp_path / "packages/link").symlink_to(tmp_path / "packages/secret")
    assert list(readable.without(tmp_path / "packages", {tmp_path / "packages/secret"})) == []


def test_no_folder_of_the_repository_is_on_the_import_path() -> None:
    assert str(readable.ROOT) not in readable.import_path()
