"""Rows of the table: losses."""

from functools import partial

from torch.nn import functional as F

from scratchproof.table import nets
from scratchproof.table.expressions import (
    label_missing,
    label_negative,
    label_too_large,
    logits_and_labels,
    normal,
    scores_and_labels,
    sure_logits,
)
from scratchproof.table.layer import Case, Layer, Shapes
from scratchproof.table.slips import losses

_LABELS_BELOW = {"a negative label": label_negative, "a label too few": label_missing}
_LABELS = {"a label as large as the number of classes": label_too_large, **_LABELS_BELOW}
_NO_ROWS = {"no rows": lambda inputs: {name: value[:0] for name, value in inputs.items()}}
_CORNERS = ("zeros", "integers", "huge", "every size", "one row", "nonfinite", "nan and infinities")
_loss = partial(
    Layer,
    kind="loss",
    unfit=_NO_ROWS,
    corners=_CORNERS,
)
_SCORES = Shapes(
    letters={"N": (1, 2, 3, 7, 300, 1030), "C": (2, 3, 7, 10, 12, 130, 1030)},
    inputs=lambda N, C: scores_and_labels(N, C),
    legal=lambda N, C: N * C <= 8000,
    notable={
        "two classes": lambda N, C: C == 2 < N,
        "ten classes": lambda N, C: C == 10,
        "more than a thousand classes": lambda N, C: C > 1000,
        "more than a thousand rows": lambda N, C: N > 1000,
        "N = C": lambda N, C: N == C > 2,
        "one row": lambda N, C: N == 1,
        "two rows": lambda N, C: N == 2 < C,
        "more classes than rows": lambda N, C: C > N > 1,
        "more than a hundred classes": lambda N, C: 100 < C < 200,
    },
)

LOSSES: tuple[Layer, ...] = (
    _loss(
        name="softmax_loss",
        torch=F.cross_entropy,
        corners=(*_CORNERS[:3], "one huge row", "sure", *_CORNERS[3:]),
        conventions={losses.LOG_OF_QUOTIENT: losses.log_of_quotient},
        careless=losses.SHIFTED_ALIKE,
        slips=losses.SOFTMAX,
        cases=(Case(name="x (N, C)", inputs=scores_and_labels(7, 5)),),
        batched=("x", "y"),
        shapes=_SCORES,
        errors=_LABELS,
    ),
    _loss(
        name="svm_loss",
        torch=nets.svm,
        cases=(Case(name="x (N, C)", inputs=scores_and_labels(7, 5)),),
        batched=("x", "y"),
        corners=(*_CORNERS[:3], "sure", *_CORNERS[3:]),
        kink="a margin of exactly 0 passes no gradient, as torch.relu has it",
        slips=losses.SVM,
        shapes=_SCORES,
        errors=_LABELS,
    ),
    _loss(
        name="logistic_loss",
        torch=nets.logistic,
        slips=losses.LOGISTIC,
        cases=(
            Case(name="logits (N,)", inputs=logits_and_labels(11)),
            Case(name="sure and right", inputs=sure_logits(11)),
        ),
        batched=("x", "y"),
        shapes=Shapes(letters={"N": (1, 2, 3, 64, 1100)}, inputs=lambda N: logits_and_labels(N)),
        errors={"a label of 2": lambda inputs: {**inputs, "y": inputs["y"] + 1}, **_LABELS_BELOW},
    ),
    _loss(
        name="squared_loss",
        torch=lambda x, y: F.mse_loss(x, y, reduction="sum") / (2 * len(x)),
        slips=losses.SQUARED,
        cases=(Case(name="x (N, D)", inputs=normal(x=(6, 5), y=(6, 5))),),
        batched=("x", "y"),
        constant=("y",),
        unfit={**_NO_ROWS, "numbers without axes": lambda inputs: {k: v.ravel()[0] for k, v in inputs.items()}},
        shapes=Shapes(
            letters={"rank": (1, 2, 3, 4), "N": (1, 2, 3, 64), "a": (1, 2, 5), "b": (1, 2, 3), "c": (2, 3)},
            inputs=lambda rank, **sizes: normal(x=tuple(sizes.values())[:rank], y=tuple(sizes.values())[:rank]),
            notable={
                "one axis": lambda rank, **_: rank == 1,
                "four axes": lambda rank, **_: rank == 4,
                "N = D": lambda rank, N, a, **_: rank == 2 and N == a > 1,
                "one row": lambda rank, N, **_: rank > 1 == N,
                "many rows": lambda N, **_: N > 60,
            },
        ),
        analytic=True,
        corners=("zeros", "huge", "every size", "one row"),
    ),
)
