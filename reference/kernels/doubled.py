"""A reference as it is written for a GPU and one dtype, run on the CPU in another."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_CASTS = {
    Tensor.float: torch.float32,
    Tensor.half: torch.float16,
    Tensor.bfloat16: torch.bfloat16,
    Tensor.double: torch.float64,
}


class Doubled(TorchFunctionMode):
    """Within it, code that says `device="cuda"` runs on the CPU, and what it casts to a floating dtype goes to `dtype`.

    dtype: None leaves dtypes as they are said. Factories that say no dtype make `dtype` too.
    """

    def __init__(self, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.dtype = dtype

    def __enter__(self) -> Any:
        self.default = torch.get_default_dtype()
        if self.dtype is not None:
            torch.set_default_dtype(self.dtype)
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *error: Any) -> None:
        torch.set_default_dtype(self.default)
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (Tensor.cuda, nn.Module.cuda):
            return args[0]
        if func in _CASTS:
            return args[0].to(self.dtype or _CASTS[func])
        if _on_a_gpu(kwargs.get("device")):
            kwargs["device"] = "cpu"
        if func is Tensor.to:
            args = tuple("cpu" if i and _on_a_gpu(a) else a for i, a in enumerate(args))
        if self.dtype is not None:
            args = tuple(self._dtype(a) for a in args)
            kwargs = {name: self._dtype(value) for name, value in kwargs.items()}
        return func(*args, **kwargs)

    def _dtype(self, value: Any) -> Any:
        return self.dtype if isinstance(value, torch.dtype) and value.is_floating_point else value


def converted(model: Any, dtype: torch.dtype) -> Any:
    """A copy of a module in a dtype, with the tensors that it merely holds; anything else as it is."""
    if not isinstance(model, nn.Module):
        return model
    model = copy.deepcopy(model).cpu().to(dtype)
    for module in model.modules():
        for name, value in vars(module).items():
            if isinstance(value, Tensor):
                setattr(module, name, value.cpu().to(dtype) if value.is_floating_point() else value.cpu())
    return model


def _on_a_gpu(device: Any) -> bool:
    return isinstance(device, str | torch.device) and str(device).startswith("cuda")
