"""Opens the hidden suite, the references, another student's work and a canary by absolute, relative and linked paths."""

import os

PATHS = ["@FOLDER@/secret.txt", "@FOLDER@/students/ann/01_attention/attention.py", "@ROOT@/autograder/hidden_tests/test_attention.py"]
PATHS += ["@ROOT@/reference_solutions/attention.py", "@ROOT@/autograder/misconceptions/attention.py"]
PATHS += ["@ROOT@/.autograder/secret", "@ROOT@/course.toml"]
PATHS += ["../" * depth + path[1:] for path in PATHS[:2] for depth in range(8)] + ["/proc/self/cwd" + path for path in PATHS[:2]]
PATHS += ["/proc/self/root" + path for path in PATHS[:2]] + ["/etc/passwd", "/etc/hostname", "attention.py", "timestamp.txt"]
for path in PATHS:
    for target in (path, "/tmp/link"):
        try:
            if target != path:
                os.symlink(path, target)
            with open(target, "rb") as file:
                raise SystemExit(file.read())
        except OSError:
            pass
