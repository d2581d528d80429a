"""Code of the course's own that runs where the student's module is, because it calls it too often to ask each time.

Each function takes the module first. Nothing here is secret, and what it returns is judged like any other answer.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def parameter_count(module: ModuleType, name: str, *args: Any, **kwargs: Any) -> int:
    """Numbers in the parameters of `module.name(*args, **kwargs)`, each shared one once, built on the meta device: nothing is allocated."""
    with torch.device("meta"):
        model = getattr(module, name)(*args, **kwargs)
    return sum(parameter.numel() for parameter in _parameters_of(model).values())


def _parameters_of(model: torch.nn.Module) -> dict[int, torch.nn.Parameter]:
    """Each parameter once, whatever the model's own methods say of them."""
    found = {id(parameter): parameter for parameter in model._parameters.values() if parameter is not None}
    for part in model._modules.values():
        if part is not None:
            found.update(_parameters_of(part))
    return found


PAD, BOS, EOS, FIRST_SYMBOL, VOCABULARY = 0, 1, 2, 3, 13
_SHORTEST, _LONGEST = 3, 6


def reversal_batch(generator: torch.Generator, batch_size: int) -> tuple[Tensor, Tensor]:
    """Sequences of 3 to 6 symbols, (B, 6), and the same reversed with an EOS after them, (B, 7); padded at the end."""
    length = torch.randint(_SHORTEST, _LONGEST + 1, (batch_size, 1), generator=generator)
    symbols = torch.randint(FIRST_SYMBOL, VOCABULARY, (batch_size, _LONGEST), generator=generator)
    position = torch.arange(_LONGEST + 1)  # (7,)
    source = symbols.masked_fill(position[:-1] >= length, PAD)
    backwards = symbols.gather(1, (length - 1 - position[:-1]).clamp(min=0))  # (B, 6)
    target = torch.cat([backwards, torch.full((batch_size, 1), PAD)], dim=1)
    return source, target.masked_fill(position > length, PAD).masked_fill(position == length, EOS)


def train_to_reverse(module: ModuleType, seed: int, steps: int = 450) -> dict[str, Tensor]:
    """Train a small `module.Transformer` to reverse sequences and return its weights; about three seconds on one core.

    Uses the module's `shift_right` too. The loss is the course's own, as a slow one is not a wrong one. Adam, a warm-up to 0.01, then down in a line.
    """
    torch.default_generator.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = small_transformer(module)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.0, betas=(0.9, 0.98), eps=1e-9, fused=True)
    warmup = 60
    for step in range(steps):
        rate = 0.01 * min((step + 1) / warmup, (steps - step) / max(1, steps - warmup))
        for group in optimizer.param_groups:
            group["lr"] = rate
        source, target = reversal_batch(generator, 64)
        logits = model(source, module.shift_right(target, BOS))
        optimizer.zero_grad()
        functional.cross_entropy(logits.transpose(1, 2), target, ignore_index=PAD, label_smoothing=0.1).backward()
        optimizer.step()
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def small_transformer(module: Any) -> Any:
    """The model of `train_to_reverse`: one layer each side, d_model 32, no dropout."""
    return module.Transformer(VOCABULARY, VOCABULARY, d_model=32, num_heads=2, num_layers=1, d_ff=64, dropout=0.0, pad_id=PAD)


@dataclass
class _Seen:
    """What a scripted model noted of its calls."""

    encoded: int = 0
    decoded: int = 0
    in_train_mode: bool = False
    with_gradient: bool = False


def _scripted_model(texts: Tensor, pad_id: int, bos_id: int) -> tuple[torch.nn.Module, _Seen]:
    """A translation model that writes a fixed text for each row and has nothing but what `greedy_decode` may use; and what it sees of its calls.

    The memory says which row it belongs to, so rows may be decoded in any order, together or alone. A row that is told of other padding than
    its source's, or is not fed bos and its own text, writes another text. None of the texts and notes is an attribute of the model.
    """
    seen = _Seen()
    fed_rows = torch.cat([torch.full_like(texts[:, :1], bos_id), texts], dim=1)
    vocabulary = max(int(texts.max()), pad_id, bos_id) + 4
    padding = torch.zeros(0)

    class ScriptedModel(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pad_id = pad_id
            self.part = torch.nn.Identity()  # has a mode of its own to put back
            self.weight = torch.nn.Parameter(torch.zeros(1))  # for those who ask the first parameter for its device

        def encode(self, src: Tensor) -> Tensor:
            nonlocal padding
            note(self)
            seen.encoded += 1
            padding = src == pad_id
            return torch.arange(src.size(0), dtype=torch.float32).reshape(-1, 1, 1).expand(*src.shape, 1).clone()

        def decode(self, tgt: Tensor, memory: Tensor, memory_padding_mask: Tensor | None = None) -> Tensor:
            note(self)
            seen.decoded += 1
            logits = torch.zeros(*tgt.shape, vocabulary)
            for index, row in enumerate(memory[:, 0, 0].long().tolist()):
                told = memory_padding_mask is not None and torch.equal(memory_padding_mask[index], padding[row])
                fed = True
                for position in range(min(tgt.size(1), texts.size(1))):
                    fed = fed and bool(tgt[index, position] == fed_rows[row, position])
                    logits[index, position, texts[row, position] + (not told) + 2 * (not fed)] = 1.0
            return logits

    def note(model: ScriptedModel) -> None:
        seen.in_train_mode = seen.in_train_mode or model.training or model.part.training
        seen.with_gradient = seen.with_gradient or torch.is_grad_enabled()

    return ScriptedModel(), seen


def decode_script(
    module: ModuleType, texts: Tensor, pad_id: int, bos_id: int, eos_id: int, max_len: int, training: bool = True
) -> dict[str, Tensor | int | bool]:
    """What `module.greedy_decode` makes of a scripted model, and what the model saw: calls of encode and decode, whether any ran in train mode or
    with gradient, and whether the mode, its parts' mode and gradients were put back."""
    model, seen = _scripted_model(texts, pad_id, bos_id)
    model.train(training)
    src = torch.full((texts.size(0), 4), pad_id + 1)
    src[0, 2:] = pad_id
    ids = module.greedy_decode(model, src, bos_id, eos_id, max_len)
    gradient_restored = torch.is_grad_enabled()
    torch.set_grad_enabled(True)
    return {
        "ids": ids,
        **asdict(seen),
        "mode_restored": model.training == training,
        "parts_restored": model.get_submodule("part").training == training,
        "gradient_restored": gradient_restored,
    }


def update_from_one_buffer(module: ModuleType, key: Tensor, value: Tensor, lengths: list[int]) -> tuple[Tensor, Tensor]:
    """What a new `module.KVCache` holds after chunks of (B, H, S, D) that all came in the same two tensors, overwritten after each update."""
    batch, heads, _, width = key.shape
    cache = module.KVCache(batch, heads, key.size(2) + 1, width, dtype=key.dtype)
    begin = 0
    for length in lengths:
        buffers = [tensor[:, :, begin : begin + length].clone() for tensor in (key, value)]
        keys, values = cache.update(*buffers)
        for buffer in buffers:
            buffer.fill_(float("nan"))
        begin += length
    return keys.clone(), values.clone()


def watch_generation(module: ModuleType, model: Any, prompt: Tensor, max_new_tokens: int, use_cache: bool) -> dict[str, Any]:
    """What `module.generate` returns, and how it goes about it.

    positions, with_caches: of each call of the model, how many positions it was fed and whether caches came with them. in_train_mode: whether any
    part of the model was in train mode in a call. training: the model's own mode afterwards. mode_restored, gradient_restored: whether both are
    afterwards as they were, the mode in every part.
    """
    calls: list[tuple[int, bool, bool]] = []
    inside = False
    plain_class = type(model)

    class Watched(plain_class):  # type: ignore[misc, valid-type]
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            nonlocal inside
            if inside:  # a call of its own, which the outer one answers for
                return super().forward(*args, **kwargs)
            token_ids = args[0] if args else kwargs["token_ids"]
            caches = args[1] if len(args) > 1 else kwargs.get("caches")
            calls.append((token_ids.size(1), caches is not None, any(part.training for part in self.modules())))
            inside = True
            try:
                return super().forward(*args, **kwargs)
            finally:
                inside = False

    training, gradient = model.training, torch.is_grad_enabled()
    model.__class__ = Watched
    try:
        ids = module.generate(model, prompt, max_new_tokens, use_cache=use_cache)
    finally:
        model.__class__ = plain_class
    gradient_restored = torch.is_grad_enabled() == gradient
    torch.set_grad_enabled(gradient)
    return {
        "ids": ids,
        "positions": [positions for positions, _, _ in calls],
        "with_caches": [caches for _, caches, _ in calls],
        "in_train_mode": any(in_train_mode for _, _, in_train_mode in calls),
        "training": model.training,
        "mode_restored": all(part.training == training for part in model.modules()),
        "gradient_restored": gradient_restored,
    }
