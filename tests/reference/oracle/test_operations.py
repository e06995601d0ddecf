"""The lists of torch's operations: every name in them is torch's, and what is in none is taken apart or named."""

import math

import pytest
import torch
import torch.nn.functional as F

from scratchproof.oracle import apart, operations
from scratchproof.oracle.operations import Kind, kind_of
from scratchproof.oracle.rounding import Rounding, disturbing
from scratchproof.vjp import PRECISIONS

LISTS = (
    *("EXACT", "DRAWS", "ARITHMETIC", "LIBRARY", "SPECIAL", "FOURIER", "STABLE"),
    *("SUMS", "BLENDS", "PRODUCTS", "WHOLE"),
)
DOUBLE = PRECISIONS["float64"]


def names_in_torch():
    full = [name.partition("::") for name in torch._C._dispatch_get_all_op_names()]
    return {rest.partition(".")[0].rstrip("_") for room, _, rest in full if room in ("aten", "prims")}


@pytest.mark.parametrize("name", LISTS)
def test_the_lists_name_operations_of_torch(name):
    assert set(getattr(operations, name)) <= names_in_torch()
    assert set(apart.RULES) <= names_in_torch()


def test_no_operation_stands_in_two_lists():
    kinds = [set(getattr(operations, name)) for name in LISTS[:-1]]
    assert sum(map(len, kinds)) == len(set.union(*kinds))
    assert not set.union(*kinds) & set(apart.RULES)


@pytest.mark.parametrize(
    ("func", "kind"),
    [
        (torch.ops.aten.relu.default, Kind.EXACT),
        (torch.ops.aten.mul_.Tensor, Kind.ARITHMETIC),
        (torch.ops.aten.exp.default, Kind.LIBRARY),
        (torch.ops.aten.mm.default, Kind.SUM),
        (torch.ops.aten.native_layer_norm.default, None),
    ],
)
def test_the_kind_of_an_operation(func, kind):
    assert kind_of(func) is kind


COMPOSED = {
    "softmax": lambda x: x.softmax(-1),
    "log_softmax": lambda x: x.log_softmax(-1),
    "layer_norm": lambda x: F.layer_norm(x, x.shape[1:]),
    "group_norm": lambda x: F.group_norm(x, 2),
    "batch_norm": lambda x: F.batch_norm(x, None, None, training=True),
    "batch_norm of a matrix": lambda x: F.batch_norm(x.flatten(1), None, None, training=True),
    "gelu": F.gelu,
    "attention": lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
    "logsumexp": lambda x: x.logsumexp(1),
    "cumsum": lambda x: x.cumsum(1),
    "prod": lambda x: x.prod(1),
    "var": lambda x: x.var((0, 2)),
    "interpolate": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "in place": lambda x: (x * 1).mul_(3).sigmoid_(),
    "topk": lambda x: x.topk(2).values,
    "fft": lambda x: torch.fft.rfft(x).abs(),
    "solve": lambda x: torch.linalg.solve(x[0, 0] @ x[0, 0].mT, x[0, 0]),
    "dropout": lambda x: F.dropout(x, 0.5),
}


@pytest.mark.parametrize("expression", COMPOSED.values(), ids=COMPOSED)
def test_composed_operations_are_taken_apart_until_all_is_known(expression):
    x = torch.randn(3, 4, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    rounding = Rounding(DOUBLE)
    with disturbing(rounding):
        expression(x).sum().backward()
    assert rounding.unmodelled == set()


def test_an_unknown_operation_is_named():
    library = torch.library.Library("strange", "DEF")
    library.define("wiggle(Tensor x) -> Tensor")
    library.impl("wiggle", lambda x: x.sin() * 2, "CPU")
    rounding = Rounding(DOUBLE)
    with disturbing(rounding):
        torch.ops.strange.wiggle(torch.ones(3, dtype=torch.float64))
    assert rounding.unmodelled == {"strange.wiggle.default"}


def test_the_same_seed_disturbs_alike_and_whole_numbers_stay_exact():
    def run(seed, x):
        with disturbing(Rounding(DOUBLE, seed)):
            return x @ x + x

    x = torch.randn(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.equal(run(3, x), run(3, x))
    assert not torch.equal(run(3, x), run(4, x))
    whole = torch.arange(25.0, dtype=torch.float64).reshape(5, 5)
    assert torch.equal(run(3, whole), whole @ whole + whole)
    assert not torch.equal(run_on(whole, lambda x: x + 0.1), whole + 0.1)
    assert not torch.equal(run_on(whole, lambda x: torch.add(x, x, alpha=0.1)), whole + 0.1 * whole)


def run_on(x, expression, precision=DOUBLE):
    with disturbing(Rounding(precision)):
        return expression(x)


def test_half_precision_leaves_its_range_as_right_code_in_it_does():
    half = PRECISIONS["float16"]
    x = torch.tensor([300.0, 1e-4, 2.0], dtype=torch.float64)
    squares = run_on(x, torch.square, half)
    assert squares[0] == math.inf
    assert squares[1] == 0
    assert run_on(-x, lambda x: x * 300, half)[0] == -math.inf
    assert run_on(x, torch.square, PRECISIONS["bfloat16"]).isfinite().all()
    assert not run_on(0 * x, lambda x: x + 1e-8, half).any()


def test_what_is_added_up_in_memory_is_rounded_each_time_and_what_is_added_up_in_a_register_once():
    coarse = PRECISIONS["bfloat16"]
    x = torch.rand(5, 400, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 1
    due = x.sum(1)

    def strays(expression):
        return float((run_on(x, expression, coarse) / due - 1).abs().max())

    def scattered(x):
        return torch.zeros(5, dtype=x.dtype).scatter_add(0, torch.arange(5).repeat_interleave(400), x.reshape(-1))

    assert strays(lambda x: x.sum(1)) < 1.1 * coarse.unit
    assert coarse.unit * 5 < strays(scattered) < coarse.unit * 40


def test_gradients_of_a_layer_norms_scale_and_shift_are_added_up_row_by_row():
    x = torch.randn(7, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    w, b = x[0].clone().requires_grad_(), x[1].clone().requires_grad_()
    due = torch.autograd.grad(F.layer_norm(x, (5, 4), w, b), (w, b), x)
    fine, coarse = (
        run_on(x, lambda x: torch.autograd.grad(F.layer_norm(x, (5, 4), w, b), (w, b), x), PRECISIONS[name])
        for name in ("float64", "bfloat16")
    )
    assert all(torch.allclose(*pair) for pair in zip(fine, due, strict=True))
    assert (coarse[1] / due[1] - 1).abs().max() > 2 * PRECISIONS["bfloat16"].unit


def test_a_scalar_may_be_rounded_first():
    coarse = PRECISIONS["bfloat16"]
    x = torch.full((50,), 5.25, dtype=torch.float64)
    stray = (run_on(x, lambda x: 5.3 - x, coarse) - (5.3 - x)).abs().max()
    assert coarse.unit < stray < 6 * coarse.unit
    assert torch.equal(run_on(x.round(), lambda x: 5 - x, coarse), 5 - x.round())


def test_a_transposed_convolution_adds_its_windows_up_in_memory():
    x, w = (torch.rand(shape, dtype=torch.float64) + 1 for shape in ((2, 3, 6), (3, 4, 5)))

    def stray(expression):
        due = expression(x, w)
        return float((run_on(x, lambda x: expression(x, w), PRECISIONS["bfloat16"]) / due - 1).abs().max())

    unit = PRECISIONS["bfloat16"].unit
    assert stray(lambda x, w: F.conv_transpose1d(x, w)) > 1.5 * unit
    assert stray(lambda x, w: F.conv1d(x, w.transpose(0, 1))) <= 1.1 * unit


def test_near_its_zero_a_series_is_as_good_as_its_argument():
    x = torch.tensor([1.4616321449683623], dtype=torch.float64)  # where digamma is 0
    fine = PRECISIONS["float32"]
    assert (run_on(x, torch.digamma, fine) - torch.digamma(x)).abs() > fine.unit / 4


def test_both_parts_of_a_complex_number_err():
    x = torch.randn(8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    strayed = run_on(x, torch.fft.fft, PRECISIONS["float32"]) - torch.fft.fft(x)
    assert strayed.real.all()
    assert strayed.imag.all()
