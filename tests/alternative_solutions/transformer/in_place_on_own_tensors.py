"""Changes tensors of its own in place; decodes until each row holds an eos and blanks what follows it."""

from __future__ import annotations

import math

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
        x = table(ids)
        x = x * math.sqrt(self.d_model)
        x += sinusoidal_encoding(ids.shape[1], self.d_model).to(x.dtype)
        return F.dropout(x, p=self.dropout.p, training=self.training)

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
    return F.pad(targets, (1, 0), value=bos_id)[:, :-1].contiguous()


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
        raise ValueError(f"max_len ({max_len}) must be >= 0")
    mode, _ = model.training, model.eval()
    with torch.set_grad_enabled(False):
        step = lambda ids: model.decode(ids, memory, memory_padding_mask=pad)[:, -1].argmax(1, keepdim=True)
        pad, memory = src == model.pad_id, model.encode(src)
        ids = torch.full((len(src), 1), bos_id)
        while ids.size(1) <= max_len and not (ids[:, 1:] == eos_id).any(1).all():
            ids = torch.hstack([ids, step(ids)])
    model.train(mode)
    ids = ids[:, 1:]
    ended = (ids == eos_id).cumsum(1) - (ids == eos_id).int() > 0
    return ids.masked_fill(ended, model.pad_id)
