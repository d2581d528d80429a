"""`python -m autograder.bench.security`: how many points attacks gain from this grader, nbgrader, otter-grader and plain pytest.

Hostile code runs here. The other graders run in bubblewrap, without network, in a copy of the course that is thrown away.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from autograder.bench import machine, other_tools
from autograder.bench.checks import hidden_tests
from autograder.bench.pages import write_docs
from autograder.bench.security.attacks import GRADERS, HONEST, NBGRADER, OTTER, OURS, PYTEST, Attack, honest, load_attacks
from autograder.bench.security.confined import available
from autograder.bench.security.graders import Outcome, Trials
from autograder.bench.security.table import gain, markdown
from autograder.grading.paths import REPOSITORY

PART = "peers"
PAGE = REPOSITORY / "docs" / "security.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 when an attack gets anything from this grader."""
    attacks = load_attacks()
    options = _parser().parse_args(arguments)
    if unknown := sorted(set(options.attacks) - set(attacks)):
        print(f"error: there is no attack {', '.join(unknown)}; --list names them", file=sys.stderr)
        return 2
    if options.list:
        print("\n".join(f"{attack.name}: {attack.aim}" for attack in attacks.values()))
        return 0
    if set(options.graders) - {OURS} and not available():
        print("error: the other graders need bubblewrap around them (package bubblewrap, user namespaces), for hostile code", file=sys.stderr)
        return 2
    chosen = [attacks[name] for name in options.attacks or attacks]
    notes = [note for note in (machine.load_note(),) if note]
    with tempfile.TemporaryDirectory(prefix="autograder-peers-") as scratch:
        graders, python = list(options.graders), Path(sys.executable)
        if {NBGRADER, OTTER} & set(graders):
            tools = other_tools.prepare(Path(scratch) / "install.log")
            python = tools.python
            for grader, package in ((NBGRADER, other_tools.NBGRADER), (OTTER, other_tools.OTTER)):
                if grader in graders and package in tools.missing:
                    graders.remove(grader)
                    notes.append(f"{package} could not be installed: {tools.missing[package]}")
        found = _try_all(Trials(Path(scratch), python), [honest(), *chosen], graders, options)
    text = markdown(found, chosen, machine.description(), notes)
    if options.write:
        write_docs(PAGE, PART, text, datetime.now(UTC))
        print(f"written: {PAGE}")
    else:
        print(text)
    ours = [(outcome, found[HONEST].get(OURS)) for row in found.values() if (outcome := row.get(OURS)) is not None]
    return 1 if any((gain(outcome, base) or 0) > 0 or outcome.leaks for outcome, base in ours) else 0


def _try_all(trials: Trials, attacks: Sequence[Attack], graders: Sequence[str], options: argparse.Namespace) -> dict[str, dict[str, Outcome]]:
    """What is in the file of earlier outcomes is not tried again."""
    found = _kept(options.outcomes)
    left = [(attack, grader) for attack in attacks for grader in graders if grader in attack.graders and grader not in found.get(attack.name, {})]
    ours = [attack for attack, grader in left if grader == OURS]
    for name, outcome in (trials.attempt_ours(ours) if ours else {}).items():
        found.setdefault(name, {})[OURS] = outcome
    left = sorted(((attack, grader) for attack, grader in left if grader != OURS), key=lambda pair: graders.index(pair[1]))
    hidden_tests()  # collected here once: pytest replaces standard streams meanwhile, which threads share
    pool = ThreadPoolExecutor(options.jobs)
    try:
        for number, (attack, grader, outcome) in enumerate(pool.map(lambda pair: (*pair, trials.attempt(pair[1], pair[0])), left), 1):
            found.setdefault(attack.name, {})[grader] = outcome
            leaks = f", reads {', '.join(outcome.leaks)}" if outcome.leaks else ""
            print(f"[{number}/{len(left)}] {grader}: {attack.name}: {outcome.points} points{leaks}", file=sys.stderr, flush=True)
            _keep(found, options.outcomes)
    finally:
        pool.shutdown(cancel_futures=True)
    _keep(found, options.outcomes)
    return found


def _keep(found: dict[str, dict[str, Outcome]], path: Path | None) -> None:
    if path is not None:
        rows = {name: {grader: asdict(outcome) for grader, outcome in row.items()} for name, row in found.items()}
        path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def _kept(path: Path | None) -> dict[str, dict[str, Outcome]]:
    if path is None or not path.exists():
        return {}
    read = json.loads(path.read_text(encoding="utf-8"))
    return {name: {grader: Outcome(entry["points"], tuple(entry["leaks"])) for grader, entry in row.items()} for name, row in read.items()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m autograder.bench.security", description=__doc__)
    parser.add_argument("attacks", nargs="*", metavar="attack", help="only these; all when none is given")
    parser.add_argument("--graders", nargs="+", choices=GRADERS, default=[OURS, NBGRADER, OTTER, PYTEST])
    parser.add_argument("--list", action="store_true", help="say what there is to try")
    parser.add_argument("--jobs", type=int, default=1, help="attacks that are tried at once")
    parser.add_argument("--outcomes", type=Path, metavar="FILE", help="keep outcomes here, and go on with what is there after a stop")
    parser.add_argument("--write", action="store_true", help="put the table into docs/security.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
