"""Put a wrong version of a module to the exam, until the first thing that is not as it should be.

Many versions sit the same exam: its trials, with their truths and tolerances, are made once and kept.
"""

import importlib
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import numpy as np

from scratchproof.errors import InputError
from scratchproof.exam.checks import ASKED, CHECKS, run_check
from scratchproof.exam.compare import Result, Verdict
from scratchproof.exam.exam import EFFORTS, Exam, Papers
from scratchproof.subjects.subject import ContractError, ModuleSubject, Subject, Unsupported
from scratchproof.table.layers import Layer
from scratchproof.vjp import PRECISIONS

MUTANT = "scratchproof_mutant"
SECONDS = 20.0  # of processor time for one row: an endless loop is caught too


@dataclass(kw_only=True)
class Bench:
    """Where subjects are examined one after another. trials: those made so far."""

    seed: int = 0
    effort: str = "normal"
    precisions: tuple[str, ...] = ("float64", "float32")
    trials: Papers = field(default_factory=dict)

    def kill(self, subject: Subject, layers: Sequence[Layer]) -> str:
        """What gives the subject away first, or an empty string: it passes every row without so much as a note."""
        for precision in self.precisions:
            for layer in layers:
                with np.errstate(all="ignore"), warnings.catch_warnings(), _at_most(SECONDS):
                    warnings.simplefilter("ignore")
                    try:
                        if told := self._told(subject, layer, precision):
                            return told
                    except TimeoutError:
                        return f"{layer.name}: still at work after {SECONDS:g} s"
        return ""

    def _told(self, subject: Subject, layer: Layer, precision: str) -> str:
        exam = Exam(
            subject=subject,
            layer=layer,
            precision=PRECISIONS[precision],
            seed=self.seed,
            effort=EFFORTS[self.effort],
            papers=self.trials,
        )
        try:
            if subject.function(layer, layer.cases[0], exam.precision) is None:
                return f"{layer.name}: is missing"
        except (ContractError, Unsupported) as error:
            return f"{layer.name}: {error}"
        for check in ASKED.get(layer.kind, CHECKS):
            exam.results.extend(run_check(exam, check))
            if found := next(filter(_tells, exam.results), None):
                return f"{found.check}: {found.message or found.verdict}"
        return ""


def _tells(result: Result) -> bool:
    """Whether a library's own tests would stop at it: they take notes for faults, as --strict does."""
    return result.verdict is not Verdict.PASS or bool(result.message and result.severity)


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def late(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGVTALRM, late)
    # Again and again: the exam takes the first for an error of the subject's and asks on.
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, min(seconds, 1.0))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def changed(package: ModuleType, sources: Mapping[str, str]) -> ModuleType:
    """A package imported anew under another name, some of its modules from other source text.

    sources: by the module's name within the package. Raises: whatever the changed text raises when it runs.
    """
    for name in [name for name in sys.modules if name.split(".")[0] == MUTANT]:
        del sys.modules[name]
    assert package.__path__
    fresh = ModuleType(MUTANT)
    fresh.__path__ = list(package.__path__)
    fresh.__package__ = MUTANT
    sys.modules[MUTANT] = fresh
    for name, source in sources.items():
        module = ModuleType(f"{MUTANT}.{name}")
        module.__package__ = MUTANT
        sys.modules[module.__name__] = module
        exec(compile(source, f"{name}.py", "exec"), vars(module))
    init = Path(fresh.__path__[0], "__init__.py").read_text(encoding="utf-8")
    exec(compile(init, "__init__.py", "exec"), vars(fresh))
    return fresh


def source_of(package: ModuleType, name: str) -> str:
    """The text of a package's module."""
    return Path(next(iter(package.__path__)), f"{name}.py").read_text(encoding="utf-8")


def killed(
    bench: Bench,
    package: ModuleType,
    sources: Mapping[str, str],
    layers: Sequence[Layer],
    *,
    names: Callable[[ModuleType], dict[str, Any]] = vars,
) -> str:
    """What gives the changed package away, or an empty string if it lives. names: what of it is examined."""
    try:
        with _at_most(SECONDS):
            module = changed(package, sources)
    except Exception as error:
        return f"import: {type(error).__name__}: {error}"
    offered = ModuleType(MUTANT)
    vars(offered).update(names(module))
    return bench.kill(ModuleSubject(name=MUTANT, module=offered), layers)


def package_called(name: str) -> ModuleType:
    """The package of that name; `scratch` is the one that comes with this one. Raises: InputError if it is none."""
    try:
        package = importlib.import_module("scratchproof.scratch" if name == "scratch" else name)
    except ImportError as error:
        raise InputError(f"{name} cannot be imported ({error}): give the name of a package") from error
    if not hasattr(package, "__path__"):
        raise InputError(f"{name} is a module: a package is needed, whose modules can be changed one by one")
    return package
