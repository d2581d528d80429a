"""Decodes only the rows that have not ended, with torch's own smoothed cross-entropy."""

from __future__ import annotations

import math
from functools import reduce

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

    def _embed(self, table, ids):
        scaled = table(ids).mul(self.d_model**0.5)
        positions = sinusoidal_encoding(ids.size(-1), self.d_model).to(dtype=scaled.dtype, device=scaled.device)
        return self.dropout(torch.add(scaled, positions.unsqueeze(0).expand_as(scaled)))

    @staticmethod
    def subsequent(n):
        return ~torch.tril(torch.ones((n, n), dtype=torch.bool))

    def encode(self, src: Int[Tensor, "B S"]) -> Float[Tensor, "B S E"]:
        return reduce(lambda x, layer: layer(x, src_key_padding_mask=src == self.pad_id), self.encoder_layers, self._embed(self.src_embedding, src))

    def decode(
        self, tgt: Int[Tensor, "B L"], memory: Float[Tensor, "B S E"], memory_padding_mask: Bool[Tensor, "B S"] | None = None
    ) -> Float[Tensor, "B L V"]:
        masks = {
            "tgt_mask": self.subsequent(tgt.size(1)),
            "tgt_key_padding_mask": tgt == self.pad_id,
            "memory_key_padding_mask": memory_padding_mask,
        }
        return self.output(reduce(lambda x, layer: layer(x, memory, **masks), self.decoder_layers, self._embed(self.tgt_embedding, tgt)))

    def forward(self, src: Int[Tensor, "B S"], tgt: Int[Tensor, "B L"]) -> Float[Tensor, "B L V"]:
        memory = self.encode(src)
        return self.decode(tgt, memory, src == self.pad_id)


def shift_right(targets: Int[Tensor, "B L"], bos_id: int) -> Int[Tensor, "B L"]:
    return torch.cat([torch.full_like(targets[:, :1], bos_id), targets[:, :-1]], dim=1)


def label_smoothed_loss(logits: Float[Tensor, "B L V"], targets: Int[Tensor, "B L"], smoothing: float = 0.1, pad_id: int = 0) -> Float[Tensor, ""]:
    if not (0.0 <= smoothing < 1.0):
        raise ValueError(f"smoothing={smoothing!r}")
    V = logits.shape[-1]
    total = F.cross_entropy(logits.reshape(-1, V), targets.reshape(-1), ignore_index=pad_id, label_smoothing=smoothing, reduction="sum")
    n = (targets != pad_id).sum()
    return total / torch.clamp_min(n, 1)


def noam_learning_rate(step: int, d_model: int, warmup: int = 4000) -> float:
    if step < 0:
        raise ValueError(f"step {step} < 0")
    if warmup < 1:
        raise ValueError(f"warmup {warmup} < 1")
    return float(0.0 if step == 0 else 1 / math.sqrt(d_model) * min(1 / math.sqrt(step), step / warmup / math.sqrt(warmup)))


def greedy_decode(model: Transformer, src: Int[Tensor, "B S"], bos_id: int, eos_id: int, max_len: int) -> Int[Tensor, "B T"]:
    if max_len < 0:
        raise ValueError(f"negative max_len {max_len}")
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            memory = model.encode(src)
            mask = src == model.pad_id
            live = list(range(src.size(0)))
            rows = [[] for _ in live]
            while live and len(rows[live[0]]) < max_len:
                prefix = torch.tensor([[bos_id] + rows[r] for r in live], dtype=torch.long)
                picks = model.decode(prefix, memory[live], mask[live])[:, -1].argmax(-1).tolist()
                for r, p in zip(live, picks, strict=True):
                    rows[r].append(p)
                live = [r for r in live if rows[r][-1] != eos_id]
    finally:
        model.train(training)
    width = max((len(r) for r in rows), default=0)
    result = torch.full((src.size(0), width), model.pad_id, dtype=torch.long)
    for i, r in enumerate(rows):
        result[i, : len(r)] = torch.tensor(r, dtype=torch.long)
    return result
