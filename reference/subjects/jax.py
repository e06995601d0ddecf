"""A JAX function as a function of the contract: jax.vjp pulls the cotangent back, custom_vjp included."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from scratchproof.extras import needed
from scratchproof.vjp import ONLY, Array, Function, Gradients, Precision, Pullback, by_path, floating, named


def from_jax(
    function: Callable[..., Any],
    fill: Callable[[Mapping[str, Any]], Any],
    precision: Precision,
    constant: Sequence[str] = (),
) -> Function:
    """Bring a JAX callable to the contract.

    fill: makes its arguments from the inputs by name. Floating arrays are cast to the precision on the way in;
    float64 is enabled for as long as it is needed. Raises: InputError if JAX is not installed.
    """
    jax = needed("jax")

    def contract(**inputs: Array) -> tuple[Any, Pullback]:
        with jax.enable_x64(precision.unit < 2.0**-24):
            values = {name: _given(jax, value, precision) for name, value in inputs.items()}
            wanted = {name: values[name] for name in floating(inputs, constant)}

            def split(differentiated: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
                outs = by_path(function(*fill({**values, **differentiated})))
                smooth = {k: v for k, v in outs.items() if jax.numpy.issubdtype(v.dtype, jax.numpy.floating)}
                return smooth, outs

            smooth, pull, outs = jax.vjp(split, wanted, has_aux=True)
        order = {name: smooth.get(name, value) for name, value in outs.items()}

        def pullback(dout: Any) -> Gradients:
            with jax.enable_x64(precision.unit < 2.0**-24):
                douts = {name: _given(jax, value, precision) for name, value in named(dout).items()}
                (grads,) = pull(douts)
            return {name: _array(grads[name]) for name in wanted}

        arrays = {name: _array(value) for name, value in order.items()}
        return (arrays[ONLY] if list(arrays) == [ONLY] else arrays), pullback

    return contract


def _given(jax: Any, value: Array, precision: Precision) -> Any:
    kind = str(precision.dtype).removeprefix("torch.")
    return jax.numpy.asarray(value, dtype=kind if value.dtype.kind == "f" else None)


def _array(value: Any) -> Array:
    # NumPy has no bfloat16 of its own.
    return np.array(value.astype("float32") if str(value.dtype) == "bfloat16" else value)
