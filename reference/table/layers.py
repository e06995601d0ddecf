"""The table: one row a layer, loss, net or optimizer. A new layer is a function pair in the subject and a row here."""

from scratchproof.errors import InputError
from scratchproof.table.course.rows import CS231N
from scratchproof.table.dense import DENSE
from scratchproof.table.layer import Case, Layer, Shapes
from scratchproof.table.losses import LOSSES
from scratchproof.table.net_rows import NETS
from scratchproof.table.norms import NORMS
from scratchproof.table.rules import RULES
from scratchproof.table.windows import WINDOWS

__all__ = ["EVERY_ROW", "LAYERS", "Case", "Layer", "Shapes", "family", "row"]

LAYERS: tuple[Layer, ...] = (*DENSE, *NORMS, *WINDOWS, *LOSSES, *NETS, *RULES)
EVERY_ROW: tuple[Layer, ...] = (*LAYERS, *CS231N)


def row(name: str) -> Layer:
    """The row of that name. Raises: InputError that lists the names."""
    for layer in EVERY_ROW:
        if layer.name == name:
            return layer
    raise InputError(f"no layer is called {name!r}: choose from {', '.join(layer.name for layer in LAYERS)}")


def family(name: str) -> tuple[Layer, ...]:
    """The row of that name and those that ask more of it. Raises: InputError that lists the names."""
    return (row(name), *(layer for layer in EVERY_ROW if layer.of == name))
