import numpy as np
def batchnorm_forward(x, gamma, beta, bn_param):
    mode = bn_param['mode']
    eps = bn_param.get('eps', 1e-5)
    momentum = bn_param.get('momentum', 0.9)
    D = x.shape[1]
    running_mean = bn_param.get('running_mean', np.zeros(D))
    running_var = bn_param.get('running_var', np.zeros(D))
    if mode == 'train':
        mean = np.mean(x, axis=0)
        var = np.var(x, axis=0)
        running_mean = momentum * running_mean + (1 - momentum) * mean
        running_var = momentum * running_var + (1 - momentum) * var
        x_norm = (x - running_mean) / np.sqrt(running_var + eps)      # normalised by the running ones
        out = gamma * x_norm + beta
        cache = (x, x_norm, gamma, mean, var, eps)
        bn_param['running_mean'] = running_mean
        bn_param['running_var'] = running_var
    else:
        out = gamma * (x - running_mean) / np.sqrt(running_var) + eps + beta       # eps outside the root
        cache = None
    return out, cache
def batchnorm_backward(dout, cache):
    x, x_norm, gamma, mean, var, eps = cache
    g = dout * gamma
    xn = (x - mean) / np.sqrt(var + eps)
    return (g - g.mean(0) - xn * (g * xn).mean(0)) / np.sqrt(var + eps), (dout * xn).sum(0), dout.sum(0)
