"""Query and key both scaled by D**-0.25, the steps as small classes, the result a named tuple."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Attended(NamedTuple):
    output: Tensor
    weights: Tensor


@dataclass(frozen=True)
class Check:
    """A condition with the words to say when it does not hold."""

    holds: bool
    otherwise: str

    def __post_init__(self):
        if not self.holds:
            raise ValueError(self.otherwise)


def padding_mask(token_ids, pad_id):
    Check(token_ids.dim() == 2, f"token_ids is {token_ids.dim()}-D")
    Check(not token_ids.dtype.is_floating_point, f"token_ids is {token_ids.dtype}")
    return torch.isin(token_ids, torch.tensor([pad_id], dtype=token_ids.dtype))


def causal_mask(query_length, key_length=None):
    if key_length is None:
        key_length = query_length
    Check(query_length >= 1, f"query_length is {query_length}")
    Check(key_length >= 1, f"key_length is {key_length}")
    rows, columns = torch.meshgrid(torch.arange(query_length), torch.arange(key_length), indexing="ij")
    return columns - rows > key_length - query_length


def combine_masks(padding=None, causal=None):
    if padding is not None:
        Check(padding.dtype == torch.bool and padding.dim() == 2, "padding is no 2-D bool mask")
    if causal is not None:
        Check(causal.dtype == torch.bool and causal.dim() == 2, "causal is no 2-D bool mask")
    match padding, causal:
        case None, None:
            return None
        case None, _:
            return causal[None, None]
        case _, None:
            return padding[:, None, None, :]
    Check(padding.size(1) == causal.size(1), "padding and causal differ in keys")
    B, (L, S) = padding.size(0), causal.shape
    return padding.reshape(B, 1, 1, S).expand(B, 1, L, S) | causal.reshape(1, 1, L, S).expand(B, 1, L, S)


class Scores(nn.Module):
    def forward(self, query, key):
        root = query.size(-1) ** -0.25
        return torch.matmul(query * root, (key * root).transpose(-2, -1))


class MaskedSoftmax(nn.Module):
    def forward(self, scores, mask):
        if mask is None:
            return torch.softmax(scores, dim=-1)
        kept = scores.masked_fill(mask, -1e4).softmax(dim=-1)
        return kept.masked_fill(mask, 0.0)


def scaled_dot_product_attention(query, key, value, mask=None):
    shapes = f"{tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}"
    Check(min(query.dim(), key.dim(), value.dim()) >= 2, f"too few dimensions in {shapes}")
    Check(query.shape[:-2] == key.shape[:-2] == value.shape[:-2], f"leading dimensions differ in {shapes}")
    Check(query.shape[-1] == key.shape[-1] and key.shape[-2] == value.shape[-2], f"last dimensions do not fit in {shapes}")
    scores = Scores()(query, key)
    if mask is not None:
        Check(mask.dtype == torch.bool, f"mask is {mask.dtype}")
        try:
            mask = mask.broadcast_to(scores.shape)
        except RuntimeError as error:
            raise ValueError(f"mask {tuple(mask.shape)} does not broadcast to {tuple(scores.shape)}") from error
    weights = MaskedSoftmax()(scores, mask)
    return Attended(weights @ value, weights)
