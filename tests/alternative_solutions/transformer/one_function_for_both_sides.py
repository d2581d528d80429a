"""Encoder and decoder in one function."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


def sinusoidal_encoding(length: int, d_model: int, base: float = 10000.0) -> Float[Tensor, "length d_model"]:
    position = torch.arange(length, dtype=torch.float64).unsqueeze(1)
    angle = position * base ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)  # (length, ceil(d_model / 2))
    table = torch.empty(length, d_model, dtype=torch.float64)
    table[:, 0::2] = torch.sin(angle)
    table[:, 1::2] = torch.cos(angle)[:, : d_model // 2]
    return table


def _run(model, side, ids, memory, mask):
    ids_hidden = ids == model.pad_id
    embedding = getattr(model, f"{side}_embedding")
    x = model.dropout(embedding(ids) * math.sqrt(model.d_model) + sinusoidal_encoding(ids.shape[-1], model.d_model).to(embedding.weight.dtype)[None])
    if side == "src":
        for layer in model.encoder_layers:
            x = layer.forward(x, None, ids_hidden)
        return x
    future = torch.triu(torch.ones(ids.shape[1], ids.shape[1]), 1).bool()
    for layer in model.decoder_layers:
        x = layer.forward(x, memory, future, None, ids_hidden, mask)
    return model.output(x)


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

    def encode(self, src: Int[Tensor, "B S"]) -> Float[Tensor, "B S E"]:
        return _run(self, "src", src, None, None)

    def decode(
        self, tgt: Int[Tensor, "B L"], memory: Float[Tensor, "B S E"], memory_padding_mask: Bool[Tensor, "B S"] | None = None
    ) -> Float[Tensor, "B L V"]:
        return _run(self, "tgt", tgt, memory, memory_padding_mask)

    def forward(self, src: Int[Tensor, "B S"], tgt: Int[Tensor, "B L"]) -> Float[Tensor, "B L V"]:
        hidden = src == self.pad_id
        return self.decode(tgt, memory=self.encode(src), memory_padding_mask=hidden)


def shift_right(targets: Int[Tensor, "B L"], bos_id: int) -> Int[Tensor, "B L"]:
    out = targets.roll(1, dims=1)
    out[:, 0] = bos_id
    return out


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
    if warmup < 1 or step < 0:
        raise ValueError((step, warmup, "step must be >= 0, warmup >= 1"))
    if step <= warmup:
        return d_model**-0.5 * warmup**-1.5 * step
    return (d_model * step) ** -0.5


def greedy_decode(model: Transformer, src: Int[Tensor, "B S"], bos_id: int, eos_id: int, max_len: int) -> Int[Tensor, "B T"]:
    if max_len < 0:
        raise ValueError(f"max_len must be at least 0, got {max_len}")
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            hidden = src == model.pad_id
            memory = model.encode(src)
            tokens = torch.full((src.size(0), 1), bos_id, dtype=torch.long, device=src.device)
            done = torch.zeros(src.size(0), dtype=torch.bool, device=src.device)
            for _ in range(max_len):
                logits = model.decode(tokens, memory, hidden)
                following = logits[:, -1].argmax(dim=-1)
                following = following.masked_fill(done, model.pad_id)
                tokens = torch.cat([tokens, following[:, None]], dim=1)
                done = done | (following == eos_id)
                if done.all():
                    break
    finally:
        model.train(was_training)
    return tokens[:, 1:]
