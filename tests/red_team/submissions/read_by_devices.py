"""Reads raw disks, kernel memory and terminals through their devices, and makes such devices for itself."""

import os
import stat

for path in ("/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/nvme0n1", "/dev/fuse", "/dev/tty", "/dev/ptmx", "/dev/console", "/dev/shm"):
    try:
        raise SystemExit(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError:
        pass
for folder in ("/tmp", "/dev/shm", "@FOLDER@"):
    for number in (os.makedev(1, 1), os.makedev(254, 0), os.makedev(8, 0)):
        try:
            os.mknod(f"{folder}/red-team-mark", 0o600 | stat.S_IFBLK, number)
            raise SystemExit(folder)
        except OSError:
            pass
