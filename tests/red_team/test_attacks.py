"""Every way to cheat that graders are known to fall for, wrapped around attention that returns zeros.

A file in `submissions/` is appended to `_zeros_attention.py` (or `_zeros_multi_head_attention.py` when its name starts with
"heads"), so that it changes as little as it needs. An attack that got hold of something says so by ending its import.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest
from targets import Targets
from warm_grader import CANARY, LIMITS, grade

from autograder.reports.model import Report, Status, to_json

SUBMISSIONS = Path(__file__).parent / "submissions"
HASTE = replace(LIMITS, call_seconds=0.7, submission_seconds=1.5)  # for what never ends


@dataclass(frozen=True)
class Expected:
    """What the report must say. `gains` when the attack may win points as long as a person is told: code can always undo what its own
    process forbids."""

    flags: tuple[str, ...] = ()  # of the instructor
    message: str = ""  # of the whole report, or of one of its tests
    status: Status = Status.GRADED
    gains: bool = False
    hasty: bool = False


BY_HAND = "calls what this assignment asks you to write by hand"
HIDDEN_NAME = "uses getattr with a name made at run time"
EXPECTED = {
    "read_files": Expected(("imports os",)),
    "read_folders": Expected(("imports os", "imports glob")),
    "read_proc": Expected(("imports os",)),
    "read_environment": Expected(("imports ctypes",)),
    "read_descriptors": Expected(("imports os",)),
    "read_live_objects": Expected(("imports gc", "imports inspect")),
    "read_packages": Expected(("imports importlib", "imports pkgutil")),
    "read_freed_memory": Expected(("imports ctypes",)),
    "leak_by_network": Expected(("imports socket",)),
    "leak_by_exception_text": Expected(message="Your code raised KeyError on line"),
    "leak_by_type_names": Expected(message="is an object, not a tensor"),
    "leak_by_line_numbers": Expected(("uses exec",), "Your code raised RuntimeError."),
    "heads_leaking_changed_arguments": Expected(("imports gc",)),
    "leak_by_sizes": Expected(message="has shape (0, …)"),
    "forge_patched_comparisons": Expected(("imports unittest", "changes torch.equal")),
    "forge_agreeable_objects": Expected(message="is an Agreeable, not a tensor"),
    "forge_tensor_subclasses": Expected(),
    "forge_nan": Expected(message="NaN"),
    "forge_inf": Expected(message="infinite"),
    "forge_stretchable_shapes": Expected(message="has shape (1,)"),
    "forge_other_dtypes": Expected(message="is a ndarray, not a tensor"),
    "forge_changed_inputs": Expected(message="The padding mask is wrong in"),
    "forge_exit_codes": Expected(("imports os", "imports atexit"), "exited with status 0"),
    "forge_exit_at_import": Expected(("imports os",), "could not be loaded", Status.BROKEN),
    "forge_pytest_exceptions": Expected(message="raised StopIteration"),
    "forge_group_at_import": Expected(message="raised ExceptionGroup", status=Status.BROKEN),
    "forge_reply_channel": Expected(("imports os",), "The answer could not be read"),
    "forge_endless_reply": Expected(("imports os",), "answer"),  # too large, or, on a busy machine, too late
    "forge_replaced_service": Expected(("imports sys", "uses f_locals"), "larger than the memory allowed"),
    "forge_pickles": Expected(("imports pickle",), "is a bytes, not a tensor"),
    "forge_result_files": Expected(("imports os",)),
    "forge_remembered_inputs": Expected(),
    "forge_claimed_gradients": Expected(),
    "ban_called_plainly": Expected(("uses F.scaled_dot_product_attention",), "which is to be written by hand"),
    "ban_by_getattr": Expected((HIDDEN_NAME, "called F.scaled_dot_product_attention"), BY_HAND),
    "ban_by_importlib": Expected(("imports importlib", "uses vars"), status=Status.BROKEN),
    "ban_by_operator": Expected(("uses torch.ops",), "uses torch.ops (line"),
    "ban_by_inner_operator": Expected((HIDDEN_NAME, "called torch._scaled_dot_product_attention_math"), BY_HAND),
    "ban_by_binding": Expected(("imports sys", "called torch.scaled_dot_product_attention"), BY_HAND),
    "ban_by_script": Expected(("uses torch.jit",), status=Status.BROKEN),
    "ban_by_vmap": Expected((HIDDEN_NAME,), gains=True),
    "ban_by_nested_tensors": Expected((HIDDEN_NAME, "uses torch.nested")),
    "ban_by_other_kernels": Expected((HIDDEN_NAME, "called torch.scaled_dot_product_attention"), BY_HAND),
    "ban_by_excluded_keys": Expected((HIDDEN_NAME, "called torch.scaled_dot_product_attention"), BY_HAND),
    "ban_by_decomposition": Expected(("uses torch._decomp",)),
    "ban_by_other_modules": Expected(("uses torch.os", "uses torch.nn.functional.importlib"), BY_HAND),
    "ban_undone_by_closure": Expected(("uses __closure__",), gains=True),
    "ban_undone_by_collector": Expected(("imports gc",), gains=True),
    "ban_undone_by_ctypes": Expected(("imports ctypes", "uses f_locals"), gains=True),
    "heads_subclassed": Expected(("uses nn.MultiheadAttention",), "uses nn.MultiheadAttention"),
    "heads_called_plainly": Expected(("uses F.multi_head_attention_forward",), "uses F.multi_head_attention_forward"),
    "heads_by_reload": Expected(("imports importlib", HIDDEN_NAME), status=Status.BROKEN),
    "heads_without_constructor": Expected((HIDDEN_NAME, "called nn.modules.activation.MultiheadAttention"), BY_HAND),
    "heads_by_quantizable_module": Expected(("uses torch.ao",)),
    "break_endless_loops": Expected(message="No answer within", hasty=True),
    "break_loop_at_import": Expected(message="No answer within 0.7 seconds", status=Status.BROKEN, hasty=True),
    "break_sleep": Expected(("imports signal", "imports threading"), "No answer within", hasty=True),
    "break_recursion": Expected(("imports sys",), "RecursionError", hasty=True),
    "break_crash": Expected(("imports ctypes",), "crashed the interpreter"),
    "break_memory": Expected(message="asked for more memory"),
    "break_memory_at_import": Expected(message="asked for more memory", status=Status.BROKEN),
    "break_processes": Expected(("imports subprocess", "imports threading")),
    "break_outputs": Expected(("imports os",)),
    "break_generator": Expected(("changes torch.zeros_like",), status=Status.BROKEN),
}


@cache
def _worth_of_zeros(assignment: str) -> float:
    base = "_zeros_multi_head_attention" if assignment.startswith("03") else "_zeros_attention"
    return grade((SUBMISSIONS / f"{base}.py").read_text(), assignment).score


def _grade(name: str, targets: Targets, hasty: bool = False) -> tuple[Report, str]:
    heads = name.startswith("heads")
    base = SUBMISSIONS / ("_zeros_multi_head_attention.py" if heads else "_zeros_attention.py")
    text = f"{base.read_text()}\n\n{(SUBMISSIONS / name).with_suffix('.py').read_text()}"
    for placeholder, value in targets.placeholders.items():
        text = text.replace(placeholder, value)
    assignment = "03_multi_head_attention" if heads else "01_attention"
    return grade(text, assignment, HASTE if hasty else LIMITS), assignment


def test_every_attack_has_its_expectation() -> None:
    assert {path.stem for path in SUBMISSIONS.glob("*.py") if not path.stem.startswith("_")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_attack_gains_nothing_and_leaves_nothing(name: str, targets: Targets) -> None:
    expected = EXPECTED[name]
    files, processes, elsewhere = targets.files(), _descendants(), _left_elsewhere()
    report, assignment = _grade(name, targets, expected.hasty)

    assert report.status is expected.status
    assert expected.gains or report.score <= _worth_of_zeros(assignment)
    messages = [report.message, *(test.message for test in report.tests)]
    assert any(expected.message.lower() in message.lower() for message in messages)
    for flag in expected.flags:
        assert any(flag in given for given in report.flags), (flag, report.flags)
    assert not expected.gains or report.flags

    assert CANARY[-32:] not in to_json(report)
    for shown in (*messages, *report.flags):
        assert not re.search(r"\d{6,}|\d[._]\d{4,}|smuggled", shown), shown

    assert not targets.reached()
    assert targets.files() == files
    assert _left_elsewhere() == elsewhere
    assert len(_descendants()) <= len(processes)  # the forking process may have been replaced, as after a long wait


@pytest.mark.parametrize("text", ["x = " + "-" * 20_000 + "1", "x = " + "a." * 50_000 + "b", "x = " + "(" * 300 + ")" * 300, "[" * 50_000])
def test_a_source_that_hurts_a_parser_hurts_nobody_else(text: str) -> None:
    report = grade(text)
    assert report.status is Status.BROKEN
    assert re.search("cannot be parsed|not valid Python", report.message)


def _left_elsewhere() -> set[str]:
    """What the attacks of this folder would leave in places that all may write to."""
    names = "out huge link results.json gradebook.db conftest.py sitecustomize.py usercustomize.py pytest.ini evil.pth".split()
    places = ("/tmp", "/var/tmp", "/dev/shm", str(Path.home()), ".")
    return {f"{folder}/{name}" for folder in places for name in names if os.path.lexists(f"{folder}/{name}")}


def _descendants() -> set[int]:
    """Processes below this one, zombies too; none where there is no /proc."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {os.getpid()}
    while grown := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= grown
    return found - {os.getpid()}
