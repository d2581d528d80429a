"""Float masks of −∞; keyword arguments throughout; the target's distribution written out by scatter."""

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
        x = table(ids) * math.sqrt(self.d_model)
        x = x + sinusoidal_encoding(ids.size(1), self.d_model).to(x)
        return self.dropout(x)

    def encode(self, src: Int[Tensor, "B S"]) -> Float[Tensor, "B S E"]:
        x = self._embed(self.src_embedding, src)
        bias = torch.zeros(src.shape, dtype=x.dtype, device=x.device).masked_fill(src.eq(self.pad_id), float("-inf"))
        for layer in self.encoder_layers:
            x = layer(x, src_mask=None, src_key_padding_mask=bias)
        return x

    def decode(
        self, tgt: Int[Tensor, "B L"], memory: Float[Tensor, "B S E"], memory_padding_mask: Bool[Tensor, "B S"] | None = None
    ) -> Float[Tensor, "B L V"]:
        x = self._embed(self.tgt_embedding, tgt)
        L = tgt.size(-1)
        causal = torch.full((L, L), float("-inf"), dtype=x.dtype).triu(1)
        pads = torch.zeros_like(tgt, dtype=x.dtype).masked_fill(tgt.eq(self.pad_id), -math.inf)
        mem = None
        if memory_padding_mask is not None:
            mem = torch.zeros(memory_padding_mask.shape, dtype=x.dtype).masked_fill(memory_padding_mask, -math.inf)
        for layer in self.decoder_layers:
            x = layer(tgt=x, memory=memory, tgt_mask=causal, memory_mask=None, tgt_key_padding_mask=pads, memory_key_padding_mask=mem)
        return x @ self.output.weight.t()

    def forward(self, src: Int[Tensor, "B S"], tgt: Int[Tensor, "B L"]) -> Float[Tensor, "B L V"]:
        memory = self.encode(src)
        return self.decode(tgt, memory, src == self.pad_id)


def shift_right(targets: Int[Tensor, "B L"], bos_id: int) -> Int[Tensor, "B L"]:
    out = targets.roll(1, dims=1)
    out[:, 0] = bos_id
    return out


def label_smoothed_loss(logits: Float[Tensor, "B L V"], targets: Int[Tensor, "B L"], smoothing: float = 0.1, pad_id: int = 0) -> Float[Tensor, ""]:
    if smoothing < 0 or smoothing >= 1:
        raise ValueError(f"bad smoothing: {smoothing}")
    V = logits.size(-1)
    q = torch.full_like(logits, smoothing / V)
    q.scatter_add_(-1, targets[..., None], torch.full_like(logits[..., :1], 1 - smoothing))
    lp = logits - torch.logsumexp(logits, dim=-1, keepdim=True)
    ce = -(q * lp).sum(-1)
    w = (targets != pad_id).to(logits.dtype)
    return (ce * w).sum() / w.sum().clamp(min=1.0)


def noam_learning_rate(step: int, d_model: int, warmup: int = 4000) -> float:
    if step < 0 or warmup < 1:
        raise ValueError(f"step must be >= 0 and warmup >= 1, got step={step}, warmup={warmup}")
    if step == 0:
        return 0.0
    return d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)


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
