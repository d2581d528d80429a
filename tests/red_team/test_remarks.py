"""What is remarked on in a source for a person to look at: ways around a ban that are known, and nothing in honest work."""

from __future__ import annotations

import pytest
from warm_grader import ROOT

from autograder.worker.analysis import analyse

WAYS = {
    "import sys": "imports sys",
    "import os.path as path": "imports os",
    "from torch import sys": "uses torch.sys",
    "import torch.multiprocessing": "uses torch.multiprocessing",
    "from os import *": "imports os",
    "from typing import sys": "imports sys",
    "import dataclasses; dataclasses.sys": "reaches sys",
    "import collections; [collections][0]._sys": "reaches _sys",
    "getattr(len, 'sys')": "reaches sys",
    "getattr(torch, 'sys')": "uses torch.sys",
    "getattr(len, name)": "getattr with a name made at run time",
    "look_up = getattr": "passes getattr on",
    "map(getattr, [], [])": "passes getattr on",
    "setattr(torch, 'equal', len)": "changes torch",
    "setattr(torch.nn.Linear, name, len)": "changes torch.nn.Linear",
    "torch.equal = len": "changes torch.equal",
    "match len:\n    case object(__globals__=names): pass": "uses __globals__",
    "import operator; operator.attrgetter('x')": "uses attrgetter",
    "from operator import methodcaller": "imports methodcaller",
    "object.__getattribute__(len, 'x')": "uses __getattribute__",
    "'{0.__globals__}'.format(len)": "names __globals__ in a text",
    "type('T', (), {'__torch_dispatch__': len})": "names __torch_dispatch__ in a text",
    "class T:\n    def __torch_function__(self): pass": "defines __torch_function__",
    "torch.Tensor._make_subclass(torch.Tensor, x)": "uses _make_subclass",
    "try:\n    pass\nexcept Exception as error:\n    error.__traceback__": "uses __traceback__",
    "locals()": "uses locals",
    "ｌｏｃａｌｓ()": "uses locals",  # Python reads a name of full-width letters as this one
    "len.__ｇｌｏｂａｌｓ__": "uses __globals__",
    "import copyreg": "imports copyreg",
    "import types; types.CodeType": "uses CodeType",
    "torch.utils._python_dispatch": "uses torch.utils._python_dispatch",
}
OUTSIDE = {
    "import numpy as np": "imports numpy",
    "from numpy import linalg": "imports numpy",
    "x.numpy()": "(numpy)",
    "torch.from_numpy(x)": "(from_numpy)",
    "x.data_ptr()": "(data_ptr)",
}
# What right solutions of this course do all the same.
KNOWN = ("uses getattr with a name made at run time", "imports inspect", "uses vars")
HONEST = sorted([*ROOT.glob("reference_solutions/*.py"), *ROOT.glob("tests/alternative_solutions/*/*.py")])


def remarks(source: str, kind: str = "flags") -> list[str]:
    return [words for _, words in analyse(source, "x.py", [])[kind]]


@pytest.mark.parametrize("source", WAYS)
def test_a_way_around_is_remarked_on(source: str) -> None:
    assert any(WAYS[source] in words for words in remarks(f"import torch\n{source}\n"))


@pytest.mark.parametrize("source", OUTSIDE)
def test_where_numbers_leave_torch_is_found(source: str) -> None:
    assert any(OUTSIDE[source] in words for words in remarks(f"import torch\n{source}\n", "outside_torch"))


def test_honest_work_is_not_remarked_on() -> None:
    assert len(HONEST) > 50
    for path in HONEST:
        assert set(remarks(path.read_text())) <= set(KNOWN), path


def test_remarks_that_are_left_out_are_counted() -> None:
    source = "import torch\n" + "".join(f"torch._x{number}\n" for number in range(50)) + "import ctypes\n"
    found = remarks(source)
    assert len(found) == 21
    assert found[-1] == "and 31 more remarks of other kinds, from this line on"
    assert remarks("import torch\n" + "torch._x\n" * 50) == ["uses torch._x"]


NATIVE = ("import ctypes", "import torch; torch.ctypes", "from ctypes import CDLL", "import numpy; numpy.ctypeslib", "import cffi")
UNCOUNTED = {
    "import gc; gc.get_objects()": "get_objects",
    "from gc import get_referrers": "get_referrers",
    "import sys; sys._getframe()": "_getframe",
    "import sys; sys.modules": "sys.modules",
    "from sys import modules": "sys.modules",
    "import inspect; inspect.currentframe()": "currentframe",
    "import autograder.worker.service": "autograder",
    "import threading": "threading",
    "class T:\n    def __torch_dispatch__(self): pass": "__torch_dispatch__",
    "torch.utils._python_dispatch": "_python_dispatch",
    "torch.Tensor.sin = len": "changes torch.Tensor.sin",
    "getattr(torch, name)": "getattr",
    "eval('1')": "eval",
    "import numpy as np\nnp.matmul(x, y)": "numpy.matmul",
    "from numpy import asarray\nasarray(x)": "numpy.asarray",
    "x.numpy()": "(numpy)",
    "if __name__ != '__main__':\n    import ctypes": "ctypes",
    "if __name__ == '__main__':\n    pass\nelse:\n    import ctypes": "ctypes",
}
COUNTED = (
    "import gc; gc.collect()",
    "import sys, os, inspect, time, tracemalloc",
    "import inspect; inspect.signature(len)",
    "import numpy as np; np.sqrt(8), np.inf, np.prod((2, 3)), np.minimum(3, 4), np.arange(0, 9, 2)",
    "getattr(self, name)",
    "self.__dict__",
    "x.tolist(), x.item()",
    "torch.backends.cuda.matmul.allow_tf32 = False",
    "if __name__ == '__main__':\n    import ctypes, threading, numpy as np\n    np.matmul(x, y)",
)


@pytest.mark.parametrize("source", NATIVE)
def test_native_code_is_found(source: str) -> None:
    assert remarks(source, "native")


@pytest.mark.parametrize("source", UNCOUNTED)
def test_what_can_change_or_escape_a_count_is_found(source: str) -> None:
    assert any(UNCOUNTED[source] in words for words in remarks(f"import torch\n{source}\n", "uncounted"))


@pytest.mark.parametrize("source", COUNTED)
def test_what_cannot_is_let_pass(source: str) -> None:
    assert not remarks(f"import torch\n{source}\n", "uncounted")
    assert not remarks(f"import torch\n{source}\n", "native")


def test_honest_work_loses_nothing_by_its_source() -> None:
    """Costs are counted in 07 and 09."""
    for path in HONEST:
        source = path.read_text()
        assert not remarks(source, "native"), path
        if {"flash_attention", "kv_cache"} & {path.stem, path.parent.name}:
            assert not remarks(source, "uncounted"), path
