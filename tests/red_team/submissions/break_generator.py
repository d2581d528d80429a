"""Damages what the next test relies on: the generator, the default dtype, the gradient mode, torch's own functions."""

torch.set_default_dtype(torch.float16)
torch.set_grad_enabled(False)
torch.manual_seed = torch.default_generator.manual_seed = lambda seed: None
torch.zeros_like = torch.autograd.grad = None
del torch.Tensor.shape, torch.Tensor.dtype
