"""The templates of the HTML reports, filled in by Jinja with everything escaped.

A page is one file that asks nothing of any other: its content security policy admits its own style and script, by
their digests, and nothing else.
"""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from scratchproof.errors import InputError
from scratchproof.report.text import block

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> str:
    """The template of that name in templates/, filled in. Raises: InputError where Jinja is not installed."""
    style, page, script = map(_read, ("style.css", "page.css", "script.js"))
    policy = f"default-src 'none'; style-src '{_digest(style + page)}'; script-src '{_digest(script)}'; img-src data:"
    found = environment().get_template(template)
    return found.render(style=style, page=page, script=script, policy=policy, **values)


@cache
def environment() -> "Environment":
    """Escapes every value, and spells every character out that a reader could not see."""
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise InputError("an HTML report needs Jinja, which torch brings along: pip install jinja2") from error
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    made.filters |= {"number": number, "address": address}
    return made


def number(value: float | None) -> str:
    """Two digits, as a reader of errors wants them; nothing for what was not measured."""
    return "" if value is None else f"{value:.1e}" if value else "0"


def address(path: str) -> str:
    """A file's address relative to the page; never one of another scheme, whatever the file is called."""
    return "./" + quote(path, safe="/", errors="surrogateescape")


def _visible(value: Any) -> Any:
    from markupsafe import Markup

    return block(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
