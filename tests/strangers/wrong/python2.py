import numpy as np

def max_pool_forward_naive(x, pool_param):
  S, PH, PW = pool_param["stride"], pool_param["pool_height"], pool_param["pool_width"]
  N, C, H, W = x.shape
  out = np.zeros((N, C, (H - PH) / S + 1, (W - PW) / S + 1))
  for n in xrange(N):
    for c in xrange(C):
      for i in xrange(out.shape[2]):
        for j in xrange(out.shape[3]):
          out[n, c, i, j] = np.max(x[n, c, i*S:i*S+PH, j*S:j*S+PW])
  print "pooled"
  return out, (x, pool_param)

def max_pool_backward_naive(dout, cache):
  x, pool_param = cache
  S, PH, PW = pool_param["stride"], pool_param["pool_height"], pool_param["pool_width"]
  dx = np.zeros(x.shape)
  for n in xrange(x.shape[0]):
    for c in xrange(x.shape[1]):
      for i in xrange(dout.shape[2]):
        for j in xrange(dout.shape[3]):
          window = x[n, c, i*S:i*S+PH, j*S:j*S+PW]
          dx[n, c, i*S:i*S+PH, j*S:j*S+PW] = (window == window.max()) * dout[n, c, i, j]
  return dx
