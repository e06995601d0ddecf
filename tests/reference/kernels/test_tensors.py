"""What crosses to a candidate's process arrives as it was."""

import numpy as np
import pytest
import torch

from scratchproof.errors import InputError
from scratchproof.kernels.tensors import DTYPES, bits, named_dtype, of_bits, packed, unpacked


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_crosses_without_loss(dtype):
    tensor = torch.tensor([0, 1, 3]).to(DTYPES[dtype])
    assert torch.equal(of_bits(bits(tensor), named_dtype(tensor)), tensor)


def test_a_tree_of_arguments_comes_back_in_its_form():
    tree = ([torch.ones(2), 3], {"a": (None, True), "b": torch.float16}, "s", 1.5)
    arrays, dtypes = [], []
    told = packed(tree, arrays, dtypes)
    found = unpacked(told, [of_bits(a, d) for a, d in zip(arrays, dtypes, strict=True)])
    assert torch.equal(found[0][0], torch.ones(2))
    assert found[0][1:] == [3]
    assert found[1:] == tree[1:]


def test_what_cannot_cross_is_told():
    with pytest.raises(InputError, match="a function cannot be handed"):
        packed([lambda: None], [], [])
    with pytest.raises(InputError, match="complex64"):
        packed([torch.ones(2, dtype=torch.complex64)], [], [])
    assert isinstance(bits(torch.ones(2)), np.ndarray)
