"""Nothing outside the folder is written or removed, and a folder that is no release is refused as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autograder.release.errors import ReleaseError
from autograder.release.folder import Folder
from autograder.release.manifest import Manifest
from autograder.release.update import plan_update, sha256

FILES = {"README.md": b"read me", "a/one.py": b"stub"}


def deliver(out: Path, files: dict[str, bytes]) -> None:
    folder = Folder(out)
    before = folder.manifest("course")
    plan = plan_update(files, before, folder.look)
    folder.apply(plan, before, Manifest("course", (), plan.files))


def edit_manifest(out: Path, **changes: Any) -> None:
    path = out / ".release.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_folder_that_is_no_release_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ReleaseError, match=r"is not empty and no release .*thesis\.tex is there"):
        deliver(tmp_path, FILES)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_new_an_empty_and_a_just_cloned_folder_are_fine(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "cloned/.git").mkdir(parents=True)
    for name in ("new/folder", "empty", "cloned"):
        deliver(tmp_path / name, FILES)
        assert (tmp_path / name / "a/one.py").read_bytes() == b"stub"


def test_a_file_in_the_folder_s_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ReleaseError, match="is a file"):
        deliver(tmp_path / "out", FILES)


@pytest.mark.parametrize(
    "path",
    [
        "../victim.txt",
        "/etc/victim",
        "a/../../victim.txt",
        "a//b",
        "./a",
        ".git/hooks/post-checkout",
        "..\\victim.txt",
        "C:/x",
        "",
        "a\0b",
        ".release.json",
    ],
)
@pytest.mark.parametrize("key", ["files", "writing"])
def test_a_path_that_leads_elsewhere_is_refused(tmp_path: Path, path: str, key: str) -> None:
    out = tmp_path / "out"
    deliver(out, FILES)
    victim = tmp_path / "victim.txt"
    victim.write_bytes(b"dear")
    edit_manifest(out, **{key: {path: sha256(b"dear") if key == "files" else [sha256(b"dear")]}})
    with pytest.raises(ReleaseError, match="changed by hand"):
        deliver(out, FILES)
    assert victim.read_bytes() == b"dear"


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"schema_version": 2}', '{"schema_version": 1}', '{"schema_version": 1, "course": 3, "files": {}}', "[" * 10000]
)
def test_a_broken_manifest_is_refused(tmp_path: Path, text: str) -> None:
    deliver(tmp_path / "out", FILES)
    (tmp_path / "out/.release.json").write_text(text)
    with pytest.raises(ReleaseError, match=r"\.release\.json"):
        deliver(tmp_path / "out", FILES)
    assert (tmp_path / "out/README.md").read_bytes() == b"read me"


def test_a_release_of_another_course_is_refused(tmp_path: Path) -> None:
    deliver(tmp_path, FILES)
    edit_manifest(tmp_path, course="knitting")
    with pytest.raises(ReleaseError, match="knitting"):
        deliver(tmp_path, FILES)


def test_links_are_not_followed(tmp_path: Path) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside"
    deliver(out, {**FILES, "gone/page.md": b"page"})
    outside.mkdir()
    for name, data in {"one.py": b"stub", "page.md": b"page", "readme": b"read me"}.items():
        (outside / name).write_bytes(data)
    for name, target in {"a": outside, "gone": outside}.items():
        for path in (out / name).iterdir():
            path.unlink()
        (out / name).rmdir()
        (out / name).symlink_to(target)
    (out / "README.md").unlink()
    (out / "README.md").symlink_to(outside / "readme")
    deliver(out, {"README.md": b"new", "a/one.py": b"new", "a/two.py": b"new"})
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"one.py": b"stub", "page.md": b"page", "readme": b"read me"}
    assert (out / "README.md").is_symlink()


def test_a_manifest_that_is_a_link_is_refused(tmp_path: Path) -> None:
    deliver(tmp_path / "out", FILES)
    (tmp_path / "out/.release.json").rename(tmp_path / "elsewhere.json")
    (tmp_path / "out/.release.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(ReleaseError, match="is a link"):
        deliver(tmp_path / "out", FILES)
