"""What is asked of a candidate at one choice of sizes: inputs as shipped, in other distributions, laid out anew."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from scratchproof.judging.truth import Ask
from scratchproof.kernels.draws import DISTRIBUTIONS, carries_meaning, changed
from scratchproof.kernels.problem import Problem, Setting, as_inputs, named_arguments
from scratchproof.kernels.sizes import sizes_in
from scratchproof.kernels.tensors import named_dtype
from scratchproof.kernels.work import work_of
from scratchproof.vjp import PRECISIONS, Array, Inputs, Precision

SHIPPED = "as shipped"
AGAIN = "as shipped, drawn again"
SMALLEST = 5  # of the numbers in a problem that are changed to see another size
STRIDED = "not contiguous"
NUDGE = 2.0**-9


def precision_of(setting: Setting, seed: int) -> str:
    """The precision of the first floating input, or of the first parameter."""
    leaves, _ = named_arguments(setting.model, setting.draw(seed))
    tensors = [*leaves.values(), *setting.state.values()]
    found = next((named_dtype(t) for t in tensors if t.is_floating_point()), "float32")
    return found if found in PRECISIONS else "float32"


def base(setting: Setting, precision: Precision, seed: int, state: Inputs, *, grad: bool) -> Ask:
    """One fresh draw of what the problem ships."""
    args = setting.draw(seed)
    leaves, _ = named_arguments(setting.model, args)
    inputs = precision.rounded(as_inputs(leaves))
    return Ask(name=SHIPPED, setting=setting, args=args, inputs=inputs, state=state, pulls=grad, must=True)


def variations(shipped: Ask, draw: Callable[[int], Ask], precision: Precision) -> Iterator[Ask]:
    """Fresh draws changed to every distribution that the kind of the inputs allows, and one laid out otherwise."""
    fixed = {name: carries_meaning(value) for name, value in shipped.inputs.items()}
    for i, distribution in enumerate(DISTRIBUTIONS if not all(fixed.values()) else ()):
        fresh = draw(i)
        yield replace(
            fresh,
            name=distribution.name,
            inputs=precision.rounded(changed(fresh.inputs, distribution, fixed)),
            pulls=fresh.pulls and not distribution.ties,
            ties=distribution.ties,
            hard=distribution.hard,
            change=None if distribution.hard else distribution.change,
            must=False,
            instead="fits one distribution",
        )
    strided = replace(draw(len(DISTRIBUTIONS)), name=STRIDED, strided=True, must=False)
    yield replace(strided, instead="assumes contiguous inputs")


def steep(dout: Array) -> Array:
    """A cotangent as large as none was."""
    return 37.0 * dout


def nudged(inputs: Inputs, precision: Precision) -> Inputs:
    """The inputs with every number changed by a little, up and down in turn: near enough to be taken for the same."""
    little = max(NUDGE, 4 * precision.unit)
    moved = {
        name: value if carries_meaning(value) else value * (1 + little * _in_turn(value))
        for name, value in inputs.items()
    }
    return precision.rounded(moved)


def _in_turn(value: Array) -> Array:
    return np.where(np.arange(value.size) % 2, -1.0, 1.0).reshape(value.shape)


def exchanged(inputs: Inputs) -> Inputs:
    """The inputs with two numbers of middle rows exchanged, wherever they stand: sums and first elements stay."""
    return {
        name: value if carries_meaning(value) or value.ndim < 2 else _exchanged(value, i)
        for i, (name, value) in enumerate(inputs.items())
    }


def _exchanged(value: Array, shift: int) -> Array:
    rows = value.reshape(-1, value.shape[-1])
    row, column = (len(rows) - 1) // 2, (rows.shape[1] - 1) // 2
    one, other = rows[row, column], rows[(row + 1 + shift) % len(rows), (column + 1) % rows.shape[1]]
    if not one or not other:
        return value
    return np.where(value == one, other, np.where(value == other, one, value))


def other_sizes(problem: Problem, setting: Setting, seed: int) -> Iterator[Setting]:
    """The problem with another batch, and with as many of its sizes changed as the reference takes."""
    rng = random.Random(seed)
    if (another := _another_batch(setting, rng.randint(1, 7))) is not None:
        yield another
    if problem.source:
        now = {size: setting.sizes.get(size, size) for size in sizes_in(problem.source, SMALLEST - 1)}
        other = {size: value + rng.choice((-3, -1, 1, 3, 5) if value > 3 else (1, 3, 5)) for size, value in now.items()}
        for trial in (other, *({size: other[size]} for size in other)) if now else ():
            sizes = {**now, **trial}
            try:
                found = problem.at(sizes, seed)
                work_of(found, seed)
            except Exception:  # of whatever kind: these sizes do not go together
                continue
            yield replace(found, name="sizes of " + ", ".join(map(str, trial.values())))
            return


def _another_batch(setting: Setting, more: int) -> Setting | None:
    """Some rows more in every tensor that has as many as the first, if the reference takes that."""
    leaves, _ = named_arguments(setting.model, setting.draw(0))
    first = next((t for t in leaves.values() if t.ndim), None)
    if first is None or not len(first):
        return None
    rows = len(first)

    def longer(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        return [
            torch.cat([t] * (1 + -(-more // rows)))[: rows + more] if t.ndim and len(t) == rows else t for t in tensors
        ]

    def draw(seed: int) -> tuple[Any, ...]:
        leaves, filled = named_arguments(setting.model, setting.draw(seed))
        return tuple(filled(longer(list(leaves.values()))))

    found = replace(setting, name=f"{rows + more} rows for {rows}", draw=draw)
    try:
        work_of(found)
    except Exception:  # of whatever kind: the number of rows is not free
        return None
    return found


def drawn_state(setting: Setting, precision: Precision, seed: int) -> Inputs:
    """Parameters around their own values, as far away as they are large: no weight is 1 and no bias 0 by chance."""
    rng = np.random.default_rng(seed)
    own = built_state(setting)
    for name in setting.parameters:
        value = own[name]
        spread = float(np.sqrt(np.square(value).mean())) if value.any() else 1.0
        own[name] = value + spread * rng.standard_normal(value.shape)
    return precision.rounded(own)


def small_state(state: Inputs, setting: Setting, precision: Precision) -> Inputs:
    """The same with parameters a 53rd as large."""
    return precision.rounded({n: v / 53.0 if n in setting.parameters else v for n, v in state.items()})


def built_state(setting: Setting) -> Inputs:
    """Parameters and buffers as they were built."""
    return {name: np.array(value) for name, value in as_inputs(setting.state).items()}


def tensors_of(
    inputs: Inputs, dtype: torch.dtype, *, strided: bool = False, but: Sequence[str] = ()
) -> dict[str, torch.Tensor]:
    """Fresh tensors of a dtype, on request (but for some) as every second column of a wider memory."""
    found = {}
    for name, value in inputs.items():
        tensor = torch.from_numpy(np.array(value, order="C"))
        tensor = tensor.to(dtype) if tensor.is_floating_point() else tensor
        found[name] = _wider(tensor) if strided and tensor.ndim and name not in but else tensor
    return found


def _wider(tensor: torch.Tensor) -> torch.Tensor:
    memory = torch.zeros(*tensor.shape[:-1], 2 * tensor.shape[-1], dtype=tensor.dtype)
    view = memory[..., ::2]
    view.copy_(tensor)
    return view
