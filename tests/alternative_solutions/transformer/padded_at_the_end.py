"""Decodes on and cleans up what stands after each eos; the loss picks the real targets first."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


def sinusoidal_encoding(length: int, d_model: int, base: float = 10000.0) -> Float[Tensor, "length d_model"]:
    position = torch.arange(length, dtype=torch.float64).unsqueeze(1)
    angle = position * base ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)  # (length, ceil(d_model / 2))
    table = torch.empty(length, d_model, dtype=torch.float64)
    table[:, 0::2] = torch.sin(angle)
    table[:, 1::2] = torch.cos(angle)[:, : d_model // 2]
    return table


class Transformer(nn.Module):
    def __init__(
        self,
        src_vocab_size: int,
        tgt_vocab_size: int,
        d_model: int = 512,
        num_heads: int = 8,
        num_layers: int = 6,
        d_ff: int = 2048,
        dropout: float = 0.1,
        pad_id: int = 0,
        tie_weights: bool = False,
    ) -> None:
        super().__init__()
        if tie_weights and src_vocab_size != tgt_vocab_size:
            raise ValueError(f"tied weights need one vocabulary, got src_vocab_size={src_vocab_size}, tgt_vocab_size={tgt_vocab_size}")
        self.d_model = d_model
        self.pad_id = pad_id
        self.src_embedding = nn.Embedding(src_vocab_size, d_model)
        self.tgt_embedding = nn.Embedding(tgt_vocab_size, d_model)
        self.dropout = nn.Dropout(dropout)
        self.encoder_layers = nn.ModuleList(
            nn.TransformerEncoderLayer(d_model, num_heads, d_ff, dropout, batch_first=True) for _ in range(num_layers)
        )
        self.decoder_layers = nn.ModuleList(
            nn.TransformerDecoderLayer(d_model, num_heads, d_ff, dropout, batch_first=True) for _ in range(num_layers)
        )
        self.output = nn.Linear(d_model, tgt_vocab_size, bias=False)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        if tie_weights:
            self.tgt_embedding.weight = self.src_embedding.weight
            self.output.weight = self.src_embedding.weight

    def _table(self, length, like):
        table = getattr(self, "_positions", None)
        if table is None or table.size(0) < length:
            self.register_buffer("_positions", sinusoidal_encoding(max(length, 16), self.d_model), persistent=False)
            table = self._positions
        return table[:length].to(like)

    def _embed(self, emb, ids):
        x = emb(ids)
        x = x * self.d_model**0.5
        return self.dropout(x + self._table(ids.shape[1], x))

    def encode(self, src: Int[Tensor, "B S"]) -> Float[Tensor, "B S E"]:
        x = self._embed(self.src_embedding, src)
        hidden = src == self.pad_id
        for layer in self.encoder_layers:
            x = layer(x, src_key_padding_mask=hidden)
        return x

    def decode(
        self, tgt: Int[Tensor, "B L"], memory: Float[Tensor, "B S E"], memory_padding_mask: Bool[Tensor, "B S"] | None = None
    ) -> Float[Tensor, "B L V"]:
        length = tgt.size(1)
        x = self._embed(self.tgt_embedding, tgt)
        causal = torch.triu(torch.ones(length, length, dtype=torch.bool, device=tgt.device), diagonal=1)
        padding = tgt == self.pad_id
        for layer in self.decoder_layers:
            x = layer(x, memory, tgt_mask=causal, tgt_key_padding_mask=padding, memory_key_padding_mask=memory_padding_mask)
        return self.output(x)

    def forward(self, src: Int[Tensor, "B S"], tgt: Int[Tensor, "B L"]) -> Float[Tensor, "B L V"]:
        memory = self.encode(src)
        return self.decode(tgt, memory, src == self.pad_id)


def shift_right(targets: Int[Tensor, "B L"], bos_id: int) -> Int[Tensor, "B L"]:
    shifted = torch.empty_like(targets)
    shifted[:, 0] = bos_id
    shifted[:, 1:] = targets[:, :-1]
    return shifted


def label_smoothed_loss(logits: Float[Tensor, "B L V"], targets: Int[Tensor, "B L"], smoothing: float = 0.1, pad_id: int = 0) -> Float[Tensor, ""]:
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing {smoothing} is outside [0, 1)")
    keep = targets.ne(pad_id)
    if not keep.any():
        return logits.sum() * 0.0
    logits, targets = logits[keep], targets[keep]
    target_distribution = (1 - smoothing) * F.one_hot(targets, logits.size(-1)).to(logits.dtype) + smoothing / logits.size(-1)
    return F.cross_entropy(logits, target_distribution)


def noam_learning_rate(step: int, d_model: int, warmup: int = 4000) -> float:
    if step < 0 or warmup < 1:
        raise ValueError(f"step must be >= 0 and warmup >= 1, got step={step}, warmup={warmup}")
    if step == 0:
        return 0.0
    return d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)


def greedy_decode(model: Transformer, src: Int[Tensor, "B S"], bos_id: int, eos_id: int, max_len: int) -> Int[Tensor, "B T"]:
    if max_len < 0:
        raise ValueError(f"max_len = {max_len}")
    was_training = model.training
    model.eval()
    with torch.no_grad():
        memory = model.encode(src)
        ids = torch.full((src.shape[0], 1), bos_id, dtype=torch.long)
        for _ in range(max_len):
            step = model.decode(ids, memory, src == model.pad_id).select(1, -1).topk(1).indices
            ids = torch.cat([ids, step], dim=-1)
            if (ids[:, 1:] == eos_id).any(dim=1).all():
                break
    ids = ids[:, 1:]
    seen = (ids == eos_id).long().cumsum(1)
    after = (seen - (ids == eos_id).long()) > 0
    ids = torch.where(after, torch.tensor(model.pad_id), ids)
    model.train(was_training)
    return ids
