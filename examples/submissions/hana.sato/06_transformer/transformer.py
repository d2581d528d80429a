# 佐藤 花  Homework 6
from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


def sinusoidal_encoding(length: int, d_model: int, base: float = 10000.0) -> Float[Tensor, "length d_model"]:
    """GIVEN. Sines in even columns, cosines in odd ones (section 3.5); float64, cast it with `.to(x)`. An odd d_model ends on a sine."""
    position = torch.arange(length, dtype=torch.float64).unsqueeze(1)
    angle = position * base ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)  # (length, ceil(d_model / 2))
    table = torch.empty(length, d_model, dtype=torch.float64)
    table[:, 0::2] = torch.sin(angle)
    table[:, 1::2] = torch.cos(angle)[:, : d_model // 2]
    return table


class Transformer(nn.Module):
    """An encoder that reads the source and a decoder that writes the target, layers as in the paper: post-norm, ReLU.

    tie_weights: both embeddings and the output layer share one matrix (section 3.4), so the vocabularies must be one.
    """

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
        """The memory: source ids through embedding and encoder layers. Keys at pad_id are hidden; queries there are computed."""
        x = self.src_embedding(src) * math.sqrt(self.d_model)
        x = self.dropout(x + sinusoidal_encoding(src.shape[1], self.d_model).to(x))
        for layer in self.encoder_layers:
            x = layer(x, src_key_padding_mask=(src == self.pad_id))
        return x

    def decode(
        self, tgt: Int[Tensor, "B L"], memory: Float[Tensor, "B S E"], memory_padding_mask: Bool[Tensor, "B S"] | None = None
    ) -> Float[Tensor, "B L V"]:
        """Logits of the token that follows each position of tgt, which is shifted right already (see `shift_right`).

        Position i sees target positions j <= i that are not pad_id, and all of the memory that memory_padding_mask does not hide.
        """
        x = self.tgt_embedding(tgt) * math.sqrt(self.d_model)
        x = self.dropout(x + sinusoidal_encoding(tgt.shape[1], self.d_model).to(x))
        causal = torch.triu(torch.ones(tgt.shape[1], tgt.shape[1]), 1).bool()
        for layer in self.decoder_layers:
            x = layer(
                x,
                memory,
                tgt_mask=causal,
                tgt_key_padding_mask=(tgt == self.pad_id),
                memory_key_padding_mask=memory_padding_mask,
            )
        return self.output(x)

    def forward(self, src: Int[Tensor, "B S"], tgt: Int[Tensor, "B L"]) -> Float[Tensor, "B L V"]:
        """decode(tgt, encode(src), src == pad_id)."""
        return self.decode(tgt, self.encode(src), src == self.pad_id)


def shift_right(targets: Int[Tensor, "B L"], bos_id: int) -> Int[Tensor, "B L"]:
    """The decoder's input for these targets: bos_id, then all but the last column. A new tensor of the same shape and dtype."""
    out = targets.clone()
    out[:, 1:] = targets[:, :-1]
    out[:, 0] = bos_id
    return out


def label_smoothed_loss(logits: Float[Tensor, "B L V"], targets: Int[Tensor, "B L"], smoothing: float = 0.1, pad_id: int = 0) -> Float[Tensor, ""]:
    """Cross-entropy with q(k) = (1 - smoothing) [k = target] + smoothing / V over all V classes (Szegedy et al. 2016, section 7).

    The mean over all targets that are not pad_id, over the whole batch at once; 0 with zero gradient when all are.
    Raises ValueError when smoothing is outside [0, 1).
    """
    return F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=pad_id, label_smoothing=smoothing)


def noam_learning_rate(step: int, d_model: int, warmup: int = 4000) -> float:
    """d_model^-0.5 * min(step^-0.5, step * warmup^-1.5): up in a line, then down as 1 / sqrt(step) (section 5.3, eq. 3).

    step 0 gives 0.0. Raises ValueError when step < 0 or warmup < 1.
    """
    return d_model ** -0.5 * min(step ** -0.5, step * warmup ** -1.5)


def greedy_decode(model: Transformer, src: Int[Tensor, "B S"], bos_id: int, eos_id: int, max_len: int) -> Int[Tensor, "B T"]:
    """The likeliest token again and again, for each row until its first eos_id, at most max_len tokens.

    Returns long ids without bos, with eos, then model.pad_id up to T, the longest row; max_len = 0 gives (B, 0). Runs in eval mode and without
    gradient, and puts back the mode it found; the source is encoded once. Uses model.encode, model.decode and model.pad_id alone.
    Raises ValueError when max_len < 0.
    """
    training = model.training
    model.eval()
    with torch.no_grad():
        src_mask = src == model.pad_id
        memory = model.encode(src)
        ys = torch.full((src.shape[0], 1), bos_id, dtype=torch.long)
        finished = torch.zeros(src.shape[0], dtype=torch.bool)
        for _ in range(max_len):
            logits = model.decode(ys, memory, src_mask)
            next_word = logits[:, -1].argmax(dim=-1)
            next_word[finished] = model.pad_id
            ys = torch.cat([ys, next_word[:, None]], dim=1)
            finished = finished | (next_word == eos_id)
            if finished.all():
                break
    model.train(training)
    return ys[:, 1:]
