"""The GPU's parts run in their CPU form, once each, and what no GPU confirmed is said."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from scratchproof.experiments import gpu
from scratchproof.experiments.command import command


def test_parts_run_once_and_what_is_unconfirmed_is_said(tmp_path: Path) -> None:
    config = gpu.Config(out=str(tmp_path), device="cpu", parts=1, small=True)
    first = json.loads(json.dumps(gpu.main(config)))["metrics"]
    assert first["device"] == "cpu"
    assert [part["exit"] for part in first["parts"]] == [0]
    assert first["unconfirmed"] == [part.asks for part in gpu.parts()]
    assert "relu" in (tmp_path / "01-cpu" / "printed.txt").read_text(encoding="utf-8")
    again = json.loads(json.dumps(gpu.main(config)))["metrics"]
    assert again == first  # its seconds too: it was not run again


def test_a_part_that_ran_out_of_time_is_run_again(tmp_path: Path) -> None:
    part = gpu.Part(asks="does it end?", module="scratchproof.experiments.thousand", cuda=(), cpu=("--smoke",))
    config = gpu.Config(out=str(tmp_path), limit=1)
    result = gpu._run(part, tmp_path, "cpu", config)
    assert result["exit"] is None
    assert gpu._done(tmp_path) is None


def test_what_ran_out_of_time_is_unconfirmed_on_a_gpu_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = iter([0, None, 1, *[0] * len(gpu.parts())])
    monkeypatch.setattr(gpu, "resolve_device", lambda *_: "cuda")
    monkeypatch.setattr(gpu, "_run", lambda part, *_: {"asks": part.asks, "exit": next(ends), "seconds": 1.0})
    record: Any = gpu.main(gpu.Config(out=str(tmp_path)))
    assert record["metrics"]["unconfirmed"] == [gpu.parts()[1].asks]


@pytest.mark.parametrize("number", range(len(gpu.parts())))
def test_every_part_is_a_command_that_takes_its_arguments(number: int) -> None:
    part = gpu.parts()[number]
    if part.module == "scratchproof":
        return  # test_parts_run_once runs one of these
    module = import_module(part.module)
    taken = command(module.Config, module.main, module.SMOKE)
    for device in ("cuda", "cpu"):
        taken.make_context(part.module, part.arguments(device, small=False))


def test_every_part_has_a_module_and_a_form_for_both_devices() -> None:
    for part in gpu.parts():
        assert part.asks.endswith("?") or part.asks.startswith("a thousand nets")
        assert part.arguments("cuda", False) != part.arguments("cpu", False)
