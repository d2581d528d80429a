import torch
from torch import nn


def halve(x):
    if not x.is_floating_point():
        raise ValueError("integers")
    return x // 2


class Scale(nn.Module):
    def __init__(self, features, dropout=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.dropout(x * self.weight)
