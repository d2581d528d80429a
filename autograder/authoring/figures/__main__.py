"""Draw the figures of all handouts from the reference solutions.

python -m autograder.authoring.figures              # all
python -m autograder.authoring.figures attention    # one
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from autograder.authoring.assignments import read_assignments
from autograder.checking.submission import load_module

REPOSITORY = Path(__file__).resolve().parents[3]


def draw_all(names: Sequence[str], out: Path | None = None) -> list[Path]:
    """Draw into each handout's folder, or below `out`, and return the paths. Raises ValueError for an unknown name."""
    assignments = {assignment.name: assignment for assignment in read_assignments(REPOSITORY)}
    unknown = [name for name in names if name not in assignments]
    if unknown:
        raise ValueError(f"no assignment {unknown[0]!r}; there are {', '.join(assignments)}")
    drawn: list[Path] = []
    for name in names or assignments:
        folder = (out / name if out else assignments[name].handout(REPOSITORY).parent) / "figures"
        folder.mkdir(parents=True, exist_ok=True)
        drawing = importlib.import_module(f"autograder.authoring.figures.{name}")
        drawing.draw(folder, load_module(assignments[name].reference(REPOSITORY)))
        drawn += sorted(folder.iterdir())
    return drawn


def main(names: Sequence[str]) -> int:
    try:
        for path in draw_all(names):
            print(path.relative_to(REPOSITORY))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
