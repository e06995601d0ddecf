"""A row of one's own: what a function should equal, and on which inputs it is examined."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from scratchproof.api.inputs import Given, around, names_of, sampler
from scratchproof.errors import InputError
from scratchproof.signature import Signature, parameters_of
from scratchproof.table.expressions import Rng, Sampler
from scratchproof.table.layers import Case, Layer
from scratchproof.vjp import Inputs

VALUES = ("zeros", "integers", "huge", "tiny")
ROWS = ("one row", "empty")


def row(
    name: str,
    *,
    truth: Any,
    inputs: Given | Sequence[Given],
    data: str = "",
    batched: Sequence[str] = (),
    constant: Sequence[str] = (),
    kink: str = "",
    slips: Mapping[str, Callable[..., Any]] | None = None,
    corners: Sequence[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    stored: str = "all",
) -> Layer:
    """A row about a callable, for `parametrize`, `scratchproof check --rows`, or `examine`'s own use.

    name: what the callable is called in the file or module that is examined.
    truth: a torch callable or module, or a tuple of equivalent ones. inputs: see `examine`; a list of them makes
        several cases. data: the input that corner cases change, the first floating one unless said.
    batched: inputs whose first axis is the row: they are also examined with one row and with none.
    constant: floating inputs (or nests of them) that are not differentiated. kink: the declared subgradient.
    slips: torch callables of what people write instead, by the sentence that names the mistake.
    corners: the corner cases, by name; those that fit the data unless said.
    stored: "all" where any intermediate result may be rounded to the format, as in code that calls one operation after
        another; "outputs" for a fused kernel that keeps float32 until it stores its results, and is held to that.
    parameters: of the module that is examined, by name; those of the truth unless said.
    Raises: InputError or ValueError for a row that makes no sense.

    >>> import torch
    >>> row("gelu", truth=torch.nn.functional.gelu, inputs={"x": (6, 7)}).corners
    ('zeros', 'integers', 'huge', 'tiny')
    """
    truths = truth if isinstance(truth, tuple) else (truth,)
    owned = dict(parameters if parameters is not None else parameters_of(truths[0]))
    _same_parameters(owned, truths)
    given = list(inputs) if isinstance(inputs, list) else [inputs]
    signature = _signature(given[0], owned)
    cases = tuple(Case(name=_called(i, given), inputs=_drawn(one, owned, signature)) for i, one in enumerate(given))
    first = cases[0].inputs(np.random.default_rng(0))
    data = data or next((k for k in signature.names if first[k].dtype.kind == "f"), signature.names[0])
    values = VALUES if data in first and first[data].dtype.kind == "f" else ()
    return Layer(
        name=name,
        kind="function",
        torch=signature.expression(truths[0]),
        alternatives=tuple(map(signature.expression, truths[1:])),
        cases=cases,
        data=data,
        batched=tuple(batched),
        constant=_expanded(constant, signature),
        kink=kink,
        corners=(*values, *(ROWS if batched else ())) if corners is None else tuple(corners),
        slips={sentence: signature.expression(slip) for sentence, slip in (slips or {}).items()},
        signature=signature,
        stored=stored,
    )


def _signature(inputs: Given, parameters: Mapping[str, Any]) -> Signature:
    names = names_of(inputs)
    arguments = tuple(tree for name, tree in names.items() if name not in parameters)
    return Signature(arguments=arguments, parameters=tuple(parameters))


def _drawn(inputs: Given, parameters: Mapping[str, Any], signature: Signature) -> Sampler:
    """Inputs and parameters in the order of the signature; a parameter among the inputs is drawn as they say."""
    draw, own = sampler(inputs), {name: around(value) for name, value in parameters.items()}

    def sample(rng: Rng) -> Inputs:
        drawn = draw(rng)
        drawn = {**{name: around(rng) for name, around in own.items() if name not in drawn}, **drawn}
        return {name: drawn[name] for name in signature.names}

    return sample


def _same_parameters(owned: Mapping[str, Any], truths: Sequence[Any]) -> None:
    for truth in truths:
        theirs = parameters_of(truth)
        if theirs and set(theirs) != set(owned):
            raise InputError(
                f"the module has parameters {', '.join(owned) or 'none'}, but its truth has {', '.join(theirs)}: "
                "make the truth a function of the inputs and of the module's parameters, in their order"
            )


def _expanded(names: Sequence[str], signature: Signature) -> tuple[str, ...]:
    """Every input that is named, or that lies within a nest that is."""
    for name in names:
        if not any(_within(known, name) for known in signature.names):
            raise InputError(f"constant says {name!r}, but the inputs are {', '.join(signature.names)}")
    return tuple(known for known in signature.names if any(_within(known, name) for name in names))


def _within(name: str, nest: str) -> bool:
    return name == nest or name.startswith(f"{nest}.")


def _called(number: int, given: Sequence[Given]) -> str:
    return f"case {number + 1}" if len(given) > 1 else "inputs"
