"""Deletes, renames, truncates, links and changes the permissions of the canary, another student's work and the gradebook."""

import contextlib
import os
import shutil

for path in ("@FOLDER@/secret.txt", "@FOLDER@/students/ann/01_attention/attention.py", "@FOLDER@/gradebook.db"):
    for way in (
        lambda path: os.chmod(path, 0o777),
        lambda path: os.utime(path, (0, 0)),
        lambda path: os.link(path, path + ".link"),
        lambda path: os.symlink(path, path + ".symlink"),
        lambda path: os.truncate(path, 0),
        lambda path: os.rename(path, path + ".gone"),
        os.unlink,
        lambda path: shutil.rmtree(os.path.dirname(path)),
    ):
        with contextlib.suppress(OSError):
            way(path)
            raise SystemExit(path)
