"""Runs of a bank: resumed where they were stopped, anew where the code or the conditions changed, counted honestly."""

from dataclasses import replace

import pytest

from scratchproof import scratch
from scratchproof.bank.banks import Asked, Ledger, asked, tally
from scratchproof.bank.kill import Bench
from scratchproof.table.layers import row

ONES = ("caught", "lives", "equivalent")


@pytest.fixture
def held():
    calls = []

    def one(name):
        def kill(bench):
            calls.append(name)
            return "told" if name == "caught" else ""

        return Asked(bank="b", name=name, text=name, kill=kill, equivalent="no other" if name == "equivalent" else "")

    return [one(name) for name in ONES], calls


def run(file, every, **conditions):
    return Ledger(file=file).examine(Bench(**conditions), every, lambda done, total: None)


def test_a_run_goes_on_where_it_was(tmp_path, held):
    every, calls = held
    file = tmp_path / "held.jsonl"
    run(file, every[:2])
    assert run(file, every) == {"b: caught": "told", "b: lives": "", "b: equivalent": ""}
    assert calls == list(ONES)


def test_other_text_and_other_conditions_are_examined_anew(tmp_path, held):
    every, calls = held
    file = tmp_path / "held.jsonl"
    run(file, every)
    run(file, [replace(every[0], text="another")])
    run(file, every[:1], effort="quick")
    run(file, every[:1], seed=1)
    assert calls == [*ONES, "caught", "caught", "caught"]


def test_what_lived_is_examined_again_where_asked(tmp_path, held):
    every, calls = held
    file = tmp_path / "held.jsonl"
    run(file, every)
    Ledger(file=file, again=True).examine(Bench(), every, lambda done, total: None)
    assert calls == [*ONES, "lives", "equivalent"]


def test_what_lives_is_counted_apart_from_what_is_no_other_program(tmp_path, held):
    every, _ = held
    told = run(tmp_path / "held.jsonl", every)
    found = tally("b", every, told)
    assert (found.held, found.caught, found.equivalent, found.lives) == (3, 1, 1, ("lives",))
    assert not found.passed
    assert tally("b", [every[0], every[2]], told).passed
    assert not tally("b", every, {}).passed  # nothing examined is nothing caught


def test_an_equivalent_that_is_caught_counts_as_caught():
    one = Asked(bank="b", name="x", text="", kill=lambda bench: "told", equivalent="no other")
    found = tally("b", [one], {"b: x": "told"})
    assert (found.caught, found.equivalent, found.passed) == (1, 0, True)


def test_rows_choose_from_every_bank():
    relu = [row("relu")]
    assert all(one.name.startswith("relu:") for one in asked("named", scratch, relu))
    assert len(list(asked("sometimes", scratch, relu))) > 3
    assert {one.name.split(":")[0] for one in asked("mechanical", scratch, relu)} == {"layers", "_validate"}
