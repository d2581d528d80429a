"""Code of the course's own that runs where the student's module is, because it calls it too often to ask each time.

Each function takes the module first. Nothing here is secret, and what it returns is judged like any other answer.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor


def parameter_count(module: ModuleType, name: str, *args: Any, **kwargs: Any) -> int:
    """Numbers in the parameters of `module.name(*args, **kwargs)`, each shared one once, built on the meta device: nothing is allocated."""
    with torch.device("meta"):
        model = getattr(module, name)(*args, **kwargs)
    return sum(parameter.numel() for parameter in model.parameters())


PAD, BOS, EOS, FIRST_SYMBOL, VOCABULARY = 0, 1, 2, 3, 13
_SHORTEST, _LONGEST = 3, 8


def reversal_batch(generator: torch.Generator, batch_size: int) -> tuple[Tensor, Tensor]:
    """Sequences of 3 to 8 symbols, (B, 8), and the same reversed with an EOS after them, (B, 9); padded at the end."""
    length = torch.randint(_SHORTEST, _LONGEST + 1, (batch_size, 1), generator=generator)
    symbols = torch.randint(FIRST_SYMBOL, VOCABULARY, (batch_size, _LONGEST), generator=generator)
    position = torch.arange(_LONGEST + 1)  # (9,)
    source = symbols.masked_fill(position[:-1] >= length, PAD)
    backwards = symbols.gather(1, (length - 1 - position[:-1]).clamp(min=0))  # (B, 8)
    target = torch.cat([backwards, torch.full((batch_size, 1), PAD)], dim=1)
    return source, target.masked_fill(position > length, PAD).masked_fill(position == length, EOS)


def train_to_reverse(module: ModuleType, seed: int, steps: int = 600) -> dict[str, Tensor]:
    """Train a small `module.Transformer` to reverse sequences and return its weights; six to seven seconds on one core.

    Uses the module's `shift_right` and `label_smoothed_loss` too. Adam, 100 steps of warm-up to 0.01, then down in a line.
    """
    torch.default_generator.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = small_transformer(module)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.0, betas=(0.9, 0.98), eps=1e-9)
    for step in range(steps):
        rate = 0.01 * min((step + 1) / 100, (steps - step) / max(1, steps - 100))
        for group in optimizer.param_groups:
            group["lr"] = rate
        source, target = reversal_batch(generator, 128)
        logits = model(source, module.shift_right(target, BOS))
        optimizer.zero_grad()
        module.label_smoothed_loss(logits, target, 0.1, PAD).backward()
        optimizer.step()
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def small_transformer(module: Any) -> Any:
    """The model of `train_to_reverse`: one layer each side, d_model 32, no dropout."""
    return module.Transformer(VOCABULARY, VOCABULARY, d_model=32, num_heads=2, num_layers=1, d_ff=64, dropout=0.0, pad_id=PAD)


class CountedModel(torch.nn.Module):
    """A translation model that writes a fixed text for each row, has nothing but what `greedy_decode` may use, and counts its calls.

    Told of other padding than the source's, it writes another text.
    """

    def __init__(self, texts: Tensor, pad_id: int) -> None:
        super().__init__()
        self.pad_id = pad_id
        self.texts = texts  # (B, T) ids
        self.encoded = 0
        self.modes: list[bool] = []

    def encode(self, src: Tensor) -> Tensor:
        self.encoded += 1
        self.padding = src == self.pad_id
        self.modes.append(self.training or torch.is_grad_enabled())
        return torch.zeros(*src.shape, 1)

    def decode(self, tgt: Tensor, memory: Tensor, memory_padding_mask: Tensor | None = None) -> Tensor:
        self.modes.append(self.training or torch.is_grad_enabled())
        logits = torch.zeros(*tgt.shape, int(self.texts.max()) + 2)
        told = memory_padding_mask is not None and torch.equal(memory_padding_mask, self.padding)
        texts = self.texts if told else self.texts + 1
        for position in range(min(tgt.size(1), self.texts.size(1))):
            logits[torch.arange(tgt.size(0)), position, texts[:, position]] = 1.0
        return logits


def decode_counting(module: ModuleType, texts: Tensor, pad_id: int, bos_id: int, eos_id: int, max_len: int) -> tuple[Tensor, int, bool, bool]:
    """What `module.greedy_decode` makes of a CountedModel in train mode: ids, calls of encode, whether any call saw train mode or a
    gradient, and whether train mode was put back."""
    model = CountedModel(texts, pad_id)
    model.train()
    src = torch.full((texts.size(0), 4), pad_id + 1)
    src[0, 2:] = pad_id
    ids = module.greedy_decode(model, src, bos_id, eos_id, max_len)
    return ids, model.encoded, any(model.modes), model.training
