"""What each attack got from each grader, in Markdown: pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autograder.bench.security.attacks import GRADERS, HONEST, NBGRADER, OTTER, OURS, PYTEST, Attack
from autograder.bench.security.graders import Outcome
from autograder.bench.tables import Table, markdown_table

Outcomes = Mapping[str, Mapping[str, Outcome]]  # by attack, then by grader
TITLES = {OURS: "this grader", NBGRADER: "nbgrader autograde", OTTER: "otter run", PYTEST: "pytest, the module imported"}
NOT_TRIED, DOES_NOT_APPLY, NO_GRADE = "", "—", "no grade"
_TOLERANCE = 1e-9


def gain(outcome: Outcome, honest: Outcome | None) -> float | None:
    """Points beyond what the same wrong answer earns without the attack."""
    return None if outcome.points is None or honest is None or honest.points is None else max(0.0, outcome.points - honest.points)


def cell(outcome: Outcome | None, honest: Outcome | None, applies: bool) -> str:
    if not applies:
        return DOES_NOT_APPLY
    if outcome is None:
        return NOT_TRIED
    gained = gain(outcome, honest)
    words = NO_GRADE if gained is None else f"**+{gained:g}**" if gained > _TOLERANCE else "0"
    return f"{words}, reads {', '.join(outcome.leaks)}" if outcome.leaks else words


def table(found: Outcomes, attacks: Sequence[Attack]) -> Table:
    honest = found.get(HONEST, {})
    lines: list[tuple[str, ...]] = [(HONEST, *(_points(honest.get(grader)) for grader in GRADERS))]
    for attack in attacks:
        row = found.get(attack.name, {})
        lines.append((f"`{attack.name}`", *(cell(row.get(grader), honest.get(grader), grader in attack.graders) for grader in GRADERS)))
    lines.append(("attacks that gain points", *(_share(found, attacks, grader, _gains) for grader in GRADERS)))
    lines.append(("attacks that read what is hidden", *(_share(found, attacks, grader, _reads) for grader in GRADERS)))
    lines.append(("attacks after which there is no grade", *(_share(found, attacks, grader, _ends) for grader in GRADERS)))
    lines.append(("most points gained by one", *(_most(found, attacks, grader) for grader in GRADERS)))
    return ("points gained", *(TITLES[grader] for grader in GRADERS)), lines


def aims(attacks: Sequence[Attack]) -> str:
    return "\n".join(["| attack | what it tries |", "|---|---|", *(f"| `{attack.name}` | {attack.aim} |" for attack in attacks)])


def markdown(found: Outcomes, attacks: Sequence[Attack], machine: Mapping[str, str], notes: Sequence[str]) -> str:
    told = [f"- {name}: {value}" for name, value in machine.items()] + [f"- {note}" for note in notes]
    return "\n".join([*told, "", markdown_table(table(found, attacks)), "", aims(attacks), ""])


def _points(outcome: Outcome | None) -> str:
    return NOT_TRIED if outcome is None else NO_GRADE if outcome.points is None else f"{outcome.points:g} points"


def _gains(outcome: Outcome, honest: Outcome | None) -> bool:
    return (gain(outcome, honest) or 0.0) > _TOLERANCE


def _reads(outcome: Outcome, _: Outcome | None) -> bool:
    return bool(outcome.leaks)


def _ends(outcome: Outcome, _: Outcome | None) -> bool:
    return outcome.points is None


def _tried(found: Outcomes, attacks: Sequence[Attack], grader: str) -> list[Outcome]:
    return [found[attack.name][grader] for attack in attacks if grader in attack.graders and grader in found.get(attack.name, {})]


def _share(found: Outcomes, attacks: Sequence[Attack], grader: str, that: object) -> str:
    assert callable(that)
    tried, honest = _tried(found, attacks, grader), found.get(HONEST, {}).get(grader)
    return f"{sum(bool(that(outcome, honest)) for outcome in tried)} of {len(tried)}"


def _most(found: Outcomes, attacks: Sequence[Attack], grader: str) -> str:
    honest = found.get(HONEST, {}).get(grader)
    return f"{max((gain(outcome, honest) or 0.0 for outcome in _tried(found, attacks, grader)), default=0.0):g}"
