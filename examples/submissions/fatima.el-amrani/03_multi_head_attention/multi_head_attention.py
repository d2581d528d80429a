import math

import torch
from torch import nn


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

    def forward(self, query, key, value, mask=None):
        for x in (query, key, value):
            if x.dim() != 3 or x.size(-1) != self.d_model:
                raise ValueError(f"expected (B, length, {self.d_model}), got {tuple(x.shape)}")
        if not query.size(0) == key.size(0) == value.size(0):
            raise ValueError("the batches differ")
        if key.size(1) != value.size(1):
            raise ValueError("key and value differ in length")
        b, l, s, h = query.size(0), query.size(1), key.size(1), self.num_heads

        # heads into the batch, so that bmm does them all at once
        q = self.w_q(query).view(b, l, h, -1).transpose(1, 2).reshape(b * h, l, -1)
        k = self.w_k(key).view(b, s, h, -1).transpose(1, 2).reshape(b * h, s, -1)
        v = self.w_v(value).view(b, s, h, -1).transpose(1, 2).reshape(b * h, s, -1)
        scores = torch.bmm(q, k.transpose(1, 2)).div(math.sqrt(self.head_dim)).view(b, h, l, s)
        if mask is not None:
            if mask.dtype != torch.bool or mask.dim() == 3 or mask.dim() < 2 or mask.dim() > 4:
                raise ValueError(f"expected a 2-D or 4-D bool mask, got {mask.dtype} {tuple(mask.shape)}")
            try:
                mask = mask.expand(b, h, l, s)
            except RuntimeError:
                raise ValueError(f"mask {tuple(mask.shape)} does not fit {(b, h, l, s)}") from None
            scores = scores.masked_fill(mask, -math.inf)
        weights = scores.softmax(dim=-1)
        if mask is not None:
            weights = weights.masked_fill(mask, 0.0)
        out = torch.bmm(self.dropout(weights).view(b * h, l, s), v)
        out = out.view(b, h, l, -1).transpose(1, 2).reshape(b, l, -1)
        return self.w_o(out), weights
