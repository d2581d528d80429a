# Bruno Carvalho, HW4
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LayerNorm(nn.Module):
    def __init__(self, d_model: int, eps: float = 1e-5) -> None:
        super().__init__()
        if d_model < 1:
            raise ValueError(f"d_model must be >= 1, got {d_model}")
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))

    def forward(self, x: Tensor) -> Tensor:
        var, mu = torch.var_mean(x, dim=-1, unbiased=False, keepdim=True)
        return self.weight * ((x - mu) * (var + self.eps).rsqrt()) + self.bias


class FeedForward(nn.Module):
    def __init__(self, d_model: int, d_ff: int, activation: str = "relu", dropout: float = 0.0) -> None:
        super().__init__()
        if activation not in ("relu", "gelu"):
            raise ValueError(f'activation must be "relu" or "gelu", got {activation!r}')
        if not 0.0 <= dropout <= 1.0:
            raise ValueError(f"dropout must be in [0, 1], got {dropout}")
        self.activation = activation
        self.linear1 = nn.Linear(d_model, d_ff)
        self.linear2 = nn.Linear(d_ff, d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        h = self.linear1(x)
        h = h.clamp(min=0) if self.activation == "relu" else F.gelu(h)
        return self.linear2(self.dropout(h))


class EncoderBlock(nn.Module):
    def __init__(self, d_model: int, num_heads: int, d_ff: int, activation: str = "relu", dropout: float = 0.0, norm_first: bool = False) -> None:
        super().__init__()
        if num_heads < 1 or d_model % num_heads != 0:
            raise ValueError(f"num_heads must be >= 1 and divide d_model, got d_model={d_model}, num_heads={num_heads}")
        self.norm_first = norm_first
        self.self_attention = nn.MultiheadAttention(d_model, num_heads, dropout=dropout, batch_first=True)
        self.feed_forward = FeedForward(d_model, d_ff, activation, dropout)
        self.norm1 = LayerNorm(d_model)
        self.norm2 = LayerNorm(d_model)
        self.dropout1 = nn.Dropout(dropout)
        self.dropout2 = nn.Dropout(dropout)

    def forward(self, x: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        # one helper for both sub-layers; the norm goes in front or behind
        def sub(x, norm, drop, f):
            if self.norm_first:
                return x + drop(f(norm(x)))
            return norm(x + drop(f(x)))

        x = sub(x, self.norm1, self.dropout1, lambda t: self.attend(t, padding_mask))
        return sub(x, self.norm2, self.dropout2, self.feed_forward)

    def attend(self, x, padding_mask):
        mha = self.self_attention
        B, L, E = x.shape
        qkv = F.linear(x, mha.in_proj_weight, mha.in_proj_bias)
        q, k, v = qkv.view(B, L, 3, mha.num_heads, mha.head_dim).permute(2, 0, 3, 1, 4)
        visible = None
        if padding_mask is not None:
            # careful: here True means "may be seen"
            visible = ~padding_mask[:, None, None, :].expand(B, 1, L, L)
        p = mha.dropout if self.training else 0.0
        o = F.scaled_dot_product_attention(q, k, v, attn_mask=visible, dropout_p=p)
        return mha.out_proj(o.transpose(1, 2).reshape(B, L, E))


class Encoder(nn.Module):
    def __init__(
        self,
        num_layers: int,
        d_model: int,
        num_heads: int,
        d_ff: int,
        activation: str = "relu",
        dropout: float = 0.0,
        norm_first: bool = False,
    ) -> None:
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"num_layers must be >= 1, got {num_layers}")
        self.layers = nn.ModuleList(EncoderBlock(d_model, num_heads, d_ff, activation, dropout, norm_first) for _ in range(num_layers))
        self.norm = LayerNorm(d_model) if norm_first else None

    def forward(self, x: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        for block in self.layers:
            x = block(x, padding_mask)
        return self.norm(x) if self.norm else x
