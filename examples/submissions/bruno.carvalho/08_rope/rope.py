# Bruno Carvalho, HW8
import torch
import torch.nn.functional as F
from torch import nn


def rotary_frequencies(head_dim, base=10000.0):
    if head_dim <= 0 or head_dim % 2:
        raise ValueError(f"head_dim={head_dim}: should be even and positive")
    return torch.tensor([base ** (-2 * i / head_dim) for i in range(head_dim // 2)], dtype=torch.float64)


def apply_rotary(x, positions, base=10000.0, layout="interleaved", rotary_dim=None):
    D = x.shape[-1]
    r = D if rotary_dim is None else rotary_dim
    if r % 2 or not 2 <= r <= D:
        raise ValueError(f"cannot rotate {r} of {D} features")
    if layout not in ("interleaved", "half"):
        raise ValueError(f"layout={layout!r}: there are only 'interleaved' and 'half'")
    t = torch.double if x.dtype == torch.double else torch.float
    ang = (positions[..., None] * rotary_frequencies(r, base)).to(torch.double)
    # duplicate the angles so that every feature finds its own
    ang = ang.repeat_interleave(2, -1) if layout == "interleaved" else torch.cat([ang, ang], -1)
    y = x[..., :r].to(t)
    if layout == "interleaved":
        partner = torch.stack([-y[..., 1::2], y[..., ::2]], -1).flatten(-2)
    else:
        partner = torch.cat([-y[..., r // 2 :], y[..., : r // 2]], -1)
    y = y * ang.cos().to(t) + partner * ang.sin().to(t)
    return torch.cat([y.to(x.dtype), x[..., r:]], -1)


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
        p = torch.arange(L) if positions is None else positions
        p = p.reshape(-1, 1, L)  # (1, 1, L) or (B, 1, L)
        q, k, v = [f(x).reshape(B, L, self.num_heads, -1).transpose(1, 2) for f in (self.w_q, self.w_k, self.w_v)]
        q = apply_rotary(q, p, self.base)
        k = apply_rotary(k, p, self.base)
        if mask is not None:
            mask = ~mask.expand(B, self.num_heads, L, L)  # here True = visible!
        y = F.scaled_dot_product_attention(q, k, v, mask)
        return self.w_o(y.transpose(1, 2).reshape(B, L, E))
