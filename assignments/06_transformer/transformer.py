"""The Transformer of "Attention Is All You Need", with what it takes to train and decode it (Vaswani et al. 2017).

Letters in shapes: B batch, S source positions, L target positions, E = d_model features, V tokens in the target vocabulary.
Masks are bool and True means hidden: must not be attended to.
"""

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
        """The memory: dropout(sqrt(E) * embedding + position), positions from 0 (sections 3.4, 3.5), then every encoder layer in turn.

        Keys at pad_id are hidden wherever they stand; queries there are computed. Any length from 1 on; in the dtype of the weights.
        """
        # Write your solution here.
        raise NotImplementedError("not implemented yet: Transformer.encode")

    def decode(
        self, tgt: Int[Tensor, "B L"], memory: Float[Tensor, "B S E"], memory_padding_mask: Bool[Tensor, "B S"] | None = None
    ) -> Float[Tensor, "B L V"]:
        """Logits of the token that follows each position of tgt, which is shifted right already (see `shift_right`).

        tgt enters as src does in `encode`. Position i sees target positions j <= i that are not pad_id, and all of the memory that
        memory_padding_mask (True = hidden; None hides nothing) leaves. logits = x @ output.weight.T, with no scale and no softmax.
        """
        # Write your solution here.
        raise NotImplementedError("not implemented yet: Transformer.decode")

    def forward(self, src: Int[Tensor, "B S"], tgt: Int[Tensor, "B L"]) -> Float[Tensor, "B L V"]:
        """decode(tgt, encode(src), src == pad_id)."""
        # Write your solution here.
        raise NotImplementedError("not implemented yet: Transformer.forward")


def shift_right(targets: Int[Tensor, "B L"], bos_id: int) -> Int[Tensor, "B L"]:
    """The decoder's input for these targets: bos_id, then all but the last column. A new tensor of the same shape and dtype."""
    # Write your solution here.
    raise NotImplementedError("not implemented yet: shift_right")


def label_smoothed_loss(logits: Float[Tensor, "B L V"], targets: Int[Tensor, "B L"], smoothing: float = 0.1, pad_id: int = 0) -> Float[Tensor, ""]:
    """Cross-entropy with q(k) = (1 - smoothing) [k = target] + smoothing / V over all V classes (Szegedy et al. 2016, section 7).

    loss = -sum_k q(k) log p(k), p the softmax of the logits, which may be as large as 2000. The mean over all targets that are not
    pad_id, over the whole batch at once; 0 with zero gradient when all are. A tensor without dimensions, in the dtype of the logits.
    Raises ValueError when smoothing is outside [0, 1).
    """
    # Write your solution here.
    raise NotImplementedError("not implemented yet: label_smoothed_loss")


def noam_learning_rate(step: int, d_model: int, warmup: int = 4000) -> float:
    """d_model^-0.5 * min(step^-0.5, step * warmup^-1.5): up in a line, then down as 1 / sqrt(step) (section 5.3, eq. 3).

    step 0 gives 0.0. Raises ValueError when step < 0 or warmup < 1.
    """
    # Write your solution here.
    raise NotImplementedError("not implemented yet: noam_learning_rate")


def greedy_decode(model: Transformer, src: Int[Tensor, "B S"], bos_id: int, eos_id: int, max_len: int) -> Int[Tensor, "B T"]:
    """The likeliest token again and again, for each row until its first eos_id, at most max_len tokens.

    Returns long ids without bos, with eos, then model.pad_id up to T, the longest row; max_len = 0 gives (B, 0). Only eos_id ends a row.
    Stops when every row has ended. Runs in eval mode and without gradient, and puts back the mode it found; the source is encoded once.
    Uses model.encode, model.decode (with the mask of the source's padding) and model.pad_id, and no other part of the model.
    Raises ValueError when max_len < 0.
    """
    # Write your solution here.
    raise NotImplementedError("not implemented yet: greedy_decode")
