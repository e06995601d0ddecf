"""Why torch and JAX differ, in words: by function, then by point; `*` is every point of the function."""

_ABS = "A kink. JAX takes the slope on the right (|x| is x where x >= 0), torch sign(0) = 0; both are subgradients."
_ABS_LOSS = f"{_ABS} torch's zero second derivative is one without memory, which counts as 0."
_CLIP = "A kink. JAX's clip is a maximum and a minimum and splits their tie in halves; torch 2.15 lets nothing through."
_TIE_MAX = "A kink. torch splits the tie in halves, JAX's comparison gives all to the second argument."
_JUMP = "The second derivative jumps from the left's value to the right's 0; torch takes the right's, JAX the left's."
_POLE = "A pole: no derivative exists. torch gives the limit from one side, JAX refuses with nan or a plain infinity."
_NORM = "A kink, the tip of a cone. torch masks it to 0, a subgradient; JAX divides 0 by 0."
_EDGE = (
    "The edge of the domain, where the slope is infinite from within; the two formulas meet inf - inf or 0 * inf there."
)
_TIE = "A kink. One hands the gradient to one of the equals, the other divides it among them; both are subgradients."
_NAN = "The value is nan or infinite: there is no derivative, and what each formula leaves over means nothing."
_SPREAD = "All equal: a kink, the tip of a cone. torch masks it to 0, a subgradient; JAX's square root divides 0 by 0."

WORDS: dict[str, dict[str, str]] = {
    "leaky_relu(0.1)": {"*": "A kink. torch takes the slope on the left, JAX that on the right; both are subgradients."},
    "hardtanh": {"*": "A kink. JAX counts the bounds as inside, torch as outside; both are subgradients."},
    "hardsigmoid": {"*": "torch has no second derivative of it (an error, shown as nan); JAX's is right."},
    "hardswish": {"*": "Kinks of the slope; torch and JAX take the second derivative of different sides."},
    "elu": {"*": _JUMP},
    "celu(2)": {"*": _JUMP},
    "selu": {"*": _JUMP},
    "softsign": {"*": "The second derivative jumps from 2 to -2 with |x|, whose slope at 0 is 0 for torch and 1 for JAX."},
    "clip to [-1, 1]": {"*": _CLIP},
    "clip from below at 0": {"*": _CLIP},
    "abs": {"*": _ABS},
    "l1_loss": {"*": _ABS_LOSS},
    "1-norm": {"*": _ABS},
    "atanh": {"*": _POLE},
    "acosh": {"*": _EDGE},
    "sinc": {"*": "Smooth: -π²/3 is right, and JAX has a rule of its own at 0. torch divides 0 by 0: a defect of torch's."},
    "0 ** x": {
        "ordinary": "0^x is 0 for every x > 0, and so are its derivatives. torch meets 0 * log(0)² = nan: its defect.",
        "x = 0": "The value jumps from 1 to 0: there is no derivative.",
    },
    "x ** 0": {"*": "A constant; who differs multiplied 0 by an infinity."},
    "lgamma": {
        "x = 0": _POLE,
        "x = -1": _POLE,
        "x = inf": "The slope of the slope tends to 0, which torch has; JAX's polygamma(1, inf) is nan.",
    },
    "digamma": {"*": _POLE},
    "i0": {"*": "Smooth and even: 0 is right. JAX has exp(|x|) * i0e(x), and says 1 because its |x| has slope 1: its defect."},
    "i1": {"*": "Smooth: 0 is right. JAX goes through |x|, to which it gives slope 1 at 0: its defect."},
    "ndtri": {"*": _EDGE},
    "entr": {"*": "Outside the domain the value is -inf: torch goes on with the formula of the inside, JAX with a constant."},
    "maximum": {"*": "nan wins in both; torch then hands the gradient to both arguments, JAX to neither."},
    "fmax": {"*": _TIE_MAX},
    "fmin": {"*": _TIE_MAX},
    "pow": {
        "(0, 0)": "0^0 is 1 for both, and the function is not continuous there: torch says 0, JAX meets 0 * inf.",
        "(0, 1)": "Second derivatives: JAX meets y (y - 1) 0^(y - 2) = 0 * inf in x, torch 0 * log(0)² in y; 0 is right.",
        "(0, 2)": "In y the function is 0 all along, so JAX's 0 is right; torch meets 0 * log(0)²: its defect.",
        "(0, 0.5)": "In y the function is 0 all along, so JAX's 0 is right; torch meets 0 * log(0)²: its defect.",
        "(0, -1)": "A pole: the value is infinite, and there is no derivative in either argument.",
    },
    "atan2": {"*": "Not continuous at the origin, so no derivative exists: torch defines 0, JAX leaves 0 / 0."},
    "hypot": {
        "(0, 0)": "The tip of a cone. JAX's (½, ½) is a subgradient, no longer than 1; torch divides 0 by 0: its defect.",
        "(inf, 1)": "The slope tends to (1, 0); torch's inf / inf spoils the first, JAX's both.",
    },
    "divide": {"*": _NAN},
    "remainder": {"*": _NAN},
    "xlogy": {"*": "0 log 0 is 0 for both, but log 0 is the slope in x: torch masks it to 0, JAX gives the limit -inf."},
    "xlog1py": {"*": "0 log 0 is 0 for both, but log 0 is the slope in x: torch masks it to 0, JAX gives the limit -inf."},
    "logaddexp": {
        "(inf, inf)": "Along the diagonal the slopes are ½ and ½: torch meets inf - inf, JAX gives 1 to each.",
        "(-inf, 0)": "The first argument has no weight left: 0 is right, torch meets inf * 0: its defect.",
        "*": _NAN,
    },
    "logaddexp2": {"*": _NAN},
    "copysign": {"*": "A kink like |x|'s: torch takes 0, JAX the slope on the right; torch's second derivative divides by 0."},
    "kl_div": {
        "(0, 0.5)": "p log p has slope -inf at p = 0. torch's nan is 0 * -inf, JAX masks the point to 0.",
        "(0.5, 0)": "The value is infinite. torch differentiates the formula, JAX treats inf as a constant.",
        "*": _NAN,
    },
    "binary_cross_entropy": {
        "(0, 1)": "p = 0 where 1 was true: the value is infinite. torch cuts logarithms off at -100 and quotients at 1e-12.",
        "*": "0 * log 0: torch cuts logarithms off at -100, so its slope stays finite; the JAX expression divides 0 by 0.",
    },
    "huber(1)": {"*": "At delta the second derivative jumps from 1 to 0; the two take different sides."},
    "smooth_l1(1)": {"*": "At 1 the second derivative jumps from 1 to 0; the two take different sides."},
    "var": {"*": "One number has no spread: 0 is right."},
    "std": {"*": _SPREAD},
    "std, unbiased": {"*": _SPREAD},
    "prod": {"*": "A zero factor: who is wrong divided the product by it."},
    "cumprod": {"*": "A zero factor: who is wrong divided the product by it."},
    "2-norm": {"*": _NORM},
    "3-norm": {"*": _NORM},
    "largest-entry norm": {
        "tie": _TIE,
        "zeros": "A kink twice over: a tie of absolute values at 0. JAX's |x| has slope 1, torch's 0; both are subgradients.",
    },
    "logsumexp": {"*": _NAN},
    "logcumsumexp": {"*": "What begins at -inf has no weight: its slope is 1 for JAX (its own entry), torch meets inf - inf."},
    "softmax": {"*": _NAN},
    "log_softmax": {"*": _NAN},
    "max of all": {"with nan": "nan wins; who gets its gradient is nobody's promise.", "*": _TIE},
    "max along an axis": {"*": "A kink. torch's max along an axis takes the first of equals; JAX divides among them."},
    "amax": {"*": _TIE},
    "min of all": {"*": _TIE},
    "min along an axis": {"*": "A kink. torch's min along an axis takes the first of equals; JAX divides among them."},
    "sort": {"*": _TIE},
    "top 2": {"*": _TIE},
    "median": {
        "odd": _TIE,
        "tie": _TIE,
        "*": "Not the same function: of an even number torch takes the lower middle, JAX the mean of the two.",
    },
    "quantile 0.3": {
        "*": "A kink, with the weights of two neighbours in order handed to two of the equals. Both answers are limits of "
        "slopes nearby, though no difference at the point itself is as steep as 0.9."
    },
    "cummax": {"*": "A kink. torch hands an equal's gradient to the last index, JAX divides it; both are subgradients."},
    "max pooling, windows of 2": {"with nan": "nan wins a window in torch; JAX's window maximum hands its gradient elsewhere.", "*": _TIE},
}  # fmt: skip
