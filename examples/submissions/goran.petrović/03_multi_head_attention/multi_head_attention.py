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
        if query.ndim != 3 or key.ndim != 3 or value.ndim != 3:
            raise ValueError("expected 3-D inputs")
        if {query.shape[2], key.shape[2], value.shape[2]} != {self.d_model}:
            raise ValueError(f"expected a width of {self.d_model}")
        if key.shape[:2] != value.shape[:2] or query.shape[0] != key.shape[0]:
            raise ValueError(f"{query.shape}, {key.shape}, {value.shape}")
        batch = query.shape[0]
        shape = (batch, -1, self.num_heads, self.head_dim)
        q = self.w_q(query).reshape(shape).permute(0, 2, 1, 3)
        k = self.w_k(key).reshape(shape).permute(0, 2, 1, 3)
        v = self.w_v(value).reshape(shape).permute(0, 2, 1, 3)
        logits = torch.matmul(q, k.permute(0, 1, 3, 2)) / self.head_dim**0.5
        if mask is None:
            weights = logits.softmax(-1)
        else:
            if mask.dtype != torch.bool or mask.ndim not in (2, 4):
                raise ValueError(f"mask: {mask.dtype} {mask.shape}")
            try:
                visible = mask.expand(logits.shape)
            except RuntimeError:
                raise ValueError(f"mask: {mask.shape}, scores: {logits.shape}")
            # mask is True where attention is allowed
            logits = logits.masked_fill(~visible, float("-inf"))
            weights = logits.softmax(-1)
            weights = weights.masked_fill((~visible).all(-1, keepdim=True), 0.0)
        context = torch.matmul(self.dropout(weights), v).permute(0, 2, 1, 3).reshape(batch, -1, self.d_model)
        return self.w_o(context), weights
