"""docs/sources.md: the commands on the page run, those of experiments with the arguments that stand there."""

import importlib
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from scratchproof.cli import main
from scratchproof.experiments.command import command

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
COMMANDS = list(dict.fromkeys(re.findall(r"`((?:scratchproof|python -m experiments\.)[^`]+)`", PAGE)))
EXPERIMENTS = [line for line in COMMANDS if line.startswith("python")]
OTHERS = [line for line in COMMANDS if line.startswith("scratchproof")]
DEFECTS = [line for line in OTHERS if "tests/strangers/" in line]
SMALL = {"trace": ["--batch", "2"], "lockstep": ["--steps", "2"], "check": ["--dtype", "float64", "--device", "cpu"]}


def small(line: str, out: Path) -> tuple[str, list[str]]:
    """The experiment and its arguments: those of the page without its data, one backend, one seed, --smoke."""
    words = shlex.split(line.replace("--data DIR", "").replace("--backend both", "").replace("--seeds 3", ""))
    name = words[2].removeprefix("experiments.")
    backend = ["--backend", "scratch"] if name == "sweep" else []
    return name, [*words[3:], *backend, "--smoke", "--out", str(out)]


def test_every_write_up_has_its_commands() -> None:
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    assert [section[:2] for section in sections] == ["S0", "S1", "S2", "S3", "S4"]
    assert all("`scratchproof " in section and "`python -m experiments." in section for section in sections)


@pytest.mark.parametrize("line", EXPERIMENTS)
def test_an_experiment_takes_the_arguments_of_the_page(line: str, tmp_path: Path) -> None:
    """Their small forms run in the experiments' own tests."""
    name, arguments = small(line, tmp_path / "run")
    module = importlib.import_module(f"scratchproof.experiments.{name}")
    context = command(module.Config, module.main, module.SMOKE).make_context(name, arguments)
    assert context.params["smoke_run"]


@pytest.mark.parametrize("line", OTHERS)
def test_a_command_of_scratchproof_runs(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is right passes without a word; a write-up's defect fails, or, as a mere convention, is noted."""
    monkeypatch.chdir(ROOT)
    words = shlex.split(line)[1:]
    result = CliRunner().invoke(main, [*words, *SMALL.get(words[0], [])])
    told = [line for line in result.output.splitlines() if line.startswith(("FAIL", "CRASH", "SUSPECT", "note"))]
    assert bool(told) == (line in DEFECTS), result.output
    assert result.exit_code == any(not line.startswith("note") for line in told), result.output


@pytest.mark.parametrize("target", re.findall(r"\]\((\.\./[^)]+)\)", PAGE))
def test_what_the_page_points_to_is_there(target: str) -> None:
    assert (ROOT / "docs" / target).exists()
