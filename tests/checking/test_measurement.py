"""What is counted of a call's cost."""

from __future__ import annotations

import pytest
import torch

from autograder.checking.measurement import watching

ONE, OTHER = torch.ones(2, 3, 4), torch.ones(2, 4, 5)
PRODUCT = 2 * 2 * 3 * 4 * 5


@pytest.mark.parametrize(
    "multiply",
    [
        lambda: ONE @ OTHER,
        lambda: torch.einsum("bij,bjk->bik", ONE, OTHER),
        lambda: torch.bmm(ONE, OTHER, out=torch.empty(2, 3, 5)),
        lambda: torch.baddbmm(torch.zeros(2, 3, 5), ONE, OTHER),
        lambda: torch.zeros(2, 3, 5).baddbmm_(ONE, OTHER),
        lambda: [total.addmm_(one, other) for total, one, other in zip(torch.zeros(2, 3, 5), ONE, OTHER, strict=True)],
    ],
    ids=["@", "einsum", "out", "baddbmm", "baddbmm_", "addmm_"],
)
def test_a_product_costs_the_same_however_it_is_written(multiply):
    with watching() as cost:
        multiply()
    assert cost.flops == PRODUCT
