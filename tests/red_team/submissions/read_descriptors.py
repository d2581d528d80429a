"""Tries every inherited file descriptor: reads it, lists it as a folder, opens files below it."""

import os
import stat

sockets = 0
for number in range(256):
    try:
        kind = os.fstat(number).st_mode
    except OSError:
        continue
    sockets += stat.S_ISSOCK(kind)
    if not (stat.S_ISSOCK(kind) or stat.S_ISCHR(kind)):
        raise SystemExit(number)
    for attempt in (os.listdir, lambda folder: os.open("etc", os.O_RDONLY, dir_fd=folder), lambda file: os.pread(file, 1, 0) or None):
        try:
            found = attempt(number)
        except OSError:
            continue
        if found is not None:
            raise SystemExit(number)
if sockets > 1:
    raise SystemExit("more than the worker's own line")
