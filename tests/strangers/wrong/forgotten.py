import numpy as np
def affine_forward(x, w, b):
    out = x.reshape(x.shape[0], -1).dot(w)       # b forgotten
    return out, (x, w, b)
def affine_backward(dout, cache):
    x, w, b = cache
    return dout.dot(w.T).reshape(x.shape), x.reshape(x.shape[0], -1).T.dot(dout), dout.sum(0)
def relu_forward(x):
    return np.maximum(0, x), x
def relu_backward(dout, cache):
    return (cache > 0) * 1.0                     # dout forgotten
def softmax_loss(x, y):
    N = x.shape[0]
    e = np.exp(x - x.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    loss = -np.sum(np.log(p[np.arange(N), y])) / N
    dx = p.copy()
    dx[np.arange(N), y] -= 1
    dx /= N * x.shape[1]                         # divided by C too
    return loss, dx
def svm_loss(x, y):
    N = x.shape[0]
    m = np.maximum(0, x - x[np.arange(N), y][:, None] + 1)
    m[np.arange(N), y] = 0
    dx = (m > 0).astype(float)
    dx[np.arange(N), y] = -np.sum(m, axis=1)     # sums the margins, not the mask
    return m.sum() / N, dx / N
def batchnorm_forward(x, gamma, beta, bn_param):
    eps, mom = bn_param.get('eps', 1e-5), bn_param.get('momentum', 0.9)
    D = x.shape[1]
    rm, rv = bn_param.get('running_mean', np.zeros(D)), bn_param.get('running_var', np.zeros(D))
    if bn_param['mode'] == 'train':
        mu, var = x.mean(0), x.var(0)
        xh = (x - mu) / np.sqrt(var + eps)
        out = gamma * xh + beta
        bn_param['running_mean'] = mom * rm + (1 - mom) * mu
        bn_param['running_var'] = mom * rv + (1 - mom) * var
        return out, (xh, gamma, var, eps)
    xh = (x - rm) / np.sqrt(rv + eps)
    return gamma * x + beta, None                # x for xh
def batchnorm_backward(dout, cache):
    xh, gamma, var, eps = cache
    N = dout.shape[0]
    dgamma = np.sum(dout * xh, axis=0)
    dbeta = np.sum(dout, axis=0)
    dxh = dout * gamma
    dx = (N * dxh - np.sum(dxh, axis=0) - xh * np.sum(dxh * xh, axis=0)) / np.sqrt(var + eps)     # 1/N forgotten
    return dx, dgamma, dbeta
