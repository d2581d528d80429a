"""`python -m tests.red_team [--write] [attack …]`: try attacks under every layer alone, print the table, or write it into docs/security.md."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parents[1]), str(FOLDER), str(FOLDER.parent / "grading")]


def main() -> int:
    """Exit code 1 when an attack gets anything under all layers."""
    from expectations import EXPECTED
    from matrix import ALL, COLUMNS, cells_of, documented, markdown, measure, write

    parser = argparse.ArgumentParser(prog="python -m tests.red_team", description="Try attacks under every layer of isolation.")
    parser.add_argument("attacks", nargs="*", metavar="attack", help="names of files in tests/red_team/submissions; all when none is given")
    parser.add_argument("--layers", nargs="+", choices=list(COLUMNS), default=list(COLUMNS), help="sets of layers to try; all by default")
    parser.add_argument("--write", action="store_true", help="write the table into docs/security.md, or the rows of these attacks")
    options = parser.parse_args()
    if unknown := sorted(set(options.attacks) - set(EXPECTED)):
        parser.error(f"there is no attack {', '.join(unknown)}")
    found = measure(options.attacks or EXPECTED, options.layers, lambda words: print(words, file=sys.stderr))
    cells = cells_of(found)
    if not options.write:
        print(markdown(cells))
    elif set(options.layers) != set(COLUMNS):
        parser.error("--write needs all layers")
    else:
        kept = documented() if options.attacks else {}
        write(markdown({name: row for name, row in {**kept, **cells}.items() if name in EXPECTED}))
    return 1 if any(row.get(ALL) for row in found.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
