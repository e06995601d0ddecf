"""The plants and the right nets: every plant spoils a net at the path it names, and a run goes on where it was."""

import copy
import json

import numpy as np
import pytest
import torch

from scratchproof.experiments.culprits import NETS, SMOKE, Config, made, main
from scratchproof.experiments.planted import PLANTS


def settings(module):
    """The class of a module and its attributes that are no tensors."""
    return type(module), {name: value for name, value in vars(module).items() if not isinstance(value, dict)}


def test_each_plant_finds_a_place_in_one_of_the_nets_and_changes_it():
    left = set(PLANTS)
    for name, seed in (("transformer", 0), ("vit", 1), ("mobilenet_v3_small", 0), ("resnet18", 0)):
        right = made(name, seed)
        for plant in sorted(left):
            spoilt = copy.deepcopy(right)
            if (path := PLANTS[plant](spoilt, np.random.default_rng(0))) is not None:
                here, there = spoilt.get_submodule(path), right.get_submodule(path)
                assert settings(here) != settings(there)
                left.discard(plant)
    assert not left


def test_what_differs_shows_in_the_nets_output_or_gradient():
    right = made("transformer", 1)
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for plant in ("attention, head order", "weights of two layers exchanged", "residual doubled", "dropout always on"):
        spoilt = copy.deepcopy(right)
        assert PLANTS[plant](spoilt, np.random.default_rng(0)) is not None
        assert not torch.equal(spoilt(x), right(x)), plant


def test_a_run_finds_the_plants_raises_no_alarm_and_goes_on_where_it_was(tmp_path, capsys):
    settings = {**SMOKE, "results": str(tmp_path / "r.jsonl")}
    found = main(Config(**settings, out=str(tmp_path / "a")))["metrics"]["found"]
    assert "1 of 1 bugs named at exactly their place" in capsys.readouterr().out
    assert [said["alarm"] for line in found for said in line["rights"].values()] == ["", ""]
    kept = json.loads((tmp_path / "r.jsonl").read_text())
    kept["plants"][0]["culprit"] = "elsewhere"
    (tmp_path / "r.jsonl").write_text(json.dumps(kept) + "\n")
    main(Config(**settings, out=str(tmp_path / "b")))
    assert "0 of 1 bugs named at exactly their place" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "words"), [({"modes": "sideways"}, "no way to run a net"), ({"nets": "lenet"}, "no net is called")]
)
def test_what_is_not_known_is_refused(wrong, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        main(Config(**{**SMOKE, **wrong, "results": str(tmp_path / "r"), "out": str(tmp_path / "o")}))


def test_the_nets_draw_nothing_and_have_a_head_that_answers():
    for name in NETS:
        for seed in (0, 1):
            right = made(name, seed)
            dropouts = [m for m in right.modules() if isinstance(m, torch.nn.Dropout)]
            assert right.training == (seed == 0)
            assert all(m.p == (0.0 if right.training else 0.1) for m in dropouts)
            assert all(p.any() for p in right.parameters())
