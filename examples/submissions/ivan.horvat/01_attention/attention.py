import torch


def padding_mask(token_ids, pad_id):
    return token_ids == pad_id


def causal_mask(query_length, key_length=None):
    key_length = query_length if key_length is None else key_length
    return torch.ones(query_length, key_length).triu(key_length - query_length + 1).bool()


def combine_masks(padding=None, causal=None):
    if padding is None:
        return causal
    padding = padding[:, None, None, :]
    return padding if causal is None else padding | causal


def scaled_dot_product_attention(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / query.size(-1) ** 0.5
    if mask is not None:
        scores = scores.masked_fill(mask, float("-inf"))
    weights = scores.softmax(-1)
    return weights @ value, weights


# trying it out: find a length for which the mask is wrong
length = 1
while True:
    if not torch.equal(causal_mask(length), torch.ones(length, length).triu(1).bool()):
        print("wrong for", length)
        break
    length = length % 8 + 1
