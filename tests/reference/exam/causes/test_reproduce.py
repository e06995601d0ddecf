"""The scripts run without this package, on small inputs, and show what is wrong."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from scratchproof.exam.causes.program import BEGINNING, program
from scratchproof.exam.causes.shrink import how_wrong, shrunk
from scratchproof.exam.checks import examine
from scratchproof.exam.exam import Exam
from scratchproof.sandbox.proxy import SandboxedSubject
from scratchproof.subjects.protocol import Spelling
from scratchproof.subjects.subject import load
from scratchproof.table.layers import row
from scratchproof.vjp import PRECISIONS

HOMEWORK = """
import numpy as np

def relu_forward(x):
    return np.maximum(x, 0), x

def relu_backward(dout, x):
    return dout * (dout > 0)

def max_pool_forward_naive(x, pool_param):
    ph, pw, stride = (pool_param[key] for key in ("pool_height", "pool_width", "stride"))
    N, C, H, W = x.shape
    out = np.zeros((N, C, 1 + (H - ph) // stride, 1 + (W - pw) // stride), x.dtype)
    for i, j in np.ndindex(out.shape[2:]):
        out[:, :, i, j] = x[:, :, i * stride : i * stride + ph, j * stride : j * stride + pw].max((2, 3))
    return out, (x, pool_param)

def max_pool_backward_naive(dout, cache):
    x, pool_param = cache
    ph, pw, stride = (pool_param[key] for key in ("pool_height", "pool_width", "stride"))
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(dout.shape):
        window = x[n, c, i * stride : i * stride + ph, j * stride : j * stride + pw]
        r, s = np.unravel_index(window.argmax(), window.shape)
        dx[n, c, i * stride + r, j * stride + s] = dout[n, c, i, j]
    return dx

def softmax_loss(x, y):
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    dx = p.copy()
    dx[np.arange(len(x)), y] -= 1
    return -np.log(p[np.arange(len(x)), y]).sum() / len(x), dx / len(x)

def batchnorm_forward(x, gamma, beta, bn_param):
    return gamma * (x - bn_param["running_mean"]) / bn_param["running_var"] + beta, None

def batchnorm_backward(dout, cache):
    return None

def rmsprop(w, dw, config=None):
    cache = config["decay_rate"] * config.get("cache", 0) + (1 - config["decay_rate"]) * dw**2
    return w - config["learning_rate"] * dw / np.sqrt(cache + config["epsilon"]), {**config, "cache": cache}

class TwoLayerNet:
    def __init__(self, input_dim=3072, hidden_dim=100, num_classes=10, weight_scale=1e-3, reg=0.0):
        self.reg = reg
        self.params = {"W1": np.zeros((input_dim, hidden_dim)), "b1": np.zeros(hidden_dim)}
        self.params |= {"W2": np.zeros((hidden_dim, num_classes)), "b2": np.zeros(num_classes)}

    def loss(self, X, y=None):
        W1, b1, W2, b2 = (self.params[name] for name in ("W1", "b1", "W2", "b2"))
        h = np.maximum(X @ W1 + b1, 0)
        scores = h @ W2 + b2
        if y is None:
            return scores
        loss, d = softmax_loss(scores, y)
        grads = {"W2": h.T @ d + self.reg * W2, "b2": d.sum(0)}
        dh = d @ W2.T
        grads["W1"], grads["b1"] = X.T @ dh + self.reg * W1, dh.sum(0)
        return loss + 0.5 * self.reg * ((W1 * W1).sum() + (W2 * W2).sum()), grads
"""
ROWS = ("relu", "max_pool", "softmax_loss", "batchnorm", "batchnorm.test_mode", "rmsprop", "TwoLayerNet")
# Runs each script in a file of its own, this package out of reach, and prints its last line of difference or error.
RUNNER = """
import contextlib, io, runpy, sys
sys.modules["scratchproof"] = None
for script in sys.argv[1:]:
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            found = runpy.run_path(script)
        print(repr(float(abs(found["got"] - found["expected"]).max())), found["expected"].size)
    except KeyError as error:
        print("KeyError:", error)
"""


@pytest.fixture(scope="module")
def homework(tmp_path_factory):
    file = tmp_path_factory.mktemp("homework") / "layers.py"
    file.write_text(HOMEWORK, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def scripts(homework):
    """The first script of each row, by row and quantity."""
    subject = load(str(homework))
    reports = [examine(subject, row(name), "float64") for name in ROWS]
    found = ((report.layer, result) for report in reports for result in report.results if result.reproducer)
    return {(layer, result.quantity): result.reproducer for layer, result in found}


def test_each_wrong_row_has_a_script_that_shows_it(homework, scripts, tmp_path):
    assert {layer for layer, _ in scripts} == set(ROWS)
    for (layer, quantity), script in scripts.items():
        (tmp_path / f"{layer}_{quantity}.py").write_text(script, encoding="utf-8")
    files = sorted(tmp_path.glob("*.py"))
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUNNER, *map(str, files)], capture_output=True, text=True, check=True
    )
    shown = dict(zip((file.stem for file in files), ran.stdout.splitlines(), strict=True))
    assert shown.pop("batchnorm_out") == "KeyError: 'running_mean'"
    for name, line in shown.items():
        error, size = line.split()
        assert not float(error) < PRECISIONS["float64"].unit ** 0.5, name  # or nan
        assert int(size) <= 12, name


def test_the_script_names_the_cause_and_its_numbers_are_short(scripts):
    script = scripts["max_pool", "dx"]
    assert script.startswith(f"{BEGINNING}max_pool: dx is wrong\n# where windows overlap")
    assert "x = np.array([[[[" in script
    assert not any(
        len(number.partition(".")[2]) > 2 for number in script.split("np.array([[[[")[1].split("]")[0].split()
    )


def test_a_sandboxed_subject_says_the_same_of_its_calls(homework):
    subject = SandboxedSubject(str(homework))
    try:
        for layer in (row("max_pool"), row("TwoLayerNet"), row("rmsprop")):
            asked = (layer, layer.cases[0], PRECISIONS["float64"])
            assert subject.spelled(*asked) == load(str(homework)).spelled(*asked)
    finally:
        subject.close()


def test_what_is_right_is_not_shrunk_to_something_wrong():
    exam = Exam(subject=load("scratch"), layer=row("relu"), precision=PRECISIONS["float64"])
    trial = exam.trials[0]
    assert how_wrong(exam, trial, "dx") == ""
    assert shrunk(exam, trial, "dx") is None


def test_inputs_that_torch_refuses_are_no_smaller_ones():
    exam = Exam(subject=load("scratch"), layer=row("batchnorm"), precision=PRECISIONS["float64"])
    trial = exam.trials[0]
    one_row = replace(trial, inputs={**trial.inputs, "x": trial.inputs["x"][:1]})
    assert how_wrong(exam, one_row, "out") == ""


def test_a_subject_cannot_put_code_into_the_script():
    exam = Exam(subject=load("scratch"), layer=row("relu"), precision=PRECISIONS["float64"])
    trial = exam.trials[0]
    honest = Spelling(file="layers.py", names=("relu_forward", "relu_backward"))
    assert "module.relu_forward(x.copy())" in program(trial, "out", honest, ("wrong",))
    for hostile in (
        Spelling(file="layers.py", names=("relu_forward(0); print", "relu_backward")),
        Spelling(file="layers.py", names=("relu_forward", "relu_backward"), keywords={"a=0); print(": 1}),
        Spelling(file="layers.txt", names=("relu_forward", "relu_backward")),
    ):
        assert program(trial, "out", hostile, ("wrong",)) == ""
    quoted = program(trial, "out", Spelling(file="a'); print('.py", names=honest.names), ("wrong\nimport os",))
    assert """load("a'); print('.py")""" in quoted
    assert "\nimport os" not in quoted


def test_inf_and_nan_are_written_as_numpy_has_them():
    exam = Exam(subject=load("scratch"), layer=row("relu"), precision=PRECISIONS["float64"])
    (trial,) = (trial for trial in exam.corner_trials() if trial.name == "nonfinite")
    spelling = Spelling(file="layers.py", names=("relu_forward", "relu_backward"))
    written = program(trial, "out", spelling, ("wrong",))
    start = written.index("x = np.array(")
    value = eval(written[start + 4 : written.index("\nmodule")].strip(), {"np": np})
    np.testing.assert_array_equal(value, trial.inputs["x"])
