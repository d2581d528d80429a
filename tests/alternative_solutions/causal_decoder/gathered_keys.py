"""Keys that nobody may see are taken out, sequence by sequence; the weights come from a log-softmax."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


def attend(mha, query, source, hidden):
    B, L, E = query.shape
    hidden = hidden.expand(B, L, source.size(1))
    out = []
    for q, s, m in zip(query, source, hidden, strict=True):
        keep = ~m.all(0)
        s, m = s[keep], m[:, keep]
        H = mha.num_heads
        wq, wk, wv = mha.in_proj_weight.tensor_split(3)
        bq, bk, bv = mha.in_proj_bias.tensor_split(3)
        projected = (q @ wq.T + bq, s @ wk.T + bk, s @ wv.T + bv)
        q_, k_, v_ = (t.reshape(t.shape[0], H, E // H).permute(1, 0, 2) for t in projected)
        a = torch.baddbmm(torch.zeros((), dtype=q.dtype), q_, k_.mT, beta=0, alpha=(E // H) ** -0.5)
        a = torch.exp(torch.log_softmax(a.masked_fill(m, torch.finfo(a.dtype).min), -1)) * ~m
        out.append((a @ v_).permute(1, 0, 2).reshape(L, E))
    return mha.out_proj(torch.stack(out))


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

    def forward(
        self,
        x: Float[Tensor, "B L E"],
        memory: Float[Tensor, "B S E"] | None = None,
        padding_mask: Bool[Tensor, "B L"] | None = None,
        memory_padding_mask: Bool[Tensor, "B S"] | None = None,
    ) -> Float[Tensor, "B L E"]:
        B, L, _ = x.shape
        if memory is None and self.cross_attention is not None:
            raise ValueError(f"memory is missing: got {memory}")
        if memory is not None and self.cross_attention is None:
            raise ValueError(f"memory of shape {tuple(memory.shape)} given to a block without cross-attention")
        if memory_padding_mask is not None and memory is None:
            raise ValueError(f"memory_padding_mask {tuple(memory_padding_mask.shape)} given without memory {memory}")
        if padding_mask is not None and tuple(padding_mask.shape) != (B, L):
            raise ValueError(f"padding_mask must be {(B, L)}, got {tuple(padding_mask.shape)}")
        if memory_padding_mask is not None and tuple(memory_padding_mask.shape) != tuple(memory.shape[:2]):
            raise ValueError(f"memory_padding_mask must be {tuple(memory.shape[:2])}, got {tuple(memory_padding_mask.shape)}")

        hidden = torch.ones(L, L, dtype=torch.bool, device=x.device).triu(1).unsqueeze(0)
        if padding_mask is not None:
            hidden = hidden | padding_mask.unsqueeze(1)

        def self_attend(q):
            return attend(self.self_attention, q, q, hidden)

        def cross_attend(q):
            nothing = torch.zeros(B, 1, 1, dtype=torch.bool)
            return attend(self.cross_attention, q, memory, nothing if memory_padding_mask is None else memory_padding_mask[:, None, :])

        def feed_forward(h):
            act = F.relu if self.activation == "relu" else F.gelu
            return self.linear2(self.dropout(act(self.linear1(h))))

        if self.norm_first:
            x = x + self.dropout(self_attend(self.norm1(x)))
            if memory is not None:
                x = x + self.dropout(cross_attend(self.norm2(x)))
            x = x + self.dropout(feed_forward(self.norm3(x)))
        else:
            x = self.norm1(x + self.dropout(self_attend(x)))
            if memory is not None:
                x = self.norm2(x + self.dropout(cross_attend(x)))
            x = self.norm3(x + self.dropout(feed_forward(x)))
        return x


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

    def forward(self, token_ids: Int[Tensor, "B L"]) -> Float[Tensor, "B L V"]:
        if token_ids.dim() != 2:
            raise ValueError(f"token_ids must be 2-D, got shape {tuple(token_ids.shape)}")
        if token_ids.size(1) > self.max_len:
            raise ValueError(f"token_ids has length {token_ids.size(1)} > max_len {self.max_len}")
        positions = torch.arange(token_ids.size(1), device=token_ids.device)
        x = self.dropout(self.embedding(token_ids) + self.position_embedding(positions))
        for layer in self.layers:
            x = layer(x)
        if self.norm is not None:
            x = self.norm(x)
        return x @ self.embedding.weight.T
