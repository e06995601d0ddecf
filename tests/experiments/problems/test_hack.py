"""Hacks go round the problems that they fit, and are candidates of them."""

from scratchproof.experiments.problems.bank import FAMILIES, HACKS, problems
from scratchproof.experiments.problems.hack import Hack, spread

HELD = FAMILIES["reductions"]


def test_each_goes_to_one_that_it_fits_or_to_all():
    hacks = [Hack(name=str(i), text="return None", reasons=("zeros",), fits=lambda p: not p.whole) for i in range(9)]
    once, everywhere = list(spread(hacks, HELD)), list(spread(hacks, HELD, everywhere=True))
    assert [hack.name for hack, _ in once] == [hack.name for hack in hacks]
    assert len({problem.name for _, problem in once}) == len(everywhere) / len(hacks) == len(HELD) - 1


def test_none_goes_to_a_problem_that_cannot_tell():
    blind = [p for p in problems().values() if p.vacuous]
    assert blind
    assert not list(spread(HACKS, blind))


def test_one_with_no_reason_against_it_is_right():
    kinds = {hack.candidate("reductions", HELD[0]).kind for hack in HACKS if not hack.reasons}
    assert kinds == {"right"}
