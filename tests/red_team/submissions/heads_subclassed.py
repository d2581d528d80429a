"""Makes torch's own multi-head attention the parent class."""


class MultiHeadAttention(nn.MultiheadAttention):
    def __init__(self, d_model, num_heads, bias=True, dropout=0.0):
        super().__init__(d_model, num_heads, bias=bias, dropout=dropout, batch_first=True)
        self.w_q = self.w_k = self.w_v = self.w_o = self.out_proj

    def forward(self, query, key, value, mask=None):
        return super().forward(query, key, value, attn_mask=mask, average_attn_weights=False)
