"""As short as it stays readable."""

import torch
from torch import nn


def rotary_frequencies(head_dim, base=10000.0):
    if head_dim < 2 or head_dim % 2:
        raise ValueError(f"{head_dim=}")
    return base ** -torch.arange(0, 1, 2 / head_dim, dtype=torch.float64)[: head_dim // 2]


def apply_rotary(x, positions, base=10000.0, layout="interleaved", rotary_dim=None):
    n = x.shape[-1] if rotary_dim is None else rotary_dim
    if layout not in ("interleaved", "half") or n > x.shape[-1]:
        raise ValueError(f"{layout=}, {rotary_dim=}, D={x.shape[-1]}")
    w = positions[..., None] * rotary_frequencies(n, base)
    dim, shape = (-1, (n // 2, 2)) if layout == "interleaved" else (-2, (2, n // 2))
    a, b = x[..., :n].unflatten(-1, shape).unbind(dim)
    y = torch.stack((a * w.cos() - b * w.sin(), b * w.cos() + a * w.sin()), dim).flatten(-2)
    return torch.cat((y.type_as(x), x[..., n:]), -1)


class RotaryMultiHeadAttention(nn.Module):
    def __init__(self, d_model: int, num_heads: int, base: float = 10000.0) -> None:
        super().__init__()
        if num_heads < 1 or d_model % num_heads != 0:
            raise ValueError(f"num_heads must be >= 1 and divide d_model, got d_model={d_model}, num_heads={num_heads}")
        if (d_model // num_heads) % 2 != 0:
            raise ValueError(f"the size of one head must be even, got {d_model} / {num_heads} = {d_model // num_heads}")
        self.d_model = d_model
        self.num_heads = num_heads
        self.head_dim = d_model // num_heads
        self.base = base
        self.w_q = nn.Linear(d_model, d_model)
        self.w_k = nn.Linear(d_model, d_model)
        self.w_v = nn.Linear(d_model, d_model)
        self.w_o = nn.Linear(d_model, d_model)

    def forward(self, x, positions=None, mask=None):
        p = torch.arange(x.shape[1]) if positions is None else positions
        q, k, v = (w(x).unflatten(2, (-1, self.head_dim)).transpose(1, 2) for w in (self.w_q, self.w_k, self.w_v))
        q, k = (apply_rotary(t, p.unsqueeze(-2), self.base) for t in (q, k))
        s = q @ k.mT * self.head_dim**-0.5
        s = s if mask is None else s.masked_fill(mask, -torch.inf)
        return self.w_o((s.softmax(-1).nan_to_num() @ v).transpose(1, 2).flatten(2))
