"""What is changed: for one node of a reference solution, the texts that take its place."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator

_BINARY: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult, ast.Mod),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.BitOr: (ast.BitAnd, ast.BitXor),
    ast.BitAnd: (ast.BitOr,),
}
_ORDERED = (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult)
_COMPARISON: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE, ast.NotEq),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE, ast.NotEq),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq, ast.LtE, ast.GtE),
    ast.NotEq: (ast.Eq, ast.Lt, ast.Gt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_SYMMETRIC = {"min", "max", "maximum", "minimum", "broadcast_shapes", "transpose", "swapaxes"}
_NAMES = {
    "float64": ("float32",),
    "float32": ("float64",),
    "bool": ("uint8",),
    "long": ("int32",),
    "zeros": ("ones",),
    "ones": ("zeros",),
    "new_zeros": ("new_ones",),
    "zeros_like": ("ones_like",),
    "ones_like": ("zeros_like",),
    "sin": ("cos",),
    "cos": ("sin",),
    "max": ("min",),
    "min": ("max",),
    "amax": ("amin",),
    "maximum": ("minimum",),
    "all": ("any",),
    "any": ("all",),
    "sum": ("mean",),
    "mean": ("sum",),
    "tril": ("triu",),
    "triu": ("tril",),
    "relu": ("gelu",),
    "gelu": ("relu",),
    "argmax": ("argmin",),
    "exp": ("sigmoid",),
    "eval": ("train",),
    "ValueError": ("TypeError",),
    "RuntimeError": ("KeyError",),
    "query": ("key",),
    "key": ("value",),
    "w_q": ("w_k",),
    "w_k": ("w_v",),
    "w_v": ("w_o",),
    "norm1": ("norm2",),
    "norm2": ("norm1",),
    "dropout1": ("dropout2",),
    "L": ("S",),
    "S": ("L",),
}


def replacements(node: ast.AST, parent: ast.AST | None) -> Iterator[str]:
    """Source texts, none of them the node's own. Of a statement they are statements on one level of indentation."""
    if isinstance(node, ast.stmt):
        yield from _statement(node)
    elif isinstance(node, ast.expr) and not isinstance(node, ast.JoinedStr):
        for changed in _expression(node, parent):
            yield ast.unparse(changed)


def _expression(node: ast.expr, parent: ast.AST | None) -> Iterator[ast.AST]:
    if _is_condition(node, parent) and not isinstance(node, ast.Compare | ast.BoolOp):
        yield node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) else ast.UnaryOp(ast.Not(), node)
    match node:
        case ast.BinOp():
            yield from (ast.BinOp(node.left, operator(), node.right) for operator in _BINARY.get(type(node.op), ()))
            if isinstance(node.op, _ORDERED):
                yield ast.BinOp(node.right, node.op, node.left)
            yield node.left
            yield node.right
        case ast.BoolOp():
            yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
            for left_out in range(len(node.values)):
                rest = [value for place, value in enumerate(node.values) if place != left_out]
                yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
        case ast.Compare():
            for place, old in enumerate(node.ops):
                for new in _COMPARISON[type(old)]:
                    yield ast.Compare(node.left, [*node.ops[:place], new(), *node.ops[place + 1 :]], node.comparators)
            if len(node.ops) > 1:
                yield ast.Compare(node.left, node.ops[:-1], node.comparators[:-1])
                yield ast.Compare(node.comparators[0], node.ops[1:], node.comparators[1:])
        case ast.UnaryOp():
            yield node.operand
        case ast.IfExp():
            yield node.body
            yield node.orelse
        case ast.Constant():
            yield from (ast.Constant(value) for value in _constants(node.value))
        case ast.Call():
            yield from _call(node)
        case ast.Subscript():
            yield from _subscript(node)
        case ast.Tuple() | ast.List() if len(node.elts) > 1 and isinstance(node.ctx, ast.Load):
            yield type(node)([node.elts[1], node.elts[0], *node.elts[2:]], ast.Load())
        case ast.Name() if isinstance(node.ctx, ast.Load) and not isinstance(parent, ast.keyword):
            yield from (ast.Name(new, ast.Load()) for new in _NAMES.get(node.id, ()))
        case ast.Attribute() if isinstance(node.ctx, ast.Load):
            yield from (ast.Attribute(node.value, new, ast.Load()) for new in _NAMES.get(node.attr, ()))
            if node.attr in ("mT", "T"):
                yield node.value


def _is_condition(node: ast.expr, parent: ast.AST | None) -> bool:
    return (isinstance(parent, ast.If | ast.IfExp | ast.While) and parent.test is node) or (
        isinstance(parent, ast.comprehension) and node in parent.ifs
    )


def _constants(value: object) -> Iterator[bool | int | float | str]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from dict.fromkeys(new for new in (value + 1, value - 1, 0) if new != value)
    elif isinstance(value, float):
        yield from dict.fromkeys(new for new in (value + 1.0, value * 2.0, 0.0) if new != value)
    elif isinstance(value, str):
        yield value + "_"


def _call(node: ast.Call) -> Iterator[ast.AST]:
    """Arguments left out or exchanged; the call left out, which gives its first argument or the object whose method it is."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
    for place in range(len(node.keywords)):
        yield ast.Call(node.func, node.args, node.keywords[:place] + node.keywords[place + 1 :])
    for place in range(len(node.args)):
        yield ast.Call(node.func, node.args[:place] + node.args[place + 1 :], node.keywords)
        if place and name not in _SYMMETRIC and not any(isinstance(argument, ast.Starred) for argument in node.args[place - 1 : place + 1]):
            exchanged = [*node.args[: place - 1], node.args[place], node.args[place - 1], *node.args[place + 1 :]]
            yield ast.Call(node.func, exchanged, node.keywords)
    if node.args and not isinstance(node.args[0], ast.Starred):
        yield node.args[0]
    if isinstance(node.func, ast.Attribute):
        yield node.func.value
        if node.func.attr.endswith("_") and not node.func.attr.startswith("_"):
            yield ast.Call(ast.Attribute(node.func.value, node.func.attr.rstrip("_"), ast.Load()), node.args, node.keywords)


def _subscript(node: ast.Subscript) -> Iterator[ast.AST]:
    """Each bound of each slice left out, and moved by one."""
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    for place, part in enumerate(parts):
        if isinstance(part, ast.Slice):
            for bound in ("lower", "upper", "step"):
                for new in _bounds(getattr(part, bound)):
                    changed = copy.copy(part)
                    setattr(changed, bound, new)
                    whole = [*parts[:place], changed, *parts[place + 1 :]]
                    yield ast.Subscript(node.value, ast.Tuple(whole, ast.Load()) if isinstance(node.slice, ast.Tuple) else changed, node.ctx)
    if isinstance(node.ctx, ast.Load):
        yield node.value


def _bounds(bound: ast.expr | None) -> Iterator[ast.expr | None]:
    if bound is None:
        return
    yield None
    if not isinstance(bound, ast.Constant | ast.UnaryOp):
        yield ast.BinOp(bound, ast.Add(), ast.Constant(1))
        yield ast.BinOp(bound, ast.Sub(), ast.Constant(1))


def _statement(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.If():
            yield _block(node.orelse)
            yield _block(node.body)
            if isinstance(node.test, ast.BoolOp) or (isinstance(node.test, ast.Compare) and len(node.test.ops) > 1):
                yield ast.unparse(ast.If(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse))
        case ast.For():
            yield "pass"
            yield _block([ast.For(node.target, node.iter, [*node.body, ast.Break()], node.orelse, lineno=1)])
        case ast.With():
            yield _block(node.body)
        case ast.Try():
            yield _block([*node.body, *node.finalbody])
            if node.finalbody and not node.handlers:
                yield _block(node.body)
        case ast.Return():
            if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
                yield "return None"
                if isinstance(node.value, ast.Tuple) and not any(isinstance(element, ast.Starred) for element in node.value.elts):
                    yield from (f"return {ast.unparse(element)}" for element in node.value.elts)
        case ast.Continue():
            yield "break"
            yield "pass"
        case ast.Break():
            yield "continue"
            yield "pass"
        case ast.AugAssign():
            yield "pass"
            yield from (ast.unparse(ast.AugAssign(node.target, new(), node.value)) for new in _BINARY.get(type(node.op), ()))
        case ast.Assign() | ast.AnnAssign() | ast.Expr() | ast.Raise() | ast.Delete() if not is_docstring(node):
            yield "pass"


def _block(body: list[ast.stmt]) -> str:
    return "\n".join(ast.unparse(statement) for statement in body) or "pass"


def is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
