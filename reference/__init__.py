"""Examine any function and its gradients against torch: `from scratchproof import examine`.

The public names are those of `__all__`; each is imported when it is first asked for, so that `import scratchproof`
takes no time. torch is on one side, any implementation on the other: this package never imports `scratch`, whose
from-scratch layers are a subject like any other.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scratchproof.api.allowance import Allowance, allowance, assert_close
    from scratchproof.api.examine import examine
    from scratchproof.api.layouts import channels_last, transposed
    from scratchproof.api.parametrized import parametrize
    from scratchproof.api.report import Report, assert_passes
    from scratchproof.api.rows import row
    from scratchproof.judging.judge import judge
    from scratchproof.judging.judgement import Judgement
    from scratchproof.table.layers import Case, Layer
    from scratchproof.tracing.lines import Trace
    from scratchproof.tracing.models import trace
    from scratchproof.training.modules import Lockstep, lockstep

__all__ = [
    "Allowance",
    "Case",
    "Judgement",
    "Layer",
    "Lockstep",
    "Report",
    "Trace",
    "allowance",
    "assert_close",
    "assert_passes",
    "channels_last",
    "examine",
    "judge",
    "lockstep",
    "parametrize",
    "row",
    "trace",
    "transposed",
]

_HOME = {
    "Allowance": "api.allowance",
    "allowance": "api.allowance",
    "assert_close": "api.allowance",
    "channels_last": "api.layouts",
    "transposed": "api.layouts",
    "parametrize": "api.parametrized",
    "Case": "table.layers",
    "Layer": "table.layers",
    "Report": "api.report",
    "assert_passes": "api.report",
    "examine": "api.examine",
    "row": "api.rows",
    "Judgement": "judging.judgement",
    "judge": "judging.judge",
    "Trace": "tracing.lines",
    "trace": "tracing.models",
    "Lockstep": "training.modules",
    "lockstep": "training.modules",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'scratchproof' has no attribute {name!r}")
    return getattr(import_module(f"scratchproof.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
