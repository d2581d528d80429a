"""Grade one small class again and again: python -m tests.determinism [--runs 50]

Every run has another order, number of jobs, isolation, hash seed, folder, locale, time zone, umask and number of threads. Compared are the
reports' bytes without what is measured (MEASURED) and what was asked for (ASKED). Exit code 1 when any differ.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections import Counter
from typing import Any

from tests.determinism.again import ALL, ASKED, MEASURED, SANDBOXES, Surroundings, bytes_to_compare, differences, graded


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.determinism")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--first", type=int, default=0, help="number of the first run, from which its surroundings are drawn")
    parser.add_argument("--sandbox", choices=SANDBOXES, action="append")
    parser.add_argument("--only", choices=ALL, action="append", help="these submissions alone")
    options = parser.parse_args()
    first: dict[str, dict[str, Any]] = {}
    differing: Counter[str] = Counter()
    done: Counter[tuple[str, int]] = Counter()
    fingerprints: dict[tuple[str, str], set[str]] = {}
    started = time.monotonic()
    for number in range(options.first, options.first + options.runs):
        surroundings = Surroundings.drawn(number, tuple(options.only or ALL), tuple(options.sandbox or SANDBOXES))
        for title, report in graded(surroundings).items():
            fingerprints.setdefault((title, report["sandbox"]["mode"]), set()).add(report["fingerprint"])
            if bytes_to_compare(report) != bytes_to_compare(first.setdefault(title, report)):
                differing[title] += 1
                print(f"run {number}, {surroundings.sandbox}, {surroundings.jobs} jobs: {title}")
                for line in list(differences(first[title], report))[:5]:
                    print(f"    {line[:400]}")
        done[surroundings.sandbox, surroundings.jobs] += 1
        print(f"run {number} done after {time.monotonic() - started:.0f} s", file=sys.stderr)
    several = sorted(f"{title} ({mode})" for (title, mode), names in fingerprints.items() if len(names) > 1)
    for title in sorted(first):
        digest = hashlib.sha256(bytes_to_compare(first[title])).hexdigest()[:16]
        print(f"{title:18} {digest}  {first[title]['score']:>5} points  {differing[title]} differ")
    print(f"runs: {', '.join(f'{count} with {sandbox}, {jobs} jobs' for (sandbox, jobs), count in sorted(done.items()))}")
    print(f"not compared: {', '.join(MEASURED + ASKED)}; several fingerprints: {', '.join(several) or 'none'}")
    print(f"{sum(differing.values())} of {options.runs * len(first)} reports differ from the first run's")
    return 1 if differing or several else 0


if __name__ == "__main__":
    sys.exit(main())
