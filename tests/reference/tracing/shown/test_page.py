"""The page of a trace: it marks the culprit, draws every call twice a way, and believes no name."""

import pytest
import torch
from torch import nn

from scratchproof import trace
from scratchproof.tracing.shown.page import trace_page
from scratchproof.tracing.shown.tree import document

HOSTILE = '</title><script>document.title = "owned"</script>\x1b[31m'


def net(slope=0.01):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.LeakyReLU(slope), nn.Linear(5, 2))


@pytest.fixture(scope="module")
def page():
    found = trace(net(0.02), net(), inputs=torch.randn(4, 3, generator=torch.Generator().manual_seed(0)))
    return trace_page(document(found, model=HOSTILE))


def test_the_culprit_is_marked_in_drawing_and_table(page):
    assert page.startswith("<!doctype html>\n<!-- scratchproof-trace -->")
    assert page.count('<path class="culprit" d="M50 0V180"/>') == 2
    assert page.count('<tr class="culprit"><th scope="row" class="mono" title="1">') == 1
    assert "first divergence: 1: out is wrong" in page


def test_every_call_has_a_dot_and_a_ring_in_each_drawing(page):
    assert page.count('<circle class="forced') == 2 * 3 + 1  # and one in the legend
    assert page.count('<circle class="free') == 2 * 4 + 1  # the whole model too
    assert page.count('<circle class="forced wrong"') == 2


def test_no_name_is_believed(page):
    assert HOSTILE not in page
    assert "<script>document.title" not in page
    assert "\x1b" not in page


def test_a_model_that_agrees_has_no_culprit():
    page = trace_page(document(trace(net(), inputs=torch.ones(2, 3))))
    assert 'class="culprit"' not in page
    assert "every call agrees in float32" in page
