"""The Transformer's decoder block, and a language model made of it (Vaswani et al. 2017, section 3.1; Radford et al. 2018).

Letters in shapes: B batch, L positions, S positions of the memory, E = d_model features, F = d_ff features inside the feed-forward
network, V tokens in the vocabulary. Masks are bool and True means hidden: must not be attended to.
"""

from __future__ import annotations

from functools import reduce

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu}


def _attend(layer: nn.MultiheadAttention, x: Tensor, source: Tensor, seen: Tensor | None) -> Tensor:
    """Heads side by side in the batch; a row that sees nothing comes out of the fused attention as zeros."""
    width = x.size(-1)
    q = F.linear(x, layer.in_proj_weight[:width], layer.in_proj_bias[:width])
    k, v = F.linear(source, layer.in_proj_weight[width:], layer.in_proj_bias[width:]).chunk(2, dim=-1)
    q, k, v = (t.unflatten(-1, (layer.num_heads, -1)).transpose(1, 2) for t in (q, k, v))  # (B, H, *, D)
    return layer.out_proj(F.scaled_dot_product_attention(q, k, v, attn_mask=seen).transpose(1, 2).flatten(2))


class DecoderBlock(nn.Module):
    """Causal self-attention, attention to a memory, feed-forward: each with dropout, a residual connection and a layer normalisation.

    Post-norm, as in the paper: x = norm(x + dropout(sub_layer(x))). norm_first (Xiong et al. 2020): x = x + dropout(sub_layer(norm(x))).
    norm1 belongs to self-attention, norm2 to cross-attention, norm3 to the feed-forward network, which is
    linear2(dropout(activation(linear1(x)))) with "relu" or the exact "gelu". The memory is taken as it is, normalised by whoever made it.
    """

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
        """Position i sees positions j <= i of x that padding_mask does not hide, and all of the memory that memory_padding_mask does not hide.

        Masks hide keys only: the row of a padded position is computed like any other. A row that sees nothing gets the bias of that
        attention's output projection: never NaN, and never itself, with and without gradients, in train and eval mode.
        Raises ValueError when a memory is given without cross-attention or missing with it, when padding_mask is not (B, L) or
        memory_padding_mask not (B, S), and when a memory mask comes without a memory.
        """
        self._refuse(x, memory, padding_mask, memory_padding_mask)
        seen = torch.ones(x.size(1), x.size(1), dtype=torch.bool, device=x.device).tril()  # SDPA: True = take part
        if padding_mask is not None:
            seen = seen & ~padding_mask[:, None, None, :]  # (B, 1, L, L)
        seen_memory = None if memory_padding_mask is None else ~memory_padding_mask[:, None, None, :]
        steps = {
            "norm1": lambda h: _attend(self.self_attention, h, h, seen),
            "norm2": lambda h: _attend(self.cross_attention, h, memory, seen_memory),
            "norm3": lambda h: self.linear2(self.dropout(ACTIVATIONS[self.activation](self.linear1(h)))),
        }
        for name, step in steps.items():
            if name not in dict(self.named_children()):  # no cross-attention, no norm2
                continue
            norm = self.get_submodule(name)
            x = x + self.dropout(step(norm(x))) if self.norm_first else norm(x + self.dropout(step(x)))
        return x

    def _refuse(self, x, memory, padding_mask, memory_padding_mask):
        expected = {"padding_mask": (padding_mask, x), "memory_padding_mask": (memory_padding_mask, memory)}
        if self.cross_attention is None and memory is not None:
            raise ValueError(f"memory of shape {tuple(memory.shape)}: this block cannot attend to one")
        if self.cross_attention is not None and memory is None:
            raise ValueError("memory=None: this block attends to a memory")
        for name, (mask, owner) in expected.items():
            if mask is None:
                continue
            if owner is None or mask.shape != owner.shape[:2]:
                raise ValueError(f"{name} of shape {tuple(mask.shape)} belongs to {None if owner is None else tuple(owner.shape)}")


class CausalLM(nn.Module):
    """A decoder-only language model with learned positions, whose output layer is the embedding itself (Press & Wolf 2017)."""

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
        """Logits of the next token at each position: logits = x @ embedding.weight^T, without bias or scale.

        x starts as dropout(embedding + position embedding), positions counted from 0, goes through the layers, and is normalised at
        the end only with norm_first. Raises ValueError when token_ids is not 2-D or longer than max_len.
        """
        match tuple(token_ids.shape):
            case (_, length) if length <= self.max_len:
                x = self.embedding.weight[token_ids] + self.position_embedding.weight[:length]
            case shape:
                raise ValueError(f"token_ids must be (B, L) with L <= max_len = {self.max_len}, got {shape}")
        x = reduce(lambda h, layer: layer(h), self.layers, self.dropout(x))
        x = x if self.norm is None else self.norm(x)
        return torch.einsum("ble,ve->blv", x, self.embedding.weight)
