"""What a name in a source stands for, as far as the text tells."""

from __future__ import annotations

import ast


def aliases_of(tree: ast.Module) -> dict[str, str]:
    """What each imported or plainly assigned name stands for: {"F": "torch.nn.functional"}."""
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for entry in node.names:
                aliases[entry.asname or entry.name.split(".")[0]] = entry.name if entry.asname else entry.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for entry in node.names:
                aliases[entry.asname or entry.name] = f"{node.module}.{entry.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            dotted = dotted_name(node.value, aliases)
            if dotted and dotted.startswith("torch."):
                aliases.setdefault(node.targets[0].id, dotted)
    return aliases


def dotted_name(node: ast.AST, aliases: dict[str, str]) -> str | None:
    """The full name that an expression like `F.softmax` or `getattr(F, "softmax")` stands for, as far as the text tells."""
    if isinstance(node, ast.Name):
        return aliases.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = dotted_name(node.value, aliases)
        return f"{owner}.{node.attr}" if owner else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr" and len(node.args) >= 2:
        owner, attribute = dotted_name(node.args[0], aliases), node.args[1]
        if owner and isinstance(attribute, ast.Constant) and isinstance(attribute.value, str):
            return f"{owner}.{attribute.value}"
    return None
