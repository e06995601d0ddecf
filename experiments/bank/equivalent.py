"""Mutants that change nothing that anyone could see, each with the reason."""

import re

# A pattern of "room: function, line N: change", and why such a change is none.
EQUIVALENT: tuple[tuple[str, str], ...] = ()


def reason(mutant: str) -> str:
    """Why the mutant is no other program, or an empty string."""
    return next((why for pattern, why in EQUIVALENT if re.search(pattern, mutant)), "")
