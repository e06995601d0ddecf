"""One process needs no peers; the scratch backend has none."""

import pytest

from scratchproof.experiments.command import Common
from scratchproof.experiments.ranks import joined, sharing


def test_one_process_goes_its_own_way() -> None:
    config = Common()
    with joined(config) as own:
        assert own is config
    with sharing(config) as share:
        assert share.of([1, 2, 3]) == [1, 2, 3]
        share.wait()


def test_shared_jobs_need_a_folder_that_all_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="--out"), sharing(Common()):
        pass


def test_the_scratch_backend_has_no_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="--backend torch"), joined(Common()):
        pass
