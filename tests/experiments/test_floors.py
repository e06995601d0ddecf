"""Floors are what bytes and operations say, and everything runs at a small size."""

from scratchproof.experiments import floors


def test_a_floor_is_bytes_over_bandwidth_and_operations_over_rate() -> None:
    config = floors.Config(nets=10, hidden=5, features=7, batch_size=3)
    assert floors.floor(config, bandwidth=100.0, rate=50.0) == {
        "products": 2 * 2 * 3 * 7 * 50 / 50.0,  # two products of 3 x 7 by 7 x 50
        "memory": 2 * 4 * 7 * 50 / 100.0,  # the weights read and written
    }


def test_every_engine_that_is_there_has_a_row(tmp_path) -> None:
    record = floors.main(floors.Config(out=str(tmp_path), device="cpu", **floors.SMOKE))
    metrics = record["metrics"]
    assert [(row["engine"], row["precision"]) for row in metrics["steps"]] == [
        ("torch", "float32"),
        ("torch", "bfloat16"),
    ]
    assert min(metrics["bandwidth"], *metrics["rates"].values()) > 0
    for row in metrics["steps"]:
        assert row["of floor"] == row["seconds"] / max(row["floor"].values())
