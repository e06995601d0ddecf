"""The two-pass kernel, interpreted on the CPU: the nets end where separate products take them.

Triton reads TRITON_INTERPRET when it is imported, so the interpreted run is a process of its own.
"""

import os
import subprocess
import sys

import numpy as np
import pytest

from scratchproof.experiments.batched.stack import Member, initial

pytest.importorskip("triton")

PROGRAM = """
import sys
from functools import partial
import numpy as np
from scratchproof.experiments.batched.stack import Member, initial
from scratchproof.experiments.batched.torch_stack import TorchStack
from scratchproof.experiments.batched.triton_stack import TritonStack, available
assert available()
kinds = ((20, 0.1, 0.0), (20, 0.2, 0.5), (45, 0.1, 1.0))
members = [Member(hidden=h, learning_rate=r, reg=g, seed=h) for h, r, g in kinds]
rng = np.random.default_rng(0)
X, y = rng.standard_normal((40, 40)), rng.integers(0, 5, 40)
rows = np.stack([rng.permutation(40)[:20] for _ in range(4)])
found = {}
for precision in ("float32", "bfloat16"):
    for name, kind in (("triton", TritonStack), ("torch", TorchStack), ("truth", TorchStack)):
        low = "float64" if name == "truth" else precision
        dtype = np.float64 if low == "float64" else np.float32
        weights = initial(members, 40, 5, np.float32)
        stack = kind(weights, np.array([m.reg for m in members]), X.astype(np.float32).astype(dtype), y, precision=low)
        stack.run(rows, np.array([m.learning_rate for m in members]))
        found[f"{precision} {name}"] = stack.weights().W1
np.savez(sys.argv[1], **found)
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    path = tmp_path_factory.mktemp("triton") / "found.npz"
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    subprocess.run([sys.executable, "-c", PROGRAM, str(path)], env=environment, check=True)
    with np.load(path) as file:
        return dict(file)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_kernel_is_as_near_the_truth_as_separate_products(found: dict[str, np.ndarray], precision: str) -> None:
    truth, other, actual = (found[f"{precision} {name}"] for name in ("truth", "torch", "triton"))
    rounding = 4 * np.finfo(np.float32).eps / 2 * np.abs(truth).max()  # four steps
    assert np.abs(actual - truth).max() <= 3 * np.abs(other - truth).max() + rounding
    start = initial([Member(hidden=h, learning_rate=0.1, seed=h) for h in (20, 20, 45)], 40, 5).W1
    assert np.abs(truth - start).max() > 3 * np.abs(other - truth).max() + rounding  # the nets did move
