"""A stranger's imports: neighbours first, torch's layers where the author's are missing, stubs for the rest."""

import sys

import numpy as np
import pytest

from scratchproof.finding.find import find

LAYERS = """
def affine_forward(x, w, b):
    return x @ w + b + 1, x

def affine_backward(dout, cache):
    pass
"""
NET = """{}
class TwoLayerNet:
    forward = staticmethod(affine_relu_forward)
    own = staticmethod(affine_forward)
"""


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "cs231n" / "classifiers"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    "imports",
    [
        "from ..layers import *\nfrom ..layer_utils import *",
        "from cs231n.layers import *\nfrom cs231n.layer_utils import *",
        "from cs231n.layer_utils import *",
    ],
)
def test_the_authors_layers_are_taken_and_what_is_missing_stood_in_for(imports, package):
    (package.parent / "layers.py").write_text(LAYERS)
    (package / "fc_net.py").write_text(NET.format(imports))
    found = find(str(package / "fc_net.py"), {"TwoLayerNet"})
    x = np.ones((1, 1))
    assert found.module.TwoLayerNet.own(x, x, np.zeros(1))[0] == 2  # the author's adds one
    assert found.module.TwoLayerNet.forward(x, x, np.zeros(1))[0] == 1
    assert any("layer_utils is not there" in remark for remark in found.remarks)


def test_layers_that_are_nowhere_are_torchs(package):
    (package / "fc_net.py").write_text(NET.format("from layers import *\nfrom layer_utils import *"))
    found = find(str(package / "fc_net.py"), {"TwoLayerNet"})
    assert found.module.TwoLayerNet.own(np.ones((1, 1)), np.ones((1, 1)), np.zeros(1))[0] == 1


def test_what_is_not_installed_is_stubbed_and_told(tmp_path):
    file = tmp_path / "layers.py"
    file.write_text(
        "import no_such_thing as n\nfrom no_such_thing.part import f\n@n.jit\ndef relu_forward(x): return x\n"
    )
    found = find(str(file), {"relu_forward"})
    assert found.module.relu_forward(3) == 3
    assert found.remarks == ("not installed, so stubbed: no_such_thing, no_such_thing.part",)


def test_two_strangers_do_not_get_each_others_modules(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "helper.py").write_text(f"value = {name!r}\n")
        (tmp_path / name / "layers.py").write_text("from helper import value\ndef relu_forward(x): return value\n")
    assert [find(str(tmp_path / n / "layers.py"), set()).module.relu_forward(0) for n in "ab"] == ["a", "b"]
    assert "helper" not in sys.modules
