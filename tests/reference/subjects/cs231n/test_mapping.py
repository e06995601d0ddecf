"""Classes and turned weights answer to CS231n's names; what a mapping file lacks is told in a line."""

from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from scratchproof.cli import main
from scratchproof.errors import InputError
from scratchproof.subjects.cs231n.mapping import mapped, read

CLASS = {
    "class": "Linear",
    "new": ["w.0", "w.1"],
    "parameters": {"w": "held.W", "b": "held.b"},
    "gradients": {"w": "grads.W", "b": "grads.b"},
    "transposed": ["w"],
}


class Linear:
    def __init__(self, n_in, n_out):
        self.held = {"W": np.zeros((n_out, n_in)), "b": np.zeros(n_out)}
        self.grads = {}

    def forward(self, x):
        self.x = x
        return x @ self.held["W"].T + self.held["b"]

    def backward(self, dout):
        self.grads = {"W": dout.T @ self.x, "b": dout.sum(0)}
        return dout @ self.held["W"]


def turned_forward(x, w, b):
    return x @ w.T + b, (x, w)


def turned_backward(dout, cache):
    x, w = cache
    return dout @ w, dout.T @ x, dout.sum(0)


@pytest.mark.parametrize(
    "table", [CLASS, {"forward": "turned_forward", "backward": "turned_backward", "transposed": ["w"]}]
)
def test_weights_go_in_and_their_gradients_come_out_as_cs231n_has_them(table):
    module = SimpleNamespace(Linear=Linear, turned_forward=turned_forward, turned_backward=turned_backward)
    made = mapped(module, {"affine": table})
    rng = np.random.default_rng(0)
    x, w, b, dout = (rng.standard_normal(shape) for shape in ((4, 3), (3, 2), (2,), (4, 2)))
    out, cache = made["affine_forward"](x, w, b)
    assert np.array_equal(out, x @ w + b)
    dx, dw, db = made["affine_backward"](dout, cache)
    assert np.array_equal(dx, dout @ w.T)
    assert np.array_equal(dw, (dout.T @ x).T)
    assert np.array_equal(db, dout.sum(0))


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("[afine]", "[afine] is no layer"),
        ("[affine]\nclas = 'Linear'", "clas of [affine] is none of"),
        ("[affine]\ntransposed = 'w'", "transposed of [affine]"),
        ("[affine", "cannot be read as TOML"),
    ],
)
def test_what_is_wrong_with_a_mapping_file_is_told(text, fact, tmp_path):
    file = tmp_path / "mapping.toml"
    file.write_text(text)
    with pytest.raises(InputError) as told:
        read(file)
    assert fact in str(told.value)
    result = CliRunner().invoke(main, ["check", __file__, "--mapping", str(file), "--device", "cpu"])
    assert (result.exit_code, "Traceback" in result.output) == (2, False)


def test_a_class_whose_parameters_are_not_told_is_refused():
    with pytest.raises(InputError, match="says nothing of w, b"):
        mapped(SimpleNamespace(Linear=Linear), {"affine": {"class": "Linear"}})
