"""Leaves files and pipes where the next submission could find them."""

import contextlib
import os

for folder in ("/dev/shm", "/tmp", "/var/tmp", "/dev/mqueue", "/run"):
    with contextlib.suppress(OSError):
        os.close(os.open(f"{folder}/red-team-mark", os.O_CREAT | os.O_WRONLY))
    with contextlib.suppress(OSError):
        os.mkfifo(f"{folder}/red-team-fifo")
