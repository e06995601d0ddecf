"""The rows' formulas of the update rules are those of torch.optim."""

import numpy as np
import pytest
import torch

from scratchproof.table.layers import row
from scratchproof.table.rules import RULES

OPTIM = {
    "sgd": (torch.optim.SGD, {}),
    "sgd_momentum": (torch.optim.SGD, {"momentum": "momentum"}),
    "rmsprop": (torch.optim.RMSprop, {"alpha": "decay_rate", "eps": "epsilon"}),
    "adam": (torch.optim.Adam, {"eps": "epsilon"}),
}
DEFAULTS = {"learning_rate": None, "momentum": 0.9, "decay_rate": 0.99, "epsilon": 1e-8, "beta1": 0.9, "beta2": 0.999}
CASES = [(rule.name, case.name) for rule in RULES for case in rule.cases]


@pytest.mark.parametrize(("rule", "case"), CASES)
def test_a_row_says_what_torch_optim_does(rule, case):
    layer = row(rule)
    case = next(c for c in layer.cases if c.name == case)
    w, dw = (torch.from_numpy(value) for value in case.inputs(np.random.default_rng(0)).values())
    said = layer.torch(w, dw, **case.options)
    options = DEFAULTS | {"learning_rate": 1e-3 if rule == "adam" else 1e-2} | dict(case.options)
    make, names = OPTIM[rule]
    told = {theirs: options[ours] for theirs, ours in names.items()}
    if rule == "adam":
        told["betas"] = (options["beta1"], options["beta2"])
    parameter = torch.nn.Parameter(w.clone())
    optimizer = make([parameter], lr=options["learning_rate"], **told)
    for step, expected in zip(dw, said, strict=True):
        parameter.grad = step.clone()
        optimizer.step()
        torch.testing.assert_close(parameter.detach(), expected)
