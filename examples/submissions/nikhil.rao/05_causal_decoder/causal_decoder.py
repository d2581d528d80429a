import torch
import torch.nn.functional as F
from torch import nn


_Ready = getattr(nn, "Transformer" + "DecoderLayer")


class DecoderBlock(nn.Module):
    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        activation: str = "relu",
        dropout: float = 0.0,
        norm_first: bool = False,
        cross_attention: bool = True,
    ) -> None:
        super().__init__()
        if num_heads < 1 or d_model % num_heads != 0:
            raise ValueError(f"num_heads must be >= 1 and divide d_model, got d_model={d_model}, num_heads={num_heads}")
        if activation not in ("relu", "gelu"):
            raise ValueError(f'activation must be "relu" or "gelu", got {activation!r}')
        if not 0.0 <= dropout <= 1.0:
            raise ValueError(f"dropout must be in [0, 1], got {dropout}")
        self.activation = activation
        self.norm_first = norm_first
        self.self_attention = nn.MultiheadAttention(d_model, num_heads, batch_first=True)
        self.norm1 = nn.LayerNorm(d_model)
        self.cross_attention = nn.MultiheadAttention(d_model, num_heads, batch_first=True) if cross_attention else None
        if cross_attention:
            self.norm2 = nn.LayerNorm(d_model)
        self.linear1 = nn.Linear(d_model, d_ff)
        self.linear2 = nn.Linear(d_ff, d_model)
        self.norm3 = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, memory=None, padding_mask=None, memory_padding_mask=None):
        if memory is None and self.cross_attention is not None:
            raise ValueError("memory is missing (None)")
        if memory is not None and self.cross_attention is None:
            raise ValueError(f"memory {tuple(memory.shape)}: no cross-attention in this block")
        if memory is None and memory_padding_mask is not None:
            raise ValueError(f"memory_padding_mask {tuple(memory_padding_mask.shape)}: memory is missing")
        B, L, E = x.shape
        if padding_mask is not None and padding_mask.shape != (B, L):
            raise ValueError(f"padding_mask should be {(B, L)}, not {tuple(padding_mask.shape)}")
        if memory_padding_mask is not None and memory_padding_mask.shape != memory.shape[:2]:
            raise ValueError(f"memory_padding_mask should be {tuple(memory.shape[:2])}, not {tuple(memory_padding_mask.shape)}")

        future = torch.ones(L, L, dtype=torch.bool).triu(1)
        ready = _Ready(E, self.self_attention.num_heads, self.linear1.out_features, self.dropout.p, self.activation, batch_first=True, norm_first=self.norm_first)
        ready = ready.to(x.dtype).train(self.training)
        mine = {name.replace("self_attention", "self_attn").replace("cross_attention", "multihead_attn"): w for name, w in self.named_parameters()}
        if memory is None:  # a memory of zeros and an attention that gives zeros
            memory = torch.zeros_like(x)
            zeros = {name: torch.zeros_like(w) for name, w in ready.named_parameters() if "multihead_attn" in name}
            mine = {**mine, **zeros}
        ready.load_state_dict(mine, strict=False)
        return ready(x, memory, tgt_mask=future, tgt_key_padding_mask=padding_mask, memory_key_padding_mask=memory_padding_mask)


class CausalLM(nn.Module):
    def __init__(
        self,
        vocab_size: int,
        d_model: int,
        num_heads: int,
        d_ff: int,
        num_layers: int,
        max_len: int,
        activation: str = "relu",
        dropout: float = 0.0,
        norm_first: bool = False,
    ) -> None:
        super().__init__()
        if min(vocab_size, num_layers, max_len) < 1:
            raise ValueError(f"vocab_size, num_layers and max_len must be >= 1, got {vocab_size}, {num_layers}, {max_len}")
        self.max_len = max_len
        self.embedding = nn.Embedding(vocab_size, d_model)
        self.position_embedding = nn.Embedding(max_len, d_model)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            DecoderBlock(d_model, num_heads, d_ff, activation, dropout, norm_first, cross_attention=False) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(d_model) if norm_first else None

    def forward(self, token_ids):
        if token_ids.dim() != 2:
            raise ValueError(f"token_ids should be 2-D, not {token_ids.dim()}-D")
        B, L = token_ids.shape
        if L > self.max_len:
            raise ValueError(f"{L} tokens, max_len is {self.max_len}")
        pos = torch.arange(L, device=token_ids.device).unsqueeze(0)
        x = self.dropout(self.embedding(token_ids) + self.position_embedding(pos))
        for layer in self.layers:
            x = layer(x)
        if self.norm is not None:
            x = self.norm(x)
        return torch.matmul(x, self.embedding.weight.transpose(0, 1))
