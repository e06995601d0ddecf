"""How the options of a case reach a function that may want them by name, in CS231n's dictionary, or in order.

Strangers rename their parameters, so inputs go by position. What follows them is told by the signature; a function
whose signature says nothing (`*args`) is tried in each way, and the first that it takes is kept.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scratchproof.subjects.protocol import Unsupported
from scratchproof.table.layers import Case, Layer
from scratchproof.vjp import Array

DICTIONARY = re.compile(r"param|config|option|opts|cfg|dict|hyper|settings", re.IGNORECASE)
SYNONYMS: dict[str, tuple[str, ...]] = {
    "negative_slope": ("alpha", "slope", "leak", "a"),
    "eps": ("epsilon",),
    "stride": ("s", "strides", "step"),
    "pad": ("padding", "p"),
    "pool_height": ("ph", "hh", "height", "pool_h"),
    "pool_width": ("pw", "ww", "width", "pool_w"),
    "p": ("keep_prob", "prob", "keep", "dropout", "keep_ratio"),
    "momentum": ("mu", "decay"),
    "reg": ("lam", "lambda_", "lambd", "reg_strength", "regularization", "r", "l2", "reg_lambda"),
    "groups": ("g", "num_groups", "group"),
    "weight_scale": ("std", "scale", "weight_std"),
    "dropout": ("dropout_keep_ratio", "keep_prob"),
}
SEED = 231


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """One way to hand options over: after the inputs, and by name. The dictionary is copied for every call."""

    args: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)

    def with_other_names(self) -> "Style":
        """The same, its dictionary holding every option under the other names that authors have for it, too."""
        keywords = {name: _by_other_names(value) for name, value in self.keywords.items()}
        return Style(args=tuple(map(_by_other_names, self.args)), keywords=keywords)


@dataclass(slots=True, kw_only=True)
class Call:
    """A function and the ways in which it may be called, those likelier first.

    One that looks for a key that CS231n's dictionary does not have is given others.
    """

    function: Callable[..., Any]
    styles: Sequence[Style]

    def __call__(self, inputs: Mapping[str, Array]) -> Any:
        errors: list[Exception] = []
        styles = list(self.styles)
        for style in styles:
            try:
                found = self._called(style, inputs)
            except Exception as error:
                errors.append(error)
                if isinstance(error, KeyError) and (other := style.with_other_names()) not in styles:
                    styles.append(other)
            else:
                self.styles = [style]
                return found
        # A style that was not understood says the least of what is wrong.
        raise next((error for error in errors if not isinstance(error, TypeError)), errors[0])

    def _called(self, style: Style, inputs: Mapping[str, Array]) -> Any:
        args = [_fresh(value) for value in style.args]
        return self.function(*inputs.values(), *args, **{name: _fresh(value) for name, value in style.keywords.items()})


def _fresh(value: Any) -> Any:
    return dict(value) if isinstance(value, dict) else value


def _by_other_names(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    others = {name: option for ours, option in value.items() for name in SYNONYMS.get(ours, ())}
    return {**others, **value}


def calling(function: Callable[..., Any], layer: Layer, case: Case, inputs: int) -> Call:
    """The ways to call `function` with `inputs` arrays by position and the options of a case.

    Raises: Unsupported where its signature has no place for an option.
    """
    wanted = _Wanted(layer, case)
    parameters = signature(function)
    if parameters is None:
        return Call(function=function, styles=wanted.any_style())
    return Call(function=function, styles=[wanted.style(parameters[inputs:])])


def defaults(layer: Layer) -> dict[str, Any]:
    """The options of a layer and what they are unless said."""
    try:
        parameters = inspect.signature(layer.torch).parameters
    except ValueError:  # torch.tanh and its like have no signature, and no options
        return {}
    return {name: p.default for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY and p.default is not p.empty}


def signature(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """The parameters of a function; None if it has no signature, or one that says nothing."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    return None if any(p.kind is p.VAR_POSITIONAL for p in parameters) else parameters


def takes(function: Callable[..., Any], inputs: int) -> bool:
    """Whether a function has a parameter for each of so many inputs, none of them CS231n's dictionary."""
    parameters = signature(function)
    if parameters is None:
        return True
    given = [p for p in parameters[:inputs] if positional(p)]
    return len(given) == inputs and not any(DICTIONARY.search(p.name) for p in given)


def wants_dictionary(function: Callable[..., Any], inputs: int) -> bool:
    """Whether behind its inputs a function has a place for CS231n's dictionary."""
    parameters = signature(function) or []
    return takes(function, inputs) and any(DICTIONARY.search(p.name) for p in parameters[inputs:])


def positional(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)


class _Wanted:
    """The options of a case and the defaults of its layer, to be brought home."""

    def __init__(self, layer: Layer, case: Case) -> None:
        self.options = dict(case.options)
        self.values = {**defaults(layer), **self.options}
        self.mode = layer.mode
        self.seeded = bool(layer.drawn)

    def any_style(self) -> list[Style]:
        by_name, in_order = Style(keywords=self.options), Style(args=tuple(self.values.values()))
        return [by_name, Style(args=(self._dictionary(()),)), in_order]

    def style(self, parameters: Sequence[inspect.Parameter]) -> Style:
        """Walk through the parameters behind the inputs and give each what it asks for."""
        args: list[Any] = []
        keywords: dict[str, Any] = {}
        given: set[str] = set()
        dictionaries = [p for p in parameters if self._is_dictionary(p, parameters)]
        for p in parameters:
            if p.kind is p.VAR_KEYWORD:
                keywords |= {name: value for name, value in self.options.items() if name not in given}
                given |= set(self.options)
                continue
            if p in dictionaries:
                value: Any = self._dictionary(given)
            elif (name := self._meant(p, parameters, given)) is not None:
                given.add(name)
                value = self.values[name]
            elif p.default is not p.empty:
                continue
            else:
                raise Unsupported(
                    f"wants {p.name}, which is not among its options ({', '.join(self.values) or 'none'})"
                )
            if p.kind is p.POSITIONAL_ONLY:
                args.append(value)
            else:
                keywords[p.name] = value
        lost = () if dictionaries else sorted(set(self.options) - given)
        if lost:
            raise Unsupported(f"takes no {', '.join(lost)}")
        return _first_by_position(parameters, args, keywords)

    def _dictionary(self, given: Sequence[str] | set[str]) -> dict[str, Any]:
        """CS231n's keys in its order, and no others: some unpack the values."""
        mode = {"mode": self.mode} if self.mode else {}
        seed = {"seed": SEED} if self.seeded and "seed" not in self.values else {}
        return {**mode, **{name: value for name, value in self.values.items() if name not in given}, **seed}

    def _is_dictionary(self, p: inspect.Parameter, parameters: Sequence[inspect.Parameter]) -> bool:
        if isinstance(p.default, dict) or DICTIONARY.search(p.name):
            return p.kind is not p.VAR_KEYWORD
        required = [q for q in parameters if q.default is q.empty and positional(q)]
        many = len(self.values) > 1 or bool(self.mode)
        return required == [p] and many and not any(self._synonym(q) for q in parameters)

    def _meant(self, p: inspect.Parameter, parameters: Sequence[inspect.Parameter], given: set[str]) -> str | None:
        """The option that a parameter is for: of its name, by a synonym, or the one that is left."""
        name = self._synonym(p)
        if name is not None and (name in self.options or p.default is p.empty):
            return name
        left = [option for option in self.values if option not in given]
        unknown = [q for q in parameters if self._synonym(q) is None and q.kind is not q.VAR_KEYWORD]
        if name is None and len(unknown) == 1 and len(left) == 1 and left[0] in self.options:
            return left[0] if p.default is p.empty or type(p.default) in (int, float) else None
        if name is None and p.default is p.empty and len(unknown) == len(self.values):
            return list(self.values)[unknown.index(p)]
        return None

    def _synonym(self, p: inspect.Parameter) -> str | None:
        for name in self.values:
            if p.name == name or p.name.lower() in SYNONYMS.get(name, ()):
                return name
        return None


def _first_by_position(parameters: Sequence[inspect.Parameter], args: list[Any], keywords: dict[str, Any]) -> Style:
    """What stands directly behind the inputs goes by position, as CS231n calls it."""
    for p in _leading(parameters[len(args) :], keywords):
        args.append(keywords.pop(p.name))
    return Style(args=tuple(args), keywords=keywords)


def _leading(parameters: Sequence[inspect.Parameter], keywords: Mapping[str, Any]) -> Iterator[inspect.Parameter]:
    for p in parameters:
        if p.name not in keywords or not positional(p):
            return
        yield p
