"""Positions and causal masks made once for each length; decoding in a context manager."""

from __future__ import annotations

import contextlib
import math
from functools import cache, lru_cache

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


@cache
def _positions(length, d_model):
    return sinusoidal_encoding(length, d_model)


@lru_cache(maxsize=64)
def _future(length):
    return torch.ones(length, length, dtype=torch.bool).triu_(1)


@contextlib.contextmanager
def _evaluating(model):
    mode = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(mode)


@torch.no_grad()
def _generate(model, src, bos, eos, limit):
    memory, mask = model.encode(src), src == model.pad_id
    seq = src.new_full((src.shape[0], 1), bos).long()
    finished = torch.zeros_like(seq, dtype=torch.bool)
    while seq.shape[1] <= limit and not finished.all():
        nxt = model.decode(seq, memory, mask)[:, -1:].argmax(-1)
        nxt = torch.where(finished, torch.full_like(nxt, model.pad_id), nxt)
        seq = torch.cat((seq, nxt), 1)
        finished |= nxt == eos
    return seq[:, 1:]


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

    def _embed(self, emb, ids):
        return self.dropout(F.embedding(ids, emb.weight).mul(math.sqrt(emb.embedding_dim)).add(_positions(ids.size(1), self.d_model).to(emb.weight)))

    def encode(self, src: Int[Tensor, "B S"]) -> Float[Tensor, "B S E"]:
        x = self._embed(self.src_embedding, src)
        hidden = src == self.pad_id
        for layer in self.encoder_layers:
            x = layer(x, src_key_padding_mask=hidden)
        return x

    def decode(
        self, tgt: Int[Tensor, "B L"], memory: Float[Tensor, "B S E"], memory_padding_mask: Bool[Tensor, "B S"] | None = None
    ) -> Float[Tensor, "B L V"]:
        h = self._embed(self.tgt_embedding, tgt)
        for layer in self.decoder_layers:
            h = layer(h, memory, tgt_mask=_future(tgt.size(1)), tgt_key_padding_mask=tgt.eq(self.pad_id), memory_key_padding_mask=memory_padding_mask)
        return self.output(h)

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
        raise ValueError(f"smoothing must be in [0, 1), got {smoothing}")
    log_probs = torch.log_softmax(logits, dim=-1)
    nll = -log_probs.gather(-1, targets.unsqueeze(-1).long()).squeeze(-1)
    uniform = -log_probs.mean(dim=-1)
    losses = (1 - smoothing) * nll + smoothing * uniform
    keep = targets != pad_id
    count = keep.sum().clamp(min=1)
    return losses.masked_fill(~keep, 0.0).sum() / count


def noam_learning_rate(step: int, d_model: int, warmup: int = 4000) -> float:
    if step < 0 or warmup < 1:
        raise ValueError(f"step must be >= 0 and warmup >= 1, got step={step}, warmup={warmup}")
    if step == 0:
        return 0.0
    return d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)


def greedy_decode(model: Transformer, src: Int[Tensor, "B S"], bos_id: int, eos_id: int, max_len: int) -> Int[Tensor, "B T"]:
    if max_len < 0:
        raise ValueError(f"max_len must not be negative: {max_len}")
    with _evaluating(model):
        return _generate(model, src, bos_id, eos_id, max_len)
