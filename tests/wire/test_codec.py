"""Values across the wire: what tests rely on is kept, and what a worker makes up is refused."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from autograder.wire.codec import MAX_DEPTH, MAX_NODES, MAX_TENSORS, Decoder, Encoder, WireError, decode_tensors

DTYPES = (
    *(torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.int32, torch.int16),
    *(torch.int8, torch.uint8, torch.bool),
)


def refuse(_value: Any) -> Any:
    raise WireError("not plain data")


def across(value: Any, *, keep_strides: bool = True) -> Any:
    encoder = Encoder(refuse, keep_strides=keep_strides)
    tree = json.loads(json.dumps(encoder.encode(value)))
    specs = json.loads(json.dumps(encoder.specs))
    return Decoder(decode_tensors(specs, bytearray(encoder.payload()), dense=not keep_strides), refuse).decode(tree)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and one.shape == other.shape and torch.equal(one, other)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and (one == other or one != one)


shapes = st.lists(st.integers(0, 4), max_size=4)
tensors = st.builds(lambda shape, dtype: (torch.arange(torch.Size(shape).numel()) % 2).reshape(shape).to(dtype), shapes, st.sampled_from(DTYPES))
plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.sampled_from(DTYPES) | tensors
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("tuldyhx") | st.text(max_size=2), inner, max_size=3),
    max_leaves=12,
)


@given(value=values)
def test_values_come_back_as_they_were(value: Any) -> None:
    assert same(value, across(value))
    assert same(value, across(value, keep_strides=False))


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.T,
        lambda x: x[:, ::2],
        lambda x: x[1:, 1:],
        lambda x: x[0].expand(4, 3, 6),
        lambda x: x.as_strided((2, 2), (1, 1)),
        lambda x: x.unsqueeze(1).transpose(0, 2),
    ],
)
def test_strides_are_kept(view: Any) -> None:
    tensor = view(torch.arange(24.0).reshape(4, 6))
    got = across(tensor)
    assert got.stride() == tensor.stride()
    assert torch.equal(got, tensor)


def test_one_object_stays_one_object_and_equal_objects_stay_apart() -> None:
    x, y = torch.ones(2), torch.ones(2)
    one, two, three = across((x, x, y))
    assert one is two
    assert one is not three


def test_requires_grad_is_kept() -> None:
    got = across([torch.ones(2, requires_grad=True), torch.ones(2)])
    assert [tensor.requires_grad for tensor in got] == [True, False]


def test_bits_are_kept_nan_negative_zero_and_infinities_too() -> None:
    tensor = torch.tensor([float("nan"), -0.0, float("inf"), -float("inf"), 5e-324], dtype=torch.float64)
    assert torch.equal(across(tensor).view(torch.int64), tensor.view(torch.int64))


def test_decoded_tensors_own_their_numbers() -> None:
    first, second = across([torch.zeros(3), torch.zeros(3)])
    first.fill_(7)
    assert second.sum() == 0


@pytest.mark.parametrize(
    "value",
    [torch.ones(2).to_sparse(), torch.ones(2, device="meta"), torch.ones(2, dtype=torch.complex64), object(), {1, 2}, b"bytes", lambda: 1],
    ids=["sparse", "meta", "complex", "object", "set", "bytes", "function"],
)
def test_what_is_not_plain_data_does_not_cross(value: Any) -> None:
    with pytest.raises(WireError):
        across(value)


def test_nesting_and_numbers_are_bounded_both_ways() -> None:
    deep: Any = 1
    for _ in range(MAX_DEPTH + 3):
        deep = [deep]
    with pytest.raises(WireError, match="deeply"):
        across(deep)
    tree: Any = 1
    for _ in range(MAX_DEPTH + 5):
        tree = {"l": [tree]}
    with pytest.raises(WireError, match="deeply"):
        Decoder([], refuse).decode(tree)
    with pytest.raises(WireError, match="too large"):
        Decoder([], refuse).decode({"l": [0] * (MAX_NODES + 1)})
    with pytest.raises(WireError, match="malformed"):
        decode_tensors([{}] * (MAX_TENSORS + 1), bytearray(), dense=True)


@given(tree=json_values)
def test_any_tree_is_a_value_or_a_wire_error(tree: Any) -> None:
    with contextlib.suppress(WireError):
        Decoder([torch.ones(1)], refuse).decode(tree)


def spec(**changed: Any) -> dict[str, Any]:
    return {"dtype": "float32", "shape": [2, 2], "strides": [2, 1], "offset": 0, "length": 16, "grad": False} | changed


numbers = st.integers(-(2**70), 2**70) | st.integers(-3, 20)
anything = json_values | numbers
specs = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["float32", "bool", "int64"]) | anything,
        "shape": st.lists(numbers, max_size=3) | anything,
        "strides": st.lists(numbers, max_size=3) | anything,
        "offset": anything,
        "length": anything,
        "grad": st.booleans() | anything,
    }
)


@given(described=st.lists(specs | json_values, max_size=3) | json_values, dense=st.booleans())
def test_any_description_of_tensors_is_tensors_inside_the_payload_or_a_wire_error(described: Any, dense: bool) -> None:
    payload = bytearray(64)
    try:
        made = decode_tensors(described, payload, dense=dense)
    except WireError:
        return
    for tensor in made:
        assert tensor.untyped_storage().nbytes() <= len(payload)


@pytest.mark.parametrize(
    "changed",
    [
        {"offset": 4},
        {"offset": -16},
        {"length": 12},
        {"length": 2**63},
        {"shape": [2, 3]},
        {"shape": [2**39, 2**39]},
        {"shape": [-2, -2]},
        {"shape": [2.0, 2.0]},
        {"shape": [True, 4]},
        {"strides": [0, 0], "length": 4},
        {"strides": [2]},
        {"dtype": "float128"},
        {"dtype": "complex64"},
        {"dtype": ["float32"]},
        {"offset": 2, "length": 14},
        {"shape": [0, 2**39, 2**39], "strides": [1, 1, 1], "length": 0},
    ],
)
def test_a_tensor_that_does_not_fit_its_bytes_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        decode_tensors([spec(**changed)], bytearray(16), dense=True)


def test_two_tensors_may_not_share_bytes() -> None:
    with pytest.raises(WireError, match="outside"):
        decode_tensors([spec(), spec()], bytearray(16), dense=True)


def test_few_bytes_cannot_stand_for_a_huge_tensor_in_an_answer() -> None:
    with pytest.raises(WireError):
        decode_tensors([spec(shape=[2**20, 2**20], strides=[0, 0], length=4)], bytearray(4), dense=True)


def test_bools_hold_nothing_but_zero_and_one() -> None:
    with pytest.raises(WireError, match="bool"):
        decode_tensors([spec(dtype="bool", shape=[2], strides=[1], length=2)], bytearray(b"\1\2"), dense=True)
