"""The table on terminals of every width: no verdict is lost, nothing is markup."""

import io
import re

import pytest
from rich.console import Console

from scratchproof.exam.compare import Verdict
from scratchproof.report.terminal import margin, show


def shown(document, *, width, terminal=False):
    stream = io.StringIO()
    show(Console(file=stream, width=width, force_terminal=terminal, color_system=None), document)
    return stream.getvalue()


@pytest.fixture
def every(sample):
    """Every verdict, each on a layer of its own with a long name, in both precisions."""
    return sample.document(
        *(
            sample.report(
                f"a_layer_of_name_{verdict.lower()}",
                sample.result(verdict=str(verdict), message=f"about {verdict}", cause="c" * 70, error=2e-15),
                verdict=str(verdict),
                precision=precision,
            )
            for verdict in Verdict
            for precision in ("float64", "float32")
        )
    )


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120])
@pytest.mark.parametrize("terminal", [False, True])
def test_no_width_loses_a_verdict_or_a_message(every, width, terminal):
    text = shown(every, width=width, terminal=terminal)
    together = re.sub(r"\s", "", text)
    for verdict in set(Verdict) - {Verdict.PASS, Verdict.MISSING}:
        assert verdict in together
        assert f"about{verdict}" in together
    assert "noteaboutPASS" in together
    assert together.count("…") == 0


@pytest.mark.parametrize("width", [60, 80, 120])
def test_on_a_terminal_no_line_is_wider_than_it(every, width):
    assert max(map(len, shown(every, width=width, terminal=True).splitlines())) <= width


@pytest.mark.parametrize(("width", "told"), [(120, "error/allowed margin"), (80, "margin"), (50, "float64")])
def test_what_fits_is_told_and_at_least_the_verdicts_in_whole_words(every, width, told):
    lines = shown(every, width=width).splitlines()
    assert told in lines[0]
    assert any(line.split()[:2] == ["a_layer_of_name_fail", "FAIL"] for line in lines)


def test_elsewhere_than_on_a_terminal_a_finding_is_one_line(every):
    assert f"cause: {'c' * 70}" in shown(every, width=60)


def test_markup_and_control_characters_are_shown(sample):
    wrong = sample.result(verdict="FAIL", message="[red]\x1b[2J\u202e[/red]", cause="[link=x]\n")
    text = shown(sample.document(sample.report("relu", wrong, verdict="FAIL")), width=80)
    assert "[red]\\x1b[2J\\u202e[/red]" in text
    assert "cause: [link=x]\\n" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("error", "allowed", "told"),
    [(0.0, 1e-15, "exact"), (2e-15, 1e-15, "none"), (1e-16, 1e-15, "x10"), (1e-30, 1e-15, ">9999"), (None, None, "")],
)
def test_a_margin_says_how_often_the_error_fits_in(error, allowed, told):
    assert margin(error, allowed).endswith(told)


def test_what_is_missing_is_told_without_its_parts_and_a_kind_where_the_verdict_does_not_say_it(sample):
    late = sample.result(verdict="TIMEOUT", severity="crash", message="at work")
    there = sample.report("relu", sample.result(), late, verdict="TIMEOUT")
    missing = [sample.report(name, verdict="MISSING", of=of) for name, of in (("affine", ""), ("affine.dx", "affine"))]
    text = shown(sample.document(there, *missing), width=80)
    assert "not examined: affine\n" in text
    assert "TIMEOUT at work" in text
