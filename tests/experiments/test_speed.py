"""The benchmark: it runs, its rivals agree, a rival that computes something else is refused, ratios come out right."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from scratchproof import scratch
from scratchproof.experiments import rivals, rivals_images, speed, speed_report, stopwatch
from scratchproof.experiments.command import command
from scratchproof.experiments.costs import families, growth

CONTESTS: dict[str, Callable[[], rivals.Contest]] = {
    "two_layer": lambda: rivals.two_layer(20, 8, "float32", inputs=60),
    "two_layer, float64": lambda: rivals.two_layer(20, 8, "float64", inputs=60),
    "conv_net": lambda: rivals.conv_net(3, size=8, filters=4, hidden=6),
    "softmax": lambda: rivals.softmax(9, 5),
    "conv": lambda: rivals_images.convolution(3, 9, 4, 3, 1, "float32", images=2),
    "conv, stride": lambda: rivals_images.convolution(2, 10, 3, 5, 2, "float64", images=2),
    "conv, without dx": lambda: rivals_images.convolution(3, 9, 4, 3, 1, "float32", images=2, need_dx=False),
    "max pooling": lambda: rivals_images.max_pooling(images=3, channels=2, size=6),
}


@pytest.mark.parametrize("name", CONTESTS)
def test_all_rivals_compute_the_same(name: str) -> None:
    contest = CONTESTS[name]()
    worst = rivals.disagreements(contest)
    assert {"torch", "scratch"} <= set(worst)
    assert set(worst) <= set(contest.run)
    assert max(worst.values()) <= 1, worst
    for run in contest.run.values():
        run()


@pytest.mark.parametrize("name", CONTESTS)
def test_a_rival_that_computes_something_else_is_noticed(name: str) -> None:
    contest = CONTESTS[name]()
    cheat: Callable[[], Any] = lambda: [1.001 * a for a in contest.answer["scratch"]()]  # noqa: E731
    grown: Callable[[], Any] = lambda: [a[None] for a in contest.answer["scratch"]()]  # noqa: E731
    for wrong in (cheat, grown):
        answers = {"torch": contest.answer["torch"], "cheat": wrong}
        assert rivals.disagreements(rivals.Contest(**_fields(contest) | {"answer": answers}))["cheat"] > 1


def _fields(contest: rivals.Contest) -> dict[str, Any]:
    return {name: getattr(contest, name) for name in ("name", "operations", "run", "terms")}


def test_ratios_are_those_of_the_same_round() -> None:
    """A clock that only the rivals move: the one costs 3 units, then 30; the other always twice as much."""
    now, cost = [0.0], [3.0]

    def clock() -> float:
        return now[0]

    def quick() -> None:
        now[0] += cost[0]

    def slow() -> None:
        now[0] += 2 * cost[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stopwatch.time, "process_time", clock)
        times = stopwatch.measure(
            {"quick": quick, "slow": slow}, "quick", count=1, rounds=4, rng=np.random.default_rng(0)
        )
        cost[0] = 30.0
        again = stopwatch.measure(
            {"quick": quick, "slow": slow}, "quick", count=1, rounds=3, rng=np.random.default_rng(0)
        )
    assert (times["slow"].ratio, times["slow"].low, times["slow"].high) == (2, 2, 2)
    assert (again["slow"].milliseconds, again["quick"].ratio, again["quick"].rounds) == (60_000, 1, 3)


def test_no_round_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="rounds is 0 but at least one is needed"):
        stopwatch.measure({"one": int}, "one", count=1, rounds=0, rng=np.random.default_rng(0))


def test_threads_are_given_and_taken_back() -> None:
    import torch
    from threadpoolctl import threadpool_info

    before = torch.get_num_threads()
    with stopwatch.threads(1):
        assert torch.get_num_threads() == scratch.threads() == 1
        assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
    assert torch.get_num_threads() == before


def test_growth_follows_the_operations() -> None:
    contests = [lambda n=n: rivals.two_layer(5, n, "float32", inputs=30) for n in (2, 4, 8)]
    found = growth(contests, rounds=1, rng=np.random.default_rng(0))
    assert found["operations"] == [4.0 * n * 30 * 5 for n in (2, 4, 8)]
    assert set(found["slopes"]) == {"torch", "scratch"}
    assert set(families(8)) == {"batch", "width", "image size"}


def test_smoke(tmp_path: Path) -> None:
    arguments = ["--smoke", "--only", "stride 2", "--out", str(tmp_path / "run"), "--json", str(tmp_path / "r.json")]
    result = CliRunner().invoke(command(speed.Config, speed.main, speed.SMOKE), arguments)
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "r.json").read_text())
    assert record == json.loads((tmp_path / "run" / "record.json").read_text())
    rows = record["metrics"]["rows"]
    assert [row["threads"] for row in rows] == [1, 1]
    assert all(row["rivals"]["torch"]["ratio"] == 1 for row in rows)
    assert "geometric mean" in result.output
    assert (tmp_path / "run" / "speed.png").stat().st_size > 0


def test_the_whole_run_ends_with_costs(tmp_path: Path) -> None:
    smallest = {**speed.SMOKE, "shrink": 32, "out": str(tmp_path)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "rows", lambda _: [speed.Row(make=CONTESTS["softmax"])])
        record = speed.main(speed.Config(**smallest))
    assert set(record["metrics"]["growth"]) == {"batch", "width", "image size"}
    assert record["metrics"]["epoch"]["ratio"] > 0
    assert all(share["scratch"] <= 3 for share in record["metrics"]["memory"].values())


def test_a_disagreement_ends_the_run(tmp_path: Path) -> None:
    contest = CONTESTS["softmax"]()
    answers = {**contest.answer, "scratch": contest.answer["torch"]}
    answers["textbook NumPy"] = lambda: [2 * a for a in contest.answer["torch"]()]
    wrong = rivals.Contest(**_fields(contest) | {"answer": answers})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "rows", lambda _: [speed.Row(make=lambda: wrong)])
        result = CliRunner().invoke(command(speed.Config, speed.main, speed.SMOKE), ["--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "textbook NumPy and torch do not compute the same thing" in result.output


def test_the_processor_is_named_with_its_widest_vectors(tmp_path: Path) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text("processor\t: 0\nmodel name\t: Some Processor\nflags\t\t: sse2 avx2 avx512f\n\nprocessor\t: 1\n")
    assert speed.processor(told) == "Some Processor AVX-512"
    assert speed.processor(tmp_path / "nowhere")


def test_the_table_shows_scratch_over_its_products(capsys: pytest.CaptureFixture[str]) -> None:
    timings = {"torch": 8.0, "scratch": 4.4, "the products alone": 4.0}
    of = {
        name: {"milliseconds": ms, "ratio": ms / 8, "low": 0, "high": 1, "thrown_out": 0}
        for name, ms in timings.items()
    }
    row = {"name": "a step", "threads": 1, "mark": None, "notes": {}, "rivals": of}
    speed_report.print_table([row], 1)
    assert "1.10" in capsys.readouterr().out


def test_a_missed_mark_says_where_the_time_goes(capsys: pytest.CaptureFixture[str]) -> None:
    def timing(ratio: float) -> dict[str, Any]:
        return {"milliseconds": 10 * ratio, "ratio": ratio, "low": ratio, "high": ratio, "rounds": 1, "thrown_out": 0}

    row = {"name": "a step", "threads": 1, "operations": 4e8, "mark": 0.5, "notes": {}}
    row["rivals"] = {"torch": timing(1), "scratch": timing(0.75), "the products alone": timing(0.5)}
    (mark,) = speed_report.print_marks({"rows": [row]})
    assert not mark["met"]
    assert "MISSED: a step, 1 thread(s): 0.75 (at most 0.50); of this 0.50 are the products alone at 80 GFLOP/s" in (
        " ".join(capsys.readouterr().out.split())
    )
