import torch
from torch import nn


import faulthandler


def halve(x):
    faulthandler._sigsegv()


class Scale(nn.Module):
    def __init__(self, features, dropout=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.dropout(x * self.weight)
