"""Normalisation in many hands."""

import numpy as np

from .dense import pairs


def compact(x, gamma, beta, *, eps=1e-5):
    normal = (x - x.mean(0)) / np.sqrt(x.var(0) + eps)
    return gamma * normal + beta, (normal, gamma, x.var(0) + eps)


def compact_back(dout, cache):
    normal, gamma, variance = cache
    dgamma = (dout * normal).sum(0)
    dx = gamma / np.sqrt(variance) * (dout - dout.mean(0) - normal * (dout * normal).mean(0))
    return dx, dgamma, dout.sum(0)


def by_steps(x, gamma, beta, *, eps=1e-5):
    mu = 1.0 / len(x) * np.sum(x, axis=0)
    centred = x - mu
    var = 1.0 / len(x) * np.sum(centred**2, axis=0)
    root = np.sqrt(var + eps)
    inverse = 1.0 / root
    return gamma * (centred * inverse) + beta, (centred, inverse, root, var, eps, gamma)


def by_steps_back(dout, cache):
    centred, inverse, root, var, eps, gamma = cache
    N = len(dout)
    dnormal = dout * gamma
    dinverse = np.sum(dnormal * centred, axis=0)
    dvar = 0.5 / np.sqrt(var + eps) * (-1.0 / root**2 * dinverse)
    dcentred = dnormal * inverse + 2 * centred * (np.ones_like(dout) / N * dvar)
    dx = dcentred - 1.0 / N * np.ones_like(dout) * np.sum(dcentred, axis=0)
    return dx, np.sum(dout * centred * inverse, axis=0), np.sum(dout, axis=0)


def of_moments(x, gamma, beta, *, eps=1e-5):
    """Keeps the input; everything else is computed anew on the way back."""
    scale = gamma / np.sqrt(np.var(x, axis=0) + eps)
    return (x - np.mean(x, axis=0)) * scale + beta, (x, gamma, eps)


def of_moments_back(dout, cache):
    x, gamma, eps = cache
    centred, std = x - np.mean(x, axis=0), np.sqrt(np.var(x, axis=0) + eps)
    along = np.sum(dout * centred, axis=0)
    dx = gamma / std * (dout - np.mean(dout, axis=0) - centred * along / (len(x) * std**2))
    return dx, along / std, np.einsum("nd->d", dout)


def by_columns(x, gamma, beta, *, eps=1e-5):
    out, cache = np.zeros(x.shape, x.dtype), []
    for d in range(x.shape[1]):
        column = x[:, d] - x[:, d].sum() / len(x)
        root = ((column * column).sum() / len(x) + eps) ** 0.5
        out[:, d] = gamma[d] * column / root + beta[d]
        cache.append((column / root, root, gamma[d]))
    return out, cache


def by_columns_back(dout, cache):
    dx = np.zeros_like(dout)
    dgamma, dbeta = (np.zeros(len(cache), dout.dtype) for _ in range(2))
    for d, (normal, root, gamma) in enumerate(cache):
        g = dout[:, d]
        dgamma[d], dbeta[d] = (g * normal).sum(), g.sum()
        dx[:, d] = gamma / root * (g - dbeta[d] / len(g) - normal * dgamma[d] / len(g))
    return dx, dgamma, dbeta


def _standardised(x, axes, eps):
    mean = x.mean(axis=axes, keepdims=True)
    rstd = 1 / np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    return (x - mean) * rstd, rstd


def _standardised_back(dnormal, normal, rstd, axes):
    both = (dnormal * normal).mean(axis=axes, keepdims=True)
    return rstd * (dnormal - dnormal.mean(axis=axes, keepdims=True) - normal * both)


def layer_over_rows(x, gamma, beta, *, eps=1e-5):
    normal, rstd = _standardised(x, 1, eps)
    return normal * gamma + beta, (normal, rstd, gamma)


def layer_over_rows_back(dout, cache):
    normal, rstd, gamma = cache
    return _standardised_back(dout * gamma, normal, rstd, 1), (dout * normal).sum(0), dout.sum(0)


def layer_turned(x, gamma, beta, *, eps=1e-5):
    """Batch normalisation of the transpose."""
    normal, cache = compact(x.T, np.ones((), x.dtype), np.zeros((), x.dtype), eps=eps)
    return normal.T * gamma + beta, (normal.T, cache, gamma)


def layer_turned_back(dout, cache):
    normal, inner, gamma = cache
    dx, _, _ = compact_back((dout * gamma).T, inner)
    return dx.T, (dout * normal).sum(0), dout.sum(0)


def layer_row_by_row(x, gamma, beta, *, eps=1e-5):
    rows = [(row - row.mean()) / np.sqrt(row.var() + eps) for row in x]
    normal = np.array(rows, x.dtype).reshape(x.shape)
    return gamma * normal + beta, (normal, [np.sqrt(row.var() + eps) for row in x], gamma)


def layer_row_by_row_back(dout, cache):
    normal, stds, gamma = cache
    dx = np.empty_like(dout)
    for n, std in enumerate(stds):
        g = dout[n] * gamma
        dx[n] = (g - g.mean() - normal[n] * np.dot(g, normal[n]) / len(g)) / std
    return dx, np.einsum("nd,nd->d", dout, normal), dout.sum(axis=0)


def _of_channels(v):
    return v[None, :, None, None]


def spatial_over_axes(x, gamma, beta, *, eps=1e-5):
    normal, rstd = _standardised(x, (0, 2, 3), eps)
    return _of_channels(gamma) * normal + _of_channels(beta), (normal, rstd, gamma)


def spatial_over_axes_back(dout, cache):
    normal, rstd, gamma = cache
    dx = _standardised_back(dout * _of_channels(gamma), normal, rstd, (0, 2, 3))
    return dx, (dout * normal).sum((0, 2, 3)), dout.sum((0, 2, 3))


def spatial_of_pixels(x, gamma, beta, *, eps=1e-5):
    pixels = x.transpose(0, 2, 3, 1)
    out, cache = by_steps(pixels.reshape(-1, x.shape[1]), gamma, beta, eps=eps)
    return out.reshape(pixels.shape).transpose(0, 3, 1, 2), cache


def spatial_of_pixels_back(dout, cache):
    pixels = dout.transpose(0, 2, 3, 1)
    dx, dgamma, dbeta = by_steps_back(pixels.reshape(-1, dout.shape[1]), cache)
    return dx.reshape(pixels.shape).transpose(0, 3, 1, 2), dgamma, dbeta


def spatial_by_channels(x, gamma, beta, *, eps=1e-5):
    done = [_standardised(x[:, c], None, eps) for c in range(x.shape[1])]
    out = np.stack([g * normal + b for g, b, (normal, _) in zip(gamma, beta, done, strict=True)], axis=1)
    return out, (done, gamma)


def spatial_by_channels_back(dout, cache):
    done, gamma = cache
    dx = [_standardised_back(dout[:, c] * gamma[c], *one, None) for c, one in enumerate(done)]
    dgamma = np.array([(dout[:, c] * normal).sum() for c, (normal, _) in enumerate(done)])
    return np.stack(dx, axis=1), dgamma, np.array([dout[:, c].sum() for c in range(len(gamma))])


def groups_reshaped(x, gamma, beta, *, groups, eps=1e-5):
    split = x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    normal, rstd = _standardised(split, (2, 3, 4), eps)
    flat = normal.reshape(x.shape)
    return flat * _of_channels(gamma) + _of_channels(beta), (normal, rstd, flat, gamma)


def groups_reshaped_back(dout, cache):
    normal, rstd, flat, gamma = cache
    dnormal = (dout * _of_channels(gamma)).reshape(normal.shape)
    dx = _standardised_back(dnormal, normal, rstd, (2, 3, 4)).reshape(dout.shape)
    return dx, np.einsum("nchw,nchw->c", dout, flat), np.einsum("nchw->c", dout)


def groups_in_turn(x, gamma, beta, *, groups, eps=1e-5):
    normal = np.empty_like(x)
    share, roots = x.shape[1] // groups, np.empty((len(x), groups), x.dtype)
    for n in range(len(x)):
        for g in range(groups):
            part = x[n, g * share : (g + 1) * share]
            roots[n, g] = np.sqrt(part.var() + eps)
            normal[n, g * share : (g + 1) * share] = (part - part.mean()) / roots[n, g]
    return _of_channels(gamma) * normal + _of_channels(beta), (normal, roots, gamma)


def groups_in_turn_back(dout, cache):
    normal, roots, gamma = cache
    dx, share = _of_channels(gamma) * dout, dout.shape[1] // roots.shape[1]
    for n, g in np.ndindex(*roots.shape):
        of_group = (n, slice(g * share, (g + 1) * share))
        d, z = dx[of_group], normal[of_group]
        dx[of_group] = (d - d.mean() - z * (d * z).mean()) / roots[n, g]
    return dx, (dout * normal).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))


def predicting(x, gamma, beta, mean, var, *, eps=1e-5):
    normal = (x - mean) / np.sqrt(var + eps)
    return gamma * normal + beta, (normal, gamma, var + eps)


def predicting_back(dout, cache):
    normal, gamma, variance = cache
    return dout * gamma / np.sqrt(variance), (dout * normal).sum(0), dout.sum(0)


STYLES = {
    **pairs(
        "batchnorm",
        {
            "one formula": (compact, compact_back),
            "all of its steps": (by_steps, by_steps_back),
            "computed anew": (of_moments, of_moments_back),
            "column by column": (by_columns, by_columns_back),
        },
    ),
    **pairs(
        "layernorm",
        {
            "over rows": (layer_over_rows, layer_over_rows_back),
            "a batch norm turned": (layer_turned, layer_turned_back),
            "row by row": (layer_row_by_row, layer_row_by_row_back),
        },
    ),
    **pairs(
        "spatial_batchnorm",
        {
            "over axes": (spatial_over_axes, spatial_over_axes_back),
            "of pixels": (spatial_of_pixels, spatial_of_pixels_back),
            "channel by channel": (spatial_by_channels, spatial_by_channels_back),
        },
    ),
    **pairs(
        "spatial_groupnorm",
        {
            "reshaped": (groups_reshaped, groups_reshaped_back),
            "group by group": (groups_in_turn, groups_in_turn_back),
        },
    ),
    **pairs("batchnorm_inference", {"one formula": (predicting, predicting_back)}),
}
