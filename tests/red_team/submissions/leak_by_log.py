"""Logs, warns and traces a hidden input: by logging, warnings, a trace hook, the fault handler, an audit hook and the kernel's log."""

import contextlib
import faulthandler
import logging
import sys
import warnings

logging.basicConfig(level=0, force=True)
sys.addaudithook(lambda event, arguments: None)
for path in ("/dev/kmsg", "/dev/console", "/dev/tty", "/proc/1/fd/1", "/proc/1/fd/2"):
    with contextlib.suppress(OSError), open(path, "w") as stream:
        stream.write("x3141592653589793_smuggled\n")
        raise SystemExit(path)


def scaled_dot_product_attention(query, key, value, mask=None):
    logging.critical("x3141592653589793_smuggled %s", query)
    warnings.warn(f"x3141592653589793_smuggled {query}", stacklevel=1)
    sys.stderr.write("x3141592653589793_smuggled")
    sys.excepthook(ValueError, ValueError("x3141592653589793_smuggled"), None)
    with contextlib.suppress(Exception):
        faulthandler.dump_traceback()
    sys.unraisablehook = sys.excepthook
    return torch.zeros(*query.shape[:-1], value.size(-1)), torch.zeros(*query.shape[:-1], key.size(-2))
