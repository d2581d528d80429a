"""The class that the benchmark grades."""

from __future__ import annotations

from pathlib import Path

from autograder.bench.population import MIX, make_class, solutions, source_path, write_class


def test_there_are_right_and_wrong_submissions_and_a_stub() -> None:
    kinds = [kind.partition(":")[0] for kind, _ in solutions()]
    assert len(kinds) == MIX >= 20
    assert kinds.count("right") >= 6
    assert kinds.count("wrong") >= 6
    assert kinds.count("stub") == kinds.count("reference") == 1


def test_the_same_class_comes_out_each_time() -> None:
    assert make_class(MIX) == make_class(MIX)


def test_a_larger_class_begins_with_the_smaller_one() -> None:
    assert make_class(3 * MIX)[:MIX] == make_class(MIX)


def test_no_two_files_are_the_same() -> None:
    sources = [entry.source for entry in make_class(3 * MIX)]
    assert len(set(sources)) == len(sources)


def test_right_and_wrong_take_turns() -> None:
    assert [entry.kind for entry in make_class(6, [(kind, "") for kind in "abcde"])] == ["a", "d", "b", "e", "c", "a"]


def test_files_lie_where_students_hand_them_in(tmp_path: Path) -> None:
    entries = make_class(2)
    write_class(entries, tmp_path)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.py")) == [
        "student0001/01_attention/attention.py",
        "student0002/01_attention/attention.py",
    ]
    assert source_path(tmp_path, "student0002").read_text() == entries[1].source
