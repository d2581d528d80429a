"""First lines of the forking process: an import path given by the grader, for as long as it imports and no longer.

Run as a script with the control socket's descriptor as only argument, by `python -s -P -S -B` in an environment of the
grader's making: no .pth file and no current folder decides what is imported.
"""

import json
import os
import sys


def _first_line(descriptor: int) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):
        chunk = os.read(descriptor, 65_536)
        if not chunk:
            os._exit(1)
        line += chunk
    return bytes(line)


if __name__ == "__main__":
    control = int(sys.argv[1])
    description = json.loads(_first_line(control))
    sys.path[:] = [*description["import_path"], description["root"]]

    from autograder.worker import huge_pages

    heap_start = huge_pages.heap_end()
    from autograder.worker import zygote

    sys.path.remove(description["root"])
    sys.argv[:] = [""]
    sys.orig_argv.clear()
    zygote.main(control, description, heap_start)
