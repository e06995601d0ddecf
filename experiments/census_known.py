"""What in torch's census deviates, and why: an operation's name and the reason."""

DRAWS = "draws random numbers, others in each format"
EMPTY = "returns memory as it finds it"
FLOORS = "takes the whole part of a quotient that is rounded first"
POWER = "its derivative takes a power one less: that exponent, rounded, may be whole, and nan becomes a number"
DOUBLE = "computes in float64 and returns it, whatever it is given: nothing overflows where the format would"
STEPS = "steps by the last place of its own format"
OVERFLOW = "its product is infinite in float16, and torch divides the gradient out of it"
EXPONENTIAL = "nan for matrices of small or of large norm in half formats; see the corner of that name"
QUOTIENT = "in float16 the exponential in its derivative overflows, and what is left is inf / inf"
SPARSE = "gives or takes sparse tensors, whose layout the disturbance does not know"
LAYOUT = "torch's own decomposition of it gives another shape than its kernel"
CUDA = "made for CUDA alone"
MEMORY = "its samples look beyond a tensor's elements, at memory that a copy does not have"

KNOWN: dict[str, str] = {
    **dict.fromkeys(
        (
            "bernoulli",
            "nn.functional.fractional_max_pool2d",
            "normal",
            "normal.in_place",
            "normal.number_mean",
            "rand_like",
            "randn",
            "randn_like",
            "uniform",
        ),
        DRAWS,
    ),
    **dict.fromkeys(
        (
            "div.trunc_rounding",
            "floor_divide",
            "fmod",
            "histc",
            "histogram",
        ),
        FLOORS,
    ),
    **dict.fromkeys(("__rpow__", "pow"), POWER),
    "float_power": DOUBLE,
    "masked.prod": OVERFLOW,
    "matrix_exp": EXPONENTIAL,
    "nextafter": STEPS,
    "nn.functional.soft_margin_loss": QUOTIENT,
    "torch.ops.aten._scaled_dot_product_flash_attention_for_cpu": LAYOUT,
    **dict.fromkeys(("sparse.mm.reduce", "sparse.sampled_addmm"), SPARSE),
    **dict.fromkeys(
        (
            "jiterator_2inputs_2outputs",
            "jiterator_4inputs_with_extra_args",
            "jiterator_binary",
            "jiterator_binary_return_by_ref",
            "jiterator_unary",
        ),
        CUDA,
    ),
    "as_strided.partial_views": MEMORY,
    **dict.fromkeys(
        ("empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided"), EMPTY
    ),
}
