# Bruno Carvalho, HW5
import math

import torch
import torch.nn.functional as F
from torch import nn


def attention(m, x, y, hide):
    """m only lends its weights. x asks, y answers. hide: True = hidden"""
    B, L, E = x.shape
    H = m.num_heads
    wq, wk, wv = m.in_proj_weight.chunk(3)
    bq, bk, bv = m.in_proj_bias.chunk(3)
    q = F.linear(x, wq, bq).view(B, L, H, E // H).transpose(1, 2)
    k = F.linear(y, wk, bk).view(B, -1, H, E // H).transpose(1, 2)
    v = F.linear(y, wv, bv).view(B, -1, H, E // H).transpose(1, 2)
    s = q @ k.transpose(-1, -2) / math.sqrt(E // H)
    if hide is not None:
        s = s.masked_fill(hide, -math.inf)
    w = s.softmax(-1)
    if hide is not None:
        w = w.masked_fill(hide.all(-1, keepdim=True), 0.0)  # nothing to see
    return m.out_proj((w @ v).transpose(1, 2).reshape(B, L, E))


class DecoderBlock(nn.Module):
    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        activation: str = "relu",
        dropout: float = 0.0,
        norm_first: bool = False,
        cross_attention: bool = True,
    ) -> None:
        super().__init__()
        if num_heads < 1 or d_model % num_heads != 0:
            raise ValueError(f"num_heads must be >= 1 and divide d_model, got d_model={d_model}, num_heads={num_heads}")
        if activation not in ("relu", "gelu"):
            raise ValueError(f'activation must be "relu" or "gelu", got {activation!r}')
        if not 0.0 <= dropout <= 1.0:
            raise ValueError(f"dropout must be in [0, 1], got {dropout}")
        self.activation = activation
        self.norm_first = norm_first
        self.self_attention = nn.MultiheadAttention(d_model, num_heads, batch_first=True)
        self.norm1 = nn.LayerNorm(d_model)
        self.cross_attention = nn.MultiheadAttention(d_model, num_heads, batch_first=True) if cross_attention else None
        if cross_attention:
            self.norm2 = nn.LayerNorm(d_model)
        self.linear1 = nn.Linear(d_model, d_ff)
        self.linear2 = nn.Linear(d_ff, d_model)
        self.norm3 = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, memory=None, padding_mask=None, memory_padding_mask=None):
        if (memory is None) != (self.cross_attention is None):
            got = "no memory" if memory is None else f"memory {tuple(memory.shape)}"
            raise ValueError(f"{got}, but cross_attention is {self.cross_attention}")
        if padding_mask is not None and padding_mask.shape != x.shape[:2]:
            raise ValueError(f"padding_mask {tuple(padding_mask.shape)}, x {tuple(x.shape)}")
        if memory_padding_mask is not None and memory is None:
            raise ValueError(f"memory_padding_mask {tuple(memory_padding_mask.shape)} but memory is None")
        if memory_padding_mask is not None and memory_padding_mask.shape != memory.shape[:2]:
            raise ValueError(f"memory_padding_mask {tuple(memory_padding_mask.shape)}, memory {tuple(memory.shape)}")

        L = x.shape[1]
        hide = torch.ones(1, 1, L, L, dtype=torch.bool).triu(diagonal=1)
        if padding_mask is not None:
            hide = hide | padding_mask[:, None, None, :]
        hide_mem = None if memory_padding_mask is None else memory_padding_mask[:, None, None, :]

        def residual(x, norm, f):
            if self.norm_first:
                return x + self.dropout(f(norm(x)))
            return norm(x + self.dropout(f(x)))

        x = residual(x, self.norm1, lambda h: attention(self.self_attention, h, h, hide))
        if memory is not None:
            x = residual(x, self.norm2, lambda h: attention(self.cross_attention, h, memory, hide_mem))
        act = F.relu if self.activation == "relu" else F.gelu
        return residual(x, self.norm3, lambda h: self.linear2(self.dropout(act(self.linear1(h)))))


class CausalLM(nn.Module):
    def __init__(
        self,
        vocab_size: int,
        d_model: int,
        num_heads: int,
        d_ff: int,
        num_layers: int,
        max_len: int,
        activation: str = "relu",
        dropout: float = 0.0,
        norm_first: bool = False,
    ) -> None:
        super().__init__()
        if min(vocab_size, num_layers, max_len) < 1:
            raise ValueError(f"vocab_size, num_layers and max_len must be >= 1, got {vocab_size}, {num_layers}, {max_len}")
        self.max_len = max_len
        self.embedding = nn.Embedding(vocab_size, d_model)
        self.position_embedding = nn.Embedding(max_len, d_model)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            DecoderBlock(d_model, num_heads, d_ff, activation, dropout, norm_first, cross_attention=False) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(d_model) if norm_first else None

    def forward(self, token_ids):
        if token_ids.dim() != 2 or token_ids.shape[1] > self.max_len:
            raise ValueError(f"token_ids: {tuple(token_ids.shape)} is not (B, L) with L <= {self.max_len}")
        x = self.dropout(self.embedding(token_ids) + self.position_embedding.weight[: token_ids.shape[1]])
        for block in self.layers:
            x = block(x)
        if self.norm:
            x = self.norm(x)
        return x @ self.embedding.weight.t()
