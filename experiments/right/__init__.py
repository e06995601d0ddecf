"""Right code as people write it, another style a layer each time: what is right must pass, however it is written.

`STYLES` holds, by layer and style, functions under the course's names. Nothing here is wrong; what is stays elsewhere.
"""

from collections.abc import Callable, Mapping
from typing import Any

from . import dense, frameworks, losses, norms, steps, windows

Functions = Mapping[str, Callable[..., Any]]

STYLES: dict[tuple[str, str], Functions] = {
    **dense.STYLES,
    **norms.STYLES,
    **windows.STYLES,
    **losses.STYLES,
    **steps.STYLES,
    **frameworks.STYLES,
}
