"""Every small change to a package's own source, and the rows that could tell of it: those that run what is changed."""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from scratchproof.bank.kill import Bench, killed, source_of
from scratchproof.bank.mutations import Mutant, mutants
from scratchproof.exam.exam import Exam
from scratchproof.sandbox.failures import Failure
from scratchproof.subjects.subject import ContractError, ModuleSubject, Subject
from scratchproof.table.layers import Layer
from scratchproof.vjp import PRECISIONS

FORMS = ("", "_plain")
"""A package may have a function in several forms, told apart by how their names end. Each is examined."""

Place = tuple[str, str]
"""A module of the package, and a function or class at its top."""


@dataclass(frozen=True, slots=True)
class Equivalent:
    """Changes that nobody could see. place: a pattern of "module: function"; line: a text in the line that is changed;
    change: a pattern of what is done to it.
    """

    place: str
    line: str
    change: str
    reason: str

    def meant(self, place: str, line: str, change: str) -> bool:
        return bool(re.match(self.place, place) and self.line in line and re.search(self.change, change))


_ROUNDING = "a correction of one rounding, which right code may lack"
_MEMORY = "how many rows are worked on at a time: memory and speed, not the result"
_SHARED = "how many elements are shared out: speed, not the result"
_SWAPPED = r"arguments exchanged in (np\.(maximum|multiply|bitwise_xor|vdot)|max|min)\("
_FILLED = "what is zeroed too is filled in afterwards"
EQUIVALENT = (
    Equivalent("", "zip(", r"strict= is left out|True becomes False", "both are always of one length"),
    Equivalent("", "", _SWAPPED, "the same either way round"),
    Equivalent("layers: leaky_relu_forward", "x > 0", "> becomes >=", "at 0 both branches are 0"),
    Equivalent("layers: sigmoid_forward", "x >= 0", ">= becomes >", "at 0 both branches are exp(0) = 1"),
    Equivalent("losses: logistic_loss", "x >= 0", ">= becomes >", "at 0 both branches are exp(0) = 1"),
    Equivalent("losses: _softmax_rows", "total[:, 0]", "0 becomes -1", "there is one column"),
    Equivalent("layers: _centre", "rounding", "becomes", _ROUNDING),
    Equivalent("norms: _normalise$", "centred = ", "becomes", _ROUNDING),
    Equivalent("norms: _normalise$", "", "deleted: centred = centred", _ROUNDING),
    Equivalent("norms: layernorm_forward", "gamma, 1)", "1 becomes", "layer norm has no groups to read there"),
    Equivalent("norms: spatial_batchnorm_backward", "pixels[0].dtype", "0 becomes", "all in the cache have one dtype"),
    Equivalent("conv: _windows", "row_size", "", _MEMORY),
    Equivalent("conv: _windows", "budget", "", _MEMORY),
    Equivalent("conv: _windows", "rows = (count - 1)", "1 becomes 0|- becomes", _MEMORY),
    Equivalent("conv: _expand_width", "[:top]", "bound of", _FILLED),
    Equivalent("conv: _expand_width", "windows.start]", "bound of", _FILLED),
    Equivalent("conv: _conv_dx", "if filters else 0", "0 becomes", "without filters there is nothing to add"),
    Equivalent("conv: _conv_dx", "first < last", "< becomes <=", "a product of no rows adds zeros"),
    Equivalent(
        "_buffers: Room", "", "", "memory that is kept: fused steps alone take it, and its own tests are for that"
    ),
    Equivalent("conv: ", "products_in_parts(", "becomes", _SHARED),
    Equivalent("conv: the module", "PIECES", "becomes", _MEMORY),
    Equivalent("conv: _sums_of_rows", "together = ", "// becomes", _MEMORY),
    Equivalent("conv: _sums_of_rows", "windows[0].shape[0]", "0 becomes -1", "all windows are of one shape"),
    Equivalent("pooling: the module", "_BITS", "becomes", "the definition is taken instead"),
    Equivalent("pooling: backward_in", "integer is None", "", "the definition is taken instead"),
    Equivalent("pooling: backward_in", "np.isnan(best", "negated|minus", "the definition is taken instead"),
    Equivalent("pooling: backward_in", "apart = ", ">= becomes >", "sums of one number are that number"),
    Equivalent("pooling: backward_in", "every = ", r"\* becomes /", "equal only for windows of one pixel"),
    Equivalent("pooling: _row_maximum", "entries[1:-1]", "", "a maximum is the same with an entry met twice"),
    Equivalent("_windows: rows_first", "inner.flags", "negated", "whether a copy is made: speed, not the result"),
    Equivalent("init: ", "copy=False", "copy|False", "whether a copy is made: speed, not the result"),
    Equivalent("pooling: backward_in", "return max_pool_backward_plain", "", "no format that is promised comes here"),
    Equivalent(
        "_(threads|blas): ", "", "", "what is large enough to be shared out: no row is, and its own tests are for that"
    ),
    Equivalent("pooling: backward_in", "in_parts(", "apart|0 becomes", _SHARED),
    Equivalent("_validate: require_", "", r"deleted: require_axes\('[xw]'", "refused by the lines that follow, too"),
    Equivalent("nets: ", "need_dx=False", "need_dx|False", "dx is made and dropped: speed, not the result"),
    Equivalent("nets: XorNet", "logits[:, 0]", "0 becomes -1", "there is one column"),
    Equivalent("nets: ConvNet", "(3, 32, 32)", "32 becomes 33", "half of 33 is 16, as is half of 32"),
    Equivalent("nets: ConvNet", "stride=1, pad=", "stride= is left out", "it is the default"),
    Equivalent("nets: ConvNet", "pool_height=2, ", "is left out", "it is the default"),
    Equivalent("nets: _dropout", ">= drop", ">= becomes >", "no random number is ever seen to be the probability"),
    Equivalent("nets: _dropout", ">= drop", "dtype= is left out", "random numbers with more digits are drawn as often"),
    Equivalent("optim: the module", "BLOCK", "becomes", _MEMORY),
    Equivalent("optim: _blocks", "size, length", "0 becomes", "all are of one shape"),
    Equivalent("optim: _blocks", "rows = max", "", _MEMORY),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A mutant of one module of a package, and the rows that run what is changed, in each form that does."""

    package: ModuleType
    module: str
    mutant: Mutant
    rows: Mapping[str, Sequence[Layer]]

    @property
    def name(self) -> str:
        return f"{self.module}: {self.mutant.name}"

    @property
    def equivalent(self) -> str:
        """Why the mutant, should it live, is no other program; or an empty string."""
        meant = (known for known in EQUIVALENT if known.meant(self.place, self.text, self.mutant.change))
        return next((known.reason for known in meant), "")

    @property
    def place(self) -> str:
        return f"{self.module}: {self.mutant.function}"

    @property
    def text(self) -> str:
        """The line that is changed, as it was."""
        return source_of(self.package, self.module).splitlines()[self.mutant.line - 1]

    def kill(self, bench: Bench) -> str:
        """What gives it away, or an empty string: it lives, or no row runs it."""
        sources = {self.module: self.mutant.source}
        for form, rows in self.rows.items():
            if told := killed(bench, self.package, sources, rows, names=partial(in_form, form)):
                return told
        return ""


def changes(package: ModuleType, layers: Sequence[Layer]) -> Iterator[Change]:
    """Every mutant of the modules of a package that any of these rows runs."""
    ran = {form: _runs(package, form, layers) for form in FORMS}
    for module in sorted({module for places in ran.values() for module, _ in places}):
        for mutant in mutants(source_of(package, module)):
            rows = {form: _those(places, module, mutant.function) for form, places in ran.items()}
            yield Change(package=package, module=module, mutant=mutant, rows={f: r for f, r in rows.items() if r})


def in_form(form: str, module: ModuleType) -> dict[str, Any]:
    """What a module offers, each function in the form asked for where there is one."""
    offered = dict(vars(module))
    return {**offered, **{name.removesuffix(form): v for name, v in offered.items() if form and name.endswith(form)}}


def _those(places: Mapping[Place, Sequence[Layer]], module: str, function: str) -> list[Layer]:
    """The rows that run a function, or anything in the module where what is changed stands outside functions."""
    if (module, function) in places:
        return list(places[module, function])
    if function != "the module":
        return []
    return list({row.name: row for place, rows in places.items() if place[0] == module for row in rows}.values())


def _runs(package: ModuleType, form: str, layers: Sequence[Layer]) -> dict[Place, list[Layer]]:
    """The rows that run each function or class of the package; the row that runs the fewest comes first."""
    offered = ModuleType(package.__name__)
    vars(offered).update(in_form(form, package))
    subject = ModuleSubject(name=package.__name__, module=offered)
    ran = [(layer, _places(package, subject, layer)) for layer in layers]
    found: dict[Place, list[Layer]] = {}
    for layer, places in sorted(ran, key=lambda pair: len(pair[1])):
        for place in sorted(places):
            if not form or any(name.endswith(form) for _, name in places):
                found.setdefault(place, []).append(layer)
    return found


def _places(package: ModuleType, subject: Subject, layer: Layer) -> set[Place]:
    """What of the package the row's named cases run."""
    exam = Exam(subject=subject, layer=layer, precision=PRECISIONS["float64"])
    if subject.function(layer, layer.cases[0], exam.precision) is None:
        return set()
    found: set[Place] = set()
    folder = next(iter(package.__path__))

    def seen(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(folder):
            found.add((Path(frame.f_code.co_filename).stem, frame.f_code.co_qualname.split(".")[0]))

    for trial in exam.trials:
        _profiled(seen, lambda: _used(exam, trial))  # noqa: B023
    return found


def _used(exam: Exam, trial: Any) -> None:
    try:
        _, pullback = exam.function(trial)(**trial.given())
        for dout in trial.given_cotangents():
            pullback(dout)
    except (Failure, ContractError):
        pass


def _profiled(seen: Callable[[FrameType, str, object], None], call: Callable[[], None]) -> None:
    sys.setprofile(seen)
    try:
        call()
    finally:
        sys.setprofile(None)
