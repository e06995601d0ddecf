"""Mechanical mutants: each changes the text once, and each kind of change is there."""

import ast

from scratchproof import scratch
from scratchproof.bank.kill import source_of
from scratchproof.bank.mutations import mutants

SOURCE = '''
"""A module."""


def clip(x, low=0, *, high: int = 2):
    """Between two bounds."""
    if low > high:
        raise ValueError(f"low is {low + 0}")
    total = x[0, 1:] - low + x[:, :, 0]
    total += 1.5
    return np.minimum(x.T, total, out=None) * 2 * 2
'''


def test_every_mutant_is_another_program_that_parses():
    found = list(mutants(SOURCE))
    texts = {m.source for m in found}
    assert len(texts) == len(found)
    assert ast.unparse(ast.parse(SOURCE)) not in texts
    assert all(ast.parse(text) for text in texts)
    assert len({m.name for m in found}) == len(found)


def test_each_kind_of_change_is_made_and_named():
    told = {m.name for m in mutants(SOURCE)}
    for change in (
        "- becomes + in x[0, 1:] - low",
        "+ becomes - in x[0, 1:] - low + x[:, :, 0]",
        "> becomes >= in low > high",
        "the condition low > high is negated",
        "1.5 becomes 3.1",
        "arguments exchanged in np.minimum(x.T, total, out=None)",
        "out= is left out of np.minimum(x.T, total, out=None)",
        "indices exchanged in x[0, 1:]",
        "the lower bound of 1: is left out",
        "x.T is not transposed",
        "deleted: total += 1.5",
        "= for the sign of total += 1.5",
    ):
        assert any(change in name for name in told), change
    assert all(name.startswith("clip, line ") for name in told)
    assert not any("indices exchanged in x[:, :, 0]" in name for name in told)


def test_what_only_words_an_error_or_documents_stays():
    assert all("low is {low + 0}" in m.source and "Between two bounds." in m.source for m in mutants(SOURCE))


def test_the_rooms_of_scratch_have_many():
    assert len(list(mutants(source_of(scratch, "losses")))) > 50
