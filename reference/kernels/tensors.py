"""Tensors and call arguments as messages carry them: NumPy arrays, and a JSON tree that says where each one goes.

NumPy has no bfloat16: its bits cross as int16, and the dtype is said beside.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from scratchproof.errors import InputError
from scratchproof.vjp import Array

DTYPES = {
    str(d).removeprefix("torch."): d
    for d in (
        torch.float64,
        torch.float32,
        torch.float16,
        torch.bfloat16,
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint8,
        torch.bool,
    )
}


def named_dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def bits(tensor: Tensor) -> Array:
    """The tensor's own memory, or a copy on the CPU, as an array; bfloat16 as int16."""
    tensor = tensor.detach().cpu()
    return tensor.view(torch.int16).numpy() if tensor.dtype == torch.bfloat16 else tensor.numpy()


def of_bits(array: Array, dtype: str) -> Tensor:
    """A tensor in the array's memory. Raises: KeyError for a dtype that never crosses."""
    tensor, wanted = torch.from_numpy(array), DTYPES[dtype]
    return tensor.view(torch.bfloat16) if wanted == torch.bfloat16 else tensor.to(wanted)


def packed(tree: Any, arrays: list[Array], dtypes: list[str]) -> Any:
    """A tree of arguments as JSON: tensors go to `arrays` and `dtypes`, and are known by their place there.

    Raises: InputError for what cannot be handed to another process.
    """
    if isinstance(tree, Tensor):
        arrays.append(bits(tree))
        dtypes.append(named_dtype(tree))
        if dtypes[-1] not in DTYPES:
            raise InputError(f"a tensor of {tree.dtype} cannot be handed to another process")
        return {"tensor": len(arrays) - 1}
    if isinstance(tree, torch.dtype):
        return {"dtype": str(tree).removeprefix("torch.")}
    if isinstance(tree, Mapping):
        return {"dict": [[key, packed(value, arrays, dtypes)] for key, value in tree.items()]}
    if isinstance(tree, tuple | list):
        kind = "list" if isinstance(tree, list) else "tuple"
        return {kind: [packed(value, arrays, dtypes) for value in tree]}
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    raise InputError(f"a {type(tree).__name__} cannot be handed to another process")


def unpacked(tree: Any, tensors: Sequence[Tensor]) -> Any:
    """The arguments again, with tensors in their places."""
    if not isinstance(tree, dict):
        return tree
    ((kind, value),) = tree.items()
    if kind == "tensor":
        return tensors[value]
    if kind == "dtype":
        return getattr(torch, value)
    if kind == "dict":
        return {key: unpacked(item, tensors) for key, item in value}
    found = [unpacked(item, tensors) for item in value]
    return tuple(found) if kind == "tuple" else found
