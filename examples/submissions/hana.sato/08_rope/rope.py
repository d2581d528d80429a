# 佐藤 花  Homework 8
import math
import torch
from torch import nn

def rotary_frequencies(head_dim, base=10000.0):
    return base ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)

def apply_rotary(x, positions, base=10000.0, layout="interleaved", rotary_dim=None):
    n = x.shape[-1] if rotary_dim is None else rotary_dim
    angle = positions.unsqueeze(-1) * rotary_frequencies(n, base)
    dtype = torch.promote_types(x.dtype, torch.float32)
    cos, sin = angle.cos().to(dtype), angle.sin().to(dtype)
    part = x[..., :n].to(dtype)
    if layout == "half":
        a, b = part[..., :n // 2], part[..., n // 2:]
        part = torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)
    else:
        a, b = part[..., 0::2], part[..., 1::2]
        part = torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1).flatten(-2)
    return torch.cat((part.to(x.dtype), x[..., n:]), dim=-1)

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
        B, L, _ = x.shape
        if positions is None:
            positions = torch.arange(L)
        if positions.dim() == 2:
            positions = positions[:, None, :]
        q, k, v = (f(x).view(B, L, self.num_heads, self.head_dim).transpose(1, 2) for f in (self.w_q, self.w_k, self.w_v))
        q = apply_rotary(q, positions, self.base)
        k = apply_rotary(k, positions, self.base)
        scores = q @ k.transpose(2, 3) / math.sqrt(self.head_dim)
        if mask is not None:
            scores = scores.masked_fill(mask, float("-inf"))
        return self.w_o((scores.softmax(-1) @ v).transpose(1, 2).reshape(B, L, -1))
