"""Code of the course's own that runs where the student's module is, because it calls it too often to ask each time.

Each function takes the module first. Nothing here is secret, and what it returns is judged like any other answer.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch


def parameter_count(module: ModuleType, name: str, *args: Any, **kwargs: Any) -> int:
    """Numbers in the parameters of `module.name(*args, **kwargs)`, each shared one once, built on the meta device: nothing is allocated."""
    with torch.device("meta"):
        model = getattr(module, name)(*args, **kwargs)
    return sum(parameter.numel() for parameter in model.parameters())
