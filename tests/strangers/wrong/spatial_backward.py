import numpy as np
def batchnorm_forward(x, gamma, beta, bn_param):
    mode = bn_param['mode']
    eps = bn_param.get('eps', 1e-5)
    momentum = bn_param.get('momentum', 0.9)
    D = x.shape[1]
    rm = bn_param.get('running_mean', np.zeros(D, dtype=x.dtype))
    rv = bn_param.get('running_var', np.zeros(D, dtype=x.dtype))
    if mode == 'train':
        mu, var = x.mean(0), x.var(0)
        xh = (x - mu) / np.sqrt(var + eps)
        out = gamma * xh + beta
        rm = momentum * rm + (1 - momentum) * mu
        rv = momentum * rv + (1 - momentum) * var
        cache = (xh, var, eps, gamma)
    else:
        out, cache = gamma * (x - rm) / np.sqrt(rv + eps) + beta, None
    bn_param['running_mean'], bn_param['running_var'] = rm, rv
    return out, cache
def batchnorm_backward(dout, cache):
    xh, var, eps, gamma = cache
    g = dout * gamma
    return (g - g.mean(0) - xh * (g * xh).mean(0)) / np.sqrt(var + eps), (dout * xh).sum(0), dout.sum(0)
def batchnorm_backward_alt(dout, cache):
    xh, var, eps, gamma = cache
    N = len(dout)
    dx = gamma / np.sqrt(var + eps) / N * (N * dout - dout.sum(0) - (dout * xh).sum(0))    # xhat * missing
    return dx, (dout * xh).sum(0), dout.sum(0)
def spatial_batchnorm_forward(x, gamma, beta, bn_param):
    N, C, H, W = x.shape
    xt = x.transpose(0, 2, 3, 1).reshape(-1, C)
    out, cache = batchnorm_forward(xt, gamma, beta, bn_param)
    out = out.reshape(N, H, W, C).transpose(0, 3, 1, 2)
    return out, cache
def spatial_batchnorm_backward(dout, cache):
    N, C, H, W = dout.shape
    d = dout.transpose(0, 2, 3, 1).reshape(-1, C)
    dx, dgamma, dbeta = batchnorm_backward(d, cache)
    dx = dx.reshape(N, C, H, W)                           # transposition back missing
    return dx, dgamma, dbeta
def spatial_groupnorm_forward(x, gamma, beta, G, gn_param):
    eps = gn_param.get('eps', 1e-5)
    N, C, H, W = x.shape
    xg = x.reshape(N, G, C // G, H, W)
    mu = xg.mean(axis=(2, 3, 4), keepdims=True)
    var = xg.var(axis=(2, 3, 4), keepdims=True)
    xh = ((xg - mu) / np.sqrt(var + eps)).reshape(x.shape)
    return gamma * xh + beta, (G, xh, var, eps, gamma)
def spatial_groupnorm_backward(dout, cache):
    G, xh, var, eps, gamma = cache
    N, C, H, W = dout.shape
    dbeta = dout.sum(axis=(0, 2, 3), keepdims=True)
    dgamma = (dout * xh).sum(axis=(0, 2, 3), keepdims=True)
    g = (dout * gamma).reshape(N, G, C // G, H, W)
    xg = xh.reshape(N, G, C // G, H, W)
    M = C // G * H                                          # W forgotten
    s = (2, 3, 4)
    dx = (M * g - g.sum(s, keepdims=True) - xg * (g * xg).sum(s, keepdims=True)) / (M * np.sqrt(var + eps))
    return dx.reshape(N, C, H, W), dgamma, dbeta
