"""The Transformer's decoder block, and a language model made of it (Vaswani et al. 2017, section 3.1; Radford et al. 2018).

Letters in shapes: B batch, L positions, S positions of the memory, E = d_model features, F = d_ff features inside the feed-forward
network, V tokens in the vocabulary. Masks are bool and True means hidden: must not be attended to.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


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
        if memory is None and self.cross_attention is not None:
            raise ValueError("memory is None, but this block has cross-attention")
        if memory is not None and self.cross_attention is None:
            raise ValueError(f"memory {tuple(memory.shape)} given, but this block has no cross-attention")
        if padding_mask is not None and padding_mask.shape != x.shape[:2]:
            raise ValueError(f"padding_mask is {tuple(padding_mask.shape)}, expected {tuple(x.shape[:2])}")
        if memory_padding_mask is not None:
            if memory is None:
                raise ValueError(f"memory_padding_mask {tuple(memory_padding_mask.shape)} given without memory")
            if memory_padding_mask.shape != memory.shape[:2]:
                raise ValueError(f"memory_padding_mask is {tuple(memory_padding_mask.shape)}, expected {tuple(memory.shape[:2])}")

        if self.norm_first:
            x = x + self.dropout(self._self_attend(self.norm1(x), padding_mask))
            if self.cross_attention is not None:
                x = x + self.dropout(self._cross_attend(self.norm2(x), memory, memory_padding_mask))
            x = x + self.dropout(self._feed(self.norm3(x)))
        else:
            x = self.norm1(x + self.dropout(self._self_attend(x, padding_mask)))
            if self.cross_attention is not None:
                x = self.norm2(x + self.dropout(self._cross_attend(x, memory, memory_padding_mask)))
            x = self.norm3(x + self.dropout(self._feed(x)))
        return x

    def _self_attend(self, x, padding_mask):
        position = torch.arange(x.shape[1], device=x.device)
        future = position > position[:, None]  # (L, L), row = query, column = key
        # clone: key and value must not be the same object as the query, see the hint on rows without keys
        source = x.clone()
        return self.self_attention(x, source, source, attn_mask=future, key_padding_mask=padding_mask, need_weights=False)[0]

    def _cross_attend(self, x, memory, memory_padding_mask):
        return self.cross_attention(x, memory, memory, key_padding_mask=memory_padding_mask, need_weights=False)[0]

    def _feed(self, x):
        x = self.linear1(x)
        x = F.gelu(x) if self.activation == "gelu" else F.relu(x)
        return self.linear2(self.dropout(x))


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
        if token_ids.dim() != 2:
            raise ValueError(f"token_ids must have 2 dimensions, got {token_ids.dim()}")
        length = token_ids.shape[1]
        if length > self.max_len:
            raise ValueError(f"token_ids has {length} positions, at most max_len={self.max_len} are possible")
        x = self.embedding(token_ids) + self.position_embedding(torch.arange(length, device=token_ids.device))
        x = self.dropout(x)
        for layer in self.layers:
            x = layer(x)
        if self.norm is not None:
            x = self.norm(x)
        return F.linear(x, self.embedding.weight)
