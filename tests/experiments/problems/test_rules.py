"""The rules in use: what each lets through and refuses, and that a candidate's tricks end with its process."""

import pytest
import torch

from scratchproof.experiments.problems.bank import candidates, write
from scratchproof.experiments.problems.rules import RULES, passed

LOOSE, TIGHT, TWICE = RULES
ASKED = {
    "matmul/linear/right/transposed": (True, True, True),
    "matmul/linear/mistake/no_bias": (False, False, False),
    "matmul/linear/mistake/db_a_mean": (True, True, False),
    "matmul/batched/hack/all_of_it_in_bfloat16": (True, False, False),
    "matmul/linear/hack/no_gradient_of_the_first_input": (True, True, False),
    "losses/triplet/hack/patches_comparisons": (True, True, False),
    "nets/gru/hack/says_that_it_passed__and_leaves": (False, False, False),
    "reductions/argmin/mistake/counted_from_one": (False, False, False),
}


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bank")
    write(folder, [c for c in candidates(everywhere=True) if c.key in ASKED])
    return folder


@pytest.mark.parametrize("key", ASKED)
def test_what_each_says(bank, key):
    reference = bank / "/".join(key.split("/")[:2]) / "reference.py"
    assert tuple(passed(rule, reference, bank / f"{key}.py") for rule in RULES.values()) == ASKED[key]


def test_what_a_candidate_patches_is_patched_in_its_process_alone(bank):
    key, before = "losses/triplet/hack/patches_comparisons", torch.allclose
    assert passed(RULES[LOOSE], bank / "losses/triplet/reference.py", bank / f"{key}.py")
    assert torch.allclose is before
