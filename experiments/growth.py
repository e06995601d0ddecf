"""How do the time and the memory of a trace grow with a net's depth and its parameters?

Stacks of affine layers, layer norms and GELUs, deeper and wider, each traced in float32 beside its own float64 copy in
a process of its own; the row tells calls, parameters, the trace's CPU time, that of one pass forward and backward of
the net, and the process's largest memory, beside what it had before.
"""

import json
import subprocess
import sys
from dataclasses import dataclass

from .command import Basic, command, option
from .record import Run

CODE = """
import json, resource, sys, time
import torch
from torch import nn
from scratchproof import trace
torch.set_num_threads(1)
depth, width, rows = map(int, sys.argv[1:])
torch.manual_seed(0)
net = nn.Sequential(*(m for _ in range(depth) for m in (nn.Linear(width, width), nn.LayerNorm(width), nn.GELU())))
x = torch.randn(rows, width)
trace(nn.Linear(2, 2), inputs=torch.ones(1, 2))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak(); at = time.process_time()
net(x).sum().backward()
once = time.process_time() - at; at = time.process_time()
found = trace(net, inputs=x)
print(json.dumps({"calls": len({line.path for line in found.lines}), "passed": found.passed,
    "parameters": sum(p.numel() for p in net.parameters()), "seconds": time.process_time() - at, "once": once,
    "before": before, "peak": peak()}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Basic):
    """How deep, how wide."""

    depths: tuple[int, ...] = option((4, 8, 16, 32), "blocks of an affine layer, a norm and a GELU", least=1)
    widths: tuple[int, ...] = option((128, 256, 512, 1024), "units of each", least=2)
    rows: int = option(64, "rows in the minibatch", least=1)


SMOKE = {"depths": (1, 2), "widths": (8,), "rows": 4}


def main(config: Config) -> dict[str, object]:
    """Trace, print a row each, and return the record."""
    run = Run.start("growth", config)
    run.begin()
    narrow, deep = config.widths[0], config.depths[0]
    sizes = [(depth, narrow) for depth in config.depths] + [(deep, width) for width in config.widths[1:]]
    print("depth  width  calls  parameters  CPU s  passes  MB before  MB at most")
    rows = [_row(depth, width, config.rows) for depth, width in sizes]
    return run.finish({"rows": rows})


def _row(depth: int, width: int, rows: int) -> dict[str, object]:
    asked = [sys.executable, "-c", CODE, str(depth), str(width), str(rows)]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    found: dict[str, float] = json.loads(told.splitlines()[-1])
    print(
        f"{depth:5}  {width:5}  {found['calls']:5}  {found['parameters']:10,}  {found['seconds']:5.1f}  "
        f"{found['seconds'] / found['once']:6.0f}  {found['before']:9.0f}  {found['peak']:10.0f}",
        flush=True,
    )
    return {"depth": depth, "width": width, **found}


if __name__ == "__main__":
    command(Config, main, SMOKE)()
