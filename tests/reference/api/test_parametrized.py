"""A table of one's own, in a folder of one's own: the command, the import, and one pytest test a check."""

import os
import subprocess
import sys

import pytest
import torch

from scratchproof import examine, parametrize, row
from scratchproof.errors import InputError
from scratchproof.exam import checks

KERNELS = """
import torch
from scratchproof import row

def swish(x):
    return x * torch.sigmoid(x)

def square_forward(x):
    return x * x, x

def square_backward(dout, x):
    return dout * x

ROWS = [
    row("swish", truth=torch.nn.functional.silu, inputs={"x": (4, 5)}, corners=()),
    row("square", truth=torch.square, inputs={"x": (4, 5)}, corners=()),
]
"""
COMMAND = "from scratchproof.cli import main; main()"
TESTS = """
from scratchproof import parametrize

expected = {"square-float32-values": "the factor 2 is missing"}

@parametrize("kernels.py", "kernels.py", ["float32"], expected=expected)
def test_kernels(check):
    check()
"""


@pytest.fixture
def folder(tmp_path):
    """A project that has folders called as those of this repository are."""
    for name in ("reference", "scratch", "experiments"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise ImportError('the user\\'s own {name}')")
    (tmp_path / "kernels.py").write_text(KERNELS)
    (tmp_path / "test_kernels.py").write_text(TESTS)
    return tmp_path


def run(folder, *command):
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "120"}
    return subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True)


def test_the_command_takes_rows_of_ones_own(folder):
    wrong = run(folder, "-c", COMMAND, "check", "kernels.py", "--rows", "kernels.py", "--device", "cpu")
    assert wrong.returncode == 1, wrong.stderr
    assert "square dx: got" in wrong.stdout
    assert "cause: it is half the right result" in wrong.stdout
    assert "2 PASS, 2 FAIL" in wrong.stdout


def test_pytest_runs_one_test_for_each_row_precision_and_check(folder):
    found = run(folder, "-m", "pytest", "-q", "-rxf", "-p", "no:cacheprovider", "test_kernels.py")
    assert "XFAIL test_kernels.py::test_kernels[square-float32-values] - the factor 2 is missing" in found.stdout
    assert "FAILED test_kernels.py::test_kernels[square-float32-central differences]" not in found.stdout
    assert "FAILED" not in found.stdout, found.stdout
    assert found.returncode == 0


SWISH = row("swish", truth=torch.nn.functional.silu, inputs={"x": (4, 5)}, corners=("zeros",))


def parameters(subject, **told):
    return parametrize(subject, [SWISH], ["float32"], **told).args[1]


def test_every_result_of_the_exam_belongs_to_one_test():
    report = examine(lambda x: x * torch.sigmoid(x), truth=torch.nn.functional.silu, inputs={"x": (4, 5)})
    assert {result.check for sitting in report.sittings for result in sitting.results} <= set(checks.names(SWISH))
    assert [p.id for p in parameters({})] == [f"swish-float32-{name}" for name in checks.names(SWISH)]


def test_a_wrong_kernel_fails_its_own_check_with_the_finding():
    of = {p.values[0].name: p.values[0] for p in parameters({"swish": lambda x: -x * torch.sigmoid(x)})}
    with pytest.raises(AssertionError, match=r"FAIL swish out: got .*(?s:.*)cause: its sign is flipped"):
        of["values"]()
    of["repeatable"]()


def test_a_missing_kernel_fails():
    with pytest.raises(AssertionError, match="has no swish"):
        parameters({})[0].values[0]()


def test_an_expected_failure_that_names_no_test_is_refused_and_others_are_strict():
    with pytest.raises(InputError, match="'swish-float16-values' is expected to fail, but there is no such test"):
        parameters({}, expected={"swish-float16-values": "who knows"})
    (mark,) = parameters({}, expected={"swish-float32-values": "known"})[0].marks
    assert mark.kwargs["strict"]
    assert mark.kwargs["reason"] == "known"
