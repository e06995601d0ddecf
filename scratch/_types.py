"""The one array type: shape and dtype are stated in docstrings and checked at run time."""

from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
