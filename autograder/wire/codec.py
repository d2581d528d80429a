"""Values as a JSON tree and raw tensor bytes, and back.

Encoding keeps what a test may rely on: strides (also 0), which arguments are the same object, `requires_grad`, None,
tuples apart from lists. Decoding trusts nothing: every size is checked against the bytes at hand before a tensor is made.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

MAX_DEPTH = 12
MAX_NODES = 50_000
MAX_TENSORS = 4_096
MAX_EMPTY_NUMEL = 2**20
ALIGNMENT = 64

_DTYPES: dict[str, torch.dtype] = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float64,
        torch.float32,
        torch.bfloat16,
        torch.float16,
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint8,
        torch.bool,
    )
}
_DTYPE_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_ITEM_SIZE = {name: dtype.itemsize for name, dtype in _DTYPES.items()}


class WireError(Exception):
    """A message that breaks the wire's rules."""


@dataclass
class Encoder:
    """Builds one message. `encode_object` turns anything that is not data into a JSON node, or raises WireError."""

    encode_object: Callable[[Any], dict[str, Any]]
    keep_strides: bool = True
    tensors: list[Tensor] = field(default_factory=list)
    specs: list[dict[str, Any]] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)
    payload_bytes: int = 0
    _index: dict[int, int] = field(default_factory=dict)

    def encode(self, value: Any, depth: int = 0) -> Any:
        if value is None or type(value) in (bool, int, float, str):
            return value
        if depth > MAX_DEPTH:
            raise WireError("a value is nested too deeply")
        if isinstance(value, Tensor):
            return {"t": self._tensor(value)}
        if isinstance(value, tuple):
            return {"u": [self.encode(item, depth + 1) for item in value]}
        if isinstance(value, list):
            return {"l": [self.encode(item, depth + 1) for item in value]}
        if isinstance(value, dict):
            return {"d": [[self.encode(key, depth + 1), self.encode(item, depth + 1)] for key, item in value.items()]}
        if isinstance(value, torch.dtype):
            if value not in _DTYPE_NAMES:
                raise WireError(f"dtype {value} does not cross the wire")
            return {"y": _DTYPE_NAMES[value]}
        if isinstance(value, bool | int | float | str):  # subclasses travel as what they are
            for plain in (bool, int, float, str):
                if isinstance(value, plain):
                    return plain(value)
        return self.encode_object(value)

    def _tensor(self, tensor: Tensor) -> int:
        known = self._index.get(id(tensor))
        if known is not None:
            return known
        name = _DTYPE_NAMES.get(tensor.dtype)
        if name is None:
            raise WireError(f"a tensor of {tensor.dtype} does not cross the wire")
        if tensor.layout != torch.strided or tensor.device.type != "cpu":
            raise WireError(f"a {tensor.device.type} tensor with layout {tensor.layout} does not cross the wire")
        if len(self.specs) >= MAX_TENSORS:
            raise WireError(f"more than {MAX_TENSORS} tensors in one message")
        plain = tensor.detach()
        if not self.keep_strides or plain.is_neg() or plain.is_conj():
            plain = plain.contiguous()
        shape = list(plain.shape)
        strides = list(plain.stride())
        length = _span(shape, strides) * _ITEM_SIZE[name]
        data = ctypes.string_at(plain.data_ptr(), length) if length else b""
        gap = -self.payload_bytes % ALIGNMENT
        if gap:
            self.chunks.append(bytes(gap))
        self.specs.append(
            {
                "dtype": name,
                "shape": shape,
                "strides": strides,
                "offset": self.payload_bytes + gap,
                "length": length,
                "grad": tensor.requires_grad,
            }
        )
        self.chunks.append(data)
        self.payload_bytes += gap + length
        self.tensors.append(tensor)
        self._index[id(tensor)] = len(self.specs) - 1
        return len(self.specs) - 1

    def payload(self) -> bytes:
        return self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)


def decode_tensors(specs: Any, payload: bytearray, *, dense: bool) -> list[Tensor]:
    """Tensors over the bytes of `payload`; each keeps it alive and owns its own part of it.

    With `dense`, every tensor must be contiguous: a stride of 0 would let a few bytes stand for a tensor of any size.
    """
    if not isinstance(specs, list) or len(specs) > MAX_TENSORS:
        raise WireError("the list of tensors is malformed")
    taken = 0
    tensors = []
    for spec in specs:
        tensor, taken = _decode_tensor(spec, payload, taken, dense)
        tensors.append(tensor)
    return tensors


def _decode_tensor(spec: Any, payload: bytearray, taken: int, dense: bool) -> tuple[Tensor, int]:
    if not isinstance(spec, dict):
        raise WireError("a tensor's description is malformed")
    name, shape, strides = spec.get("dtype"), _sizes(spec.get("shape")), _sizes(spec.get("strides"))
    offset, length = spec.get("offset"), spec.get("length")
    if not isinstance(name, str) or name not in _DTYPES:
        raise WireError("a tensor has an unknown dtype")
    if shape is None or strides is None or len(shape) != len(strides):
        raise WireError("a tensor has a malformed shape")
    if type(offset) is not int or type(length) is not int or offset < taken or length < 0 or offset + length > len(payload):
        raise WireError("a tensor lies outside its message")
    item_size = _ITEM_SIZE[name]
    numel = math.prod(shape)
    if dense and numel * item_size != length:
        raise WireError("a tensor's shape does not fit its bytes")
    elements = _span(shape, strides)
    if elements * item_size != length or offset % item_size:
        raise WireError("a tensor's shape does not fit its bytes")
    dtype = _DTYPES[name]
    if numel == 0:
        # A sum over the empty dimension makes a tensor of all the others.
        if math.prod(size or 1 for size in shape) > MAX_EMPTY_NUMEL:
            raise WireError("an empty tensor has an absurd shape")
        return torch.empty(shape, dtype=dtype), offset
    if dtype == torch.bool and payload[offset : offset + length].strip(b"\0\1"):
        raise WireError("a bool tensor holds bytes other than 0 and 1")
    flat = torch.frombuffer(payload, dtype=dtype, count=elements, offset=offset)
    tensor = flat.view(shape) if dense else flat.as_strided(shape, strides)
    if spec.get("grad") is True and dtype.is_floating_point:
        tensor = tensor.requires_grad_()
    return tensor, offset + length


def _sizes(value: Any) -> list[int] | None:
    if not isinstance(value, list) or len(value) > 16:
        return None
    for size in value:  # a loop, here and below: it takes half as long as all() or sum() over so few
        if type(size) is not int or not 0 <= size < 2**40:
            return None
    return value


def _span(shape: list[int], strides: list[int]) -> int:
    """Elements of storage from a tensor's first to its last, both included."""
    if 0 in shape:
        return 0
    elements = 1
    for size, stride in zip(shape, strides, strict=True):
        elements += (size - 1) * stride
    return elements


@dataclass
class Decoder:
    """Reads one message's trees. `decode_object` turns a node that is not data into an object, or raises WireError."""

    tensors: list[Tensor]
    decode_object: Callable[[dict[str, Any]], Any]
    nodes: int = 0

    def decode(self, node: Any, depth: int = 0) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH + 2:
            raise WireError("a message is too large or nested too deeply")
        if node is None or type(node) in (bool, int, float, str):
            return node
        if not isinstance(node, dict) or not node:
            raise WireError("a message holds a malformed value")
        kind = next(iter(node))
        content = node[kind]
        if kind == "t":
            if type(content) is not int or not 0 <= content < len(self.tensors):
                raise WireError("a message names a tensor that it does not carry")
            return self.tensors[content]
        if kind in ("u", "l") and isinstance(content, list):
            items = [self.decode(item, depth + 1) for item in content]
            return tuple(items) if kind == "u" else items
        if kind == "d" and isinstance(content, list):
            return self._dict(content, depth)
        if kind == "y" and isinstance(content, str) and content in _DTYPES:
            return _DTYPES[content]
        return self.decode_object(node)

    def _dict(self, pairs: list[Any], depth: int) -> dict[Any, Any]:
        result = {}
        for pair in pairs:
            if not isinstance(pair, list) or len(pair) != 2:
                raise WireError("a message holds a malformed mapping")
            key = self.decode(pair[0], depth + 1)
            if type(key) not in (str, int, bool):
                raise WireError("a mapping's key is not a plain value")
            result[key] = self.decode(pair[1], depth + 1)
        return result
