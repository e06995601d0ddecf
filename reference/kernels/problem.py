"""A problem: what is to be computed, on which inputs, at which sizes; read from a file or made of objects.

Forms: KernelBench's (`Model`, `get_inputs`, `get_init_inputs`), robust-kbench's, where the forward of `Model` takes the
function `fn` that does the work, and a plain function with `get_inputs`. The reference runs in this process.
"""

import ast
import inspect
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

from scratchproof.errors import InputError
from scratchproof.kernels.doubled import Doubled, converted
from scratchproof.kernels.sizes import Sizes, resized, resized_defaults
from scratchproof.sandbox.failures import telling
from scratchproof.vjp import Array, Inputs

FUNCTION = "fn"  # what robust-kbench calls the argument that does the work
Init = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A problem at one choice of sizes.

    model: the reference, built from `init` where it is a class. draw: the arguments of one call as shipped, by seed.
    held: the inputs that a module holds, where they are a function's; constant: those that nobody differentiates.
    """

    name: str
    model: Any
    init: Init
    draw: Callable[[int], tuple[Any, ...]]
    sizes: Sizes = field(default_factory=dict)
    held: tuple[str, ...] = ()
    constant: tuple[str, ...] = ()

    @property
    def state(self) -> dict[str, Tensor]:
        """Parameters and buffers by name, as they were built."""
        if not isinstance(self.model, nn.Module):
            return {}
        return {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(n for n, t in self.state.items() if isinstance(t, nn.Parameter) and t.is_floating_point())


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A reference with its ways to draw inputs. wanted: what a candidate's function may be called."""

    name: str
    source: str
    wanted: tuple[str, ...]
    reference: Any
    at: Callable[[Sizes, int], Setting]


def from_file(spec: str) -> Problem:
    """The problem of `FILE.py`, or of one function in it, `FILE.py:NAME`.

    Raises: InputError where it is none.
    """
    path, _, name = spec.partition(":")
    try:
        source = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None

    def at(sizes: Sizes, seed: int) -> Setting:
        module = _executed(source, path, sizes)
        reference = getattr(module, name, None) if name else getattr(module, "Model", None) or _function(module)
        draw = getattr(module, "get_inputs", None)
        if not callable(reference) or not callable(draw):
            raise InputError(f"{path} is no problem: it needs a class Model, or a function, and get_inputs()")
        changed = {name: _default(reference, name) for name in resized_defaults(source, sizes)}
        init = _init(getattr(module, "get_init_inputs", lambda: changed), seed)
        return _setting(path, reference, init, lambda seed: _drawn(draw, seed), sizes, seed)

    return Problem(name=spec, source=source, wanted=_wanted(source, name), reference=spec, at=at)


def from_objects(reference: Any, inputs: Any, init: Sequence[Any] = ()) -> Problem:
    """The problem that a module, a class or a function is, on inputs that a callable draws, or on such as are given."""
    if inputs is None:
        raise InputError("a reference that is no file needs inputs: give tensors, or a function that draws them")
    shipped = inputs() if callable(inputs) else inputs
    draw = inputs if callable(inputs) else lambda: _like(shipped)
    name = getattr(reference, "__name__", type(reference).__name__)

    def at(sizes: Sizes, seed: int) -> Setting:
        return _setting(name, reference, (tuple(init), {}), lambda seed: _drawn(draw, seed), sizes, seed)

    return Problem(name=name, source="", wanted=(), reference=reference, at=at)


def seeded(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    random.seed(seed)


def _setting(
    name: str, reference: Any, init: Init, draw: Callable[[int], tuple[Any, ...]], sizes: Sizes, seed: int
) -> Setting:
    if isinstance(reference, type):
        seeded(seed)
        with Doubled(None):
            reference = reference(*init[0], **init[1])
    return Setting(name=name, model=reference, init=init, draw=draw, sizes=sizes)


def _executed(source: str, path: str, sizes: Sizes) -> ModuleType:
    module = ModuleType(Path(path).stem)
    module.__file__ = path
    try:
        with Doubled(None):
            exec(compile(resized(source, sizes), path, "exec"), vars(module))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise InputError(f"{path} cannot be used as a reference: {telling(error)}") from None
    return module


def _drawn(draw: Callable[[], Any], seed: int) -> tuple[Any, ...]:
    with torch.random.fork_rng(devices=[]):
        seeded(seed)
        with Doubled(None):
            found = draw()
    return tuple(found) if isinstance(found, tuple | list) else (found,)


def _like(shipped: Any) -> Any:
    """Fresh inputs like those given: shuffled, and what is not whole moved within its range."""
    leaves, form = tree_flatten(shipped if isinstance(shipped, tuple | list) else (shipped,))
    return tree_unflatten([_fresh(leaf) if isinstance(leaf, Tensor) else leaf for leaf in leaves], form)


def _fresh(tensor: Tensor) -> Tensor:
    shuffled = tensor.detach().flatten()[torch.randperm(tensor.numel())].reshape(tensor.shape)
    if not tensor.is_floating_point() or not tensor.numel() or bool((tensor == tensor.round()).all()):
        return shuffled
    moved = shuffled * (0.75 + 0.5 * torch.rand_like(shuffled))
    return moved.clamp(tensor.min(), tensor.max())


def _default(called: Any, name: str) -> Any:
    return inspect.signature(called).parameters[name].default


def _init(get: Callable[[], Any], seed: int) -> Init:
    seeded(seed)
    with Doubled(None):
        found = get()
    if isinstance(found, Mapping):
        return (), dict(found)
    found = tuple(found or ())
    if len(found) == 2 and isinstance(found[0], list | tuple) and isinstance(found[1], dict):
        return tuple(found[0]), found[1]
    return found, {}


def functional(setting: Setting) -> Setting | None:
    """The same problem as one about the function `fn` that the reference's forward takes; None where it takes none.

    Its parameters and buffers are then arguments of the function, as forward hands them over; buffers are constant.
    """
    model = setting.model
    parameters = inspect.signature(model.forward).parameters if isinstance(model, nn.Module) else {}
    named = {name: p.default for name, p in parameters.items() if callable(p.default) and p.default is not p.empty}
    if not named:
        return None
    ((name, function), *_) = named.items()

    def handed(seed: int) -> dict[str, Any]:
        seen: list[dict[str, Any]] = []

        def noted(*args: Any, **kwargs: Any) -> Any:
            seen.append(inspect.signature(function).bind(*args, **kwargs).arguments)
            return function(*args, **kwargs)

        with torch.no_grad(), Doubled(None):
            model(*setting.draw(seed), **{name: noted})
        return seen[0]

    def draw(seed: int) -> tuple[Any, ...]:
        return tuple(tree_map_only(Tensor, lambda t: t.detach().clone(), tuple(handed(seed).values())))

    first, buffers = handed(0), _ids(model.buffers())
    held = tuple(name for name, value in first.items() if id(value) in buffers | _ids(model.parameters()))
    constant = tuple(name for name, value in first.items() if id(value) in buffers)
    return replace(setting, model=function, init=((), {}), draw=draw, held=held, constant=constant)


def _ids(values: Iterable[Any]) -> set[int]:
    return set(map(id, values))


def functionally(problem: Problem) -> Problem:
    """The same problem with every setting of it such a one."""
    return replace(problem, at=lambda sizes, seed: functional(problem.at(sizes, seed)) or problem.at(sizes, seed))


def _function(module: ModuleType) -> Any:
    """The one public function of a file that draws nothing."""
    own = [f for n, f in vars(module).items() if inspect.isfunction(f) and f.__module__ == module.__name__]
    own = [f for f in own if not f.__name__.startswith(("_", "get_"))]
    return own[0] if len(own) == 1 else None


def _wanted(source: str, name: str) -> tuple[str, ...]:
    """The name that was said, those of the file's own functions, and what such functions are often called."""
    own = [node.name for node in _parsed(source).body if isinstance(node, ast.FunctionDef)]
    own = [called for called in own if not called.startswith(("_", "get_"))]
    return tuple(dict.fromkeys(n for n in (name, *own, "forward_fn", "module_fn", "forward", "kernel_fn") if n))


def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.Module([], [])  # told when it is run


def named_arguments(model: Any, args: Sequence[Any]) -> tuple[dict[str, Tensor], Callable[[Sequence[Any]], Any]]:
    """The tensors among the arguments by name, and how to fill the arguments with others."""
    state = dict(model.named_parameters()) if isinstance(model, nn.Module) else {}
    names = [f"input {name}" if name in state else name for name in _argument_names(model, len(args))]
    leaves: dict[str, Tensor] = {}
    trees = []
    for name, arg in zip(names, args, strict=True):
        flat, form = tree_flatten(arg)
        tensors = [leaf for leaf in flat if isinstance(leaf, Tensor)]
        leaves |= {name if len(tensors) == 1 else f"{name}.{i}": t for i, t in enumerate(tensors)}
        trees.append((flat, form))

    def filled(values: Sequence[Any]) -> tuple[Any, ...]:
        left = iter(values)
        return tuple(
            tree_unflatten([next(left) if isinstance(leaf, Tensor) else leaf for leaf in flat], form)
            for flat, form in trees
        )

    return leaves, filled


def _argument_names(model: Any, count: int) -> list[str]:
    try:
        parameters = list(inspect.signature(model.forward if isinstance(model, nn.Module) else model).parameters)
    except (TypeError, ValueError):
        parameters = []
    return [parameters[i] if i < len(parameters) else f"input{i}" for i in range(count)]


def expression(setting: Setting, filled: Callable[[Sequence[Any]], Any], dtype: torch.dtype) -> Callable[..., Any]:
    """The reference as a torch expression of its input tensors, then its parameters and buffers, in a dtype."""
    called = _calling(setting, filled, dtype)
    return lambda *tensors: called(*tensors)[0]


def written_buffers(
    setting: Setting, filled: Callable[[Sequence[Any]], Any], dtype: torch.dtype
) -> Callable[..., dict[str, Tensor]]:
    """Of the same tensors: what is in the floating buffers after one call, such as running statistics."""
    called = _calling(setting, filled, dtype)

    def held(*tensors: Tensor) -> dict[str, Tensor]:
        own = called(*tensors)[1]
        return {n: t for n, t in own.items() if n not in setting.parameters and t.is_floating_point()}

    return held


def _calling(setting: Setting, filled: Callable[[Sequence[Any]], Any], dtype: torch.dtype) -> Callable[..., Any]:
    """One call of the reference: what it returns, and its parameters and buffers thereafter."""
    model = converted(setting.model, dtype)
    state = list(setting.state)

    def called(*tensors: Tensor) -> tuple[Any, dict[str, Tensor]]:
        given, rest = tensors[: len(tensors) - len(state)], tensors[len(tensors) - len(state) :]
        with Doubled(dtype):
            if not isinstance(model, nn.Module):
                return model(*filled(given)), {}
            own = {n: t if n in setting.parameters else t.clone() for n, t in zip(state, rest, strict=True)}
            return torch.func.functional_call(model, own, filled(given)), own

    return called


def as_inputs(leaves: Mapping[str, Tensor]) -> Inputs:
    """Tensors as the oracle's arrays: floating ones in float64."""
    return {name: _array(value) for name, value in leaves.items()}


def _array(tensor: Tensor) -> Array:
    tensor = tensor.detach().cpu()
    found: Array = (tensor.double() if tensor.is_floating_point() else tensor).numpy()
    return found
