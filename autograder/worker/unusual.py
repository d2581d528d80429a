"""Remarks on a source: what an honest solution has no use for. They are for a person to look at.

A few of them are a verdict as well: with native code nothing holds that a worker forbids, and what looks at frames, other people's objects or torch's
inside can change or escape what a worker counts of itself. Nothing is taken away for those that a solution may have some use for.

A text can always be written so that none of this is found; it is found where someone did not mean to hide it, or hid it in a usual way.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Any

from autograder.worker.names import dotted_name

UNUSUAL_MODULES = frozenset(
    """
    asyncio atexit builtins cffi code codecs codeop concurrent copyreg ctypes dill dis faulthandler fcntl ftplib gc glob http imp importlib inspect
    io linecache marshal mmap multiprocessing os pathlib pickle pkgutil pty pytest resource runpy shelve shutil signal site socket sqlite3
    ssl subprocess sys sysconfig tempfile threading tracemalloc unittest urllib weakref zipimport autograder nbgrader
    """.split()
)
# Parts of torch and numpy that lead around what an exercise forbids; modules that they import lead further (torch.os), and so does what is private.
_UNUSUAL_PARTS = (
    frozenset("ao attrgetter ctypeslib distributed export f2py fx hub jit library load nested ops overrides package".split()) | UNUSUAL_MODULES
)
_UNUSUAL_BUILTINS = frozenset("__builtins__ __import__ breakpoint compile eval exec globals input locals open vars".split())
UNUSUAL_ATTRIBUTES = frozenset(
    """
    __base__ __bases__ __builtins__ __closure__ __code__ __dict__ __getattribute__ __globals__ __import__ __loader__ __mro__ __subclasses__
    __torch_dispatch__ __torch_function__ __traceback__ __wrapped__ CodeType FunctionType _make_subclass _make_wrapper_subclass as_subclass
    _current_frames _getframe ag_frame attrgetter cell_contents cr_frame currentframe exc_info f_back f_builtins f_globals f_locals
    get_objects get_referents get_referrers gi_frame methodcaller setprofile settrace tb_frame tb_next
    """.split()
)
# Modules that many others import: under these names they are found wherever they are looked up (dataclasses.sys, collections._sys).
_FOUND_ANYWHERE = frozenset("builtins ctypes gc importlib inspect os pickle subprocess sys threading".split())
_UNUSUAL_TEXT = re.compile("|".join(sorted(name for name in UNUSUAL_ATTRIBUTES if name.startswith("__"))))
_BY_NAME = frozenset("getattr setattr delattr".split())
# Where numbers go when they leave torch: what is computed there costs nothing that a count of torch's operations sees.
_OUTSIDE_TORCH = frozenset("numpy from_numpy frombuffer from_dlpack data_ptr untyped_storage __array__ __array_interface__".split())
# Of numpy: constants, names of types, and functions of one number, of a shape, or element by element: no products.
_NUMBERS_OF_NUMPY = frozenset(
    """
    abs arange bool_ ceil clip e euler_gamma exp finfo float16 float32 float64 floor iinfo inf int32 int64 isfinite isinf isnan log log2 maximum
    minimum mod nan newaxis pi prod round sign sqrt
    """.split()
)
_NATIVE = re.compile(r"\b_?(ctypes|cffi|ctypeslib|load_library|cpp_extension)\b")
# What `inspect` tells of frames and of others' objects is none of a solution's business; signatures and sources are.
_HARMLESS_OF_INSPECT = frozenset("signature Parameter Signature getsource getdoc getfullargspec isfunction isclass ismethod".split())
# Remarks after which nothing that the worker says of its own doings need be true: what was changed in place, what the course's own code saw.
_INTRUSIVE = re.compile(
    r"imports (autograder|nbgrader|builtins|importlib|_?ctypes|cffi|mmap|concurrent|imp|marshal|multiprocessing|runpy|threading|zipimport|dill)"
    r"|(uses|imports|names|defines) (__(base|bases|builtins|closure|code|getattribute|globals|import|loader|mro|subclasses|traceback)__|CodeType"
    r"|FunctionType|\w*_getframe|_current_frames|attrgetter|cell_contents|currentframe|\w+_frame|f_\w+|get_\w+|methodcaller|setprofile|settrace"
    r"|tb_next|__dict__|vars|inspect\.\w+|sys\.modules|__builtins__|__import__|compile|eval|exec|globals)( in a text)?"
    r"|reaches .*|changes torch(?!\.backends\b)\b.*"
    r"|uses (torch|numpy)\.([\w.]+\.)?(ctypes|ctypeslib|os|sys|builtins|importlib|gc|inspect|library|overrides)"
)
# Remarks that leave what a worker counts as good as it was: with these modules one may debug, and their frames and tables are remarks of their own.
_HARMLESS_IMPORTS = frozenset(
    """
    asyncio atexit code codecs copyreg dis faulthandler fcntl gc glob http inspect io linecache os pathlib pickle pkgutil pty pytest resource
    shelve shutil signal site socket sqlite3 ssl subprocess sys sysconfig tempfile tracemalloc unittest urllib weakref
    """.split()
)
_HARMLESS = re.compile(
    rf"imports ({'|'.join(sorted(_HARMLESS_IMPORTS))})|imports from its own folder|uses (open|input|breakpoint|locals|__wrapped__|exc_info)"
    r"|uses torch\.(jit|nested|fx|export|_assert|_check\w*)|changes torch\.backends\b.*"
)
_IMPORTS_NUMPY = "imports numpy, whose cost is not seen"
_MAX_FLAGS = 20
Remark = tuple[int, str]  # line, words


def unusual(tree: ast.Module, aliases: dict[str, str]) -> list[Remark]:
    """Each thing that an honest solution has no use for."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    called = {id(node.func) for node in calls}
    own = {id(node.func) for node in calls if _of_own_object(node)}
    return [
        (getattr(node, "lineno", 1), words)
        for node in ast.walk(tree)
        if id(node) not in own
        for words in _unusual_words(node, aliases, id(node) in called)
    ]


def _of_own_object(call: ast.Call) -> bool:
    """vars(self): attributes of the student's own object."""
    return isinstance(call.func, ast.Name) and call.func.id == "vars" and [getattr(node, "id", "") for node in call.args] == ["self"]


def outside_torch(tree: ast.Module, aliases: dict[str, str]) -> list[Remark]:
    """Where numbers leave torch."""
    return list(_outside_torch(tree, aliases))


def native(remarks: Iterable[Remark]) -> list[Remark]:
    """Those of `unusual` with which machine code runs that torch knows nothing of."""
    return [remark for remark in remarks if _NATIVE.search(remark[1])]


def intrusive(remarks: Iterable[Remark]) -> list[Remark]:
    """Those of `unusual` by which a submission can reach the objects of the worker that it runs in."""
    return [remark for remark in remarks if _INTRUSIVE.fullmatch(remark[1])]


def uncounted(remarks: Iterable[Remark], leaving: Iterable[Remark]) -> list[Remark]:
    """Those of `unusual` and of `outside_torch` after which a worker's count of what a call costs says nothing."""
    grave = [remark for remark in remarks if not _HARMLESS.fullmatch(remark[1])]
    return grave + [remark for remark in leaving if remark[1] != _IMPORTS_NUMPY]


def first_of_each(found: Iterable[Remark]) -> list[list[Any]]:
    """[line, words], the first line of each remark; how many are left out is said, lest harmless ones crowd out another."""
    first: dict[str, int] = {}
    for line, words in sorted(set(found)):
        first.setdefault(words, line)
    flags: list[list[Any]] = [[line, words] for words, line in first.items()]
    kept = flags[:_MAX_FLAGS]
    if len(flags) > len(kept):
        kept.append([flags[_MAX_FLAGS][0], f"and {len(flags) - len(kept)} more remarks of other kinds, from this line on"])
    return kept


def _unusual_words(node: ast.AST, aliases: dict[str, str], called: bool) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            for entry in names:
                yield from _unusual_import(entry.name)
        case ast.ImportFrom(module=module, names=names, level=level):
            if level:
                yield "imports from its own folder"
            else:
                for entry in names:
                    yield from _unusual_import(f"{module}.{entry.name}")
        case ast.Name(id=name):
            yield from _unusual_part(dotted_name(node, aliases), assigned=False)
            if name in _UNUSUAL_BUILTINS:
                yield f"uses {name}"
            elif name in _BY_NAME and not called:
                yield f"passes {name} on"
        case ast.Attribute(attr=attribute):
            dotted = dotted_name(node, aliases)
            yield from _unusual_part(dotted, assigned=isinstance(node.ctx, ast.Store))
            yield from _of_other_objects(dotted or "")
            if attribute in UNUSUAL_ATTRIBUTES:
                if not (attribute == "__dict__" and isinstance(node.value, ast.Name) and node.value.id == "self"):
                    yield f"uses {attribute}"
            elif attribute.lstrip("_") in _FOUND_ANYWHERE and (dotted or "").split(".")[0] not in ("torch", "numpy"):
                yield f"reaches {attribute} through something else"
        case ast.Call(func=ast.Name(id=name), args=arguments) if name in _BY_NAME:
            if not _of_literal(arguments) and not _of_itself(arguments):
                yield f"uses {name} with a name made at run time"
            elif len(arguments) > 1 and isinstance(arguments[1], ast.Constant) and arguments[1].value in UNUSUAL_ATTRIBUTES:
                yield f"uses {arguments[1].value}"
            elif len(arguments) > 1 and isinstance(arguments[1], ast.Constant) and str(arguments[1].value).lstrip("_") in _FOUND_ANYWHERE:
                yield f"reaches {arguments[1].value!s} through something else"
            yield from _unusual_part(dotted_name(node, aliases), assigned=False)
            owner = dotted_name(arguments[0], aliases) if arguments else None
            if name != "getattr" and owner is not None and owner.split(".")[0] in ("torch", "numpy"):
                yield f"changes {owner}"
        case ast.MatchClass(kwd_attrs=attributes):
            for attribute in UNUSUAL_ATTRIBUTES.intersection(attributes):
                yield f"uses {attribute}"
        case ast.FunctionDef(name=name) if name in UNUSUAL_ATTRIBUTES:
            yield f"defines {name}"
        case ast.Constant(value=str() as text):
            for found in _UNUSUAL_TEXT.findall(text):
                yield f"names {found} in a text"


def _of_other_objects(dotted: str) -> Iterator[str]:
    """Words for a table of all modules, and for what looks into frames and objects of others."""
    module, _, name = dotted.partition(".")
    if dotted == "sys.modules" or (module == "inspect" and name and name.split(".")[0] not in _HARMLESS_OF_INSPECT):
        yield f"uses {dotted}"


def _unusual_import(dotted: str) -> Iterator[str]:
    """Words for importing a full name: unusual itself, or a way to something unusual (`from typing import sys`)."""
    parts = dotted.split(".")
    if parts[0] in ("torch", "numpy"):
        yield from _unusual_part(dotted, assigned=False)
        return
    yield from _of_other_objects(dotted)
    for part in parts:
        if part.lstrip("_") in UNUSUAL_MODULES:
            yield f"imports {part}"
            break
    yield from (f"imports {part}" for part in parts if part in UNUSUAL_ATTRIBUTES)


def _outside_torch(tree: ast.Module, aliases: dict[str, str]) -> Iterator[Remark]:
    for node in ast.walk(tree):
        dotted = dotted_name(node, aliases) or ""
        if isinstance(node, ast.Attribute) and node.attr in _OUTSIDE_TORCH and dotted != "numpy":
            yield node.lineno, f"computes outside torch, where its cost is not seen ({node.attr})"
        elif isinstance(node, ast.Attribute | ast.Name) and dotted.startswith("numpy.") and dotted.split(".")[1] not in _NUMBERS_OF_NUMPY:
            yield node.lineno, f"computes outside torch, where its cost is not seen ({dotted})"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            imported = [node.module or ""] if isinstance(node, ast.ImportFrom) else [entry.name for entry in node.names]
            if any(name.split(".")[0] == "numpy" for name in imported):
                yield node.lineno, _IMPORTS_NUMPY


def _of_literal(arguments: list[ast.expr]) -> bool:
    return len(arguments) > 1 and isinstance(arguments[1], ast.Constant)


def _of_itself(arguments: list[ast.expr]) -> bool:
    """getattr(self, …): attributes of the student's own object."""
    return bool(arguments) and isinstance(arguments[0], ast.Name) and arguments[0].id == "self"


def _unusual_part(dotted: str | None, assigned: bool) -> Iterator[str]:
    """Words for what a full name like "torch.os.path" reaches of torch and numpy, down to the first part that is unusual."""
    parts = (dotted or "").split(".")
    if parts[0] not in ("torch", "numpy"):
        return
    if assigned:
        yield f"changes {dotted}"
    for position, part in enumerate(parts[1:], 2):
        if part in _UNUSUAL_PARTS or (part.startswith("_") and not part.endswith("__")):
            yield f"uses {'.'.join(parts[:position])}"
            return
