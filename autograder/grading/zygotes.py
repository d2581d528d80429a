"""The forking processes of one grader: one that is started and probed, and a clone of it for each set of forbidden operations."""

from __future__ import annotations

from autograder.grading.task import SandboxMode
from autograder.hidden_tests.rules import Rules
from autograder.sandbox.zygote import Zygote


class Zygotes:
    """Started when first asked for, kept for all submissions after it."""

    def __init__(self) -> None:
        self._first: Zygote | None = None
        self._clones: dict[Rules, Zygote] = {}

    def of(self, mode: SandboxMode, rules: Rules) -> Zygote:
        """One of this mode whose workers have the rules in force. Raises SandboxError or ZygoteDiedError."""
        if self._first is not None and self._first.isolation.mode != mode:
            self.close()
        if self._first is None:
            self._first = Zygote.start(mode)
        if rules not in self._clones:
            self._clones[rules] = self._first.clone(rules.calls, rules.operators)
        return self._clones[rules]

    def close(self) -> None:
        """End them all; the next question starts anew."""
        for clone in self._clones.values():
            clone.close()
        self._clones.clear()
        if self._first is not None:
            self._first.close()
            self._first = None
