"""The encoder-decoder as plain formulas over a state dict: what the hidden tests of 06 compare with."""

from __future__ import annotations

import math

import torch
from torch import Tensor

Weights = dict[str, Tensor]
EPS = 1e-5


def positions(length: int, d_model: int) -> Tensor:
    """(length, d_model), one number at a time."""
    table = torch.zeros(length, d_model, dtype=torch.float64)
    for position in range(length):
        for column in range(d_model):
            angle = position * 10000.0 ** (-(column - column % 2) / d_model)
            table[position, column] = math.cos(angle) if column % 2 else math.sin(angle)
    return table


def embed(table: Tensor, ids: Tensor) -> Tensor:
    """What enters the first layer, (B, L, E)."""
    return table[ids] * math.sqrt(table.size(1)) + positions(ids.size(1), table.size(1))


def encode(weights: Weights, src: Tensor, num_heads: int, pad_id: int) -> Tensor:
    """Memory (B, S, E)."""
    return encode_embedded(weights, embed(weights["src_embedding.weight"], src), src == pad_id, num_heads)


def encode_embedded(weights: Weights, x: Tensor, padding: Tensor, num_heads: int) -> Tensor:
    """The encoder layers alone, on x (B, S, E)."""
    hidden = padding.unsqueeze(1).expand(-1, x.size(1), -1)  # (B, S, S)
    for layer in range(_layers(weights, "encoder_layers")):
        prefix = f"encoder_layers.{layer}."
        x = _norm(weights, prefix + "norm1.", x + _attend(weights, prefix + "self_attn.", x, x, hidden, num_heads))
        x = _norm(weights, prefix + "norm2.", x + _feed_forward(weights, prefix, x))
    return x


def decode(weights: Weights, tgt: Tensor, memory: Tensor, memory_hidden: Tensor | None, num_heads: int, pad_id: int) -> Tensor:
    """Logits (B, L, V). memory_hidden: (B, S) bool or None."""
    return decode_embedded(weights, embed(weights["tgt_embedding.weight"], tgt), tgt == pad_id, memory, memory_hidden, num_heads)


def decode_embedded(weights: Weights, x: Tensor, padding: Tensor, memory: Tensor, memory_hidden: Tensor | None, num_heads: int) -> Tensor:
    """The decoder layers and the output matrix, on x (B, L, E)."""
    L = x.size(1)
    future = torch.tensor([[j > i for j in range(L)] for i in range(L)])
    hidden = future | padding.unsqueeze(1)  # (B, L, L)
    beyond = torch.zeros(x.size(0), L, memory.size(1), dtype=torch.bool)
    if memory_hidden is not None:
        beyond = beyond | memory_hidden.unsqueeze(1)
    for layer in range(_layers(weights, "decoder_layers")):
        prefix = f"decoder_layers.{layer}."
        x = _norm(weights, prefix + "norm1.", x + _attend(weights, prefix + "self_attn.", x, x, hidden, num_heads))
        x = _norm(weights, prefix + "norm2.", x + _attend(weights, prefix + "multihead_attn.", x, memory, beyond, num_heads))
        x = _norm(weights, prefix + "norm3.", x + _feed_forward(weights, prefix, x))
    return x @ weights["output.weight"].T


def forward(weights: Weights, src: Tensor, tgt: Tensor, num_heads: int, pad_id: int) -> Tensor:
    return decode(weights, tgt, encode(weights, src, num_heads, pad_id), src == pad_id, num_heads, pad_id)


def smoothed_loss(logits: Tensor, targets: Tensor, smoothing: float, pad_id: int) -> float:
    """The closed form, target by target."""
    V = logits.size(-1)
    losses = []
    for row, target in zip(logits.detach().double().reshape(-1, V).tolist(), targets.reshape(-1).tolist(), strict=True):
        if target == pad_id:
            continue
        highest = max(row)
        log_total = highest + math.log(sum(math.exp(value - highest) for value in row))
        q = [(1.0 - smoothing) * (k == target) + smoothing / V for k in range(V)]
        losses.append(-sum(share * (value - log_total) for share, value in zip(q, row, strict=True)))
    return sum(losses) / len(losses) if losses else 0.0


def _layers(weights: Weights, name: str) -> int:
    return len({key.split(".")[1] for key in weights if key.startswith(name + ".")})


def _attend(weights: Weights, prefix: str, x: Tensor, source: Tensor, hidden: Tensor, num_heads: int) -> Tensor:
    """A query without keys gets zero heads, so the bias of the output projection."""
    E = x.size(-1)
    D = E // num_heads
    w, b = weights[prefix + "in_proj_weight"], weights[prefix + "in_proj_bias"]
    query, key, value = (y @ w[i * E : (i + 1) * E].T + b[i * E : (i + 1) * E] for i, y in enumerate((x, source, source)))
    heads = []
    for h in range(num_heads):
        part = slice(h * D, (h + 1) * D)
        scores = query[..., part] @ key[..., part].transpose(1, 2) / math.sqrt(D)  # (B, L, S)
        powers = torch.exp(scores - scores.amax(-1, keepdim=True)) * ~hidden
        total = powers.sum(-1, keepdim=True)
        shares = torch.where(total > 0, powers / total.clamp(min=1e-300), torch.zeros_like(powers))
        heads.append(shares @ value[..., part])
    return torch.cat(heads, dim=-1) @ weights[prefix + "out_proj.weight"].T + weights[prefix + "out_proj.bias"]


def _feed_forward(weights: Weights, prefix: str, x: Tensor) -> Tensor:
    inner = (x @ weights[prefix + "linear1.weight"].T + weights[prefix + "linear1.bias"]).clamp(min=0)
    return inner @ weights[prefix + "linear2.weight"].T + weights[prefix + "linear2.bias"]


def _norm(weights: Weights, prefix: str, x: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + EPS).sqrt() * weights[prefix + "weight"] + weights[prefix + "bias"]
