"""Forward mode and second order, each as a function of its own that sits the ordinary exam.

Forward mode gives the outputs' tangents for tangents of the inputs; its truth is the double use of the reverse mode.
Second order gives the gradients as outputs, for cotangents that are inputs: their gradients are examined in turn.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from scratchproof.errors import InputError
from scratchproof.extras import needed
from scratchproof.signature import Signature
from scratchproof.subjects.callables import CallableSubject
from scratchproof.table.expressions import Rng
from scratchproof.table.layers import Case, Layer
from scratchproof.vjp import Array, Expression, Inputs, by_path, floating, pulled_back

Named = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """How a function becomes another: of its inputs and of one more vector for each input or output.

    of_outputs: whether the vectors are cotangents of the outputs, or else tangents of the inputs.
    truth, torch, jax: from a function of named inputs and vectors, and the names it is differentiated in, to outputs.
    """

    name: str
    vector: str
    of_outputs: bool
    truth: Callable[..., Named]
    torch: Callable[..., Named]
    jax: Callable[..., Named]

    def row(self, layer: Layer) -> Layer:
        """The layer's row in this mode. Nothing but second order is differentiated once more."""
        plain, wanted = self._drawn(layer), self._wanted(layer)
        names = tuple(plain(np.random.default_rng(0)))
        signature = Signature(arguments=names)

        def mode_of(one: Expression) -> Expression:
            return lambda *tensors: self.truth(_by_name(one, layer), dict(zip(names, tensors, strict=True)), wanted)

        return replace(
            layer,
            name=f"{layer.name} ({self.name})",
            torch=mode_of(layer.torch),
            alternatives=tuple(map(mode_of, layer.alternatives)),
            cases=(Case(name=self.name, inputs=plain),),
            constant=layer.constant if self.of_outputs else names,
            corners=(),
            slips={},
            signature=signature,
        )

    def subject(self, of: CallableSubject, layer: Layer, row: Layer) -> CallableSubject:
        """The subject in this mode. Raises: InputError for code that brings its own gradient."""
        if of.framework not in ("torch", "jax"):
            raise InputError(f"{of.name} is no torch or JAX function: it has no {self.name} to examine")
        expression, wanted = of.signature.expression(of.subject), self._wanted(layer)
        if of.framework == "jax":
            needed("jax")
            expression = of.signature.called(of.subject)
        transform = self.jax if of.framework == "jax" else self.torch
        assert row.signature is not None
        names = row.signature.names

        def mode(*values: Any) -> Named:
            return transform(_by_name(expression, layer), dict(zip(names, values, strict=True)), wanted)

        return replace(of, name=row.name, subject=mode, signature=row.signature)

    def _wanted(self, layer: Layer) -> list[str]:
        return floating(layer.cases[0].inputs(np.random.default_rng(0)), layer.constant)

    def _drawn(self, layer: Layer) -> Callable[[Rng], Inputs]:
        def sample(rng: Rng) -> Inputs:
            inputs = layer.cases[0].inputs(rng)
            like = _outputs(layer, inputs) if self.of_outputs else inputs
            vectors = floating(like, () if self.of_outputs else layer.constant)
            return {**inputs, **{f"{self.vector}.{k}": rng.standard_normal(like[k].shape) for k in vectors}}

        return sample


def _outputs(layer: Layer, inputs: Inputs) -> dict[str, Array]:
    found = by_path(layer.torch(*(torch.from_numpy(np.array(value)) for value in inputs.values())))
    return {name: value.detach().numpy() for name, value in found.items()}


def _by_name(function: Expression, layer: Layer) -> Callable[[Mapping[str, Any]], Named]:
    assert layer.signature is not None
    names = layer.signature.names
    return lambda values: by_path(function(*(values[name] for name in names)))


def _smooth(outs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: out for name, out in outs.items() if out.is_floating_point()}


def _reverse_twice(function: Callable[..., Named], values: Named, wanted: Sequence[str]) -> Named:
    """J v as the gradient of <Jᵀ u, v> with respect to u."""
    with torch.enable_grad():
        primals = {name: values[name].detach().requires_grad_() for name in wanted}
        outs = _smooth(function({**values, **primals}))
        douts = {name: torch.zeros_like(out).requires_grad_() for name, out in outs.items()}
        grads = pulled_back(outs, douts, list(primals.values()), again=True)
        tangents = {name: values[f"tangent.{name}"] for name in wanted}
        found = pulled_back(dict(zip(wanted, grads, strict=True)), tangents, list(douts.values()))
    return dict(zip(douts, found, strict=True))


def _dual(function: Callable[..., Named], values: Named, wanted: Sequence[str]) -> Named:
    with forward_ad.dual_level():
        duals = {name: make_dual(values[name], values[f"tangent.{name}"]) for name in wanted}
        outs = _smooth(function({**values, **duals}))
        found = {name: unpack_dual(out) for name, out in outs.items()}
        return {k: torch.zeros_like(f.primal) if f.tangent is None else f.tangent for k, f in found.items()}


def _gradients(function: Callable[..., Named], values: Named, wanted: Sequence[str]) -> Named:
    outs = _smooth(function(values))
    douts = {name: values[f"dout.{name}"] for name in outs}
    grads = pulled_back(outs, douts, [values[name] for name in wanted], again=True)
    return {f"grad.{name}": grad for name, grad in zip(wanted, grads, strict=True)}


def _jax_split(function: Callable[..., Named], values: Named) -> Callable[[Named], Named]:
    jnp = needed("jax.numpy")
    return lambda primals: {
        name: out for name, out in function({**values, **primals}).items() if jnp.issubdtype(out.dtype, jnp.floating)
    }


def _jax_tangents(function: Callable[..., Named], values: Named, wanted: Sequence[str]) -> Named:
    jax = needed("jax")
    primals, tangents = {k: values[k] for k in wanted}, {k: values[f"tangent.{k}"] for k in wanted}
    found: Named = jax.jvp(_jax_split(function, values), (primals,), (tangents,))[1]
    return found


def _jax_gradients(function: Callable[..., Named], values: Named, wanted: Sequence[str]) -> Named:
    outs, pull = needed("jax").vjp(_jax_split(function, values), {k: values[k] for k in wanted})
    (grads,) = pull({name: values[f"dout.{name}"] for name in outs})
    return {f"grad.{name}": grads[name] for name in wanted}


make_dual: Callable[..., Tensor] = forward_ad.make_dual  # they have no types
unpack_dual: Callable[..., Any] = forward_ad.unpack_dual
MODES = {
    "forward": Mode(
        name="forward mode", vector="tangent", of_outputs=False, truth=_reverse_twice, torch=_dual, jax=_jax_tangents
    ),
    "second": Mode(
        name="second order", vector="dout", of_outputs=True, truth=_gradients, torch=_gradients, jax=_jax_gradients
    ),
}
