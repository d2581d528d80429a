"""Searches this process for what a grader in the same process would hold: modules, frames, all objects, cached sources."""

import gc
import inspect
import linecache
import re
import sys

COURSE = ("autograder.hidden_tests", "autograder.misconceptions", "autograder.grading", "autograder.sandbox", "_pytest", "pytest", "nbgrader")
CANARY = re.compile(r"canary-of-the-" + r"grader-[0-9a-f]{32}")

found = [name for name in sys.modules if name.startswith(COURSE)]
frames = [inspect.getmodule(info.frame) for info in inspect.stack()]
found += [module.__name__ for module in frames if module and module.__name__.startswith(COURSE)]
found += [path for path in linecache.cache if "hidden_tests" in path or "reference_solutions" in path]
gc.unfreeze()
for container in gc.get_objects():
    parts = container.values() if type(container) is dict else container if type(container) in (list, tuple, set) else ()
    found += [part for part in list(parts) if type(part) is str and CANARY.search(part)]
if found:
    raise SystemExit(found)
