"""Whatever an honest submission does works inside every sandbox."""

from __future__ import annotations

import pytest
from sandboxed import LAYER_SETS, STRONG, StartWorker

from autograder.wire.codec import WireError
from autograder.worker.limits import WorkerLimits

every_layer_set = pytest.mark.parametrize("layers", LAYER_SETS)

TORCH = '''
import torch
import torch.nn.functional as F
from torch import nn

def gradients():
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad((x.sin() @ x.T).sum(), [x])
    return bool(gradient.isfinite().all()) and torch.autograd.gradcheck(lambda x: (x @ x.T).softmax(-1), (x,))

def products():
    results = [torch.ones(n, n, dtype=dtype) @ torch.ones(n, n, dtype=dtype)
               for n in (64, 256) for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16)]
    big = torch.ones(1024, 1024) @ torch.ones(1024, 1024)
    return all(float(result[0, 0]) == result.shape[0] for result in results) and float(big[0, 0]) == 1024.0

def layers():
    x = torch.randn(2, 5, 16)
    outputs = [
        F.conv1d(x, torch.randn(4, 5, 3)), F.conv2d(torch.randn(1, 3, 16, 16), torch.randn(8, 3, 3, 3)),
        F.scaled_dot_product_attention(x, x, x, is_causal=True), nn.MultiheadAttention(16, 4, batch_first=True)(x, x, x)[0],
        nn.TransformerEncoderLayer(16, 4, 32, batch_first=True).eval()(x), nn.LayerNorm(16)(x), F.gelu(x), nn.Embedding(9, 4)(torch.arange(9)),
        F.scaled_dot_product_attention(x.bfloat16(), x.bfloat16(), x.bfloat16()), nn.LSTM(16, 8, batch_first=True)(x)[0],
    ]
    return all(bool(output.isfinite().all()) for output in outputs)

def algebra():
    x = torch.randn(6, 6, dtype=torch.float64)
    u, s, v = torch.linalg.svd(x)
    torch.linalg.eigh(x @ x.T), torch.linalg.qr(x), torch.fft.rfft(x), torch.einsum("ij,kj->ik", x, x), x.sort(), x.topk(2)
    return bool((torch.linalg.solve(x, x) - torch.eye(6)).abs().max() < 1e-6 and (u * s @ v - x).abs().max() < 1e-10)

def tiled_attention(tokens):
    """Online softmax over tiles of 512 keys, the first four of them: 16,384² scores are never in memory at once."""
    query, key, value = (torch.randn(tokens, 8) for _ in range(3))
    maximum, total, output = torch.full((tokens, 1), float("-inf")), torch.zeros(tokens, 1), torch.zeros(tokens, 8)
    for start in range(0, 2048, 512):
        scores = query @ key[start:start + 512].T
        larger = torch.maximum(maximum, scores.amax(-1, keepdim=True))
        weights, old = (scores - larger).exp(), (maximum - larger).exp()
        total, output, maximum = total * old + weights.sum(-1, keepdim=True), output * old + weights @ value[start:start + 512], larger
    return bool((output / total).isfinite().all())

def naive_attention(tokens):
    scores = torch.randn(tokens, 8) @ torch.randn(8, tokens)
    return scores.shape[0]

def training():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    x = torch.randn(64, 4)
    losses = []
    for _ in range(50):
        loss = F.mse_loss(model(x), x.sum(-1, keepdim=True))
        optimizer.zero_grad(), loss.backward(), optimizer.step(), schedule.step()
        losses.append(loss.item())
    return losses[-1] < losses[0] / 2
'''

PYTHON = """
import abc, collections, contextlib, copy, csv, dataclasses, datetime, decimal, enum, fractions, functools, heapq, io, itertools
import json, logging, math, operator, os, pathlib, pickle, pprint, random, re, statistics, string, sys, tempfile, textwrap, time
import typing, unittest, urllib.parse, uuid, warnings, zlib
import jaxtyping, numpy as np
from jaxtyping import Bool, Float, Int

@dataclasses.dataclass(frozen=True)
class Settings:
    heads: int = 2

def python():
    print("a line", flush=True)
    print("another", file=sys.stderr)
    logging.getLogger().warning("a warning")
    with warnings.catch_warnings():
        warnings.warn("a warning")
    time.sleep(0)
    random.seed(0), random.random(), uuid.uuid4(), datetime.datetime.now(), os.urandom(4), sys.getrecursionlimit()
    with open(os.devnull, "w") as null, contextlib.redirect_stdout(null):
        print("silenced")
    with io.StringIO() as text, contextlib.redirect_stdout(text):
        print("kept")
        kept = text.getvalue()
    np.random.default_rng(0).standard_normal((3, 3)) @ np.ones((3, 3))
    copy.deepcopy(Settings()), pickle.loads(pickle.dumps({"a": 1})), np.linalg.svd(np.eye(3))
    return kept == "kept\\n" and Settings().heads == 2

def temporary_file():
    try:
        tempfile.TemporaryFile().close()
    except OSError:
        pass
    return True
"""


@every_layer_set
def test_torch_computes_inside_every_sandbox(start_worker: StartWorker, layers: str) -> None:
    worker = start_worker(layers)
    worker.load(TORCH)
    for name in ("gradients", "products", "layers", "algebra", "training"):
        assert worker.call(name) is True, name


@pytest.mark.parametrize("layers", STRONG)
def test_long_sequences_fit_in_tiles_and_in_no_square_matrix(start_worker: StartWorker, layers: str) -> None:
    worker = start_worker(layers, WorkerLimits(memory_bytes=512 * 2**20, cpu_seconds=60))
    worker.load(TORCH)
    assert worker.call("tiled_attention", 16_384) is True
    with pytest.raises(WireError, match=r"not enough memory|can't allocate memory"):
        worker.call("naive_attention", 16_384)


@every_layer_set
def test_the_standard_library_works_inside_every_sandbox(start_worker: StartWorker, layers: str) -> None:
    worker = start_worker(layers)
    worker.load(PYTHON)
    assert worker.call("python") is True
    assert worker.call("temporary_file") is True
