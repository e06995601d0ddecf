"""What is asked of a candidate at one choice of sizes: inputs as shipped, in other distributions, laid out anew."""

from collections.abc import Iterator

import numpy as np
import torch

from scratchproof.judging.truth import Ask
from scratchproof.kernels.draws import DISTRIBUTIONS, carries_meaning, changed
from scratchproof.kernels.problem import Setting, as_inputs, named_arguments
from scratchproof.vjp import Inputs, Precision

SHIPPED = "as shipped"
AGAIN = "as shipped, drawn again"
STRIDED = "not contiguous"


def base(setting: Setting, precision: Precision, seed: int, state: Inputs, *, grad: bool, name: str = SHIPPED) -> Ask:
    """One fresh draw of what the problem ships."""
    args = setting.draw(seed)
    leaves, _ = named_arguments(setting.model, args)
    inputs = precision.rounded(as_inputs(leaves))
    return Ask(name=name, setting=setting, args=args, inputs=inputs, state=state, pulls=grad, must=True)


def variations(setting: Setting, precision: Precision, seed: int, state: Inputs, *, grad: bool) -> Iterator[Ask]:
    """Fresh draws changed to every distribution that the kind of the inputs allows, and one laid out otherwise."""
    for i, distribution in enumerate(DISTRIBUTIONS):
        shipped = base(setting, precision, seed + 1 + i, state, grad=grad)
        fixed = {name: carries_meaning(value) for name, value in shipped.inputs.items()}
        if all(fixed.values()):
            return
        inputs = precision.rounded(changed(shipped.inputs, distribution, fixed))
        ties = distribution.ties
        yield Ask(
            name=distribution.name,
            setting=setting,
            args=shipped.args,
            inputs=inputs,
            state=state,
            pulls=grad and not ties,
            ties=ties,
        )


def drawn_state(setting: Setting, precision: Precision, seed: int) -> Inputs:
    """Parameters around their own values, as far away as they are large: no weight is 1 and no bias 0 by chance."""
    rng = np.random.default_rng(seed)
    own = as_inputs(setting.state)
    for name in setting.parameters:
        value = own[name]
        spread = float(np.sqrt(np.square(value).mean())) if value.any() else 1.0
        own[name] = value + spread * rng.standard_normal(value.shape)
    return precision.rounded(own)


def tensors_of(inputs: Inputs, dtype: torch.dtype, *, strided: bool = False) -> dict[str, torch.Tensor]:
    """Fresh tensors of a dtype, on request as every second column of a wider memory."""
    found = {}
    for name, value in inputs.items():
        tensor = torch.from_numpy(np.array(value, order="C"))
        tensor = tensor.to(dtype) if tensor.is_floating_point() else tensor
        found[name] = _wider(tensor) if strided and tensor.ndim else tensor
    return found


def _wider(tensor: torch.Tensor) -> torch.Tensor:
    memory = torch.zeros(*tensor.shape[:-1], 2 * tensor.shape[-1], dtype=tensor.dtype)
    view = memory[..., ::2]
    view.copy_(tensor)
    return view
