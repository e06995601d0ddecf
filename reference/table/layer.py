"""A row of the table: what a thing is called, what it equals in torch, and on which inputs it is examined.

All sizes in a named case are distinct, so that a transposed or mis-summed axis cannot go unseen; `Shapes` draws those
where they coincide. Axis letters: N rows, D features, M outputs, H hidden units, C classes or channels, F filters,
G groups, T steps; images are (N, C, H, W).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scratchproof.signature import Signature
from scratchproof.table.expressions import Sampler
from scratchproof.vjp import Expression, Inputs

ELEMENTWISE = (
    *("zeros", "integers", "sparse", "huge", "every size", "tiny"),
    *("one row", "empty", "nonfinite", "nan and infinities"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Random inputs, in the order of the function's arguments, and its keyword options."""

    name: str
    inputs: Sampler
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """Which shapes and options a layer must take beside its named cases: sizes by letter, and what they make.

    letters: the sizes that each letter may have. inputs, options: what a set of sizes makes, by keyword.
    settings: further options, which any sizes go with: the values that each may have.
    legal: whether the sizes fit together. notable: what must occur among the shapes drawn, as far as can be.
    """

    letters: Mapping[str, Sequence[int]]
    inputs: Callable[..., Sampler]
    options: Callable[..., Mapping[str, Any]] = lambda **_: {}
    settings: Mapping[str, Sequence[float]] = field(default_factory=dict)
    legal: Callable[..., bool] = lambda **_: True
    notable: Mapping[str, Callable[..., bool]] = field(default_factory=dict)

    def settings_in(self, options: Mapping[str, Any]) -> dict[str, float]:
        """Those of a case's options that are settings."""
        return {name: options[name] for name in self.settings if name in options}

    def case(self, sizes: Mapping[str, int], settings: Mapping[str, float] | None = None) -> Case:
        settings = settings or {}
        name = ", ".join(f"{letter} {size}" for letter, size in {**sizes, **settings}.items())
        return Case(name=name, inputs=self.inputs(**sizes), options={**self.options(**sizes), **settings})


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A row of the table.

    name: `affine` stands for `affine_forward` and `affine_backward`; a loss or a net is named as it is called.
    kind: how the subject offers it.
        "pair" name_forward(*inputs) -> (out, cache) and name_backward(dout, cache) -> gradients;
        "loss" name(x, y) -> (loss, dx); "forward" name(*inputs) -> out, nothing to differentiate;
        "net" a class: net.params, net.loss(X) -> scores, net.loss(X, y) -> (loss, gradients);
        "rule" name(w, dw, config) -> (w, config) or, in place, config: an optimizer, step by step;
        "function" any callable, called as its signature says.
    of: the row of which this one asks more, by a kind of its own: the layer or the net is called as that one is.
        "partial" a pair whose backward takes need_dx=False; "predict" net.predict(X) -> labels;
        "tested" net.loss(X) in test mode after steps of training on other images, whose statistics count there;
        "start" a net's initial parameters; "dropout" a net that drops inputs and hidden units in training;
        "running", "inference" batch norm in its two modes as CS231n keeps them, in bn_param.
        "drawn" a pair that draws some of its inputs itself, told by their names in `drawn` and read off the output by
        `observed`; "seeded" a net whose loss is random but repeatable, so that only its own slopes judge it.
    backward: the name of its backward function where that is not name_backward. mode: what CS231n's dictionary of
        options says there. dictionary: whether it is asked only of a function that takes such a dictionary (True), or
        only of one that takes none (False). outputs: the names of the outputs where there are several.
    conventions: other right answers by the sentence that notes them, consistent in output and gradients.
    careless: formulas that are right on paper but lose digits or range, by the sentence that says how: what one of them
        gives is suspect, not wrong.
    leftovers: whether the sizes of some inputs and options are such as an author may refuse.
    torch: the expression that it equals; tensors by position, options by keyword. alternatives: expressions as right
        as that one; what any of them may stray is allowed. stored: "all" where any intermediate result may be rounded
        to the format, "outputs" where only outputs and gradients are.
    data: the input that corner cases change, the first unless said. batched: inputs whose first axis is the row, the
        data unless said. constant: floating inputs that are not differentiated.
    convolution: whether the output is made of windows of the data, weighted by an input `w`.
    turned: inputs that CS231n's first year had transposed, an example a column.
    kink: what the declared subgradient is where the layer is not differentiable.
    analytic: whether complex step can differentiate the forward pass.
    scores: a net's expression in test mode. sizes: a net's positional constructor arguments, from its inputs.
    corners: the corner cases that apply (see corners.py). shapes: other sizes that it must take.
    slips: torch expressions of what people write instead, by the sentence that names the mistake: a wrong result
        that one of them reproduces is explained (see diagnose.py).
    errors: inputs that must be refused with a ValueError, by a subject that documents this.
    unfit, unfit_options: likewise, and options, by a subject that promises to refuse whatever does not fit.
    Raises: ValueError for a row that makes no sense.
    """

    name: str
    kind: str
    torch: Expression
    cases: tuple[Case, ...]
    of: str = ""
    backward: str = ""
    mode: str = ""
    dictionary: bool | None = None
    outputs: tuple[str, ...] = ()
    drawn: tuple[str, ...] = ()
    observed: Callable[[Inputs, Mapping[str, Any]], Inputs] | None = None
    conventions: Mapping[str, Expression] = field(default_factory=dict)
    careless: Mapping[str, Expression] = field(default_factory=dict)
    leftovers: Callable[[Inputs, Mapping[str, Any]], bool] = lambda inputs, options: False
    alternatives: tuple[Expression, ...] = ()
    stored: str = "all"
    data: str = ""
    batched: tuple[str, ...] = ()
    constant: tuple[str, ...] = ()
    turned: tuple[str, ...] = ()
    kink: str = ""
    analytic: bool = False
    convolution: bool = False
    scores: Expression | None = None
    sizes: Callable[[Inputs], tuple[Any, ...]] | None = None
    signature: Signature | None = None
    corners: tuple[str, ...] = ()
    shapes: Shapes | None = None
    slips: Mapping[str, Expression] = field(default_factory=dict)
    errors: Mapping[str, Callable[[Inputs], Inputs]] = field(default_factory=dict)
    unfit: Mapping[str, Callable[[Inputs], Inputs]] = field(default_factory=dict)
    unfit_options: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.name}: kind is {self.kind!r}, but should be one of {', '.join(KINDS)}")
        if self.stored not in STORED:
            raise ValueError(f"{self.name}: stored is {self.stored!r}, but should be one of {', '.join(STORED)}")
        if not self.cases:
            raise ValueError(f"{self.name} has no cases: it needs at least one, with its inputs")
        names = [tuple(case.inputs(np.random.default_rng(0))) for case in self.cases]
        if len(set(names)) > 1 or not names[0]:
            raise ValueError(f"{self.name} has cases with other inputs, or none: all need the same, in one order")
        object.__setattr__(self, "data", self.data or names[0][0])
        object.__setattr__(self, "batched", self.batched or (self.data,))
        for role, named in {"data": (self.data,), "batched": self.batched, "constant": self.constant}.items():
            if unknown := sorted(set(named) - set(names[0])):
                raise ValueError(f"{self.name}: {role} says {', '.join(unknown)}, but inputs are {', '.join(names[0])}")
        if self.kind == "net" and self.sizes is None:
            raise ValueError(f"{self.name} is a net and needs `sizes`, its constructor's arguments")

    @property
    def called(self) -> str:
        """The name by which a subject has it."""
        return self.of or self.name

    @property
    def pulls_back(self) -> bool:
        """Whether there is anything to differentiate."""
        return self.kind in ("pair", "drawn", "partial", "loss", "net", "seeded", "function")


ASKING = ("partial", "predict", "tested", "start", "dropout", "running", "inference")
STORED = ("all", "outputs")
KINDS = ("pair", "drawn", "loss", "forward", "net", "seeded", "rule", "function", *ASKING)
