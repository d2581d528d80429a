"""Never calls a layer, computes from its parameters; einsum for every product."""

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


def _drop(module, x, training):
    return F.dropout(x, module.p, training)


def _lin(layer, x):
    return torch.einsum("...i,oi->...o", x, layer.weight) + layer.bias


def _norm(layer, x):
    mean = x.mean(-1, keepdim=True)
    var = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) * torch.rsqrt(var + layer.eps) * layer.weight + layer.bias


def _attend(mha, q, kv, hide):
    B, L, E = q.shape
    S = kv.shape[1]
    H = mha.num_heads
    wq, wk, wv = mha.in_proj_weight.chunk(3)
    bq, bk, bv = mha.in_proj_bias.chunk(3)
    Q = (q @ wq.T + bq).view(B, L, H, -1).transpose(1, 2)
    K = (kv @ wk.T + bk).view(B, S, H, -1).transpose(1, 2)
    V = (kv @ wv.T + bv).view(B, S, H, -1).transpose(1, 2)
    s = Q @ K.transpose(-1, -2) / math.sqrt(E // H)
    if hide is not None:
        s = s.masked_fill(hide, float("-inf"))
        w = torch.softmax(s, -1).masked_fill(hide.all(-1, keepdim=True), 0.0)
    else:
        w = torch.softmax(s, -1)
    w = F.dropout(w, mha.dropout, mha.training)
    o = (w @ V).transpose(1, 2).reshape(B, L, E)
    return _lin(mha.out_proj, o)


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
        hide = (src == self.pad_id)[:, None, None, :]
        for layer in self.encoder_layers:
            x = _norm(layer.norm1, x + _drop(layer.dropout1, _attend(layer.self_attn, x, x, hide), self.training))
            f = _lin(layer.linear2, _drop(layer.dropout, torch.relu(_lin(layer.linear1, x)), self.training))
            x = _norm(layer.norm2, x + _drop(layer.dropout2, f, self.training))
        return x

    def decode(
        self, tgt: Int[Tensor, "B L"], memory: Float[Tensor, "B S E"], memory_padding_mask: Bool[Tensor, "B S"] | None = None
    ) -> Float[Tensor, "B L V"]:
        x = self._embed(self.tgt_embedding, tgt)
        L = tgt.shape[1]
        i = torch.arange(L, device=tgt.device)
        hide = (i[None, :] > i[:, None])[None, None] | (tgt == self.pad_id)[:, None, None, :]
        mem = None if memory_padding_mask is None else memory_padding_mask[:, None, None, :]
        for layer in self.decoder_layers:
            x = _norm(layer.norm1, x + _drop(layer.dropout1, _attend(layer.self_attn, x, x, hide), self.training))
            x = _norm(layer.norm2, x + _drop(layer.dropout2, _attend(layer.multihead_attn, x, memory, mem), self.training))
            f = _lin(layer.linear2, _drop(layer.dropout, torch.relu(_lin(layer.linear1, x)), self.training))
            x = _norm(layer.norm3, x + _drop(layer.dropout3, f, self.training))
        return torch.einsum("ble,ve->blv", x, self.output.weight)

    def forward(self, src: Int[Tensor, "B S"], tgt: Int[Tensor, "B L"]) -> Float[Tensor, "B L V"]:
        memory = self.encode(src)
        return self.decode(tgt, memory, src == self.pad_id)


def shift_right(targets: Int[Tensor, "B L"], bos_id: int) -> Int[Tensor, "B L"]:
    shifted = torch.empty_like(targets)
    shifted[:, 0] = bos_id
    shifted[:, 1:] = targets[:, :-1]
    return shifted


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
