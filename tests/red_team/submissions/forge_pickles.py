"""Returns what runs code when it is unpickled, and writes what a grader may read back."""

import pickle


class Bomb:
    def __reduce__(self):
        return exec, ("open('@FOLDER@/unpickled', 'w')",)


class BombDict(dict):
    def __reduce__(self):
        return exec, ("open('@FOLDER@/unpickled', 'w')",)


def scaled_dot_product_attention(query, key, value, mask=None):
    return Bomb(), BombDict(x=pickle.dumps(Bomb()).hex())


def padding_mask(token_ids, pad_id):
    return pickle.dumps(Bomb())


def causal_mask(query_length, key_length=None):
    error = TypeError(Bomb())
    error.payload = Bomb()
    raise error
