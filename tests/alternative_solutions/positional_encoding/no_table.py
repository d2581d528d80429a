"""No table at all: each call computes its own angles, and the cosine is a sine a quarter turn later."""

import torch
from torch import Tensor, nn


def encode(positions: Tensor, d_model: int, base: float) -> Tensor:
    columns = torch.arange(d_model, device=positions.device)
    exponents = (columns - columns % 2).double() / d_model
    phases = (columns % 2).double() * (torch.pi / 2)
    return (positions.double()[:, None] / torch.pow(base, exponents) + phases).sin()


def sinusoidal_encoding(length: int, d_model: int, base: float = 10000.0) -> Tensor:
    for name, value in (("length", length), ("d_model", d_model)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    if base <= 0.0:
        raise ValueError(f"base must be positive, not {base}")
    return encode(torch.arange(length), d_model, base)


class PositionalEncoding(nn.Module):
    def __init__(self, d_model: int, max_len: int = 5000, dropout: float = 0.0) -> None:
        super().__init__()
        self.d_model = d_model
        self.max_len = max_len
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        if x.dim() != 3:
            raise ValueError(f"x must be 3-D, not {x.dim()}-D")
        if x.size(2) != self.d_model:
            raise ValueError(f"x must be {self.d_model} wide, not {x.size(2)}")
        if start < 0:
            raise ValueError(f"start must not be negative, but is {start}")
        stop = start + x.size(1)
        if stop > self.max_len:
            raise ValueError(f"the last position is {stop - 1}, but max_len is {self.max_len}")
        positions = torch.arange(start, stop, device=x.device)
        return self.dropout(x + encode(positions, self.d_model, 10000.0).to(x.dtype))
