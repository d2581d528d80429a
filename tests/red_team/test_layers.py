"""The table of attacks and layers in docs/security.md is measured: a part of it here, all of it by `python -m tests.red_team`."""

from __future__ import annotations

import sys

import pytest
from expectations import EXPECTED
from matrix import ALL, COLUMNS, DOCUMENT, HELD, cell, documented, escaped, measure, resting_on_counts
from trial import aim_of

# Attacks of which some layers alone stop some, whoever the user is and however old Landlock.
SAMPLE = ("read_files", "read_other_processes", "leak_by_files", "leak_by_network", "forge_marks_in_shared_memory")


def test_the_table_has_every_attack_and_says_what_it_tries() -> None:
    table, text = documented(), DOCUMENT.read_text(encoding="utf-8")
    assert set(table) == set(EXPECTED)
    assert f"\n{len(EXPECTED)} attacks: " in text
    for name, row in table.items():
        assert f"| `{name}` | {escaped(aim_of(name))} |" in text
        assert set(row) == set(COLUMNS)
        assert row[ALL] == HELD
    assert resting_on_counts() in text


def test_no_layer_is_decoration() -> None:
    """For each layer there are attacks that it stops alone and that are not stopped without; and for the filter some that no other layer stops."""
    table = documented()
    for layer in ("bubblewrap", "landlock", "seccomp"):
        assert sum(not row["none"] and bool(row[layer]) for row in table.values()) >= 5
    assert any(not row["bubblewrap"] and not row["landlock"] and row["seccomp"] for row in table.values())
    assert any(not row["seccomp"] and row["landlock"] for row in table.values())
    assert any(not row["landlock"] and row["bubblewrap"] for row in table.values())
    assert any(not row["off"] and row["none"] for row in table.values())


@pytest.mark.skipif(sys.platform != "linux", reason="kernel isolation is tested on Linux")
@pytest.mark.parametrize("layers", ["none", "bubblewrap", "landlock", "seccomp"])
def test_each_layer_alone_stops_what_the_table_says(layers: str) -> None:
    found = measure(SAMPLE, [layers])
    if not any(found.values()):
        pytest.skip(f"this machine does not give {layers}")
    table = documented()
    assert {name: cell(row[layers]) for name, row in found.items()} == {name: table[name][layers] for name in SAMPLE}
