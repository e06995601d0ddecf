"""The two nets ported to JAX: the wrong one is named beside what other rules say."""

import pytest
import torch

from scratchproof.experiments.jax_nets import PORTS, Config, _judged

pytest.importorskip("jax")


def test_a_port_with_a_wrong_padding_is_named():
    port = 'residual net, padding "SAME" at stride 2'
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = _judged(port, images, Config(rows=2))
    assert found["culprit"] == PORTS[port][2], found["verdict"]
    assert set(found) >= {"allclose", "means"}
