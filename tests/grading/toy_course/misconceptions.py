"""What students get wrong about the toy assignment."""

from __future__ import annotations

from autograder.misconceptions.bank import Misconception

MISCONCEPTIONS = (
    Misconception("doubles", "You multiply by two; to halve is to divide by it.", (("return x / 2", "return x * 2"),)),
    Misconception("rounds-down", "You divide without a remainder: // rounds down.", (("return x / 2", "return x // 2"),)),
    Misconception("in-place", "You change your input: x /= 2 writes into the caller's tensor.", (("return x / 2", "x /= 2\n    return x"),)),
    Misconception("integers-halved", "You do not look at the dtype.", (("if not x.is_floating_point():", "if False:"),)),
    Misconception("adds-weight", "You add the weight; it is a factor.", (("x * self.weight", "x + self.weight"),)),
    Misconception("detached-weight", "You detach the weight.", (("x * self.weight", "x * self.weight.detach()"),)),
    Misconception(
        "dropout-always-on",
        "You drop in eval mode, too.",
        (("self.dropout(x * self.weight)", "nn.functional.dropout(x * self.weight, self.dropout.p)"),),
    ),
)
