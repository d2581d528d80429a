import numpy as np
import tensorflow as tf
import torch


def padding_mask(token_ids, pad_id):
    return torch.tensor(tf.equal(token_ids.numpy(), pad_id).numpy())


def causal_mask(query_length, key_length=None):
    key_length = key_length or query_length
    return torch.tensor(1 - np.tri(query_length, key_length)).bool()


def combine_masks(padding=None, causal=None):
    return padding[:, None, None, :] | causal


def scaled_dot_product_attention(query, key, value, mask=None):
    scores = tf.matmul(query, key, transpose_b=True) / tf.sqrt(float(query.shape[-1]))
    if mask is not None:
        scores += tf.cast(mask, tf.float32) * -1e9
    weights = tf.nn.softmax(scores, axis=-1)
    return torch.tensor(tf.matmul(weights, value).numpy()), torch.tensor(weights.numpy())
