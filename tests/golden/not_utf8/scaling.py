import torch
# café
