"""Two loops, over the sequences and over the heads, on plain matrices; layers are holders of parameters only."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def affine(x: Tensor, layer: nn.Linear) -> Tensor:
    """x Wᵀ + b, without calling the layer."""
    product = x.mm(layer.weight.t())
    if layer.bias is not None:
        product = product + layer.bias
    return product


def softmax_rows(scores: Tensor, hidden: Tensor | None) -> Tensor:
    """Softmax of each row over what is visible; a row of zeros where nothing is."""
    if hidden is not None:
        scores = scores.masked_fill(hidden, torch.finfo(scores.dtype).min)
    powers = (scores - scores.amax(dim=1, keepdim=True)).exp()
    if hidden is not None:
        powers = powers.masked_fill(hidden, 0.0)
    total = powers.sum(dim=1, keepdim=True)
    return powers / torch.where(total == 0, torch.ones_like(total), total)


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model: int, num_heads: int, bias: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        if num_heads < 1 or d_model % num_heads != 0:
            raise ValueError(f"num_heads must be >= 1 and divide d_model, got d_model={d_model}, num_heads={num_heads}")
        if not 0.0 <= dropout <= 1.0:
            raise ValueError(f"dropout must be in [0, 1], got {dropout}")
        self.d_model = d_model
        self.num_heads = num_heads
        self.head_dim = d_model // num_heads
        self.w_q = nn.Linear(d_model, d_model, bias=bias)
        self.w_k = nn.Linear(d_model, d_model, bias=bias)
        self.w_v = nn.Linear(d_model, d_model, bias=bias)
        self.w_o = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        full = self._validate(query, key, value, mask)
        hidden = None if mask is None else mask.broadcast_to(full)
        outputs, all_weights = [], []
        for b in range(full[0]):
            heads, weights_of_heads = [], []
            for h in range(self.num_heads):
                of_head = slice(h * self.head_dim, (h + 1) * self.head_dim)
                q = affine(query[b], self.w_q)[:, of_head]
                k = affine(key[b], self.w_k)[:, of_head]
                v = affine(value[b], self.w_v)[:, of_head]
                weights = softmax_rows(q.mm(k.t()) / self.head_dim**0.5, None if hidden is None else hidden[b, h])
                weights_of_heads.append(weights)
                heads.append(self._drop(weights).mm(v))
            outputs.append(affine(torch.cat(heads, dim=1), self.w_o))
            all_weights.append(torch.stack(weights_of_heads))
        return torch.stack(outputs), torch.stack(all_weights)

    def _drop(self, weights: Tensor) -> Tensor:
        p = self.dropout.p
        if not self.training or p == 0:
            return weights
        if p == 1:
            return weights * 0
        return weights * torch.rand_like(weights).ge(p) / (1 - p)

    def _validate(self, query, key, value, mask):
        shapes = [tuple(x.shape) for x in (query, key, value)]
        if any(len(shape) != 3 for shape in shapes):
            raise ValueError(f"query, key, value must be 3-D, they are {shapes}")
        if any(shape[2] != self.d_model for shape in shapes):
            raise ValueError(f"query, key, value must be {self.d_model} wide, they are {shapes}")
        if not shapes[0][0] == shapes[1][0] == shapes[2][0]:
            raise ValueError(f"query, key, value must share the batch size, they are {shapes}")
        if shapes[1] != shapes[2]:
            raise ValueError(f"key and value must be of one length, they are {shapes[1:]}")
        full = (shapes[0][0], self.num_heads, shapes[0][1], shapes[1][1])
        if mask is not None:
            if mask.dtype != torch.bool or mask.dim() in (0, 1, 3) or mask.dim() > 4:
                raise ValueError(f"mask must be bool and 2-D or 4-D, it is {mask.dtype} and {mask.dim()}-D")
            if any(size != 1 and size != whole for size, whole in zip(reversed(mask.shape), reversed(full), strict=False)):
                raise ValueError(f"mask {tuple(mask.shape)} cannot broadcast to {full}")
        return full
