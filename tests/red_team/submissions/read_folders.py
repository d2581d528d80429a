"""Looks for anything to read outside Python's libraries: the disk's roots, temporary folders, shared memory, the home folder."""

import glob
import os
import sys

for folder in ("/", ".", "..", "~", "/tmp", "/var/tmp", "/dev/shm", "/run", "/home", "/root", "/mnt", "@FOLDER@", "@ROOT@", "@ROOT@/autograder"):
    folder = os.path.expanduser(folder)
    try:
        names = os.listdir(folder)
    except OSError:
        names = []
    known = {part for path in (sys.prefix, sys.base_prefix, *sys.path) for part in path.split("/")}  # where Python itself lies
    known |= {"bin", "dev", "etc", "lib", "lib32", "lib64", "nix", "opt", "proc", "root", "sbin", "sys", "usr", "home"}
    if set(names) - known - {"wire", "worker", "checking", "__init__.py", "autograder"}:
        raise SystemExit(folder)
for pattern in ("@ROOT@/**/test_attention*", "@ROOT@/**/*.pyc", "@FOLDER@/**", "/usr/lib/python3*/site-packages/autograder/**"):
    if [path for path in glob.glob(pattern, recursive=True) if "hidden" in path or "secret" in path]:
        raise SystemExit(pattern)
