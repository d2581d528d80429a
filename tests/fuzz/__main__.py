"""A coverage-guided run of minutes: python -m tests.fuzz [--seconds 600] [--target link] [--corpus FOLDER] [--findings FOLDER]

Each target has a process of its own and an equal part of the time. Inputs that brought up something new are kept in the corpus and begin the
next run; each way to fail is a finding, kept once as a file that `--replay FILE --target NAME` runs again.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

NAMES = ("frame", "link", "suite", "notebook")
_WATCHED = ("autograder.wire", "autograder.grading", "autograder.checking")
_MISSING = "error: atheris is not installed; it comes with `pip install -e .[fuzz]` (Linux or macOS, Python 3.11 to 3.13)"
_STATUS = re.compile(rb"#(\d+)\s+(\w+)\s+cov: (\d+) ft: (\d+) corp: (\d+)")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz what the grader reads of a worker and of a notebook.")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--target", choices=NAMES, action="append")
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--findings", type=Path, default=Path("fuzz_findings"))
    parser.add_argument("--replay", type=Path, help="run one input again")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)  # the process of one target
    options = parser.parse_args()
    chosen = options.target or list(NAMES)
    if options.replay is not None:
        from tests.fuzz.targets import TARGETS

        TARGETS[chosen[0]](options.replay.read_bytes())
        print("nothing happened")
        return 0
    if importlib.util.find_spec("atheris") is None:
        print(_MISSING, file=sys.stderr)
        return 2
    if options.alone:
        _fuzz(chosen[0], options.seconds, options.corpus, options.findings)
    with tempfile.TemporaryDirectory() as temporary:
        results = [_run(name, max(1, options.seconds // len(chosen)), options.corpus or Path(temporary), options.findings) for name in chosen]
    return 0 if all(results) else 1


def _run(target: str, seconds: int, corpus: Path, findings: Path) -> bool:
    """One target in its own process. True when it found nothing."""
    folder = corpus / target
    folder.mkdir(parents=True, exist_ok=True)
    known = len(list(folder.iterdir()))
    arguments = ["--alone", "--target", target, "--seconds", str(seconds), "--corpus", str(folder), "--findings", str(findings)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    finished = subprocess.run([sys.executable, "-m", "tests.fuzz", *arguments], stderr=subprocess.PIPE, env=environment)
    lines = [match.groups() for match in _STATUS.finditer(finished.stderr)]
    if not lines or (finished.returncode and not list(findings.glob(f"{target}-*"))):
        print(f"{target}: the run ended with {finished.returncode}\n{finished.stderr.decode(errors='replace')[-2_000:]}")
        return False
    begin = next((line for line in lines if line[1] == b"INITED"), lines[0])
    executions, _, coverage, features, corpus_size = lines[-1]
    found = sorted(findings.glob(f"{target}-*"))
    print(
        f"{target}: {int(executions):,} executions in {seconds} s; edges covered {int(begin[2])} -> {int(coverage)}, features {int(begin[3])} -> "
        f"{int(features)}; corpus {known} -> {int(corpus_size)}; findings: {len(found)}"
    )
    for path in found:
        print(f"  {path}")
    return not found and finished.returncode == 0


def _fuzz(target: str, seconds: int, corpus: Path, findings: Path) -> None:
    """Never returns: libFuzzer ends the process."""
    import atheris
    import torch

    torch.set_num_threads(1)
    with atheris.instrument_imports(include=list(_WATCHED)):
        from tests.fuzz import hunt

    hunt.begin(target, corpus)
    run, change = hunt.Hunt(target, findings).run, hunt.changer(target)
    limits = ["-max_len=262144", "-timeout=60", "-rss_limit_mb=4096", "-print_final_stats=1", f"-artifact_prefix={findings}/{target}-stopped-"]
    findings.mkdir(parents=True, exist_ok=True)
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", *limits, str(corpus)], run, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
