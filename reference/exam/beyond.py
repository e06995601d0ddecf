"""Beyond the named cases: other shapes and options, calls in other orders, arrays lying otherwise in memory.

What is wrong only sometimes is wrong in one of these. They need few tolerances of their own: orders of calls and of
memory are asked of inputs whose truth is known already, and shapes in float64 alone, under a rough allowance.
"""

import copy
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from scratchproof.exam.compare import Result, Severity, Verdict, compare, same_float
from scratchproof.exam.corners import LABELS, LAYOUTS
from scratchproof.exam.exam import Exam, Seen, Trial
from scratchproof.exam.judge import answered, judged, quantities, unanswered, verdict_of, weighed
from scratchproof.oracle.tolerance import Tolerance, least, tolerances
from scratchproof.sandbox.failures import Raised, guarded
from scratchproof.sandbox.observe import Reply
from scratchproof.table.layers import Shapes
from scratchproof.vjp import Answer, Array, Inputs, Outputs

CANDIDATES, A_SHAPE = 500, 32  # sets of sizes among which those are sought that are notable: at most, and a shape
NARROW = ("int32", "uint8")  # types in which data sets have their labels, beside int64
USUAL = 6  # letters: a row of more is asked in proportion
COINCIDENCE = 0.35  # how often a size is copied from another letter
SHRINKS = 60  # attempts to find a smaller shape that fails too
ROUGHLY = 16.0

# What follows from an answer that hangs on the calls before it.
REMEMBERED = {
    "after forward, forward, backward": "an earlier forward pass changes it: something is kept outside the cache",
    "when its arrays": "it remembers a result by where its arrays are, not by what they hold",
    "at call": "something is kept from call to call, and changes the result",
}

LYING = "it hangs on how the arrays lie in memory: in C order the same numbers give the right result"
LABELLED = "it hangs on the type of the labels: with int64 the same labels give the right result"

Sizes = dict[str, int]


def check_shapes(exam: Exam) -> Iterator[Result]:
    """Random legal shapes and options, with every coincidence that the row calls notable; failures are shrunk."""
    shapes = exam.layer.shapes
    if shapes is None or exam.found_wrong or (exam.precision.name != "float64" and not exam.effort.everywhere):
        return
    seed = int(exam.rng("shapes").integers(2**32))
    count = exam.effort.shapes * max(len(shapes.letters), USUAL) // USUAL
    trials = exam.drawn_once("shapes", lambda: trials_of(exam, shapes, drawn(shapes, seed, count)))
    for trial, reply in answered(exam, trials):
        found = _told(exam, trial, reply)
        if any(r.verdict is not Verdict.PASS for r in found):
            assert isinstance(trial, RoughTrial)
            yield from _shrunk(exam, shapes, trial, found)
            return
        yield from found[:1] or [Result(check="shapes", case=trial.name, quantity="")]


def drawn(shapes: Shapes, seed: int, count: int) -> list[Sizes]:
    """As many sets of sizes, the same for the same seed: chosen so that all that is notable occurs among them.

    Of those that show as much, the one with the most pairs of sizes that have not met.
    """
    rng = random.Random(seed)
    pool = [
        sizes
        for sizes in (_sizes(shapes, rng) for _ in range(min(CANDIDATES, A_SHAPE * count)))
        if shapes.legal(**sizes)
    ]
    if not pool:
        return []
    met = np.array([[told(**sizes) for told in shapes.notable.values()] for sizes in pool], bool)
    pairs = _pairs_of(pool)
    unmet, unseen = np.ones(met.shape[1]), np.ones(pairs.max(initial=0) + 1)
    chosen: list[int] = []
    for _ in range(min(count, len(pool))):
        found = met @ unmet + unseen[pairs].sum(axis=1) / (pairs.shape[1] + 1)
        found[chosen] = -1
        best = int(found.argmax())
        unmet[met[best]], unseen[pairs[best]] = 0, 0
        chosen.append(best)
    return [pool[i] for i in chosen]


def _pairs_of(pool: Sequence[Sizes]) -> Array:
    """For each set of sizes a number for each two of them; the same number for the same two."""
    sizes = np.array([list(sizes.values()) for sizes in pool])
    base = int(sizes.max(initial=0)) + 1
    first, second = np.triu_indices(sizes.shape[1], 1)
    letters = np.arange(len(first)) * base * base
    numbers = letters + sizes[:, first] * base + sizes[:, second]
    return np.unique(numbers, return_inverse=True)[1].reshape(numbers.shape)


def _sizes(shapes: Shapes, rng: random.Random) -> Sizes:
    sizes: Sizes = {}
    for letter in rng.sample(list(shapes.letters), len(shapes.letters)):
        alike = [size for size in sizes.values() if size in shapes.letters[letter]]
        copied = alike and rng.random() < COINCIDENCE
        sizes[letter] = rng.choice(alike if copied else list(shapes.letters[letter]))
    return {letter: sizes[letter] for letter in shapes.letters}


def trials_of(
    exam: Exam, shapes: Shapes, chosen: Sequence[Sizes], settings: Mapping[str, float] | None = None
) -> Iterator[Trial]:
    """The trials of these sizes, with the settings given or drawn."""
    rng = exam.rng("settings")
    for sizes in chosen:
        anew = {name: values[int(rng.integers(len(values)))] for name, values in shapes.settings.items()}
        case = shapes.case(sizes, anew if settings is None else settings)
        inputs = case.inputs(exam.rng(case.name))
        integers = _integers(inputs)
        yield RoughTrial(
            layer=exam.layer,
            case=case,
            name=", ".join([case.name, *(f"{name} of {dtype}" for name, dtype in integers.items())]),
            precision=exam.precision,
            inputs=exam.precision.rounded(inputs),
            seed=exam.seed,
            device=exam.device,
            pulls=1,
            sizes=sizes,
            integers=integers,
        )


def _integers(inputs: Inputs) -> dict[str, str]:
    """An integer type for each input of whole numbers, chosen by their sum among those that hold them."""
    types: dict[str, str] = {}
    for name, value in inputs.items():
        if value.dtype.kind == "i" and value.size:
            low, high = int(value.min()), int(value.max())
            fit = ["int64", *(dtype for dtype in NARROW if 0 <= low <= high <= np.iinfo(dtype).max)]
            types[name] = fit[int(value.sum()) % len(fit)]
    return types


def _wrong(exam: Exam, trial: Trial) -> list[Result]:
    ((_, reply),) = answered(exam, [trial])
    return [r for r in _told(exam, trial, reply) if r.verdict is not Verdict.PASS]


def _told(exam: Exam, trial: Trial, reply: Reply) -> list[Result]:
    """What is wrong with these sizes, or worth a note."""
    if _plainly_right(exam, trial, reply):
        exam.seen.append(Seen("shapes", trial, reply.answer))
        return []
    results = [r for r in judged(exam, trial, reply, "shapes", corner=True) if r.message]
    return [r if "AssertionError" not in r.message else _refused(r) for r in results]


def _plainly_right(exam: Exam, trial: Trial, reply: Reply) -> bool:
    """Whether all is within what is allowed at the least: then nothing need be disturbed to learn what is allowed."""
    if reply.failure:
        return False
    outs, grads = least(trial.truth, trial.precision)
    narrowly = copy.copy(trial)
    vars(narrowly)["tolerances"] = _rough(outs), tuple(map(_rough, grads))
    measured = quantities(narrowly, reply.answer)
    return not any(compare(m.actual, m.expected, m.tolerance, exam.precision).problem for m in measured)


def _refused(result: Result) -> Result:
    """What an author refuses knowingly, as by an `assert`, is a limit and no mistake: a note."""
    return replace(result, verdict=Verdict.PASS, severity=Severity.CONVENTION)


def _shrunk(exam: Exam, shapes: Shapes, trial: "RoughTrial", found: list[Result]) -> list[Result]:
    """What is wrong with the smallest sizes that are wrong too, as far as a few attempts find them."""
    attempts, sizes, settings = 0, trial.sizes, shapes.settings_in(trial.case.options)
    for letters in [*((letter,) for letter in shapes.letters), *combinations(shapes.letters, 2)]:
        if len({sizes[letter] for letter in letters}) > 1:
            continue  # two are made smaller together only where they are equal
        for smaller in sorted(size for size in shapes.letters[letters[0]] if size < sizes[letters[0]]):
            candidate = {**sizes, **dict.fromkeys(letters, smaller)}
            if attempts < SHRINKS and shapes.legal(**candidate):
                attempts += 1
                (smaller_trial,) = trials_of(exam, shapes, [candidate], settings)
                if wrong := _wrong(exam, smaller_trial):
                    sizes, found = candidate, wrong
                    break
    return found


@dataclass(kw_only=True)
class RoughTrial(Trial):
    """A trial with a cheap allowance: one disturbed run, taken for the whole tensor and sixteen times as wide.

    A disturbed run errs in every operation by half to all of what is allowed there, so its farthest element stands
    for all of them; sixteen times that is still 10⁶ below what a wrong formula does.

    sizes: by letter, of which it is made.
    integers: the type in which whole numbers are handed over, by name.
    """

    sizes: Sizes = field(default_factory=dict)
    integers: Mapping[str, str] = field(default_factory=dict)

    def given(self) -> Inputs:
        handed = super().given()
        return handed | {name: handed[name].astype(dtype) for name, dtype in self.integers.items()}

    @cached_property
    def tolerances(self) -> tuple[dict[str, Tolerance], tuple[dict[str, Tolerance], ...]]:
        outs, grads = tolerances(
            self.layer.torch,
            self.truth,
            self.inputs,
            self.cotangents,
            self.precision,
            constant=self.layer.constant,
            options=self.case.options,
            seed=self.seed,
            repeats=1,
        )
        return _rough(outs), tuple(_rough(of_cotangent) for of_cotangent in grads)


def _rough(found: Mapping[str, Tolerance]) -> dict[str, Tolerance]:
    return {
        name: replace(
            tolerance,
            allowed=np.full_like(tolerance.allowed, ROUGHLY * tolerance.allowed.max(initial=0.0)),
            ceiling=np.full_like(tolerance.ceiling, ROUGHLY * tolerance.ceiling.max(initial=0.0)),
            scale=ROUGHLY * tolerance.scale,
            offset=ROUGHLY * tolerance.offset,
            drift=math.inf,
        )
        for name, tolerance in found.items()
    }


def check_memory(exam: Exam) -> Iterator[Result]:
    """Arrays in Fortran order, strided, reversed, read-only: all of them, and each alone; labels of other types."""
    trial = exam.trials[0]
    if exam.found_wrong:
        return
    laid_out = list(_laid_out(trial))
    replies = exam.ask((trial, inputs, douts) for _, inputs, douts in laid_out)
    for (name, inputs, _), reply in zip(laid_out, replies, strict=True):
        renamed = copy.copy(trial)  # with the truth and the tolerances that it has already
        renamed.name = name
        if reply.failure:
            result = unanswered(exam, renamed, "memory", trial.out, reply.failure, corner=True)
            yield _refused(result) if isinstance(reply.failure, Raised) and not _indices(inputs) else result
            continue
        if _is_known(exam, trial, reply.answer):
            continue
        cause = LABELLED if " of " in name else LYING
        for measured, comparison in weighed(exam, renamed, reply.answer)[1]:
            if comparison.problem:
                yield verdict_of(exam, renamed, "memory", measured.quantity, comparison, cause=cause)


def _is_known(exam: Exam, trial: Trial, found: Answer) -> bool:
    """Whether the answer is, bit by bit, the one to the trial itself, of which all has been told."""
    given = next((seen.found for seen in exam.seen if seen.trial.inputs is trial.inputs), None)
    if given is None or len(given.grads) != len(found.grads):
        return False
    pairs = zip((given.outs, *given.grads), (found.outs, *found.grads), strict=True)
    return all(one.keys() == other.keys() and all(same_float(one[k], other[k]) for k in one) for one, other in pairs)


def _indices(inputs: Inputs) -> bool:
    """Whether NumPy takes all labels for indices: none of uint64, which it does not cast to its own."""
    return all(np.can_cast(value.dtype, np.intp) for value in inputs.values() if value.dtype.kind in "iu")


def _laid_out(trial: Trial) -> Iterator[tuple[str, Inputs, list[Outputs]]]:
    """The trial's inputs and cotangents, lying otherwise, each time with a name for how."""
    for name, layout in LAYOUTS.items():
        inputs, douts = trial.given(), trial.given_cotangents()
        yield name, {k: layout(v) for k, v in inputs.items()}, [_each(layout, dout) for dout in douts]
        for alone in inputs if name in ALONE else ():
            yield f"{alone} {name}", {**inputs, alone: layout(inputs[alone])}, douts
        if name in ALONE and douts:
            yield f"dout {name}", inputs, [_each(layout, dout) for dout in douts]
    for name, labels in trial.inputs.items():
        for dtype in LABELS if labels.dtype.kind in "iu" else ():
            yield f"{name} of {dtype}", {**trial.given(), name: labels.astype(dtype)}, trial.given_cotangents()


ALONE = ("in Fortran order", "strided")


def _each(layout: object, arrays: Outputs) -> Outputs:
    assert callable(layout)
    return {name: layout(value) for name, value in arrays.items()}


def check_orders(exam: Exam) -> Iterator[Result]:
    """Calls in other orders: forward twice and then backward twice, many calls, the same memory with other values."""
    trial = exam.trials[0]
    if exam.found_wrong or (exam.precision.name != "float64" and not exam.effort.everywhere):
        return
    other = trial.case.inputs(exam.rng("orders"))
    there = replace(trial, inputs=exam.precision.rounded(other), name="other values")
    fewer = replace(trial, inputs=_fewer(trial), name="fewer rows")
    alone = exam.ask((one, one.given(), one.given_cotangents()[:1]) for one in (trial, there, fewer))
    wanted = {name: reply.answer for name, reply in zip("abc", alone, strict=True)}
    for what, which, found in _ordered(exam, trial, there, fewer):
        for quantity, actual, due in _pairs(found, wanted[which]):
            if not _alike(actual, due):
                message = f"is another {what} than when called by itself"
                cause = next(told for beginning, told in REMEMBERED.items() if what.startswith(beginning))
                fields = {"severity": Severity.VALUE, "message": message, "cause": cause}
                yield exam.result("orders", trial, quantity, verdict=Verdict.FAIL, **fields)
                return


def _ordered(exam: Exam, a: Trial, b: Trial, c: Trial) -> Iterator[tuple[str, str, Answer]]:
    """Answers, each with the order of calls in which it was had and the letter of what it should be."""
    function = exam.function(a)
    for trial, which in ((b, "b"), (c, "c")):
        first, second = function(**a.given()), function(**trial.given())
        yield "after forward, forward, backward", which, _pulled(second, trial)
        yield "after forward, forward, backward", "a", _pulled(first, a)
    again = a.given()
    function(**again)
    for name, value in b.given().items():
        again[name][...] = value
    yield "when its arrays are filled anew", "b", _pulled(function(**again), b)
    for turn, found in enumerate(_in_turn(exam, a, b)):
        yield f"at call {turn + 7}", "ab"[turn % 2], found


def _in_turn(exam: Exam, a: Trial, b: Trial) -> Iterator[Answer]:
    """The answers to many calls, for one trial and the other in turn; a process apart is asked for them at once."""
    order = [turn % 2 for turn in range(exam.effort.calls)]
    apart = getattr(guarded(exam.subject.function, exam.layer, a.case, exam.precision), "turns", None)
    if apart is not None:
        yield from apart([(t.given(), next(iter(t.given_cotangents()), {})) for t in (a, b)], order)
        return
    function = exam.function(a)
    yield from (_pulled(function(**(a, b)[at].given()), (a, b)[at]) for at in order)


def _pulled(found: tuple[Outputs, object], trial: Trial) -> Answer:
    outs, pullback = found
    assert callable(pullback)
    grads = tuple({k: v.copy() for k, v in pullback(dout).items()} for dout in trial.given_cotangents()[:1])
    return Answer(outs={name: value.copy() for name, value in outs.items()}, grads=grads)


def _pairs(found: Answer, due: Answer) -> Iterator[tuple[str, Array, Array]]:
    for name, value in found.outs.items():
        yield name, value, due.outs[name]
    for grads, wanted in zip(found.grads, due.grads, strict=True):
        for name, value in grads.items():
            yield f"d{name}", value, wanted[name]


def _alike(a: Array, b: Array) -> bool:
    """Equal but for the order in which sums are added up."""
    if a.shape != b.shape or same_float(a, b):
        return a.shape == b.shape
    room = 1024 * np.finfo(b.dtype).eps * np.abs(b).max(initial=0.0) if b.dtype.kind == "f" else 0
    return bool((np.abs(a - b) <= room).all())


def _fewer(trial: Trial) -> Inputs:
    """The inputs without their last row, if the layer takes any number of rows."""
    if "one row" not in trial.layer.corners:
        return trial.inputs
    return {k: v[:-1] if k in trial.layer.batched and len(v) > 2 else v for k, v in trial.inputs.items()}
