"""How each of torch's operations rounds: what is exact, what rounds once, what is a sum and of how many terms.

What is in none of these lists is taken apart, by our own rules or by torch's, until only operations from the lists are
left. Operations go by their names in torch ("mul", "convolution"); in place ("mul_") they round as they do otherwise.
"""

import math
from collections.abc import Callable, Container
from enum import StrEnum
from functools import cache
from typing import Any

import torch
from torch import Tensor


class Kind(StrEnum):
    """What an operation's rounding is like."""

    EXACT = "exact"
    ARITHMETIC = "arithmetic"
    LIBRARY = "library"
    SPECIAL = "special"
    SUM = "sum"
    BLEND = "blend"
    FOURIER = "fourier"
    PRODUCT = "product"
    STABLE = "stable"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# They only make, move, select, compare, count or negate values, or cut digits off: nothing is rounded.
EXACT = _words(
    """
    abs absolute adaptive_max_pool2d adaptive_max_pool3d alias all amax amin aminmax any arange argmax argmin
    argsort as_strided as_strided_copy as_strided_scatter _assert_async atleast_1d atleast_2d atleast_3d bincount
    bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor block_diag bucketize cat
    ceil channel_shuffle clamp clamp_max clamp_min clip clone collapse collapse_view complex _conj conj
    conj_physical _conj_physical constant_pad_nd contiguous convert_element_type copy copysign count_nonzero
    cummax _cummax_helper cummaxmin_backward cummin _cummin_helper detach device_put diag_embed diagonal
    diagonal_backward diagonal_copy diagonal_scatter _efficientzerotensor embedding empty empty_like
    empty_permuted empty_strided eq equal expand eye fft_fftshift fill flip floor floor_divide fmax fmin
    fractional_max_pool2d fractional_max_pool3d frexp full full_like _fused_sdp_choice gather ge gt hardshrink
    hardshrink_backward hardtanh hardtanh_backward heaviside histc imag index index_copy index_fill index_select
    iota is_nonzero isfinite isin isinf isnan isneginf isposinf item kthvalue le lift lift_fresh lift_fresh_copy
    _local_scalar_dense logical_and logical_not logical_or logical_xor lt masked_fill masked_scatter
    masked_scatter_backward masked_select max max_pool1d max_pool2d_with_indices max_pool3d_with_indices
    max_unpool2d max_unpool3d maximum maximum_value median min minimum minimum_value mode nan_to_num nanmedian
    narrow ne neg _nested_tensor_from_mask new_empty new_empty_strided new_full new_ones new_zeros nextafter
    nonzero nonzero_static one_hot ones ones_like permute pixel_shuffle pixel_unshuffle positive real
    reflection_pad1d reflection_pad2d reflection_pad3d relu relu6 repeat repeat_interleave replication_pad1d
    replication_pad2d replication_pad3d reshape _reshape_alias resize resolve_conj resolve_neg rev roll rot90
    round scalar_tensor scatter searchsorted select select_backward select_copy select_scatter sign signbit size
    slice slice_backward slice_copy slice_scatter softshrink_backward sort split split_dim split_with_sizes
    sparse_mask squeeze stack stride swapaxes sym_numel sym_size sym_stride t threshold
    threshold_backward to _to_copy _to_dense _to_sparse topk
    transpose tril tril_indices triu triu_indices trunc unbind unfold unfold_copy _unique _unique2
    unique_consecutive unique_dim unsafe_chunk _unsafe_index _unsafe_masked_index unsafe_split _unsafe_view
    unsqueeze view view_as_complex view_as_real view_copy view_of where zero zeros zeros_like
    """
)

# They draw random numbers; the seed is set anew for each run, so the draws are the same and exact.
DRAWS = _words(
    """
    bernoulli binomial cauchy exponential _fused_dropout geometric log_normal multinomial normal poisson rand
    rand_like randint randint_like randn randn_like random randperm rrelu_with_noise_functional _standard_gamma
    uniform
    """
)

# One rounding of the exact result, or two.
ARITHMETIC = _words(
    """
    add addcdiv addcmul angle deg2rad div divide fmod frac histogram
    hypot ldexp leaky_relu leaky_relu_backward lerp linspace mul multiply
    native_dropout native_dropout_backward polar rad2deg reciprocal remainder rrelu_with_noise rsqrt rsub sgn sqrt
    square sub true_divide
    """
)

# Torch may make their scalar a number of the operand's format first.
SCALARS = _words("add rsub sub")

# Library functions: right to a few units in the last place.
LIBRARY = _words(
    """
    _histogramdd_bin_edges _histogramdd_from_bin_cts _histogramdd_from_bin_tensors
    acos acosh asin asinh atan atan2 atanh cos cosh erf erfc exp exp2 expm1 float_power log log10 log1p log2
    logspace pow sigmoid sin sinh tan tanh
    """
)

# Functions computed by series and recurrences: right to some tens of units.
SPECIAL = _words(
    """
    bessel_i0 bessel_i0e bessel_i1 bessel_i1e bessel_j0 bessel_j1 digamma _dirichlet_grad erfcx erfinv i0 igamma
    igammac lgamma ndtri polygamma special_airy_ai special_bessel_j0 special_bessel_j1 special_bessel_y0
    special_bessel_y1 special_erfcx special_i0e special_i1 special_i1e special_log_ndtr special_modified_bessel_i0
    special_modified_bessel_i1 special_modified_bessel_k0 special_modified_bessel_k1 special_ndtri
    special_scaled_modified_bessel_k0 special_scaled_modified_bessel_k1 special_spherical_bessel_j0 special_zeta
    _standard_gamma_grad zeta
    """
)

# Discrete Fourier transforms.
FOURIER = _words("_fft_c2c fft_c2c fft_c2r _fft_c2r _fft_r2c fft_r2c")

# Backward stable: the exact answer to a problem whose operands were rounded.
STABLE = _words(
    """
    cholesky_inverse cholesky_solve geqrf linalg_cholesky_ex _linalg_det linalg_eig _linalg_eigh _linalg_eigvals
    linalg_eigvals linalg_householder_product linalg_inv_ex linalg_ldl_factor_ex linalg_ldl_solve linalg_lstsq
    linalg_lu linalg_lu_factor_ex linalg_lu_solve linalg_matrix_exp linalg_pinv linalg_qr _linalg_slogdet
    _linalg_solve_ex linalg_solve_triangular _linalg_svd lu_unpack matrix_exp ormqr triangular_solve
    """
)


def _ratio(out: Tensor, x: Tensor, *_: Any) -> int:
    return x.numel() // max(1, out.numel())


def _window(out: Any, x: Tensor, *rest: Any) -> int:
    sizes = next(a for a in rest if isinstance(a, list | tuple))
    return math.prod(sizes)


def _stretch(out: Tensor, x: Tensor, *_: Any) -> int:
    return 16 + 4 * _ratio(out, x)


def _placed(out: Tensor, x: Tensor, *_: Any) -> int:
    """Weights are polynomials in coordinates, which are rounded as numbers up to the longest side are."""
    longest: int = max(*x.shape[2:], *out.shape[2:])
    return _stretch(out, x) + (8 * longest) ** 2


def _overlaps(out: Tensor, *_: Any) -> int:
    return 8  # such windows overlap by one along each of three axes at most


def _padded(out: Tensor, dout: Tensor, x: Tensor, pad: list[int]) -> int:
    return math.prod(1 + max(0, p) for p in pad)


def _along(out: Tensor, x: Tensor, dim: int, *_: Any) -> int:
    return x.shape[dim] if x.ndim else 1


def _busiest(counts: Tensor) -> int:
    """How many terms the element with the most of them gets, what stood there before included."""
    return 1 + int(counts.max()) if counts.numel() else 1


def _put(out: Tensor, x: Tensor, indices: Any, values: Tensor, accumulate: bool = False, *_: Any) -> int:
    if not accumulate:
        return 0
    # The operation itself: torch's method takes no None for an axis that is kept whole.
    return _busiest(torch.ops.aten.index_put(torch.zeros_like(x), indices, torch.ones_like(values), True))


def _added_at(out: Tensor, x: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> int:
    return _busiest(torch.bincount(index.reshape(-1) % max(1, x.numel()))) if accumulate else 0


def _reduced(out: Tensor, x: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *_: Any) -> int:
    if reduce in ("amax", "amin"):
        return 0
    return _busiest(torch.zeros_like(x).scatter_add(dim, index, torch.ones_like(src)))


def _convolution_backward(_: Any, dout: Tensor, x: Tensor, w: Tensor, *rest: Any) -> tuple[int, int, int]:
    groups, pixels = rest[-2], dout.numel() // max(1, dout.shape[1])
    return dout.shape[1] // groups * w[0, 0].numel(), pixels, pixels


# Operations that add up terms, or products of two operands, and how many: K, one for each result if they differ;
# 0 where the options make it a mere selection.
SUMS: dict[str, Callable[..., int | tuple[int, ...]]] = {
    "addbmm": lambda out, bias, a, b: a.shape[0] * a.shape[2] + 1,
    "addmm": lambda out, bias, a, b: a.shape[1] + 1,
    "addmv": lambda out, bias, a, b: a.shape[1] + 1,
    "baddbmm": lambda out, bias, a, b: a.shape[2] + 1,
    "bmm": lambda out, a, b: a.shape[2],
    "convolution": lambda out, x, w, *_: w[0].numel() + 1,
    "convolution_backward": _convolution_backward,
    "cumsum": _along,
    "dot": lambda out, a, b: a.numel(),
    "_embedding_bag": lambda out, w, index, *_: (index.numel(), 0, 0, 0),
    "_embedding_bag_backward": lambda out, dout, index, *_: _busiest(torch.bincount(index.reshape(-1))),
    "_embedding_bag_per_sample_weights_backward": lambda out, dout, w, *_: w.shape[1],
    "embedding_dense_backward": lambda out, dout, index, *_: _busiest(torch.bincount(index.reshape(-1))),
    "index_add": lambda out, x, dim, index, *_: _busiest(torch.bincount(index.reshape(-1))),
    "index_put": _put,
    "index_reduce": lambda out, x, dim, index, src, reduce, *_: (
        0 if reduce in ("amax", "amin") else _busiest(torch.bincount(index.reshape(-1)))
    ),
    **dict.fromkeys(_words("adaptive_max_pool2d_backward adaptive_max_pool3d_backward"), _overlaps),
    **dict.fromkeys(_words("fractional_max_pool2d_backward fractional_max_pool3d_backward"), _overlaps),
    **dict.fromkeys(
        _words("replication_pad1d_backward replication_pad2d_backward replication_pad3d_backward"), _padded
    ),
    "max_pool2d_with_indices_backward": _window,
    "max_pool3d_with_indices_backward": _window,
    "mm": lambda out, a, b: a.shape[1],
    "mv": lambda out, a, b: a.shape[1],
    "nansum": _ratio,
    "_unsafe_index_put": _put,
    "put": _added_at,
    "segment_reduce": lambda out, x, *_: x.shape[0],
    "_segment_reduce_backward": lambda out, dout, of, x, *_: x.shape[0],
    "scatter_add": lambda out, x, dim, index, src: _busiest(
        torch.zeros_like(x).scatter_add(dim, index, torch.ones_like(src))
    ),
    "scatter_reduce": _reduced,
    "sum": _ratio,
    "vdot": lambda out, a, b: a.numel(),
}


def _taps(
    out: Tensor, x: Tensor, w: Tensor, bias: Any, stride: Any, pad: Any, dilation: Any, turned: bool, *_: Any
) -> int:
    return w[0, 0].numel() if turned else 0


def _taps_and_images(_: Any, dout: Tensor, x: Tensor, w: Tensor, *__: Any) -> tuple[int, int, int]:
    return w[0, 0].numel(), dout.shape[0], 0


_UPSAMPLING = _words(
    """
    _upsample_bicubic2d_aa _upsample_bicubic2d_aa_backward _upsample_bilinear2d_aa _upsample_bilinear2d_aa_backward
    upsample_bicubic2d_backward upsample_bilinear2d_backward upsample_linear1d_backward upsample_nearest1d_backward
    upsample_nearest2d_backward upsample_nearest3d_backward _upsample_nearest_exact1d_backward
    _upsample_nearest_exact2d_backward _upsample_nearest_exact3d_backward upsample_trilinear3d_backward
    """
)

# Operations that add up weighted terms, the weights being at most 1 and the operation's own.
BLENDS: dict[str, Callable[..., int | tuple[int, ...]]] = {
    "avg_pool1d": _window,
    "avg_pool2d": _window,
    "avg_pool3d": _window,
    **dict.fromkeys(_words("_adaptive_avg_pool2d _adaptive_avg_pool3d"), _stretch),
    **dict.fromkeys(_words("_adaptive_avg_pool2d_backward _adaptive_avg_pool3d_backward"), _stretch),
    **dict.fromkeys(_words("avg_pool2d_backward avg_pool3d_backward"), _window),
    **dict.fromkeys(_UPSAMPLING, _placed),
}

# Sums of products, whose operands some units round first.
MULTIPLIED = _words("addbmm addmm addmv baddbmm bmm convolution convolution_backward dot mm mv vdot")

# Sums whose terms are added one by one to what stands in memory, and how often: what is stored is rounded each time.
# A transposed convolution adds a window for each tap, as convolution backward does to dx; to dw that adds a product for
# each image.
SCATTERED: dict[str, Callable[..., int | tuple[int, ...]]] = {
    name: {**SUMS, **BLENDS}[name]
    for name in (*SUMS, *BLENDS)
    if name.startswith(("embedding", "_embedding_bag", "index", "put", "_unsafe_index", "scatter"))
    or name.endswith("backward")
} | {"addbmm": lambda out, bias, a, b: a.shape[0] + 1, "convolution": _taps, "convolution_backward": _taps_and_images}

# Sums and products that are whole numbers for whole numbers.
WHOLE = _words("add addmm convolution mm mul rsub sub sum")

# Products of K factors.
PRODUCTS: dict[str, Callable[..., int]] = {"prod": _ratio, "cumprod": _along}


@cache
def kind_of(func: Any) -> Kind | None:
    """How an operation of torch rounds; None where that is not known of it as a whole."""
    name = name_of(func)
    if func.is_view or name in EXACT or name in DRAWS:
        return Kind.EXACT
    for kind, names in _KINDS.items():
        if name in names:
            return kind
    return None


_KINDS: dict[Kind, Container[str]] = {
    Kind.ARITHMETIC: ARITHMETIC,
    Kind.LIBRARY: LIBRARY,
    Kind.SPECIAL: SPECIAL,
    Kind.SUM: SUMS,
    Kind.BLEND: BLENDS,
    Kind.PRODUCT: PRODUCTS,
    Kind.FOURIER: FOURIER,
    Kind.STABLE: STABLE,
}


@cache
def name_of(func: Any) -> str:
    """The name of an operation without its namespace, overload, and the underscore of those in place."""
    name: str = func._schema.name.split("::")[1]
    return name.rstrip("_")
