"""What a judge says: a verdict, one number, and its reasons."""

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

from scratchproof.exam.compare import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One thing that is wrong, or (with a verdict of PASS) worth knowing.

    kind: a short name that does not change, such as "zeros", "downgrade" or "stale output". where: what was asked.
    quantity: the output or gradient that shows it. message: plain words, with the first wrong element.
    """

    kind: str
    message: str
    verdict: Verdict = Verdict.FAIL
    where: str = ""
    quantity: str = ""

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        return f"{self.verdict} {self.kind}: {self.message}{place}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The result of `judge`. Prints as one line for the verdict and one for each reason.

    score: for a training loop: 0 unless it passed; else 1, or, where time was asked for, how many times as fast as the
    reference. reasons: the gravest first; notes: what does not count against it. called: the ATen operations that the
    candidate called. asked: what was compared, each with the largest error as a share of what is allowed, or why it was
    not asked. seed, scale: which inputs, and by what the problem's sizes were divided. remarks: how it ran.
    speedup, times: where time was asked for; times in seconds a call.
    """

    candidate: str
    reference: str
    verdict: Verdict
    precision: str
    seed: int
    scale: int = 1
    allow: str | None = None
    reasons: tuple[Reason, ...] = ()
    notes: tuple[Reason, ...] = ()
    called: tuple[str, ...] = ()
    asked: tuple[tuple[str, float | str], ...] = ()
    remarks: tuple[str, ...] = ()
    speedup: float | None = None
    times: tuple[tuple[str, float], ...] = ()
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return self.verdict is Verdict.PASS

    @property
    def score(self) -> float:
        if not self.passed:
            return 0.0
        return 1.0 if self.speedup is None else self.speedup

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the reasons, each once."""
        return tuple(dict.fromkeys(reason.kind for reason in self.reasons))

    @property
    def problem(self) -> str:
        """What `assert_passes` says; nothing where it passed."""
        return "" if self.passed else "\n".join(map(str, self.reasons)) or f"{self.verdict}"

    def as_dict(self) -> dict[str, Any]:
        """Everything, with `passed` and `score`, as JSON can hold it."""
        found = asdict(self)
        found["asked"] = [[name, _finite(share)] for name, share in self.asked]
        return {**found, "passed": self.passed, "score": self.score, "kinds": list(self.kinds)}

    def as_json(self) -> str:
        return json.dumps(self.as_dict())

    def __str__(self) -> str:
        head = f"{self.verdict} {self.candidate} against {self.reference} in {self.precision}, seed {self.seed}"
        size = f", sizes divided by {self.scale}" if self.scale != 1 else ""
        lines = [head + size, *map(str, self.reasons), *(f"note {n.kind}: {n.message}" for n in self.notes)]
        lines += [f"{name}: {seconds * 1e6:,.1f} µs" for name, seconds in self.times]
        lines += [f"{self.speedup:.3g} times as fast as the reference"] if self.speedup else []
        return "\n".join([*lines, *self.remarks])


def _finite(share: float | str) -> float | str | None:
    return None if isinstance(share, float) and not math.isfinite(share) else share
