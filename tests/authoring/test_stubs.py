"""What students get is cut out of the reference at its markers."""

from __future__ import annotations

import pytest

from autograder.authoring.stubs import MarkerError, find_regions, stub_source

REFERENCE = '''"""Doc."""

import math


def double(x):
    """Twice x."""
    ### BEGIN SOLUTION
    return _helper(x)
    ### END SOLUTION


class Box:
    def __init__(self):
        self.size = 1

    def grow(self):
        ### BEGIN SOLUTION
        self.size += 1
        ### END SOLUTION
        return self

    ### BEGIN SOLUTION
    def _secret(self):
        return 42
    ### END SOLUTION


### BEGIN SOLUTION
def _helper(x):
    return 2 * x
### END SOLUTION
'''


def test_a_region_in_a_function_becomes_a_kind_error():
    stub = stub_source(REFERENCE)
    namespace = {}
    exec(stub, namespace)
    with pytest.raises(NotImplementedError, match=r"^not implemented yet: double$"):
        namespace["double"](2)
    with pytest.raises(NotImplementedError, match=r"^not implemented yet: Box.grow$"):
        namespace["Box"]().grow()


def test_helpers_of_the_reference_vanish():
    stub = stub_source(REFERENCE)
    assert "_helper" not in stub
    assert "_secret" not in stub
    assert "BEGIN SOLUTION" not in stub


def test_what_is_given_stays():
    stub = stub_source(REFERENCE)
    assert "self.size = 1" in stub
    assert '"""Twice x."""' in stub
    assert "return self" in stub


def test_regions_know_their_function():
    assert [region.function for region in find_regions(REFERENCE)] == ["double", "Box.grow", None, None]


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("def f():\n    ### BEGIN SOLUTION\n    return 1\n", 2, "without an"),
        ("def f():\n    return 1\n    ### END SOLUTION\n", 3, "without a"),
        ("def f():\n    ### BEGIN SOLUTION\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION\n", 3, "again"),
        ("def f():\n    ## begin solution\n    return 1\n    ### END SOLUTION\n", 2, "looks like a marker"),
        ("def f():\n    ### BEGIN SOLUTION\n    return 1\n### END SOLUTION\n", 4, "indented"),
        ("def f(:\n", 1, "not valid Python"),
    ],
)
def test_markers_that_do_not_pair_are_named_by_line(source, line, words):
    with pytest.raises(MarkerError, match=rf"line {line}: .*{words}"):
        stub_source(source)
