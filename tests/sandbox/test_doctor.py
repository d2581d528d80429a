"""What `autograder doctor` says about a machine."""

from __future__ import annotations

import builtins
import io
from pathlib import Path
from typing import Any

import pytest
from sandboxed import zygote_of

from autograder.sandbox import bubblewrap, doctor
from autograder.sandbox.doctor import Finding
from autograder.worker import landlock


def test_this_machine_is_diagnosed_without_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    running = zygote_of("landlock+seccomp")
    monkeypatch.setattr(doctor.Zygote, "start", lambda _mode: running.clone())
    findings = {finding.name: finding for finding in doctor.diagnose()}
    assert findings["Python"].ok
    assert "torch" in findings
    assert findings["--sandbox best"].ok
    assert findings["--sandbox require"].ok or findings["--sandbox require"].advice
    assert all(finding.ok or finding.advice for finding in findings.values())


@pytest.mark.parametrize(
    ("file", "value", "advice"),
    [
        ("_APPARMOR", "1", "kernel.apparmor_restrict_unprivileged_userns=0"),
        ("_DEBIAN_SWITCH", "0", "kernel.unprivileged_userns_clone=1"),
        ("_MAX_NAMESPACES", "0", "user.max_user_namespaces"),
    ],
)
def test_the_setting_in_the_way_of_namespaces_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str, value: str, advice: str) -> None:
    for name in ("_APPARMOR", "_DEBIAN_SWITCH", "_MAX_NAMESPACES"):
        monkeypatch.setattr(doctor, name, tmp_path / "absent")
    setting = tmp_path / "setting"
    setting.write_text(value + "\n")
    monkeypatch.setattr(doctor, file, setting)
    assert advice in doctor.namespace_advice()


def test_a_bubblewrap_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\n[ \"$1\" = --version ] && { echo 'bubblewrap 9'; exit 0; }\necho 'loopback: Operation not permitted' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(bubblewrap, "executable", lambda: str(broken))
    finding = doctor._bubblewrap()
    assert (finding.ok, finding.detail) == (False, "bubblewrap 9 fails: loopback: Operation not permitted")


@pytest.mark.parametrize(("abi", "ok", "detail"), [(0, False, "none"), (1, True, "files"), (4, True, "TCP"), (6, True, "signals")])
def test_what_landlock_covers_is_told_by_its_abi(monkeypatch: pytest.MonkeyPatch, abi: int, ok: bool, detail: str) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: abi)
    finding = doctor._landlock()
    assert finding.ok is ok
    assert detail in finding.detail


def without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def refuse(name: str, *arguments: Any, **more: Any) -> Any:
        if name.startswith("rich"):
            raise ImportError(name)
        return original(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)


@pytest.mark.parametrize("rich", [True, False])
def test_the_table_shows_what_is_missing_and_what_to_do(monkeypatch: pytest.MonkeyPatch, rich: bool) -> None:
    if not rich:
        without_rich(monkeypatch)
    out = io.StringIO()
    doctor.render([Finding("git", True, "/usr/bin/git"), Finding("make", False, "not [found]", "install it")], out)
    text = out.getvalue()
    assert "not [found]" in text
    assert "install it" in text
    assert "missing" in text.lower()
