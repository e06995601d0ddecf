"""AdamW in five forms and one that is Adam: the right stay together, the slips are named."""

from scratchproof.experiments.adamw import SMOKE, Config, main


def test_the_late_bias_correction_and_the_decay_are_named(tmp_path):
    rows = main(Config(**SMOKE, out=str(tmp_path / "run")))["metrics"]["rows"]
    told = {row["form"]: (row["step"], row["term"]) for row in rows}
    assert told["by hand, bias correction late"] == (2, "bias correction")
    assert told["torch, Adam with L2"] == (1, "decay")
    assert {name for name, (step, _) in told.items() if not step} == {
        "torch, one by one",
        "torch, foreach",
        "torch, fused",
        "by hand",
    }
