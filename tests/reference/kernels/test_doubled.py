"""Code that is written for a GPU and one dtype runs on the CPU in another."""

import pytest
import torch
from torch import nn

from scratchproof.kernels.doubled import Doubled, converted


def test_what_says_cuda_runs_on_the_cpu():
    with Doubled(None):
        assert torch.ones(2, device="cuda").to("cuda").cuda().device.type == "cpu"
        assert torch.ones(2, dtype=torch.float16).dtype == torch.float16


def test_casts_and_factories_go_to_the_dtype():
    with Doubled(torch.float64):
        x = torch.ones(2)
        found = [x, x.float(), x.half(), x.to(torch.bfloat16), torch.zeros(2, dtype=torch.float32), x.long().float()]
    assert {t.dtype for t in found} == {torch.float64}
    assert torch.get_default_dtype() == torch.float32


def test_the_default_dtype_is_put_back_after_an_error():
    with pytest.raises(ValueError, match="no"), Doubled(torch.float64):
        raise ValueError("no")
    assert torch.get_default_dtype() == torch.float32


def test_tensors_that_a_module_merely_holds_are_converted_too():
    module = nn.Linear(2, 2)
    module.mask = torch.ones(2)
    double = converted(module, torch.float64)
    assert {double.weight.dtype, double.mask.dtype} == {torch.float64}
    assert module.mask.dtype == torch.float32
