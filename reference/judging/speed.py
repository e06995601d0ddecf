"""How fast a candidate is beside the reference, where it is right: in rounds, in turn, and within what is possible.

Both run in processes of their own, the reference in one that the candidate cannot reach. Every call is waited for, gets
other inputs than the one before, and the last result of each round is compared with the truth. What would need more
than the bandwidth of the machine's memory is refused.
"""

from collections.abc import Mapping
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from scratchproof.judging.judgement import Reason
from scratchproof.judging.marking import marked
from scratchproof.kernels.candidate import Candidate
from scratchproof.sandbox.failures import Failure

if TYPE_CHECKING:
    from scratchproof.judging.sitting import Sitting
    from scratchproof.judging.truth import Truth

ROUNDS, CALLS = 5, 4  # of the calls of a round the first is not counted
DOUBT = 4.0  # times as fast as a copy of what must be read and written: what half of is found in a register is not
SEEN = 2e-5  # seconds of a copy that are more than the noise of a clock
STATES = {"warm": False, "cold": True}


def compared(sitting: "Sitting") -> tuple[float | None, dict[str, float], list[Reason]]:
    """How many times as fast as the reference the candidate is, the seconds of both, and what is wrong with them."""
    first, second = (sitting.truths[name] for name in ("as shipped", "as shipped, drawn again"))
    here, there = sitting.candidate, sitting.rival()
    try:
        models = {}
        for side in (here, there):
            side.start(sitting.text(side), poison=False)
            models[side] = sitting.build(side, sitting.setting, sitting.state)[0]
        found, wrong = _rounds(sitting, here, there, models, (first, second))
    except Failure as failure:
        return None, {}, [Reason(kind="crash", message=f"while it was timed, it or the reference {failure}")]
    finally:
        there.close()
    times = {name: median(values) for name, values in found.items()}
    wrong += _impossible(times, sitting, first)
    ratios = [times[f"reference, {state}"] / times[f"candidate, {state}"] for state in STATES]
    return (min(ratios) if not wrong else None), times, wrong


def _rounds(
    sitting: "Sitting",
    here: Candidate,
    there: Candidate,
    models: Mapping[Candidate, int],
    truths: tuple["Truth", "Truth"],
) -> tuple[dict[str, list[float]], list[Reason]]:
    (args, names), (other, _) = (sitting.handed(truth.ask) for truth in truths)
    found: dict[str, list[float]] = {}
    wrong: list[Reason] = []
    for _ in range(ROUNDS):
        for state, cold in STATES.items():
            for side in (here, there):
                taken, results = side.timed(models[side], args, other, names, CALLS, cold)
                who = "candidate" if side is here else "reference"
                found.setdefault(f"{who}, {state}", []).extend(taken[1:])
                if side is here and not wrong:
                    wrong += _checked(truths[(CALLS - 1) % 2], results)
        found.setdefault("copy", []).append(there.copied(_bytes(truths[0])))
    return found, wrong


def _checked(truth: "Truth", results: list[np.ndarray]) -> list[Reason]:
    compared = (marked(truth, quantity, a, {}) for quantity, a in zip(truth.plain.outs, results, strict=False))
    reasons = [one.reason for one in compared if one.reason]
    return [Reason(kind="wrong while timed", message=r.message, quantity=r.quantity) for r in reasons[:1]]


def _impossible(times: Mapping[str, float], sitting: "Sitting", truth: "Truth") -> list[Reason]:
    taken, least = times["candidate, warm"], times["copy"]
    if least < SEEN or taken * DOUBT > least:
        return []
    message = f"{taken:.2g} s a call, but {_bytes(truth):,} bytes cannot be copied in less than {least:.2g} s"
    return [Reason(kind="faster than the machine", message=message)]


def _bytes(truth: "Truth") -> int:
    """What must be written, and what must have been read: inputs whose every change would show."""
    width = truth.precision.dtype.itemsize
    written = sum(out.size for out in truth.plain.outs.values())
    grads = truth.answer.grads[0] if truth.answer.grads else {}
    return int(width * (written + sum(np.count_nonzero(grad) for grad in grads.values())))
