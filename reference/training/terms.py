"""Which term of an update is to blame: the truth's own step is made again with one thing changed, and compared.

What is known of an optimizer is what torch.optim keeps: groups of options (lr, weight_decay, momentum, betas, eps) and
a state for each parameter. A wrapper's is found in its attributes. The change that comes closest to the candidate's
move names the term, if it makes nearly all of the difference.
"""

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Tensors = Mapping[str, Tensor]
EXPLAINED = 0.02  # of the difference may remain: what a change does to epsilon's share, and rounding
SCALED = 256.0  # factors of two from here on are a loss's scale, lesser ones a count of micro-batches
UNCORRECTED = 10.0**9  # after so many steps nothing is left of a bias correction


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The truth just before the step at which the two part, and the step of both.

    module, optimizer: as they are then. grads: what they are to step by. moved, got: what the truth and the candidate
    add to each parameter. left, due: by how much the candidate and the truth scaled their gradients within the step.
    scaled: how many times the truth's the candidate's gradients were. rates: the truth's, step by step, with the next.
    """

    module: nn.Module
    optimizer: Any
    grads: Tensors
    moved: Tensors
    got: Tensors
    left: float
    due: float
    scaled: float
    rates: Sequence[float]


@dataclass(frozen=True, slots=True)
class Change:
    """A term, a sentence, and what is changed: of the optimizer before its step, and of the gradients.

    bare: torch's own step, without what a wrapper does about it.
    """

    term: str
    cause: str
    options: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    state: Callable[[dict[str, Any]], None] | None = None
    grads: float = 1.0
    bare: bool = False


def blamed(at: Moment) -> tuple[str, str]:
    """The term and a sentence; ("update", "") where no change explains the candidate's move."""
    if _without_gradient(at):
        return "weight averaging", "it has no gradient, and is not carried along as the truth's is"
    left = [(_unexplained(_again(at, change), at), change) for change in _changes(at)]
    least, change = min(left, key=lambda pair: pair[0], default=(math.inf, None))
    if change is not None and least <= EXPLAINED:
        return change.term, change.cause
    return _by_rate(at) or ("update", "")


def common_factor(actual: Tensors, expected: Tensors, rounding: float) -> float:
    """The one number by which all the gradients are the truth's, within a few roundings; 1.0 where there is none."""
    square = sum(float((v * v).sum()) for v in expected.values())
    if not square:
        return 1.0
    factor = sum(float((actual[n].double() * v).sum()) for n, v in expected.items()) / square
    rest = sum(float((actual[n].double() - factor * v).square().sum()) for n, v in expected.items())
    near = math.sqrt(rest / square) <= EXPLAINED * abs(factor - 1) + rounding
    return factor if near else 1.0


def factor_term(factor: float) -> tuple[str, str]:
    """What a common factor of all gradients may come from."""
    exponent = math.log2(factor) if factor > 0 else 0.5
    if abs(exponent - round(exponent)) < EXPLAINED and factor >= SCALED:
        return (
            "loss scaling",
            f"all gradients are {factor:.4g} times the truth's: the loss was scaled, and not they back",
        )
    for count in (factor, 1 / factor if factor else 0.0):
        if count > 1 and abs(count - round(count)) < EXPLAINED:
            what = "summed where their mean is due" if factor > 1 else "divided by their number once too often"
            return "accumulation", f"all gradients are {factor:.4g} times the truth's: micro-batches are {what}"
    return "gradient", f"all gradients are {factor:.4g} times the truth's"


def inner(optimizer: Any) -> torch.optim.Optimizer | None:
    """The torch optimizer that this is, or that it holds."""
    held = [optimizer, *getattr(optimizer, "__dict__", {}).values()]
    return next((one for one in held if isinstance(one, torch.optim.Optimizer)), None)


def _without_gradient(at: Moment) -> bool:
    wrong = [name for name, due in at.moved.items() if _far(at.got[name], due, at)]
    return bool(wrong) and not any(bool(at.grads[name].any()) for name in wrong)


def _far(got: Tensor, due: Tensor, at: Moment) -> bool:
    largest = max(float((at.got[n].double() - v).abs().max()) for n, v in at.moved.items() if v.numel())
    return bool((got.double() - due).abs().max() > EXPLAINED * largest) if due.numel() else False


def _changes(at: Moment) -> Iterator[Change]:
    """What is suspected, the simplest first; a change of what the optimizer has not changes nothing."""
    optimizer = inner(at.optimizer)
    options = optimizer.param_groups[0] if optimizer is not None else {}
    if at.scaled != 1.0:
        yield Change("loss scaling", f"the gradients are not divided by {at.scaled:.4g} again", grads=at.scaled)
    if at.left != at.due:
        words = f"the gradients are scaled by {at.left:.4g} before the step, the truth's by {at.due:.4g}"
        yield Change("clipping", words, grads=at.left, bare=True)
    if options.get("weight_decay"):
        yield Change("decay", "there is none", lambda o: {"weight_decay": 0.0})
        yield Change("decay", "it is made twice", lambda o: {"weight_decay": 2 * o["weight_decay"]})
        yield Change("decay", "biases do not decay", lambda o: {"weight_decay": 0.0, "only": 1})
        yield Change("decay", "weights do not decay", lambda o: {"weight_decay": 0.0, "only": 2})
        yield Change("decay", "it is decoupled from the gradient on one side alone", _coupled)
    if options.get("momentum"):
        yield Change("momentum", "there is none", lambda o: {"momentum": 0.0, "nesterov": False})
        yield Change("momentum", "Nesterov's on one side alone", lambda o: {"nesterov": not o.get("nesterov")})
        yield Change("momentum", "the gradient is damped by 1 - momentum", lambda o: {"dampening": o["momentum"]})
    if "betas" in options:
        yield Change("bias correction", "t counts one step late", state=lambda s: _shifted(s, -1))
        yield Change("bias correction", "t counts one step early", state=lambda s: _shifted(s, 1))
        yield Change("bias correction", "there is none", state=lambda s: _shifted(s, UNCORRECTED))
        yield Change("momentum", "the betas are exchanged", lambda o: {"betas": o["betas"][::-1]})
        yield Change("momentum", "the first moment is not kept", lambda o: {"betas": (0.0, o["betas"][1])})
    if "eps" in options:
        yield Change("epsilon", "there is none", lambda o: {"eps": 0.0})


def _coupled(options: dict[str, Any]) -> dict[str, Any]:
    return {"decoupled_weight_decay": not options.get("decoupled_weight_decay", False)}


def _shifted(state: dict[str, Any], by: float) -> None:
    if "step" in state:
        state["step"] = state["step"] + by


def _again(at: Moment, change: Change) -> dict[str, Tensor]:
    """What the truth's optimizer, changed, adds to every parameter."""
    module, optimizer = copy.deepcopy((at.module, at.optimizer))
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    for name, p in module.named_parameters():
        p.grad = at.grads[name].clone() * change.grads
    plain = inner(optimizer)
    if plain is not None:
        if change.options is not None:
            _regrouped(plain, change.options)
        if change.state is not None:
            for state in plain.state.values():
                change.state(state)
    (plain if plain is not None and change.bare else optimizer).step()
    return {name: p.detach() - before[name] for name, p in module.named_parameters()}


def _regrouped(optimizer: torch.optim.Optimizer, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Each parameter a group of its own, with the changed options: of all, or `only` of matrices (2) or vectors (1)."""
    groups = []
    for group in optimizer.param_groups:
        changed = change(group)
        only = changed.pop("only", None)
        for p in group["params"]:
            meant = only is None or (p.ndim > 1) == (only > 1)
            groups.append({**group, **(changed if meant else {}), "params": [p]})
    optimizer.param_groups[:] = groups


def _unexplained(moves: Tensors, at: Moment) -> float:
    """How far the changed step is from the candidate's, as a share of how far the truth's is."""
    apart = sum(float((at.got[n].double() - v).square().sum()) for n, v in at.moved.items())
    rest = sum(float((at.got[n].double() - v).square().sum()) for n, v in moves.items())
    return math.sqrt(rest / apart) if apart else math.inf


def _by_rate(at: Moment) -> tuple[str, str] | None:
    """A move that is the truth's by one factor: a learning rate, perhaps that of another step."""
    factor = common_factor(at.got, at.moved, 0.0)
    if factor == 1.0:
        return None
    *before, now, after = at.rates
    when = {"one step late": before[-1:], "one step early": [after], "not at all": before[:1]}
    for words, rates in when.items():
        if rates and rates[0] != now and abs(factor * now / rates[0] - 1) < EXPLAINED:
            return "schedule", f"the rate changes {words}"
    sign = "; it goes uphill" if factor < 0 else ""
    return "learning rate", f"the move is {factor:.4g} times the truth's{sign}"
