"""Right code as students write it: loops, one idea a line. The named mistakes are made in this text."""

import numpy as np


def affine_forward(x, w, b):
    rows = x.reshape(x.shape[0], w.shape[0])
    out = rows @ w + b
    return out, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    rows = x.reshape(x.shape[0], w.shape[0])
    dx = (dout @ w.T).reshape(x.shape)
    dw = rows.T @ dout
    db = dout.sum(axis=0)
    return dx, dw, db


def relu_forward(x):
    out = np.maximum(x, 0)
    return out, x


def relu_backward(dout, x):
    dx = dout * (x > 0)
    return dx


def leaky_relu_forward(x, *, negative_slope=0.01):
    out = np.where(x > 0, x, negative_slope * x)
    return out, (x, negative_slope)


def leaky_relu_backward(dout, cache):
    x, slope = cache
    return dout * np.where(x > 0, x.dtype.type(1), x.dtype.type(slope))


def sigmoid_forward(x):
    z = np.exp(-np.abs(x)) if x.dtype.kind == "f" else np.exp(np.where(x.real >= 0, -x, x))
    out = np.where(x.real >= 0, 1, z) / (1 + z)
    return out, z


def sigmoid_backward(dout, z):
    return dout * z / (1 + z) ** 2


def tanh_forward(x):
    t = np.tanh(x)
    return t, t


def tanh_backward(dout, t):
    return dout * (1 - t) * (1 + t)


def affine_relu_forward(x, w, b):
    a, affine_cache = affine_forward(x, w, b)
    out, relu_cache = relu_forward(a)
    return out, (affine_cache, relu_cache)


def affine_relu_backward(dout, cache):
    affine_cache, relu_cache = cache
    da = relu_backward(dout, relu_cache)
    return affine_backward(da, affine_cache)


def dropout_forward(x, mask, *, p=0.5):
    out = x * mask / p
    return out, (mask, p)


def dropout_backward(dout, cache):
    mask, p = cache
    dx = dout * mask / p
    return dx


def batchnorm_forward(x, gamma, beta, *, eps=1e-5):
    mean = x.mean(axis=0)
    centred = x - mean
    centred = centred - centred.mean(axis=0)
    var = (centred * centred).mean(axis=0)
    std = np.sqrt(var + eps)
    xhat = centred / std
    out = gamma * xhat + beta
    return out, (xhat, std, gamma)


def batchnorm_backward(dout, cache):
    xhat, std, gamma = cache
    dbeta = dout.sum(axis=0)
    dgamma = (dout * xhat).sum(axis=0)
    dxhat = dout * gamma
    dx = (dxhat - dxhat.mean(axis=0) - xhat * (dxhat * xhat).mean(axis=0)) / std
    return dx, dgamma, dbeta


def batchnorm_inference_forward(x, gamma, beta, running_mean, running_var, *, eps=1e-5):
    std = np.sqrt(running_var + eps)
    xhat = (x - running_mean) / std
    return gamma * xhat + beta, (xhat, std, gamma)


def batchnorm_inference_backward(dout, cache):
    xhat, std, gamma = cache
    return dout * gamma / std, (dout * xhat).sum(axis=0), dout.sum(axis=0)


def batchnorm_running(x, running_mean, running_var, *, momentum=0.9):
    mean = x.mean(axis=0)
    var = x.var(axis=0, ddof=1)
    running_mean = momentum * running_mean + (1 - momentum) * mean
    running_var = momentum * running_var + (1 - momentum) * var
    return running_mean, running_var


def layernorm_forward(x, gamma, beta, *, eps=1e-5):
    centred = x - x.mean(axis=1, keepdims=True)
    centred = centred - centred.mean(axis=1, keepdims=True)
    var = (centred * centred).mean(axis=1, keepdims=True)
    std = np.sqrt(var + eps)
    normed = centred / std
    return gamma * normed + beta, (normed, std, gamma)


def layernorm_backward(dout, cache):
    normed, std, gamma = cache
    dnormed = dout * gamma
    through_mean = dnormed.mean(axis=1, keepdims=True)
    through_var = normed * (dnormed * normed).mean(axis=1, keepdims=True)
    dx = (dnormed - through_mean - through_var) / std
    return dx, (dout * normed).sum(axis=0), dout.sum(axis=0)


def spatial_batchnorm_forward(x, gamma, beta, *, eps=1e-5):
    N, C, H, W = x.shape
    pixels = x.transpose(0, 2, 3, 1).reshape(N * H * W, C)
    out, cache = batchnorm_forward(pixels, gamma, beta, eps=eps)
    return out.reshape(N, H, W, C).transpose(0, 3, 1, 2), cache


def spatial_batchnorm_backward(dout, cache):
    N, C, H, W = dout.shape
    dpixels = dout.transpose(0, 2, 3, 1).reshape(N * H * W, C)
    dx, dgamma, dbeta = batchnorm_backward(dpixels, cache)
    return dx.reshape(N, H, W, C).transpose(0, 3, 1, 2), dgamma, dbeta


def spatial_groupnorm_forward(x, gamma, beta, *, groups, eps=1e-5):
    N, C, H, W = x.shape
    grouped = x.reshape(N * groups, C // groups * H * W)
    ones = np.ones(grouped.shape[1], x.dtype)
    normed, cache = layernorm_forward(grouped, ones, 0 * ones, eps=eps)
    normed = normed.reshape(x.shape)
    return gamma[:, None, None] * normed + beta[:, None, None], (normed, cache, gamma, groups)


def spatial_groupnorm_backward(dout, cache):
    normed, rows, gamma, groups = cache
    dnormed = dout * gamma[:, None, None]
    dx, _, _ = layernorm_backward(dnormed.reshape(rows[0].shape), rows)
    return dx.reshape(dout.shape), (dout * normed).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))


def conv_forward(x, w, b, *, stride=1, pad=0):
    N, C, H, W = x.shape
    F, _, KH, KW = w.shape
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    OH = (H + 2 * pad - KH) // stride + 1
    OW = (W + 2 * pad - KW) // stride + 1
    out = np.zeros((N, F, OH, OW), x.dtype)
    for i in range(OH):
        for j in range(OW):
            window = padded[:, :, i * stride : i * stride + KH, j * stride : j * stride + KW]
            out[:, :, i, j] = window.reshape(N, C * KH * KW) @ w.reshape(F, C * KH * KW).T + b
    return out, (x, w, stride, pad)


def conv_backward(dout, cache):
    x, w, stride, pad = cache
    F, C, KH, KW = w.shape
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dpadded = np.zeros_like(padded)
    dw = np.zeros_like(w)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            rows, columns = slice(i * stride, i * stride + KH), slice(j * stride, j * stride + KW)
            share = dout[:, :, i, j]
            dpadded[:, :, rows, columns] += np.tensordot(share, w, axes=(1, 0))
            dw += np.tensordot(share, padded[:, :, rows, columns], axes=(0, 0))
    dx = dpadded[:, :, pad : pad + x.shape[2], pad : pad + x.shape[3]]
    return dx.copy(), dw, dout.sum(axis=(0, 2, 3))


def max_pool_forward(x, *, pool_height=2, pool_width=2, stride=2):
    N, C, H, W = x.shape
    OH, OW = (H - pool_height) // stride + 1, (W - pool_width) // stride + 1
    out = np.zeros((N, C, OH, OW), x.dtype)
    for i in range(OH):
        for j in range(OW):
            out[:, :, i, j] = x[:, :, i * stride : i * stride + pool_height, j * stride : j * stride + pool_width].max(
                axis=(2, 3)
            )
    return out, (x, pool_height, pool_width, stride)


def max_pool_backward(dout, cache):
    x, height, width, stride = cache
    dx = np.zeros_like(x)
    images, channels = np.arange(x.shape[0])[:, None], np.arange(x.shape[1])[None, :]
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            window = x[:, :, i * stride : i * stride + height, j * stride : j * stride + width]
            flat = window.reshape(x.shape[0], x.shape[1], height * width)
            backwards = np.isnan(flat)[:, :, ::-1].argmax(axis=2)
            first = np.where(np.isnan(flat).any(axis=2), height * width - 1 - backwards, flat.argmax(axis=2))
            dx[images, channels, i * stride + first // width, j * stride + first % width] += dout[:, :, i, j]
    return dx


def avg_pool_forward(x, *, pool_height=2, pool_width=2, stride=2):
    N, C, H, W = x.shape
    OH, OW = (H - pool_height) // stride + 1, (W - pool_width) // stride + 1
    out = np.zeros((N, C, OH, OW), x.dtype)
    for i in range(pool_height):
        for j in range(pool_width):
            out += x[:, :, i : i + OH * stride - stride + 1 : stride, j : j + OW * stride - stride + 1 : stride]
    return out / (pool_height * pool_width), (x.shape, pool_height, pool_width, stride)


def avg_pool_backward(dout, cache):
    shape, height, width, stride = cache
    dx = np.zeros(shape, dout.dtype)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            share = dout[:, :, i : i + 1, j : j + 1] / (height * width)
            dx[:, :, i * stride : i * stride + height, j * stride : j * stride + width] += share
    return dx


def softmax_loss(x, y):
    N = x.shape[0]
    shifted = x - x.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    totals = powers.sum(axis=1, keepdims=True)
    log_probs = shifted - np.log(totals)
    loss = -log_probs[np.arange(N), y].sum() / N
    dx = powers / totals
    dx[np.arange(N), y] -= 1
    dx = dx / N
    return loss, dx


def svm_loss(x, y):
    N = x.shape[0]
    right = x[np.arange(N), y][:, None]
    margins = np.maximum(x - right + 1, 0)
    margins[np.arange(N), y] = 0
    loss = margins.sum() / N
    dx = (margins > 0).astype(x.dtype)
    dx[np.arange(N), y] = -dx.sum(axis=1)
    return loss, dx / N


def logistic_loss(x, y):
    N = x.shape[0]
    z = np.exp(-np.abs(x))
    loss = ((1 - y).astype(x.dtype) * x + np.maximum(-x, 0) + np.log1p(z)).sum() / N
    share = np.where((x >= 0) == (y == 0), 1, z) / (1 + z)
    dx = np.where(y == 0, share, -share) / N
    return loss, dx


def squared_loss(x, y):
    N = x.shape[0]
    difference = x - y
    loss = 0.5 * (difference * difference).sum() / N
    dx = difference / N
    return loss, dx


def three_layer_forward(x, W1, b1, W2, b2, W3, b3):
    h1, _ = sigmoid_forward(W1 @ x + b1)
    h2, _ = sigmoid_forward(W2 @ h1 + b2)
    return W3 @ h2 + b3


def sgd(w, dw, config=None):
    config = {} if config is None else config
    rate = config.setdefault("learning_rate", 1e-2)
    w = w - rate * dw
    return w, config


def sgd_momentum(w, dw, config=None):
    config = {} if config is None else config
    rate, momentum = config.setdefault("learning_rate", 1e-2), config.setdefault("momentum", 0.9)
    v = config.get("velocity", np.zeros_like(w))
    v = momentum * v - rate * dw
    w = w + v
    config["velocity"] = v
    return w, config


def rmsprop(w, dw, config=None):
    config = {} if config is None else config
    rate, decay = config.setdefault("learning_rate", 1e-2), config.setdefault("decay_rate", 0.99)
    eps = config.setdefault("epsilon", 1e-8)
    mean = config.get("cache", np.zeros_like(w))
    mean = decay * mean + (1 - decay) * dw * dw
    w = w - rate * dw / (np.sqrt(mean) + eps)
    config["cache"] = mean
    return w, config


def adam(w, dw, config=None):
    config = {} if config is None else config
    rate, eps = config.setdefault("learning_rate", 1e-3), config.setdefault("epsilon", 1e-8)
    beta1, beta2 = config.setdefault("beta1", 0.9), config.setdefault("beta2", 0.999)
    m, v = config.get("m", np.zeros_like(w)), config.get("v", np.zeros_like(w))
    t = config.get("t", 0) + 1
    m = beta1 * m + (1 - beta1) * dw
    v = beta2 * v + (1 - beta2) * dw * dw
    step = rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
    config.update(m=m, v=v, t=t)
    return w - step, config
