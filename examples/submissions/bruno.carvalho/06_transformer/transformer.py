# Bruno Carvalho, HW6
import math

import torch
import torch.nn.functional as F
from torch import nn


def sinusoidal_encoding(length, d_model, base=10000.0):
    position = torch.arange(length, dtype=torch.float64).unsqueeze(1)
    angle = position * base ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
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

    def embed(self, ids, table):
        e = table(ids) * self.d_model ** 0.5
        return self.dropout(e + sinusoidal_encoding(ids.shape[1], self.d_model).to(e.dtype))

    def encode(self, src):
        h = self.embed(src, self.src_embedding)
        for block in self.encoder_layers:
            h = block(h, src_key_padding_mask=src.eq(self.pad_id))
        return h

    def decode(self, tgt, memory, memory_padding_mask=None):
        h = self.embed(tgt, self.tgt_embedding)
        t = torch.arange(tgt.shape[1])
        for block in self.decoder_layers:
            h = block(h, memory, t[None, :] > t[:, None], None, tgt.eq(self.pad_id), memory_padding_mask)
        return self.output(h)

    def forward(self, src, tgt):
        return self.decode(tgt, self.encode(src), src.eq(self.pad_id))


def shift_right(targets, bos_id):
    return F.pad(targets, (1, 0), value=bos_id)[:, :-1].clone()


def label_smoothed_loss(logits, targets, smoothing=0.1, pad_id=0):
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing = {smoothing} is not in [0, 1)")
    logp = logits.log_softmax(-1)
    hit = logp.gather(2, targets[:, :, None])[:, :, 0]
    loss = (smoothing - 1) * hit - smoothing * logp.mean(2)
    real = (targets != pad_id).to(loss.dtype)
    return (loss * real).sum() / max(real.sum().item(), 1.0)


def noam_learning_rate(step, d_model, warmup=4000):
    if step < 0 or warmup < 1:
        raise ValueError(f"step = {step}, warmup = {warmup}")
    if step < warmup:
        return d_model ** -0.5 * step * warmup ** -1.5
    return d_model ** -0.5 * step ** -0.5


@torch.no_grad()
def run(model, src, bos_id, eos_id, max_len):
    memory = model.encode(src)
    mask = src.eq(model.pad_id)
    out = torch.full((len(src), 1), bos_id)
    done = torch.zeros(len(src), 1, dtype=torch.bool)
    while out.shape[1] <= max_len and not done.all():
        best = model.decode(out, memory, mask)[:, -1:].argmax(-1)
        best = torch.where(done, model.pad_id, best)
        out = torch.cat([out, best], 1)
        done = done | (best == eos_id)
    return out[:, 1:]


def greedy_decode(model, src, bos_id, eos_id, max_len):
    if max_len < 0:
        raise ValueError(f"max_len = {max_len}")
    was = model.training
    model.eval()
    try:
        return run(model, src, bos_id, eos_id, max_len)
    finally:
        model.train(was)
