"""What a release holds, and that it is the same each time."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from autograder.course.course import load_course
from autograder.release.contents import release_files
from autograder.release.errors import ReleaseError

REPOSITORY = Path(__file__).resolve().parents[2]


def test_everything_a_student_needs_and_no_grader(released: Path, real_course: Path) -> None:
    files = {path.relative_to(released).as_posix() for path in released.rglob("*") if path.is_file()}
    for assignment in load_course(real_course).assignments:
        folder = f"assignments/{assignment.folder}"
        assert {f"{folder}/README.md", f"{folder}/{assignment.name}.py", f"{folder}/{assignment.name}.ipynb", f"{folder}/test_public.py"} <= files
    assert {"README.md", "AGENTS.md", "LICENSE", "Makefile", "pyproject.toml", ".gitignore", ".release.json", "course.toml"} <= files
    assert {"assignments/conftest.py", "docs/student.md", ".github/workflows/practice.yml"} <= files
    code = {path for path in files if path.startswith("autograder/")}
    assert {path.split("/")[1] for path in code} == {"__init__.py", "bootstrap.py", "checking"}
    assert "autograder/checking/check.py" in code


def test_the_same_course_gives_the_same_bytes(toy: Any) -> None:
    course = load_course(toy.course)
    once = release_files(toy.folder, course, course.assignments)
    assert release_files(toy.folder, course, course.assignments) == once
    assert list(once) == sorted(once)


def test_only_what_belongs_there_is_taken_from_an_assignment(toy: Any) -> None:
    for stray in ("notes.md", "solution.py", "figures/draw.py", "__pycache__/masks.cpython-311.pyc"):
        toy.write(f"assignments/01_masks/{stray}", "stray")
    toy.write("assignments/01_masks/figures/mask.svg", "<svg/>")
    course = load_course(toy.course)
    taken = {path.removeprefix("assignments/01_masks/") for path in release_files(toy.folder, course, course.assignments) if "/01_masks/" in path}
    assert taken == {"README.md", "masks.py", "masks.ipynb", "test_public.py", "figures/mask.svg"}


def test_index_and_rules_name_the_released_assignments_alone(real_course: Path) -> None:
    course = load_course(real_course)
    files = release_files(real_course.parent, course, course.assignments[:1])
    index, rules = files["assignments/README.md"].decode(), tomllib.loads(files["course.toml"].decode())
    assert re.findall(r"\]\((\d\d_\w+)/README\.md\)", index) == ["01_attention"]
    assert "| `padding_mask`, `causal_mask`, `combine_masks`, `scaled_dot_product_attention` |" in index
    assert [entry["name"] for entry in rules["assignments"]] == ["01_attention"]
    whole = tomllib.loads(real_course.read_text(encoding="utf-8"))
    assert rules["assignments"] == whole["assignments"][:1]
    assert rules["late"] == whole["late"]


def test_the_rules_can_be_read_as_a_course(released: Path, real_course: Path) -> None:
    shown, real = load_course(released / "course.toml"), load_course(real_course)
    assert (shown.id, shown.title, shown.assignments, shown.late) == (real.id, real.title, real.assignments, real.late)


def test_links_between_the_files_lead_somewhere(released: Path) -> None:
    for page in released.rglob("*.md"):
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:|#", target):
                place = page.parent / target.partition("#")[0]
                assert place.exists(), f"{page.relative_to(released)} links to {target}"


def test_versions_are_those_that_the_course_pins(released: Path) -> None:
    project = tomllib.loads((released / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ours = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["dependencies"][: len(ours["dependencies"])] == ours["dependencies"]
    assert {re.split("==", requirement)[0] for requirement in project["dependencies"]} == {"torch", "numpy", "pytest", "jaxtyping", "matplotlib"}
    assert all("==" in requirement for requirement in project["dependencies"])
    assert project["requires-python"] == ours["requires-python"]


def test_the_workflow_can_read_and_nothing_else(released: Path) -> None:
    text = (released / ".github/workflows/practice.yml").read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    assert set(workflow[True]) == {"push", "pull_request"}  # YAML reads `on` as true
    assert "secrets" not in text
    assert workflow["concurrency"]["cancel-in-progress"] is True
    (job,) = workflow["jobs"].values()
    assert job["timeout-minutes"] <= 30
    used = re.findall(r"uses: (\S+)@(\S+) # (v\d+\.\d+\.\d+)\n", text)
    assert [name for name, _, _ in used] == ["actions/checkout", "actions/setup-python"]
    assert text.count("uses:") == len(used)
    assert all(re.fullmatch("[0-9a-f]{40}", commit) for _, commit, _ in used)
    assert job["steps"][0]["with"] == {"persist-credentials": False}
    assert all("\n" not in step.get("run", "") for step in job["steps"])
    assert job["steps"][-1]["run"].endswith('-m autograder.checking.practice >> "$GITHUB_STEP_SUMMARY"')


def test_assistants_are_asked_to_teach(released: Path) -> None:
    text = (released / "AGENTS.md").read_text(encoding="utf-8")
    assert "Teach; do not solve" in text
    assert "NotImplementedError" in text


@pytest.mark.parametrize("path", ["assignments/01_masks/test_public.py", "assignments/01_masks/README.md", "LICENSE"])
def test_a_missing_file_is_named(toy: Any, path: str) -> None:
    (toy.folder / path).unlink()
    course = load_course(toy.course)
    with pytest.raises(ReleaseError, match=f"{path} does not exist"):
        release_files(toy.folder, course, course.assignments)


def test_work_left_in_a_stub_or_notebook_is_not_given_out(toy: Any) -> None:
    course = load_course(toy.course)
    stub, notebook = toy.folder / "assignments/01_masks/masks.py", toy.folder / "assignments/01_masks/masks.ipynb"
    kept = shutil.copy(stub, toy.folder / "kept.py")
    stub.write_text(stub.read_text().replace('raise NotImplementedError("not implemented yet: causal_mask")', "return my_own_idea(query_length)"))
    with pytest.raises(ReleaseError, match=r"masks\.py is not the stub"):
        release_files(toy.folder, course, course.assignments)
    shutil.copy(kept, stub)
    original = json.loads(notebook.read_text())
    cell = next(cell for cell in original["cells"] if "NotImplementedError" in "".join(cell["source"]))
    cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["42"]}]
    notebook.write_text(json.dumps(original))
    with pytest.raises(ReleaseError, match=r"masks\.ipynb holds the results of a run"):
        release_files(toy.folder, course, course.assignments)
    cell |= {"outputs": [], "source": "def causal_mask(query_length, key_length=None):\n    return my_own_idea(query_length)"}
    notebook.write_text(json.dumps(original))
    with pytest.raises(ReleaseError, match=r"masks\.ipynb does not hold the code of"):
        release_files(toy.folder, course, course.assignments)
