"""Text from strangers, made harmless: a message may hold whatever an exception's author put there."""

LONGEST = 4000


def plain(text: object, *, longest: int = LONGEST) -> str:
    """One line in which every character can be seen: no control sequence, no change of writing direction.

    What is not printable (C0 and C1 controls, line breaks, bidirectional overrides, zero-width characters, lone
    surrogates) is spelled as Python would: `\\x1b`, `\\u202e`. What is longer than `longest` is cut, and says so.
    """
    return "".join(c if c.isprintable() else _spelled(c) for c in _cut(str(text), longest))


def block(text: object, *, longest: int = LONGEST) -> str:
    """The same for text of several lines: line breaks and tabs stay."""
    return "".join(c if c.isprintable() or c in "\n\t" else _spelled(c) for c in _cut(str(text), longest))


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]} ... and {len(text) - longest:,} characters more"
