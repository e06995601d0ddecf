"""What torch is known to do wrong at corners is asked of the torch that is here."""

import pytest
import torch
from torch.nn import functional as F

from scratchproof.experiments import census_corners


def test_each_corner_is_asked():
    found = census_corners.asked()
    assert [one["asked"] for one in found] == [corner.asked for corner in census_corners.CORNERS]
    assert all("https://github.com/" in one["known"] for one in found)


@pytest.mark.parametrize(
    ("place", "name", "corner"),
    [(F, "gelu", 0), (F, "conv2d", 1), (torch, "matrix_exp", 2)],
    ids=["gelu", "conv2d", "matrix_exp"],
)
def test_a_right_answer_is_told_from_a_wrong_one(monkeypatch, place, name, corner):
    monkeypatch.setattr(place, name, lambda x, *_: torch.zeros_like(x))
    assert not census_corners.CORNERS[corner].wrong()
    if name != "conv2d":  # which is wrong only where the truth is right
        monkeypatch.setattr(place, name, lambda x, *_: torch.full_like(x, torch.nan))
        assert census_corners.CORNERS[corner].wrong()
