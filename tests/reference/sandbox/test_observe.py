"""What is seen of arrays in memory, in this process and in another."""

import numpy as np
import pytest

from scratchproof.sandbox.observe import arrays_in, observe
from scratchproof.sandbox.proxy import SandboxedSubject
from scratchproof.subjects.subject import load
from scratchproof.table.layers import row
from scratchproof.vjp import PRECISIONS

SOURCE = """
import numpy as np

def relu_forward(x):
    out = np.maximum(x, 0)
    {forward}
    return out, [x.copy(), out]

def relu_backward(dout, cache):
    dx = dout * (cache[0] > 0)
    {backward}
    return dx
"""
SEEN = {
    "nothing": ("", "", {}),
    "input written": ("x += 1", "", {"written": ("x",)}),
    "cotangent written": ("", "dout *= 2", {"written_back": ("dout",)}),
    "cache written": ("", "cache[0][:] = 7", {"cache": True}),
    "gradient is the cotangent": ("", "dx = dout", {"shared": (("dx", "dout"),)}),
    "output is the input": ("out = x[:]", "", {"shared": (("out", "x"),)}),
    "output is the gradient": ("", "dx = cache[1]", {"shared": (("dx", "out"),)}),
}


@pytest.mark.parametrize("apart", [False, True], ids=["in process", "apart"])
@pytest.mark.parametrize("name", SEEN)
def test_what_a_call_does_to_arrays_is_seen(tmp_path, name, apart):
    forward, backward, due = SEEN[name]
    path = tmp_path / "layers.py"
    path.write_text(SOURCE.format(forward=forward, backward=backward))
    subject = SandboxedSubject(str(path)) if apart else load(str(path))
    layer = row("relu")
    function = subject.function(layer, layer.cases[0], PRECISIONS["float64"])
    x = np.random.default_rng(0).standard_normal((3, 4))
    seen = observe(function, {"x": x}, {"out": x[::-1].copy()}).as_dict()
    assert seen == {"written": (), "written_back": (), "cache": False, "shared": (), **due}
    if apart:
        subject.close()


def test_a_cache_that_contains_itself_is_looked_into():
    first, second = np.zeros(2), np.ones(3)
    cache = {"a": first, "again": [second, first]}
    cache["again"].append(cache)
    assert [array.size for array in arrays_in(cache)] == [2, 3]
    assert not arrays_in(np.array([first, "text"], dtype=object))
