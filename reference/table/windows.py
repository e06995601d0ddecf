"""Rows of the table: convolution and pooling."""

from collections.abc import Callable

from torch.nn import functional as F

from scratchproof.table.expressions import avg_pool_by_integral, max_pool_all_ties, normal, pooling, windows_leave
from scratchproof.table.layer import ELEMENTWISE, Case, Layer, Shapes
from scratchproof.table.slips import windows

_POOL_CASES = (
    Case(name="2x2", inputs=normal(x=(2, 3, 6, 8))),
    Case(
        name="overlapping 3x2",
        inputs=normal(x=(2, 3, 6, 8)),  # as above: what is remembered by shape is wrong here
        options={"pool_height": 3, "pool_width": 2, "stride": 1},
    ),
)


def _left_over(size: int, window: int, stride: int, pad: int = 0) -> int:
    """How many rows or columns at the end fill no window."""
    return (size + 2 * pad - window) % stride


_GEOMETRY: dict[str, Callable[..., bool]] = {
    "H = W": lambda H, W, KH, KW, **_: H == W and KH != KW,
    "H > W": lambda H, W, **_: H > W,
    "W > H": lambda H, W, **_: W > H,
    "a square kernel": lambda KH, KW, H, W, **_: KH == KW > 1 and H != W,
    "all square": lambda KH, KW, H, W, **_: KH == KW > 1 and H == W,
    "a kernel of one pixel": lambda KH, KW, **_: KH == KW == 1,
    "a kernel of one pixel, in strides": lambda KH, KW, stride, OH, OW, **_: KH == KW == 1 < min(stride, OH, OW),
    "a kernel of one row": lambda KH, KW, **_: KH == 1 < KW,
    "a kernel of one column": lambda KH, KW, **_: KW == 1 < KH,
    "the kernel covers the image": lambda KH, KW, H, W, pad=0, **_: KH == H > 1 and KW == W > 1 and not pad,
    "KH = C": lambda KH, KW, C, **_: KH == C > 1 != KW != KH,
    "KW = C": lambda KH, KW, C, **_: KW == C > 1 != KH != KW,
    "one channel": lambda C, **_: C == 1,
    "N = C": lambda N, C, **_: N == C > 1,
    "one of everything": lambda N, C, H, W, **_: N == C == H == W == 1,
    "many images": lambda N, **_: N >= 20,
    "many channels": lambda C, **_: C > 32,
    "stride beyond the kernel": lambda KH, KW, stride, OH, OW, **_: stride > max(KH, KW) and min(OH, OW) > 1,
    "windows overlap downwards alone": lambda KH, KW, stride, OH, **_: KH > stride >= KW and OH > 1,
    "windows overlap sideways alone": lambda KH, KW, stride, OW, **_: KW > stride >= KH and OW > 1,
    "windows overlap thrice": lambda KH, KW, stride, OH, OW, **_: min(KH, KW) > 2 and stride == 1 and min(OH, OW) > 2,
    "rows left over": lambda rows, columns, OH, **_: rows > 0 == columns and OH > 1,
    "columns left over": lambda rows, columns, OW, **_: columns > 0 == rows and OW > 1,
    "two rows and two columns left over": lambda rows, columns, OH, OW, **_: min(rows, columns) > 1 < min(OH, OW),
    "stride 4": lambda stride, OH, OW, **_: stride == 4 and max(OH, OW) > 1,
}
_PADDED: dict[str, Callable[..., bool]] = {
    "3x3, stride 2, pad 1": lambda KH, KW, stride, pad, OH, OW, **_: (
        KH == KW == 3 and stride == 2 and pad == 1 < min(OH, OW)
    ),
    "pad as wide as the kernel": lambda pad, KH, KW, **_: pad >= max(KH, KW),
    "pad beyond the stride": lambda pad, stride, OH, OW, **_: pad > stride > 1 and min(OH, OW) > 1,
    "KH > KW, padded": lambda pad, KH, KW, **_: pad > 0 and KH > KW,
    "C = F": lambda C, F, KH, KW, **_: C == F > 1 and C not in (KH, KW),
    "N = F": lambda N, F, C, **_: N == F > 1 and C != F,
    "one filter": lambda F, C, **_: F == 1 < C,
    "many filters": lambda F, **_: F > 32,
    "more than sixteen rows": lambda OH, F, C, KW, **_: OH > 16 and F >= C * KW,
}


def _with_output(told: Callable[..., bool]) -> Callable[..., bool]:
    """The predicate, told also of the output's rows and columns and of those left over."""

    def asked(H: int, W: int, KH: int, KW: int, stride: int, pad: int = 0, **others: int) -> bool:
        left = {"rows": _left_over(H, KH, stride, pad), "columns": _left_over(W, KW, stride, pad)}
        out = {"OH": (H + 2 * pad - KH) // stride + 1, "OW": (W + 2 * pad - KW) // stride + 1}
        return told(H=H, W=W, KH=KH, KW=KW, stride=stride, pad=pad, **others, **left, **out)

    return asked


_PIXELS = (1, 2, 3, 4, 5, 6, 7, 9)
_WINDOW = {"H": _PIXELS, "W": _PIXELS, "KH": (1, 2, 3, 4, 5), "KW": (1, 2, 3, 4, 5), "stride": (1, 2, 3, 4)}
_CONV_SHAPES = Shapes(
    letters={
        "N": (1, 2, 3, 20),
        "C": (1, 2, 3, 4, 40),
        "F": (1, 2, 3, 5, 40),
        **_WINDOW,
        "H": (*_PIXELS, 20),
        "pad": (0, 1, 2, 3, 4),
    },
    inputs=lambda N, C, F, H, W, KH, KW, **_: normal(x=(N, C, H, W), w=(F, C, KH, KW), b=(F,)),
    options=lambda stride, pad, **_: {"stride": stride, "pad": pad},
    legal=lambda N, C, H, W, KH, KW, pad, **_: (
        H + 2 * pad >= KH and W + 2 * pad >= KW and N * C * (H + 2 * pad) * (W + 2 * pad) <= 2000
    ),
    notable={name: _with_output(told) for name, told in (_GEOMETRY | _PADDED).items()},
)
_POOL_SHAPES = Shapes(
    letters={"N": (1, 2, 3, 20), "C": (1, 2, 3, 4, 40), **_WINDOW},
    inputs=lambda N, C, H, W, **_: normal(x=(N, C, H, W)),
    options=lambda KH, KW, stride, **_: {"pool_height": KH, "pool_width": KW, "stride": stride},
    legal=lambda N, C, H, W, KH, KW, **_: KH <= H and KW <= W and N * C * H * W <= 2000,
    notable={name: _with_output(told) for name, told in _GEOMETRY.items()},
)

_POOL_UNFIT = (
    *({"stride": 0}, {"stride": -1}, {"pool_height": 0}, {"pool_width": 0}),
    *({"pool_height": 7}, {"pool_width": 9}),
)
_THREE_AXES = {"x of three axes": lambda inputs: {"x": inputs["x"][:, :, 0]}}
_POOL_LEFTOVERS = windows_leave(lambda _, options: (options.get("pool_height", 2), options.get("pool_width", 2)))

WINDOWS: tuple[Layer, ...] = (
    Layer(
        name="conv",
        kind="pair",
        leftovers=windows_leave(lambda inputs, _: inputs["w"].shape[2:]),
        convolution=True,
        torch=lambda x, w, b, *, stride=1, pad=0: F.conv2d(x, w, b, stride, pad),
        cases=(
            Case(name="valid", inputs=normal(x=(2, 3, 7, 6), w=(4, 3, 3, 2), b=(4,))),
            Case(
                name="stride 2, pad 1",
                inputs=normal(x=(2, 3, 8, 7), w=(4, 3, 3, 5), b=(4,)),
                options={"stride": 2, "pad": 1},
            ),
            Case(
                name="stride 3, pad 2, a column left over",
                inputs=normal(x=(3, 2, 9, 8), w=(5, 2, 4, 3), b=(5,)),
                options={"stride": 3, "pad": 2},
            ),
        ),
        analytic=True,
        corners=("zeros", "no bias", *ELEMENTWISE[2:]),
        shapes=_CONV_SHAPES,
        slips=windows.CONV,
        errors={"w for another number of channels": lambda inputs: {**inputs, "w": inputs["w"][:, :-1]}},
        unfit={
            "an image lower than the kernel": lambda inputs: {**inputs, "x": inputs["x"][:, :, :2]},
            "an image narrower than the kernel": lambda inputs: {**inputs, "x": inputs["x"][..., :1]},
            "x of three axes": lambda inputs: {**inputs, "x": inputs["x"][:, :, 0]},
            "w of three axes": lambda inputs: {**inputs, "w": inputs["w"][:, :, 0]},
            "a kernel without rows": lambda inputs: {**inputs, "w": inputs["w"][:, :, :0]},
            "a kernel without columns": lambda inputs: {**inputs, "w": inputs["w"][..., :0]},
        },
        unfit_options=({"stride": 0}, {"stride": -1}, {"pad": -1}),
    ),
    Layer(
        name="max_pool",
        kind="pair",
        leftovers=_POOL_LEFTOVERS,
        unfit={"complex numbers, which have no order": lambda inputs: {"x": inputs["x"] + 0j}, **_THREE_AXES},
        unfit_options=_POOL_UNFIT,
        torch=pooling(F.max_pool2d),
        cases=(
            *_POOL_CASES,
            Case(
                name="stride 3, a row and a column left over",
                inputs=normal(x=(2, 3, 9, 7)),
                options={"pool_height": 2, "pool_width": 3, "stride": 3},
            ),
            Case(
                name="one window, and a pixel left over",
                inputs=normal(x=(1, 1, 3, 1)),
                options={"pool_height": 2, "pool_width": 1, "stride": 2},
            ),
        ),
        shapes=_POOL_SHAPES,
        kink="of equal maxima the first in the window gets the gradient, as torch has it",
        careless={windows.ALL_TIES: max_pool_all_ties},
        corners=ELEMENTWISE,
        slips=windows.MAX_POOL,
    ),
    Layer(
        name="avg_pool",
        kind="pair",
        unfit=_THREE_AXES,
        leftovers=_POOL_LEFTOVERS,
        unfit_options=_POOL_UNFIT,
        torch=pooling(F.avg_pool2d),
        alternatives=(avg_pool_by_integral,),
        cases=_POOL_CASES,
        shapes=_POOL_SHAPES,
        slips=windows.AVG_POOL,
        analytic=True,
        corners=("zeros", *ELEMENTWISE[2:]),
    ),
    Layer(
        name="conv.need_dx",
        of="conv",
        kind="partial",
        torch=lambda x, w, b, *, stride=1, pad=0: F.conv2d(x, w, b, stride, pad),
        cases=(
            Case(
                name="stride 2, pad 1",
                inputs=normal(x=(2, 3, 8, 7), w=(4, 3, 3, 5), b=(4,)),
                options={"stride": 2, "pad": 1},
            ),
        ),
        constant=("x",),
    ),
)
