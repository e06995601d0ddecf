"""What a stranger's message may not do."""

import pytest

from scratchproof.report.text import block, plain


@pytest.mark.parametrize(
    "hostile", ["\x1b[31m", "\x9b1m", "a\rb", "\u202eabc", "\u200b", "\udc80", "\ufffe", "a\nb", "\x00"]
)
def test_what_cannot_be_seen_is_spelled_out(hostile):
    shown = plain(hostile)
    assert shown.isprintable()
    assert "\\" in shown


def test_what_can_be_seen_stays():
    assert plain("naïve ∂x ≤ 3 — 漢字 👍 [bold]") == "naïve ∂x ≤ 3 — 漢字 👍 [bold]"


def test_a_block_keeps_its_lines_and_loses_the_rest():
    assert block("a\n\tb\x1b\r") == "a\n\tb\\x1b\\r"


def test_what_is_too_long_is_cut_and_says_so():
    assert plain("x" * 1000, longest=10) == "xxxxxxxxxx ... and 990 characters more"
