"""What each assignment asks its students to write by hand, and so may not be called."""

from __future__ import annotations

from dataclasses import dataclass

# Modules that torch itself needs: their use is found in the source, they cannot be taken away.
EVERYWHERE_IN_TEXT = ("torch.ops", "torch._C", "torch._VF")
EVERYWHERE = ("torch.nn.Transformer",)

_ATTENTION_NAMES = (
    "torch.nn.functional.scaled_dot_product_attention",
    "torch.nn.functional.multi_head_attention_forward",
    "torch.nn.MultiheadAttention",
    "torch.nn.modules.activation.MultiheadAttention",
    "torch.nn.TransformerEncoder",
    "torch.nn.TransformerEncoderLayer",
    "torch.nn.TransformerDecoder",
    "torch.nn.TransformerDecoderLayer",
    "torch._native_multi_head_attention",
    "torch._scaled_dot_product_attention_math",
    "torch._transformer_encoder_layer_fwd",
    "torch._triton_multi_head_attention",
)
_ATTENTION_MODULES = ("torch.nn.modules.transformer", "torch.nn.attention")
_ATTENTION_OPERATORS = (
    "aten::scaled_dot_product_attention",
    "aten::_scaled_dot_product_attention_math",
    "aten::_scaled_dot_product_flash_attention_for_cpu",
    "aten::_scaled_dot_product_flash_attention",
    "aten::_scaled_dot_product_efficient_attention",
    "aten::_native_multi_head_attention",
    "aten::_transformer_encoder_layer_fwd",
)


@dataclass(frozen=True)
class Rules:
    """What is forbidden, for each of the three ways to notice it.

    calls: dotted names of functions and classes that raise when called. operators: torch's own, for calls that reach them by
    another way. modules: dotted names whose use is found in the source only. What lies below a forbidden name is forbidden too.
    """

    calls: tuple[str, ...] = EVERYWHERE
    operators: tuple[str, ...] = ()
    modules: tuple[str, ...] = EVERYWHERE_IN_TEXT

    @property
    def in_source(self) -> tuple[str, ...]:
        return self.calls + self.modules


_BY_HAND = Rules(EVERYWHERE + _ATTENTION_NAMES, _ATTENTION_OPERATORS, EVERYWHERE_IN_TEXT + _ATTENTION_MODULES)

_LAYER_NORM_NAMES = (
    "torch.nn.LayerNorm",
    "torch.nn.modules.normalization.LayerNorm",
    "torch.nn.functional.layer_norm",
    "torch.layer_norm",
    "torch.native_layer_norm",
    # With another shape these are a layer norm too, or the root and eps of one.
    *(f"torch.nn.functional.{name}" for name in ("group_norm", "batch_norm", "instance_norm", "rms_norm")),
    *(f"torch.{name}" for name in ("group_norm", "native_group_norm", "batch_norm", "native_batch_norm", "instance_norm", "rms_norm")),
    *(f"torch.nn.{name}" for name in ("GroupNorm", "BatchNorm1d", "BatchNorm2d", "InstanceNorm1d", "InstanceNorm2d", "RMSNorm")),
)
_NORM_OPERATORS = tuple(
    f"aten::{name}"
    for name in ("layer_norm", "native_layer_norm", "group_norm", "native_group_norm", "batch_norm", "native_batch_norm", "instance_norm", "rms_norm")
)
_ENCODER_NAMES = ("torch.nn.TransformerEncoderLayer", "torch.nn.TransformerEncoder", "torch._transformer_encoder_layer_fwd")
_DECODER_NAMES = ("torch.nn.TransformerDecoderLayer", "torch.nn.TransformerDecoder")
_FUSED_ATTENTION = ("torch.nn.functional.scaled_dot_product_attention", "torch._scaled_dot_product_attention_math")

_RULES = {
    "attention": _BY_HAND,
    "multi_head_attention": _BY_HAND,
    "encoder_block": Rules(EVERYWHERE + _LAYER_NORM_NAMES + _ENCODER_NAMES, _NORM_OPERATORS),
    "causal_decoder": Rules((*EVERYWHERE, *_DECODER_NAMES, _ENCODER_NAMES[0])),
    "transformer": Rules((*EVERYWHERE, "torch.nn.TransformerEncoder", "torch.nn.TransformerDecoder")),
    "flash_attention": Rules(EVERYWHERE + _FUSED_ATTENTION, _ATTENTION_OPERATORS[:-2], (*EVERYWHERE_IN_TEXT, "torch.nn.attention")),
}


def rules_of(name: str) -> Rules:
    """Rules of an assignment ("attention")."""
    return _RULES.get(name, Rules())
