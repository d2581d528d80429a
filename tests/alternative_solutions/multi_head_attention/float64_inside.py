"""Narrower dtypes are computed in float64 and cast back at the end, the product with w_o included."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def wide_linear(x: Tensor, layer: nn.Linear) -> Tensor:
    result = x.double() @ layer.weight.double().mT
    return result if layer.bias is None else result + layer.bias.double()


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
        dims = {"query": query, "key": key, "value": value}
        for name, x in dims.items():
            if x.dim() != 3 or x.size(-1) != self.d_model:
                raise ValueError(f"{name} should be (B, length, {self.d_model}), got {tuple(x.shape)}")
        if query.size(0) != key.size(0) or query.size(0) != value.size(0):
            raise ValueError(f"batch sizes {query.size(0)}, {key.size(0)}, {value.size(0)} differ")
        if key.size(1) != value.size(1):
            raise ValueError(f"lengths {key.size(1)} and {value.size(1)} of key and value differ")
        q, k, v = (self._heads(wide_linear(x, layer)) for x, layer in ((query, self.w_q), (key, self.w_k), (value, self.w_v)))
        scores = q.matmul(k.transpose(2, 3)).div(self.head_dim**0.5)
        if mask is None:
            weights = torch.softmax(scores, dim=-1)
        else:
            visible = ~self._broadcast(mask, scores.shape)
            shifted = scores - scores.masked_fill(~visible, -1e9).amax(dim=-1, keepdim=True).detach()
            powers = torch.where(visible, torch.where(visible, shifted, 0.0).exp(), 0.0)
            weights = powers / powers.sum(dim=-1, keepdim=True).clamp(min=1e-300)
        heads = self.dropout(weights).matmul(v)
        output = wide_linear(heads.transpose(1, 2).flatten(-2), self.w_o)
        return output.to(query.dtype), weights.to(query.dtype)

    def _heads(self, x: Tensor) -> Tensor:
        return torch.stack([x[..., h * self.head_dim : (h + 1) * self.head_dim] for h in range(self.num_heads)], dim=1)

    def _broadcast(self, mask: Tensor, shape: torch.Size) -> Tensor:
        if mask.dtype != torch.bool:
            raise ValueError(f"mask has dtype {mask.dtype}, bool is needed")
        if mask.dim() != 2 and mask.dim() != 4:
            raise ValueError(f"mask has {mask.dim()} dimensions, 2 or 4 are needed")
        try:
            return mask.expand(shape)
        except RuntimeError as error:
            raise ValueError(f"mask {tuple(mask.shape)} does not broadcast to {tuple(shape)}") from error
