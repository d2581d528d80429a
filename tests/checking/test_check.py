"""What `make check` says to a student, and with which exit code."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autograder.checking.check import main

REPOSITORY = Path(__file__).parents[2]


def test_a_right_solution_passes(desk, capsys):
    assert main(["masks"]) == 0
    out = capsys.readouterr().out
    assert "3 of 3 public tests pass." in out
    assert "The hidden tests are stricter" in out


@pytest.mark.parametrize("word", ["masks", "01_masks", "01", "1", "assignments/01_masks", "assignments/01_masks/masks.py"])
def test_an_assignment_has_many_names(desk, capsys, word):
    assert main([word]) == 0
    assert capsys.readouterr().out.startswith("01_masks: assignments/01_masks/masks.py\n")


def test_without_a_name_all_assignments_are_checked(desk, capsys):
    other = desk.folder / "assignments" / "02_more"
    other.mkdir()
    (other / "test_public.py").write_text("def test_it(submission):\n    submission.f()\n")
    (other / "more.py").write_text("def f():\n    return 1 / 0\n")
    assert main([]) == 1
    out = capsys.readouterr().out
    assert "3 of 3 public tests pass" in out
    assert "0 of 1 public tests pass" in out


def test_a_wrong_answer_is_explained_in_words(desk, capsys):
    desk.replace("token_ids == pad_id", "token_ids != pad_id")
    assert main(["masks"]) == 1
    out = capsys.readouterr().out
    assert "FAILED   padding_mask marks the padding\n" in out
    assert "The padding mask is the exact opposite: True and False are swapped everywhere.\n" in out
    assert "Hint: True where the id is the padding's.\n" in out
    assert "your code:   masks.py:4   def padding_mask(token_ids, pad_id):\n" in out
    assert "the test:    test_public.py:" in out
    assert "2 of 3 public tests pass (1 failed).\n" in out
    assert "first failure, the others may follow from it: padding_mask marks the padding." in out
    assert "pytest assignments/01_masks -k test_padding --pdb" in out


def test_an_exception_shows_the_students_own_lines_only(desk, capsys):
    desk.write("""
        import torch

        def padding_mask(token_ids, pad_id):
            return _compare(token_ids)

        def _compare(token_ids):
            return torch.stack(token_ids.tolist())
    """)
    assert main(["masks"]) == 1
    out = capsys.readouterr().out
    assert "TypeError: expected Tensor" in out
    assert "your line:   masks.py:4   return _compare(token_ids)\n" in out
    assert "masks.py:7   return torch.stack(token_ids.tolist())\n" in out
    assert "masks.py does not define causal_mask." in out
    assert "Traceback" not in out
    assert "site-packages" not in out
    assert "submission.py" not in out


def test_a_value_error_of_another_kind_is_traced_to_its_line(desk, capsys):
    desk.replace('raise ValueError("too short")', 'raise KeyError("too short")')
    assert main(["masks"]) == 1
    out = capsys.readouterr().out
    assert "KeyError instead of ValueError when query_length is below 1." in out
    assert 'masks.py:10   raise KeyError("too short")' in out


def test_an_answer_of_the_wrong_kind_is_no_error_of_the_test(desk, capsys):
    (desk.assignment / "test_public.py").write_text("def test_pair(submission):\n    a, b = submission.padding_mask(1, 1)\n")
    assert main(["masks"]) == 1
    assert "What came back cannot be used as the contract says: TypeError" in capsys.readouterr().out


def test_a_stub_fails_kindly(desk, capsys):
    desk.write("""
        def padding_mask(token_ids, pad_id):
            raise NotImplementedError("not implemented yet: padding_mask")

        def causal_mask(query_length, key_length=None):
            raise NotImplementedError
    """)
    assert main(["masks"]) == 1
    out = capsys.readouterr().out
    assert "to do    padding_mask marks the padding\n         not implemented yet: padding_mask\n" in out
    assert "not implemented yet: causal_mask" in out
    assert "not run  causal_mask refuses a length below 1\n         it needs this to pass first: causal_mask hides the future\n" in out
    assert "0 of 3 public tests pass (2 not implemented yet, 1 not run)." in out
    assert "FAILED" not in out


def test_torchs_own_not_implemented_error_is_a_failure(desk, capsys):
    desk.replace("return token_ids == pad_id", "return torch.nn.Module()(token_ids)")
    assert main(["masks"]) == 1
    out = capsys.readouterr().out
    assert "FAILED   padding_mask" in out
    assert 'is missing the required "forward" function' in out


def test_what_a_failing_test_printed_is_shown_up_to_a_limit(desk, capsys):
    desk.replace("return token_ids == pad_id", "[print('row', i) for i in range(50)]; return token_ids != pad_id")
    main(["masks"])
    out = capsys.readouterr().out
    assert "row 9\n" in out
    assert "row 10\n" not in out
    assert "… and 40 more lines" in out


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import torch\n\ndef padding_mask(:\n    pass\n", "masks.py is not valid Python, line 3: invalid syntax."),
        ("import tensorflow_of_last_year\n", "masks.py cannot be imported: ModuleNotFoundError: No module named 'tensorflow_of_last_year'"),
        ("x = 1\ny = x / 0\n", "masks.py:2   y = x / 0"),
        ("import sys\nsys.exit(0)\n", "masks.py cannot be imported: SystemExit: 0"),
    ],
)
def test_a_file_that_cannot_be_imported(desk, capsys, source, said):
    desk.write(source)
    assert main(["masks"]) == 2
    out = capsys.readouterr().out
    assert said in out
    assert "Traceback" not in out


def test_an_unknown_name_gets_a_suggestion(desk, capsys):
    assert main(["mask"]) == 2
    assert "there is no assignment 'mask'; did you mean 'masks'?" in capsys.readouterr().err
    assert main(["assignments/02_masks"]) == 2
    assert "assignments/02_masks does not exist; did you mean 'masks'?" in capsys.readouterr().err


def test_a_missing_file_is_named(desk, capsys):
    desk.solution.unlink()
    assert main(["masks"]) == 2
    assert "assignments/01_masks/masks.py does not exist; your solution belongs there." in capsys.readouterr().out


def test_outside_of_the_course_it_says_where_to_go(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([]) == 2
    assert "go to the course's folder first" in capsys.readouterr().err


def test_select_and_stop_at_the_first_failure(desk, capsys):
    desk.write("def padding_mask(a, b):\n    return a\n")
    assert main(["masks", "-k", "padding"]) == 1
    assert "0 of 1 public tests pass" in capsys.readouterr().out
    assert main(["masks", "-x"]) == 1
    assert "0 of 1 public tests pass" in capsys.readouterr().out
    assert main(["masks", "-k", "nothing_like_it"]) == 2
    assert "no public test matches -k 'nothing_like_it'" in capsys.readouterr().out


def test_a_students_conftest_and_options_do_not_interfere(desk, capsys, monkeypatch):
    (desk.assignment / "conftest.py").write_text("raise RuntimeError\n")
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    assert main(["masks"]) == 0
    assert os.environ["PYTEST_ADDOPTS"] == "--no-such-option"


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """As in a terminal, also where whoever started the tests had Ctrl-C ignored: a loop that waits for it would never end."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_in_an_endless_loop_says_where_it_was(desk, capsys):
    desk.replace("    return token_ids == pad_id", "    while True:\n        _interrupt()")
    desk.write("import signal\n" + desk.solution.read_text() + "\ndef _interrupt():\n    signal.raise_signal(signal.SIGINT)\n")
    assert main(["masks"]) == 130
    out = capsys.readouterr().out
    assert "Stopped by you during: padding_mask marks the padding." in out
    assert re.search(r"it was here: +masks\.py:\d+   signal\.raise_signal\(signal\.SIGINT\)", out)
    assert "Traceback" not in out


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_while_importing_says_where_it_was(desk, capsys):
    desk.write("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    assert main(["masks"]) == 130
    out = capsys.readouterr().out
    assert "Stopped by you while masks.py was being imported." in out
    assert "masks.py:2   signal.raise_signal(signal.SIGINT)" in out


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals(desk, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    for no_color, coloured in (("", True), ("1", False)):
        monkeypatch.setenv("NO_COLOR", no_color)
        terminal = _Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        main(["masks"])
        assert ("\033[32mpassed" in terminal.getvalue()) is coloured


def _start(desk, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "autograder.checking.check", "masks"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **environment}
    return subprocess.Popen(command, cwd=desk.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_command_line_runs_where_stdout_is_not_utf8(desk):
    tests = desk.assignment / "test_public.py"
    tests.write_text(tests.read_text().replace("marks the padding", "divides by √D"), encoding="utf-8")
    desk.replace("token_ids == pad_id", "token_ids != pad_id")
    process = _start(desk, PYTHONIOENCODING="ascii")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "FAILED   padding_mask divides by ?D\n" in out
    assert err == ""


def test_a_reader_that_leaves_early_is_no_error(desk):
    process = _start(desk)
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0
    assert err == ""
