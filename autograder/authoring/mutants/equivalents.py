"""Mutants that are right solutions too, each with the reason: `autograder/misconceptions/equivalents/NAME.json`."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path

from autograder.authoring.mutants.generate import Key

EQUIVALENTS = Path(__file__).parents[2] / "misconceptions" / "equivalents"


class EquivalentsError(Exception):
    """The file of reasons is not what it must be."""


def load_equivalents(path: Path) -> Mapping[Key, str]:
    """The reason of each mutant: the file is a list of {"reason": …, "mutants": [[function, line, mutation], …]}. Empty without a file."""
    if not path.is_file():
        return {}
    found: dict[Key, str] = {}
    try:
        for entry in json.loads(path.read_text(encoding="utf-8")):
            if not entry["reason"].strip():
                raise EquivalentsError(f"{path}: a reason is empty; say why the contract allows what these mutants do")
            for function, line, mutation in entry["mutants"]:
                key = Key(function, line, mutation)
                if key in found:
                    raise EquivalentsError(f"{path}: {describe(key)} has two reasons; keep one")
                found[key] = entry["reason"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EquivalentsError(f'{path} must be a list of {{"reason": …, "mutants": [[function, line, mutation], …]}}: {error}') from None
    return found


def problems(survived: Collection[Key], known: Collection[Key]) -> list[str]:
    """What is wrong: a survivor without a reason, and a reason for a mutant that is killed or no longer made."""
    unexplained = [f"survives: {describe(key)}" for key in survived if key not in known]
    return unexplained + [f"stale reason, no survivor: {describe(key)}" for key in known if key not in survived]


def describe(key: Key) -> str:
    return f"{key.function}: `{key.line}`: {key.mutation}"
