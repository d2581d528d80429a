"""Makes files, folders, links and pipes by the thousand, and opens as many as it can."""

import contextlib
import os

for folder in ("/tmp", "/dev/shm", "/var/tmp", "@FOLDER@", "."):
    with contextlib.suppress(OSError):
        os.mkdir(f"{folder}/red-team-many")
        for number in range(1000):
            os.mkdir(f"{folder}/red-team-many/{number}")
        raise SystemExit(folder)
opened = []
with contextlib.suppress(OSError):
    for _ in range(100_000):
        opened.append(os.open("/dev/null", os.O_RDONLY))
if len(opened) > 1000:
    raise SystemExit(len(opened))
for descriptor in opened:
    os.close(descriptor)
