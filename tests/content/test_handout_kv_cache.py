"""Every number and formula of the handout of 07_kv_cache, computed again."""

from __future__ import annotations

import inspect
import math
import re
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from autograder.authoring.figures.kv_cache import draw, seen_by_chunk
from autograder.authoring.notebooks import split_handout
from autograder.checking.measurement import watching
from autograder.checking.submission import load_module

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "assignments" / "07_kv_cache"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
SECTIONS = split_handout(README)[1]
TOKENS = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]], dtype=torch.float64)


@pytest.fixture(scope="module")
def reference():
    return load_module(REPOSITORY / "reference_solutions" / "kv_cache.py")


def tables(section):
    """The Markdown tables of a section, each a list of rows of cells, the line under the head left out."""
    blocks = re.findall(r"(?:^\|.*\n)+", SECTIONS[section] + "\n", re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|\n").split("|")] for line in block.splitlines() if not re.fullmatch(r"[|\- ]+", line)]
        for block in blocks
    ]


def numbers(cells):
    return torch.tensor([float(cell) for cell in cells], dtype=torch.float64)


def identity_attention(reference):
    attention = reference.CachedSelfAttention(2, 1).double()
    for layer in (attention.w_q, attention.w_k, attention.w_v, attention.w_o):
        torch.nn.init.eye_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    return attention


def test_worked_cache(reference):
    _, *rows = tables("A worked example")[0]
    cache = reference.KVCache(1, 1, 4, 2)
    assert len(rows) == 5
    for call, stored, length in rows:
        name, arguments = re.fullmatch(r"(\w+)\((.*)\)", call).groups()
        letters = re.findall(r"\b[a-g]\b", stored)
        if name == "truncate":
            cache.truncate(int(arguments))
        else:
            key = torch.tensor([float(ord(letter)) for letter in arguments.split(", ")]).view(1, 1, -1, 1).expand(1, 1, -1, 2)
            if "ValueError" in stored:
                with pytest.raises(ValueError, match="do not fit"):
                    cache.update(key, -key)
            else:
                keys, values = cache.update(key, -key)
                assert [chr(int(value)) for value in keys[0, 0, :, 0]] == letters
                assert torch.equal(values, -keys)
        assert cache.length == int(length) == len(letters)


def test_worked_weights():
    _, *rows = tables("A worked example")[1]
    x = TOKENS[0]
    for query in (1, 2):
        scores, weights = (next(row for row in rows if row[0] == f"{kind} of query {query}")[1:] for kind in ("scores", "weights"))
        expected = x[query] @ x[: query + 1].T / math.sqrt(2)
        assert [cell == "hidden" for cell in scores] == [key > query for key in range(3)]
        assert torch.equal(expected.round(decimals=4), numbers(scores[: query + 1]))
        assert torch.equal(expected.softmax(dim=-1).round(decimals=4), numbers(weights[: query + 1]))
        assert not numbers(weights[query + 1 :]).any()


def test_worked_outputs(reference):
    outputs = torch.stack([numbers(row[1:]) for row in tables("A worked example")[2] if row[0]])
    attention = identity_attention(reference)
    for chunks in ([2, 1], [3], [1, 1, 1]):
        cache = reference.KVCache(1, 1, 3, 2, dtype=torch.float64)
        found = torch.cat([attention(chunk, cache) for chunk in TOKENS.split(chunks, dim=1)], dim=1)[0]
        torch.testing.assert_close(found, outputs, rtol=0, atol=5e-5)
    (wrong,) = [numbers(row[1:]) for row in tables("A worked example")[3] if row[0]]
    top_left = torch.nn.functional.scaled_dot_product_attention(TOKENS[:, 2:], TOKENS, TOKENS, is_causal=True)
    assert torch.equal(top_left[0, 0], wrong)


def test_worked_generation(reference):
    _, *calls, total = tables("A worked example")[4]
    model = reference.CachedCausalLM(7, 4, 2, 5, 1, 7)
    fed = {True: [], False: []}
    for use_cache in (True, False):
        hook = model.register_forward_pre_hook(lambda _, arguments, fed=fed[use_cache]: fed.append(arguments[0].size(1)))
        reference.generate(model, torch.tensor([[1, 2, 3, 4]]), 3, use_cache=use_cache)
        hook.remove()
    assert [int(row[1]) for row in calls] == fed[True]
    assert [int(row[3]) for row in calls] == fed[False]
    assert [int(total[1]), int(total[3])] == [sum(fed[True]), sum(fed[False])] == [4 + (3 - 1), 3 * 4 + 3 * (3 - 1) // 2]
    positions = [tuple(int(number) for number in re.findall(r"\d+", row[2])) for row in calls]
    ends = torch.tensor(fed[True]).cumsum(0).tolist()
    assert [(span[0], span[-1]) for span in positions] == [(end - size, end - 1) for end, size in zip(ends, fed[True], strict=True)]


def test_formula_of_the_mask(reference):
    """The handout's and the docstring's rule, against what the reference's queries depend on."""
    assert r"j \le i + S - L = i + M" in SECTIONS["The maths"]
    assert "all M stored positions and the chunk's positions j <= i" in inspect.getdoc(reference.CachedSelfAttention.forward)
    for stored, length in ((4, 3), (0, 4), (5, 1), (3, 3)):
        seen = seen_by_chunk(reference, stored, length)
        assert seen.tolist() == [[j <= i + stored for j in range(stored + length)] for i in range(length)]


def test_formulas_of_cost_and_memory(reference):
    maths = SECTIONS["The maths"]
    assert r"L\,(8E^2 + 4E \cdot d_{ff}) + 4\,L\,S\,E" in maths
    assert r"2\,L\,E\,V" in maths
    assert r"2 \cdot layers \cdot B \cdot H \cdot max\_len \cdot D" in maths
    E, H, d_ff, V, layers, max_len = 8, 2, 12, 11, 3, 9
    model = reference.CachedCausalLM(V, E, H, d_ff, layers, max_len)
    caches = model.new_caches(1)
    assert sum(cache.keys.numel() + cache.values.numel() for cache in caches) == 2 * layers * 1 * H * max_len * (E // H)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        for L, S in ((4, 4), (1, 5), (3, 8)):
            with watching() as cost:
                model(torch.zeros(1, L, dtype=torch.long), caches)
            assert cost.flops == layers * (L * (8 * E**2 + 4 * E * d_ff) + 4 * L * S * E) + 2 * L * E * V


def test_formula_of_the_logits(reference):
    assert "norm(x) @ embedding.weight^T" in inspect.getdoc(reference.CachedCausalLM.forward)
    model = reference.CachedCausalLM(7, 4, 2, 5, 2, 6).double()
    token_ids, caches = torch.tensor([[3, 1, 4, 1, 5]]), model.new_caches(1)
    model(token_ids[:, :2], caches)
    x = model.embedding(token_ids) + model.position_embedding.weight[:5]
    for block in model.blocks:
        x = x + block.attention(block.norm1(x))
        x = x + block.linear2(torch.nn.functional.gelu(block.linear1(block.norm2(x))))
    torch.testing.assert_close(model(token_ids[:, 2:], caches), (model.norm(x) @ model.embedding.weight.T)[:, 2:])


def test_code_of_the_check(reference):
    (code,) = re.findall(r"`(\(model\(ids\).*?\.max\(\))`", SECTIONS["How to check your work"])
    model = reference.CachedCausalLM(7, 4, 2, 5, 2, 9).double()
    ids = torch.arange(9).remainder(7).expand(2, 9)
    assert eval(code, {"model": model, "ids": ids, "caches": model.new_caches(2), "torch": torch}) < 1e-12


def test_points_add_up():
    _, *groups = tables("What the points are for")[0]
    assert sum(float(points) for points, _ in groups) == 20


def test_drawing_code_runs(reference, monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    (code,) = re.findall(r"^```python\n(.*?)^```", SECTIONS["Draw it"], re.MULTILINE | re.DOTALL)
    names = {"CachedCausalLM": reference.CachedCausalLM, "torch": torch}
    exec(code, names)
    matplotlib.pyplot.close("all")
    assert names["cost"]["with caches"][-1] * 20 < names["cost"]["without caches"][-1]


def test_figures_are_those_of_the_reference(reference, tmp_path):
    for path in draw(tmp_path, reference):
        assert path.read_bytes() == (FOLDER / "figures" / path.name).read_bytes(), f"{path.name} is out of step: draw the figures again"
        assert f"](figures/{path.name})" in README
        assert path.stat().st_size < 100_000
