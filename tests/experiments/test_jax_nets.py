"""The two nets ported to JAX: the right agree, each wrong one is named, and every pair's module is there."""

import pytest
import torch

from scratchproof.experiments.jax_nets import PORTS, Config, _judged

pytest.importorskip("jax")


@pytest.mark.parametrize("port", ["ConvNet", 'residual net, padding "SAME" at stride 2'])
def test_a_port_is_judged_as_it_is(port):
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = _judged(port, images, Config(rows=2))
    assert found["culprit"] == PORTS[port][2], found["verdict"]
    assert set(found) >= {"allclose", "means"}
