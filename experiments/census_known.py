"""What in torch's census deviates, and why: an operation's name and the reason."""

DRAWS = "draws random numbers, others in each format"
EMPTY = "returns memory as it finds it"

KNOWN: dict[str, str] = {
    **dict.fromkeys(
        (
            "bernoulli",
            "cauchy",
            "exponential",
            "geometric",
            "log_normal",
            "multinomial",
            "nn.functional.alpha_dropout",
            "nn.functional.dropout",
            "nn.functional.dropout2d",
            "nn.functional.dropout3d",
            "nn.functional.feature_alpha_dropout.with_train",
            "nn.functional.feature_alpha_dropout.without_train",
            "nn.functional.fractional_max_pool2d",
            "nn.functional.fractional_max_pool3d",
            "nn.functional.multi_head_attention_forward",
            "nn.functional.rrelu",
            "nn.functional.scaled_dot_product_attention",
            "normal",
            "normal.in_place",
            "normal.number_mean",
            "pca_lowrank",
            "rand_like",
            "randn",
            "randn_like",
            "svd_lowrank",
            "uniform",
        ),
        DRAWS,
    ),
    **dict.fromkeys(
        ("empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided"), EMPTY
    ),
}
