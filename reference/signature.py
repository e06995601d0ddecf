"""How a function takes the inputs of a row: nested arguments, and the parameters of a module by their names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call

from scratchproof import trees
from scratchproof.vjp import Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """How a function takes the inputs of a row: its arguments, as trees of the inputs' names, and its parameters.

    parameters: inputs that a module has as its parameters; a function takes them after its arguments.
    """

    arguments: tuple[Any, ...]
    parameters: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (*trees.flat(self.arguments).values(), *self.parameters)

    def fill(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """The arguments with values in place of names."""
        return tuple(trees.mapped(values.__getitem__, argument) for argument in self.arguments)

    def called(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of the arguments as one of the inputs, in their order."""
        return lambda *values: function(*self.fill(dict(zip(self.names, values, strict=True))))

    def expression(self, function: Callable[..., Any]) -> Expression:
        """A torch function or module as an expression of the row's inputs, each a tensor, in their order."""

        def expression(*tensors: Tensor) -> Any:
            values = dict(zip(self.names, tensors, strict=True))
            parameters = {name: values[name] for name in self.parameters}
            if isinstance(function, nn.Module):
                return functional_call(function, _state(function, parameters), self.fill(values))
            return function(*self.fill(values), *parameters.values())

        return expression


def parameters_of(function: Any) -> dict[str, Tensor]:
    """The parameters of a module by name, whether compiled or not; none of anything else."""
    named = function.named_parameters() if isinstance(function, nn.Module) else ()
    return {name.removeprefix(COMPILED): parameter for name, parameter in named}


COMPILED = "_orig_mod."  # what torch.compile puts before the names of a module's parameters


def _state(module: nn.Module, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parameters and fresh copies of the buffers, in one precision and place: the module itself stays as it was."""
    like = next(iter(parameters.values()), None)
    given = {name: parameters[name.removeprefix(COMPILED)] for name, _ in module.named_parameters()}
    return {**given, **{name: _alike(buffer, like) for name, buffer in module.named_buffers()}}


def _alike(buffer: Tensor, like: Tensor | None) -> Tensor:
    if like is None:
        return buffer.clone()
    return buffer.to(like.device, like.dtype if buffer.is_floating_point() else None, copy=True)
