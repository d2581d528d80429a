"""Computes in inference mode, in which operations arrive whole that are counted by their parts."""

_forward, _backward = flash_attention_forward, flash_attention_backward
flash_attention_forward = torch.inference_mode()(_forward)
flash_attention_backward = torch.inference_mode()(_backward)
