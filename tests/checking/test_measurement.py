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


MATRIX, ROW = torch.ones(30, 5), torch.ones(5)


@pytest.mark.parametrize(
    ("multiply", "flops"),
    [
        (lambda: MATRIX @ ROW, 2 * 30 * 5),
        (lambda: torch.zeros(30).addmv(MATRIX, ROW), 2 * 30 * 5),
        (lambda: torch.zeros(30).addmv_(MATRIX, ROW), 2 * 30 * 5),
        (lambda: ROW @ ROW, 2 * 5),
        (lambda: torch.vdot(ROW, ROW), 2 * 5),
        (lambda: torch.cdist(MATRIX, MATRIX[:7]), 2 * 30 * 5 * 7),
        (lambda: torch.cdist(MATRIX, MATRIX), 2 * 30 * 5 * 30),
    ],
    ids=["matrix @ row", "addmv", "addmv_", "row @ row", "vdot", "distances", "distances by products"],
)
def test_products_with_rows_and_distances_cost_too(multiply, flops):
    with watching() as cost:
        multiply()
    assert cost.flops == flops
