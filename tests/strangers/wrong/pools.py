import numpy as np
def avg_pool_forward(x, pool_param):
    ph, pw, s = pool_param['pool_height'], pool_param['pool_width'], pool_param['stride']
    N, C, H, W = x.shape
    oh, ow = (H - ph) // s + 1, (W - pw) // s + 1
    out = np.zeros((N, C, oh, ow))
    for i in range(oh):
        for j in range(ow):
            out[:, :, i, j] = x[:, :, i*s:i*s+ph, j*s:j*s+pw].mean((2, 3))
    return out, (x.shape, pool_param)
def avg_pool_backward(dout, cache):
    shape, pool_param = cache
    ph, pw, s = pool_param['pool_height'], pool_param['pool_width'], pool_param['stride']
    dx = np.zeros(shape)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            dx[:, :, i*s:i*s+ph, j*s:j*s+pw] += dout[:, :, i:i+1, j:j+1] / (ph * ph)       # ph for pw
    return dx
def logistic_loss(x, y):
    p = 1 / (1 + np.exp(-x))
    loss = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    return loss, p - y                                 # / N missing
def max_pool_forward_naive(x, pool_param):
    ph, pw, s = pool_param['pool_height'], pool_param['pool_width'], pool_param['stride']
    N, C, H, W = x.shape
    oh, ow = (H - ph) // s + 1, (W - pw) // s + 1
    out = np.zeros((N, C, oh, ow))
    for i in range(oh):
        for j in range(ow):
            out[:, :, i, j] = x[:, :, i*s:i*s+ph, j*s:j*s+pw].max((2, 3))
    return out, (x, out, pool_param)
def max_pool_backward_naive(dout, cache):
    x, out, pool_param = cache
    ph, pw, s = pool_param['pool_height'], pool_param['pool_width'], pool_param['stride']
    dx = np.zeros_like(x)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            win = x[:, :, i*s:i*s+ph, j*s:j*s+pw]
            dx[:, :, i*s:i*s+ph, j*s:j*s+pw] += (win == win.max()) * dout[:, :, i:i+1, j:j+1]   # max over the batch
    return dx
