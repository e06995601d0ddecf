"""The expressions of the rows as plain torch, to be read, and to be run where this package is not installed.

Each text defines `reference`, of the row's inputs by position and its options by keyword.
"""

_BATCHNORM = """\
def reference(x, gamma, beta, *, eps=1e-5):
    return F.batch_norm(x, None, None, gamma.contiguous(), beta, training=True, eps=eps)
"""
_LAYERNORM = """\
def reference(x, gamma, beta, *, eps=1e-5):
    return F.layer_norm(x, x.shape[1:], gamma, beta, eps=eps)
"""
_GROUPNORM = """\
def reference(x, gamma, beta, *, groups, eps=1e-5):
    return F.group_norm(x, groups, gamma.flatten(), beta.flatten(), eps=eps)
"""
_INFERENCE = """\
def reference(x, gamma, beta, running_mean, running_var, *, eps=1e-5):
    return F.batch_norm(x, running_mean, running_var, gamma.contiguous(), beta, training=False, eps=eps)
"""
_RUNNING = """\
def reference(x, gamma, beta, mean, var, *, momentum=0.9):
    new = torch.stack([x.mean(0), x.var(0, correction=0)])
    return torch.stack([mean, var]) * momentum + new * (1 - momentum)
"""
_REGULARISED = """\
def regularised(loss, weights, reg):
    return loss + sum(0.5 * reg * (w * w).sum() for w in weights if w.ndim > 1)


"""
_SVM = """\
def svm(scores, y):
    margins = F.relu(scores - scores.gather(1, y[:, None]) + 1)
    return margins[y[:, None] != torch.arange(scores.shape[1])].sum() / len(y)


"""
_SOFTMAX_CLASSIFIER = f"""\
{_REGULARISED}def reference(W, X, y, *, reg=0.0):
    return regularised(F.cross_entropy(X @ W, y), [W], reg)
"""
_SVM_CLASSIFIER = f"""\
{_SVM}{_REGULARISED}def reference(W, X, y, *, reg=0.0):
    return regularised(svm(X @ W, y), [W], reg)
"""
_FULLY_CONNECTED = f"""\
{_REGULARISED}def reference(X, y, *params, reg=0.0, normalization=None):
    out, each = X.flatten(1), 4 if normalization else 2
    for at in range(0, len(params) - 2, each):
        out = out @ params[at] + params[at + 1]
        if normalization == "batchnorm":
            out = F.batch_norm(out, None, None, *params[at + 2 : at + 4], training=True)
        if normalization == "layernorm":
            out = F.layer_norm(out, out.shape[1:], *params[at + 2 : at + 4])
        out = F.relu(out)
    return regularised(F.cross_entropy(out @ params[-2] + params[-1], y), params, reg)
"""
_LSTM_STEP = """\
def step(x, prev_h, prev_c, Wx, Wh, b):
    i, f, o, g = (x @ Wx + prev_h @ Wh + b).chunk(4, 1)
    c = torch.sigmoid(f) * prev_c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


"""
REFERENCES: dict[str, str] = {
    "affine": "def reference(x, w, b):\n    return x.flatten(1) @ w + b\n",
    "relu": "reference = torch.relu\n",
    "leaky_relu": "def reference(x, *, negative_slope=0.01):\n    return F.leaky_relu(x, negative_slope)\n",
    "sigmoid": "reference = torch.sigmoid\n",
    "tanh": "reference = torch.tanh\n",
    "affine_relu": "def reference(x, w, b):\n    return torch.relu(x.flatten(1) @ w + b)\n",
    "dropout": "def reference(x, mask, *, p=0.5):\n    return x * mask / p\n",
    "batchnorm": _BATCHNORM,
    "batchnorm.alt": _BATCHNORM,
    "batchnorm_inference": _INFERENCE,
    "batchnorm.test_mode": _INFERENCE,
    "batchnorm.training_mode": _RUNNING,
    "layernorm": _LAYERNORM,
    "spatial_batchnorm": _BATCHNORM,
    "spatial_batchnorm.test_mode": _INFERENCE,
    "spatial_groupnorm": _GROUPNORM,
    "spatial_groupnorm.of_images": _GROUPNORM,
    "conv": "def reference(x, w, b, *, stride=1, pad=0):\n    return F.conv2d(x, w, b, stride, pad)\n",
    "max_pool": (
        "def reference(x, *, pool_height=2, pool_width=2, stride=2):\n"
        "    return F.max_pool2d(x, (pool_height, pool_width), stride)\n"
    ),
    "avg_pool": (
        "def reference(x, *, pool_height=2, pool_width=2, stride=2):\n"
        "    return F.avg_pool2d(x, (pool_height, pool_width), stride)\n"
    ),
    "softmax_loss": "reference = F.cross_entropy\n",
    "svm_loss": f"{_SVM}reference = svm\n",
    "logistic_loss": ("def reference(x, y):\n    return F.binary_cross_entropy_with_logits(x, y.to(x.dtype))\n"),
    "squared_loss": "def reference(x, y):\n    return ((x - y) ** 2).sum() / (2 * len(x))\n",
    "softmax_loss_naive": _SOFTMAX_CLASSIFIER,
    "softmax_loss_vectorized": _SOFTMAX_CLASSIFIER,
    "svm_loss_naive": _SVM_CLASSIFIER,
    "svm_loss_vectorized": _SVM_CLASSIFIER,
    "TwoLayerNet": _FULLY_CONNECTED,
    "FullyConnectedNet": _FULLY_CONNECTED,
    "FullyConnectedNet.batchnorm": _FULLY_CONNECTED,
    "FullyConnectedNet.layernorm": _FULLY_CONNECTED,
    "ConvNet": f"""\
{_REGULARISED}def reference(X, y, W1, b1, W2, b2, W3, b3, *, reg=0.0):
    out = F.max_pool2d(F.relu(F.conv2d(X, W1, b1, padding=(W1.shape[2] - 1) // 2)), 2)
    scores = F.relu(out.flatten(1) @ W2 + b2) @ W3 + b3
    return regularised(F.cross_entropy(scores, y), [W1, W2, W3], reg)
""",
    "XorNet": """\
def reference(X, y, W1, b1, W2, b2):
    logits = (torch.tanh(X @ W1 + b1) @ W2 + b2).flatten()
    return F.binary_cross_entropy_with_logits(logits, y.to(X.dtype))
""",
    "rnn_step": "def reference(x, prev_h, Wx, Wh, b):\n    return torch.tanh(x @ Wx + prev_h @ Wh + b)\n",
    "rnn": """\
def reference(x, h, Wx, Wh, b):
    return torch.stack([h := torch.tanh(step @ Wx + h @ Wh + b) for step in x.unbind(1)], 1)
""",
    "lstm_step": f"{_LSTM_STEP}reference = step\n",
    "lstm": f"""\
{_LSTM_STEP}def reference(x, h, Wx, Wh, b):
    c, found = torch.zeros_like(h), []
    for now in x.unbind(1):
        h, c = step(now, h, c, Wx, Wh, b)
        found.append(h)
    return torch.stack(found, 1)
""",
    "temporal_affine": "def reference(x, w, b):\n    return x @ w + b\n",
    "word_embedding": "def reference(x, W):\n    return W[x]\n",
    "temporal_softmax_loss": """\
def reference(x, y, mask):
    losses = F.cross_entropy(x.flatten(0, 1), y.flatten(), reduction="none")
    return (losses * mask.flatten()).sum() / len(x)
""",
    "sgd": """\
def reference(w, dw, *, learning_rate=1e-2):
    return torch.stack([w := w - learning_rate * g for g in dw])
""",
    "sgd_momentum": """\
def reference(w, dw, *, learning_rate=1e-2, momentum=0.9):
    v, found = torch.zeros_like(w), []
    for g in dw:
        v = momentum * v - learning_rate * g
        found.append(w := w + v)
    return torch.stack(found)
""",
    "rmsprop": """\
def reference(w, dw, *, learning_rate=1e-2, decay_rate=0.99, epsilon=1e-8):
    mean, found = torch.zeros_like(w), []
    for g in dw:
        mean = decay_rate * mean + (1 - decay_rate) * g * g
        found.append(w := w - learning_rate * g / (mean.sqrt() + epsilon))
    return torch.stack(found)
""",
    "adam": """\
def reference(w, dw, *, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m, v, found = torch.zeros_like(w), torch.zeros_like(w), []
    for t, g in enumerate(dw, start=1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        step = learning_rate * (m / (1 - beta1**t)) / ((v / (1 - beta2**t)).sqrt() + epsilon)
        found.append(w := w - step)
    return torch.stack(found)
""",
}
