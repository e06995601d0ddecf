"""The command line as its users meet it: exit status, output, JSON, and errors without a traceback."""

import json
import subprocess
import sys

import pytest
import torch
from click.testing import CliRunner

from scratchproof.cli import main
from scratchproof.table.layers import LAYERS

BROKEN_RELU = """
import numpy as np

def relu_forward(x):
    return np.maximum(x, 0), x

def relu_backward(dout, cache):
    return dout * (cache > 0) / len(cache)
"""


@pytest.fixture
def broken(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text(BROKEN_RELU)
    return str(path)


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_scratch_passes_every_row_of_the_table_in_both_precisions(tmp_path):
    file = tmp_path / "results.json"
    result = run("check", "--device", "cpu", "--json", file)
    assert result.exit_code == 0, result.output
    document = json.loads(file.read_text())
    examined = {(r["layer"], r["precision"]) for r in document["reports"] if r["verdict"] == "PASS"}
    absent = {"batchnorm.training_mode", "batchnorm.test_mode"}  # scratch has functions instead of modes
    due = {layer.name for layer in LAYERS} - absent
    assert examined == {(name, precision) for name in due for precision in ("float64", "float32")}


def test_a_wrong_gradient_fails_with_first_element_and_cause(broken):
    result = run("check", broken, "--device", "cpu")
    assert result.exit_code == 1
    assert "relu dx: got" in result.output
    assert "at (0, " in result.output
    assert "allowed" in result.output
    assert "N being 6: divided by N once too often" in result.output.replace("\n", " ")


def test_the_json_is_documented_versioned_and_complete(broken, tmp_path):
    file = tmp_path / "results.json"
    run("check", broken, "--layer", "relu", "--dtype", "float64", "--seed", "7", "--device", "cpu", "--json", file)
    document = json.loads(file.read_text())
    assert (document["format"], document["version"]) == ("scratchproof-check", 1)
    assert (document["subject"], document["seed"], document["oracle"]) == (broken, 7, "cpu")
    assert {"python", "numpy", "torch", "threads"} <= set(document["environment"])
    (report,) = document["reports"]
    assert (report["layer"], report["precision"], report["verdict"]) == ("relu", "float64", "FAIL")
    first = next(r for r in report["results"] if r["verdict"] == "FAIL")
    assert first["error"] > first["allowed"] > 0
    assert first["severity"] == "value"
    assert document["summary"]["verdicts"]["FAIL"] == 1
    assert document["summary"]["passed"] is False


def test_the_same_seed_gives_the_same_results_and_another_seed_others(tmp_path):
    files = [tmp_path / f"{i}.json" for i in range(3)]
    for file, seed in zip(files, (3, 3, 4), strict=True):
        run("check", "--layer", "affine", "--seed", seed, "--device", "cpu", "--json", file)
    first, again, other = (json.loads(file.read_text())["reports"] for file in files)
    assert first == again
    assert first != other


def test_a_missing_layer_fails_only_where_it_is_asked_for(broken, tmp_path):
    path = tmp_path / "right.py"
    path.write_text(BROKEN_RELU.replace(" / len(cache)", ""))
    assert run("check", path, "--device", "cpu").exit_code == 0
    result = run("check", path, "--layer", "affine", "--layer", "relu", "--device", "cpu")
    assert result.exit_code == 1
    assert "MISSING" in result.output


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (["check", "no_such_module"], "does not import: ModuleNotFoundError"),
        (["check", "no/such/file.py"], "there is no file no/such/file.py"),
        (["check", "json"], "has nothing to examine"),
        (["check", "--layer", "afine"], "no layer is called 'afine': did you mean affine?"),
        (["check", "torch:cpu:float99"], "with a precision of float64"),
        (["check", "torch:tpu"], "'tpu' is not a device that torch knows"),
        (["check", "torch:cpu:tf32"], "TF32 is a CUDA format"),
        (["check", "torch:cpu:bfloat16", "--dtype", "float64"], "leave --dtype out"),
        (["check", "--json", "no/such/folder/x.json"], "there is no folder"),
        (["trace", "two_layer", "--subject", "json"], "json has no affine, which two_layer needs"),
        (["trace", "two_layer", "--data", "no/such/images"], "no/such/images"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_unusable_is_told_in_a_line_with_status_2(arguments, fact):
    result = run(*arguments)
    assert result.exit_code == 2
    assert fact in result.output
    assert "Traceback" not in result.output


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_cuda_without_a_gpu_is_an_error_and_auto_says_that_it_falls_back():
    refused = run("check", "--device", "cuda")
    assert refused.exit_code == 2
    assert "finds no usable GPU" in refused.output
    assert run("check", "torch:cuda:float32").exit_code == 2
    fallback = run("check", "--layer", "relu")
    assert fallback.exit_code == 0
    assert "the oracle runs on the CPU" in fallback.output


def test_a_file_that_raises_or_exits_on_import_is_told_without_a_traceback(tmp_path):
    for body, fact in (("1 / 0", "ZeroDivisionError"), ("raise SystemExit(0)", "SystemExit")):
        path = tmp_path / "bad.py"
        path.write_text(body)
        result = run("check", path)
        assert result.exit_code == 2
        assert fact in result.output


def test_help_does_not_import_torch():
    code = "main(['--help'], standalone_mode=False); print('torch' in sys.modules)"
    command = [sys.executable, "-c", f"import sys; from scratchproof.cli import main; {code}"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "False"
