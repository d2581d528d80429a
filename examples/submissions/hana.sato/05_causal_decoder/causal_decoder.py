# 佐藤 花  Homework 5
import torch
import torch.nn.functional as F
from torch import nn


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
        n = x.shape[1]
        causal = torch.ones(n, n, dtype=torch.bool).triu(1)
        if self.norm_first:
            a = self.norm1(x)
            a, _ = self.self_attention(a, a, a, attn_mask=causal, key_padding_mask=padding_mask)
            x = x + self.dropout(a)
            if self.cross_attention is not None:
                c, _ = self.cross_attention(self.norm2(x), memory, memory, key_padding_mask=memory_padding_mask)
                x = x + self.dropout(c)
            return x + self.dropout(self._ff(self.norm3(x)))
        a, _ = self.self_attention(x, x, x, attn_mask=causal, key_padding_mask=padding_mask)
        x = self.norm1(x + self.dropout(a))
        if self.cross_attention is not None:
            c, _ = self.cross_attention(x, memory, memory, key_padding_mask=memory_padding_mask)
            x = self.norm2(x + self.dropout(c))
        return self.norm3(x + self.dropout(self._ff(x)))

    def _ff(self, h):
        f = {"relu": F.relu, "gelu": F.gelu}[self.activation]
        return self.linear2(self.dropout(f(self.linear1(h))))


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
        h = self.embedding(token_ids) + self.position_embedding(torch.arange(token_ids.shape[-1]))
        h = self.dropout(h)
        for layer in self.layers:
            h = layer(h)
        h = h if self.norm is None else self.norm(h)
        return h @ self.embedding.weight.T
