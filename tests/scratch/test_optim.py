"""Update rules by hand: options are chosen so that every intermediate is exact in binary."""

import numpy as np
import pytest

from scratchproof.scratch import optim

RULES = {
    "sgd": {"learning_rate": 0.5},
    "sgd_momentum": {"learning_rate": 0.5, "momentum": 0.75},
    "rmsprop": {"learning_rate": 0.5, "decay_rate": 0.75, "epsilon": 0.5},
    "adam": {"learning_rate": 0.5, "beta1": 0.5, "beta2": 0.75, "epsilon": 1.0},
}

# two steps from w = 8 with dw = 3, then dw = 0 (adam's second needs roots that are not exact: one step)
EXPECTED = {
    "sgd": [6.5, 6.5],
    "sgd_momentum": [6.5, 5.375],  # v = -1.5, then 0.75 * -1.5
    "rmsprop": [7.25, 7.25],  # cache = 0.25 * 9, root 1.5: 0.5 * 3 / (1.5 + 0.5)
    "adam": [7.625],  # m' = 3, sqrt(v') = 3: 0.5 * 3 / (3 + 1)
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", RULES)
def test_steps_come_out_as_worked_by_hand(rule, dtype):
    w, config = np.full((2, 3), 8, dtype), dict(RULES[rule])
    for expected, slope in zip(EXPECTED[rule], (3, 0), strict=False):
        config = getattr(optim, rule)(w, np.full((2, 3), slope, dtype), config)
        assert w.dtype == dtype
        np.testing.assert_array_equal(w, np.full((2, 3), expected, dtype))


@pytest.mark.parametrize("rule", RULES)
def test_state_keeps_the_dtype_and_the_config_is_written_in_place(rule):
    w, config = np.ones(3, np.float32), {}
    assert getattr(optim, rule)(w, w.copy(), config) is config
    arrays = [value for value in config.values() if isinstance(value, np.ndarray)]
    assert all(array.dtype == np.float32 for array in arrays)
    assert {key for key in config if key not in RULES[rule]} == {
        "sgd": set(),
        "sgd_momentum": {"velocity"},
        "rmsprop": {"cache"},
        "adam": {"m", "v", "t"},
    }[rule]


@pytest.mark.parametrize("rule", RULES)
def test_float64_options_do_not_promote_float32(rule):
    plain, promoted = (np.ones(5, np.float32) for _ in range(2))
    dw = np.random.default_rng(0).standard_normal(5).astype(np.float32)
    options = RULES[rule]
    getattr(optim, rule)(plain, dw, dict(options))
    getattr(optim, rule)(promoted, dw, {key: np.float64(value) for key, value in options.items()})
    np.testing.assert_array_equal(promoted, plain)


@pytest.mark.parametrize("shape", [(0,), (1,), (3, 40_000), (40_000, 3), ()], ids=str)
@pytest.mark.parametrize("rule", RULES)
def test_blocks_change_nothing(rule, shape):
    """Row blocks are for speed: each element moves as it would alone."""
    rng = np.random.default_rng(1)
    w, slopes = rng.standard_normal(shape), rng.standard_normal((2, *shape))
    whole, config, alone = np.array(w), {}, {}
    ends = (slice(0, 1), slice(-1, None))
    parts = [np.array(w).reshape(-1)[end].copy() for end in ends]
    for dw in slopes:
        getattr(optim, rule)(whole, np.asarray(dw), config)
        for number, (part, end) in enumerate(zip(parts, ends, strict=True)):
            getattr(optim, rule)(part, np.asarray(dw).reshape(-1)[end], alone.setdefault(number, {}))
    for part, end in zip(parts, ends, strict=True):
        np.testing.assert_array_equal(whole.reshape(-1)[end], part)


@pytest.mark.parametrize("rule", RULES)
def test_any_memory_layout_and_a_read_only_gradient(rule):
    rng = np.random.default_rng(2)
    values, dw = rng.standard_normal((400, 300)), rng.standard_normal((400, 300))
    straight, turned = values.copy(), np.asfortranarray(values)
    dw.flags.writeable = False
    getattr(optim, rule)(straight, dw)
    getattr(optim, rule)(turned, dw)
    np.testing.assert_array_equal(turned, straight)
    assert not np.array_equal(straight, values)


def test_adam_counts_before_the_first_use():
    """The first step is the learning rate itself wherever the slope is far above epsilon: m' / sqrt(v') = ±1."""
    w = np.zeros(2)
    config = optim.adam(w, np.array([4.0, -4.0]), {"learning_rate": 0.5, "beta1": 0.5, "beta2": 0.75})
    assert config["t"] == 1
    np.testing.assert_array_equal(w.astype(np.float32), np.float32([-0.5, 0.5]))


def test_overflow_and_nan_pass_in_silence():
    for rule in RULES:
        w = np.ones(3, np.float32)
        getattr(optim, rule)(w, np.array([1e30, np.nan, np.inf], np.float32))
        assert np.isnan(w[1])


@pytest.mark.parametrize(
    ("rule", "config", "message"),
    [
        ("sgd", {"momentum": 0.9}, "sgd has no option 'momentum': it takes learning_rate"),
        ("sgd", {"learning_rate": 0.0}, "learning_rate is 0.0 but must be positive and finite"),
        ("sgd", {"learning_rate": -1.0}, "learning_rate is -1.0 but must be positive"),
        ("sgd", {"learning_rate": float("nan")}, "learning_rate is nan but must be positive"),
        ("sgd", {"learning_rate": "1e-3"}, "learning_rate is '1e-3' but must be a number"),
        ("sgd_momentum", {"momentum": 1.0}, "momentum is 1.0 but must be a share"),
        ("rmsprop", {"decay_rate": -0.1}, "decay_rate is -0.1 but must be a share"),
        ("adam", {"epsilon": 0}, "epsilon is 0 but must be positive"),
        ("adam", {"beta3": 0.5}, "adam has no option 'beta3'"),
    ],
)
def test_bad_options_are_refused(rule, config, message):
    with pytest.raises(ValueError, match=message):
        getattr(optim, rule)(np.ones(2), np.ones(2), config)


@pytest.mark.parametrize(
    ("w", "dw"),
    [(np.ones(2), np.ones(3)), (np.ones(2), np.ones(2, np.float32)), (np.ones(2, int), np.ones(2, int))],
    ids=["shape", "dtype", "integers"],
)
@pytest.mark.parametrize("rule", RULES)
def test_arrays_that_do_not_fit_are_refused(rule, w, dw):
    with pytest.raises(ValueError, match="they must share one floating dtype and one shape"):
        getattr(optim, rule)(w, dw)


def test_a_config_shared_by_two_parameters_is_refused():
    config = optim.sgd_momentum(np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match=r"velocity has shape \(2,\) but w \(3,\): each w needs its own config"):
        optim.sgd_momentum(np.ones(3), np.ones(3), config)
