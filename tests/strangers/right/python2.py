# -*- coding: utf-8 -*-
import numpy as np

def affine_forward(x, w, b):
	N = x.shape[0]
	D = reduce(lambda p, q: p * q, x.shape[1:], 1)
	out = np.dot(x.reshape(N, D), w) + b
	return out, (x, w, b)

def affine_backward(dout, cache):
	x, w, b = cache
	N = x.shape[0]
	dx = np.dot(dout, w.T).reshape(x.shape)
	dw = np.dot(x.reshape(N, w.shape[0]).T, dout)
	db = np.zeros(b.shape)
	for i in xrange(N):
		db += dout[i]
	return dx, dw, db

def conv_forward_naive(x, w, b, conv_param):
  S, P = conv_param["stride"], conv_param["pad"]
  N, C, H, W = x.shape
  F, _, HH, WW = w.shape
  Hp = 1 + (H + 2 * P - HH) / S
  Wp = 1 + (W + 2 * P - WW) / S
  xp = np.lib.pad(x, ((0, 0), (0, 0), (P, P), (P, P)), "constant")
  out = np.zeros((N, F, Hp, Wp))
  for i in xrange(Hp):
    for j in xrange(Wp):
      for f in xrange(F):
        out[:, f, i, j] = np.sum(xp[:, :, i*S:i*S+HH, j*S:j*S+WW] * w[f], axis=(1, 2, 3)) + b[f]
  print "conv", out.shape
  return out, (x, w, b, conv_param)

def conv_backward_naive(dout, cache):
  x, w, b, conv_param = cache
  S, P = conv_param["stride"], conv_param["pad"]
  N, C, H, W = x.shape
  F, _, HH, WW = w.shape
  xp = np.lib.pad(x, ((0, 0), (0, 0), (P, P), (P, P)), "constant")
  dxp, dw, db = np.zeros(xp.shape, dtype=np.float), np.zeros(w.shape), np.zeros(b.shape)
  for n in xrange(N):
    for f in xrange(F):
      db[f] += dout[n, f].sum()
      for i in xrange(dout.shape[2]):
        for j in xrange(dout.shape[3]):
          dw[f] += xp[n, :, i*S:i*S+HH, j*S:j*S+WW] * dout[n, f, i, j]
          dxp[n, :, i*S:i*S+HH, j*S:j*S+WW] += w[f] * dout[n, f, i, j]
  if False:
    print >>sys.stderr, "never", dxp.shape
  return dxp[:, :, P:P+H, P:P+W], dw, db

def svm_loss(x, y):
  N = x.shape[0]
  try:
    correct = x[np.arange(N), y]
  except IndexError, e:
    raise ValueError, "labels"
  margins = np.maximum(0, x - correct[:, np.newaxis] + 1.0)
  margins[np.arange(N), y] = 0
  loss = np.sum(margins) / N
  num_pos = np.sum(margins > 0, axis=1)
  dx = np.zeros_like(x)
  dx[margins > 0] = 1
  dx[np.arange(N), y] -= num_pos
  dx /= N
  print "svm", loss
  return loss, dx
