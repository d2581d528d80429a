import torch
from torch import nn


def rotary_frequencies(head_dim, base=10000.0):
    if head_dim % 2 or head_dim < 2:
        raise ValueError("head_dim must be even, got %d" % head_dim)
    return torch.pow(base, -torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)


def apply_rotary(x, positions, base=10000.0, layout="interleaved", rotary_dim=None):
    D = x.shape[-1]
    R = D if rotary_dim is None else rotary_dim
    if R % 2 or R < 2 or R > D:
        raise ValueError("rotary_dim must be even and in [2, %d], got %d" % (D, R))
    if layout not in ("interleaved", "half"):
        raise ValueError("unknown layout: %s" % layout)
    theta = positions[..., None].to(x.dtype) * rotary_frequencies(R, base).to(x.dtype)
    c, s = torch.cos(theta), torch.sin(theta)
    u, rest = x[..., :R], x[..., R:]
    if layout == "interleaved":
        a, b = u[..., ::2], u[..., 1::2]
        u = torch.stack((a * c - b * s, b * c + a * s), -1).flatten(-2)
    else:
        a, b = u[..., : R // 2], u[..., R // 2 :]
        u = torch.cat((a * c - b * s, b * c + a * s), -1)
    return torch.cat((u, rest), -1)


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
        B, L, E = x.shape
        if positions is None:
            positions = torch.arange(L)
        positions = positions.expand(B, L)
        if mask is None:
            mask = torch.zeros(1, dtype=torch.bool)
        mask = mask.expand(B, self.num_heads, L, L)
        q, k, v = self.w_q(x), self.w_k(x), self.w_v(x)
        out = []
        for h in range(self.num_heads):
            cols = slice(h * self.head_dim, (h + 1) * self.head_dim)
            qh = apply_rotary(q[..., cols], positions, self.base)
            kh = apply_rotary(k[..., cols], positions, self.base)
            scores = qh @ kh.transpose(1, 2) / self.head_dim**0.5
            w = torch.softmax(scores.masked_fill(mask[:, h], -1e9), -1).masked_fill(mask[:, h], 0)
            out.append(w @ v[..., cols])
        return self.w_o(torch.cat(out, -1))
