"""The Transformer without calling a single torch layer: attention, norms and feed-forward from their parameters."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sinusoidal_encoding(length, d_model, base=10000.0):
    position = torch.arange(length, dtype=torch.float64).unsqueeze(1)
    angle = position * base ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
    table = torch.empty(length, d_model, dtype=torch.float64)
    table[:, 0::2] = torch.sin(angle)
    table[:, 1::2] = torch.cos(angle)[:, : d_model // 2]
    return table


class Attend:
    """One nn.MultiheadAttention as a plain function of its weights. `hidden` broadcasts to (B, 1, L, S)."""

    def __init__(self, source: nn.MultiheadAttention) -> None:
        self.source = source

    def __call__(self, x: Tensor, y: Tensor, hidden: Tensor | None) -> Tensor:
        m, E = self.source, x.size(-1)
        w = m.in_proj_weight.view(3, m.num_heads, E // m.num_heads, E)
        b = m.in_proj_bias.view(3, 1, m.num_heads, 1, E // m.num_heads)
        q = torch.einsum("ble,hde->bhld", x, w[0]) + b[0]
        k = torch.einsum("bse,hde->bhsd", y, w[1]) + b[1]
        v = torch.einsum("bse,hde->bhsd", y, w[2]) + b[2]
        scores = torch.einsum("bhld,bhsd->bhls", q / math.sqrt(q.size(-1)), k)
        if hidden is not None:
            scores = scores.masked_fill(hidden, -torch.inf)
            highest = scores.amax(-1, keepdim=True).clamp(min=torch.finfo(scores.dtype).min)
        else:
            highest = scores.amax(-1, keepdim=True)
        power = torch.exp(scores - highest.detach())
        total = power.sum(-1, keepdim=True)
        weights = power / torch.where(total > 0, total, torch.ones_like(total))  # a row without keys: 0 / 1
        weights = F.dropout(weights, m.dropout, m.training)
        heads = torch.einsum("bhls,bhsd->blhd", weights, v).flatten(2)
        return F.linear(heads, m.out_proj.weight, m.out_proj.bias)


def add_and_norm(norm: nn.LayerNorm, x: Tensor, update: Tensor, dropout: nn.Dropout) -> Tensor:
    return F.layer_norm(x + dropout(update), norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def feed_forward(layer: nn.Module, x: Tensor) -> Tensor:
    inner = layer.dropout(torch.relu(F.linear(x, layer.linear1.weight, layer.linear1.bias)))
    return F.linear(inner, layer.linear2.weight, layer.linear2.bias)


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

    def _tokens(self, table: nn.Embedding, ids: Tensor) -> Tensor:
        x = table.weight[ids] * math.sqrt(self.d_model)
        return self.dropout(x + sinusoidal_encoding(ids.size(1), self.d_model).to(x))

    def encode(self, src: Tensor) -> Tensor:
        x = self._tokens(self.src_embedding, src)
        hidden = (src == self.pad_id)[:, None, None, :]
        for layer in self.encoder_layers:
            x = add_and_norm(layer.norm1, x, Attend(layer.self_attn)(x, x, hidden), layer.dropout1)
            x = add_and_norm(layer.norm2, x, feed_forward(layer, x), layer.dropout2)
        return x

    def decode(self, tgt: Tensor, memory: Tensor, memory_padding_mask: Tensor | None = None) -> Tensor:
        x = self._tokens(self.tgt_embedding, tgt)
        place = torch.arange(tgt.size(1))
        hidden = (place > place[:, None]) | (tgt == self.pad_id)[:, None, None, :]
        beyond = None if memory_padding_mask is None else memory_padding_mask[:, None, None, :]
        for layer in self.decoder_layers:
            x = add_and_norm(layer.norm1, x, Attend(layer.self_attn)(x, x, hidden), layer.dropout1)
            x = add_and_norm(layer.norm2, x, Attend(layer.multihead_attn)(x, memory, beyond), layer.dropout2)
            x = add_and_norm(layer.norm3, x, feed_forward(layer, x), layer.dropout3)
        return x @ self.output.weight.mT

    def forward(self, src: Tensor, tgt: Tensor) -> Tensor:
        return self.decode(tgt, self.encode(src), src == self.pad_id)


def shift_right(targets: Tensor, bos_id: int) -> Tensor:
    shifted = targets.roll(1, dims=1)
    shifted[:, 0] = bos_id
    return shifted


def label_smoothed_loss(logits: Tensor, targets: Tensor, smoothing: float = 0.1, pad_id: int = 0) -> Tensor:
    if not 0 <= smoothing < 1:
        raise ValueError(f"{smoothing=} is outside [0, 1)")
    real = targets != pad_id
    if not real.any():
        return (logits * 0).sum()
    kept, wanted = logits[real], targets[real]  # (N, V), (N,)
    q = F.one_hot(wanted, kept.size(-1)).to(kept) * (1 - smoothing) + smoothing / kept.size(-1)
    return (kept.logsumexp(-1) - (q * kept).sum(-1)).mean()  # as q sums to 1


def noam_learning_rate(step: int, d_model: int, warmup: int = 4000) -> float:
    if step < 0 or warmup < 1:
        raise ValueError(f"{step=} must not be negative, {warmup=} must be positive")
    return 0.0 if step == 0 else math.exp(-0.5 * math.log(d_model) + min(-0.5 * math.log(step), math.log(step) - 1.5 * math.log(warmup)))


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    before = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(before)


def greedy_decode(model: Transformer, src: Tensor, bos_id: int, eos_id: int, max_len: int) -> Tensor:
    """Rows that have written eos leave the batch."""
    if max_len < 0:
        raise ValueError(f"{max_len=} is negative")
    written: list[list[int]] = [[] for _ in src]
    with evaluating(model):
        memory, padding = model.encode(src), src == model.pad_id
        writing = list(range(len(written)))
        for _ in range(max_len):
            prefix = torch.tensor([[bos_id, *written[row]] for row in writing])
            for row, token in zip(writing, model.decode(prefix, memory[writing], padding[writing])[:, -1].argmax(-1).tolist()):
                written[row].append(token)
            writing = [row for row in writing if written[row][-1] != eos_id]
            if not writing:
                break
    longest = max(map(len, written))
    padded = [tokens + [model.pad_id] * (longest - len(tokens)) for tokens in written]
    return torch.tensor(padded, dtype=torch.long).reshape(len(written), longest)
