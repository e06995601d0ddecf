"""The trace of whole nets: right nets pass, a planted bug is located at exactly its layer."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from scratchproof.cli import main
from scratchproof.tracing.nets import trace
from scratchproof.tracing.nets.tap import Batch

SCRATCH = "from scratchproof import scratch\nfrom scratchproof.scratch import *"

PLANTS = {
    "relu_forward": ("two_layer", "relu1.out", "return np.maximum(x, 0) + 1e-6, (x,)"),
    "relu_backward": ("two_layer", "relu1.dx", "(x,) = cache; return dout * (x > 0) * 1.001"),
    "tanh_backward": ("xor", "tanh1.dx", "(out,) = cache; return dout * (1 - out)"),
    "max_pool_backward": ("convnet", "pool1.dx", "return 2 * scratch.max_pool_backward(dout, cache)"),
    "conv_backward": ("convnet", "conv1.dw", "dx, dw, db = scratch.conv_backward(dout, cache); return dx, -dw, db"),
}


def planted(tmp_path, function, body):
    argument = "x" if function.endswith("forward") else "dout, cache"
    path = tmp_path / "planted.py"
    path.write_text(f"import numpy as np\n{SCRATCH}\n\ndef {function}({argument}):\n    {body}\n")
    return str(path)


def small_images(rows=3, seed=0):
    rng = np.random.default_rng(seed)
    return Batch(
        X=rng.standard_normal((rows, 2, 8, 6)), y=rng.integers(4, size=rows), num_classes=4, description="noise"
    )


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("net", ["two_layer", "xor", "convnet"])
def test_scratch_agrees_layer_by_layer_and_as_a_whole(net, precision):
    batch = trace.minibatch("xor", "", 8) if net == "xor" else small_images()
    found = trace.trace(net, "scratch", batch, precision=precision)
    assert found.passed, [line.path for line in found.lines if line.forced.message or line.free.message]
    assert found.first_divergence is None
    assert {result.quantity for result in found.whole} >= {"loss", "dW1", "db1", "dW2", "db2"}


@pytest.mark.parametrize("function", PLANTS)
def test_a_planted_bug_is_located_at_exactly_its_layer(function, tmp_path):
    net, path, body = PLANTS[function]
    batch = trace.minibatch("xor", "", 8) if net == "xor" else small_images()
    found = trace.trace(net, planted(tmp_path, function, body), batch)
    assert found.first_divergence is not None
    assert found.first_divergence.path == path
    wrong = {line.path.split(".")[0] for line in found.lines if line.forced.message}
    assert wrong == {path.split(".")[0]} or function == "relu_forward"
    assert not found.passed


TIES = """
def max_pool_forward(x, pool_param):
    out, _ = scratch.max_pool_forward(x, pool_height=2, pool_width=2, stride=2)
    return out, (x, out)

def max_pool_backward(dout, cache):
    x, out = cache
    tied = x == out.repeat(2, 2).repeat(2, 3)
    count = tied.reshape(*out.shape[:2], out.shape[2], 2, out.shape[3], 2).sum((3, 5)){}
    return (dout / count).repeat(2, 2).repeat(2, 3) * tied
"""


def tied_images():
    """Every 2 x 2 window of the images, and so of what a convolution makes of their middle, has equal elements."""
    few = small_images()
    return Batch(X=np.zeros_like(few.X), y=few.y, num_classes=4, description="no light at all")


@pytest.mark.parametrize(("share", "passes"), [("", True), (" * 0 + 1", False)], ids=["shared out", "to each in full"])
def test_a_tied_window_may_share_its_gradient_out_and_no_more(share, passes, tmp_path):
    path = tmp_path / "ties.py"
    path.write_text(f"import numpy as np\n{SCRATCH}\n{TIES.format(share)}")
    found = trace.trace("convnet", str(path), tied_images())
    lines = {line.path: line for line in found.lines}
    assert lines["pool1.dx"].forced.verdict == ("PASS" if passes else "SUSPECT")
    assert lines["pool1.dx"].forced.severity == ("convention" if passes else "precision")
    assert found.passed is passes


def test_a_backward_pass_that_raises_is_located_too(tmp_path):
    found = trace.trace("two_layer", planted(tmp_path, "relu_backward", "raise KeyError('x')"), small_images())
    assert found.first_divergence is not None
    assert found.first_divergence.path == "relu1.dx"
    assert "backward raised KeyError" in found.first_divergence.forced.message


def test_free_running_shows_what_becomes_of_an_error(tmp_path):
    net, _, body = PLANTS["relu_forward"]
    found = trace.trace(net, planted(tmp_path, "relu_forward", body), small_images())
    lines = {line.path: line for line in found.lines}
    assert lines["affine1.out"].free.verdict == "PASS"
    assert lines["affine2.out"].forced.verdict == "PASS"
    assert lines["affine2.out"].free.verdict != "PASS"


def test_a_net_class_that_combines_right_layers_wrongly_is_told(tmp_path):
    path = tmp_path / "doubled.py"
    path.write_text(
        f"{SCRATCH}\n\n"
        "class TwoLayerNet(scratch.TwoLayerNet):\n"
        "    def loss(self, X, y=None, **options):\n"
        "        found = super().loss(X, y, **options)\n"
        "        return found if y is None else (found[0], {k: 2 * g for k, g in found[1].items()})\n"
    )
    found = trace.trace("two_layer", str(path), small_images())
    assert found.first_divergence is None
    assert not found.passed
    assert {result.quantity for result in found.whole if result.message} == {"dW1", "db1", "dW2", "db2"}


def test_the_command_prints_the_first_divergence_and_writes_json(tmp_path):
    subject = planted(tmp_path, *("tanh_backward", PLANTS["tanh_backward"][2]))
    file = tmp_path / "trace.json"
    result = CliRunner().invoke(main, ["trace", "xor", "--subject", subject, "--device", "cpu", "--json", str(file)])
    assert result.exit_code == 1, result.output
    assert "first divergence: tanh1.dx" in result.output
    document = json.loads(file.read_text())
    assert (document["format"], document["version"]) == ("scratchproof-trace", 1)
    assert document["first_divergence"] == "tanh1.dx"


def test_the_embedded_images_pass_through_the_two_layer_net():
    result = CliRunner().invoke(main, ["trace", "two_layer", "--batch", "4", "--device", "cpu"])
    assert result.exit_code == 0, result.output
    assert "every layer agrees" in result.output


def test_a_file_that_ends_its_process_is_traced_from_outside(tmp_path):
    path = planted(tmp_path, "relu_forward", "import os; os._exit(0)")
    found = trace.trace("two_layer", path, small_images())
    assert not found.passed
    assert found.first_divergence.path == "relu1.out"
    assert "relu out: forward ended its process with exit status 0" in found.first_divergence.forced.message
