"""Losses: a single number."""

from .problem import Problem

CROSS_ENTROPY = """
    class CrossEntropy(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y, smoothing):
            logp = x - torch.logsumexp(x, 1, keepdim=True)
            target = torch.full_like(x, smoothing / x.shape[1])
            target[torch.arange(len(x)), y] += 1 - smoothing
            ctx.save_for_backward(logp, target)
            return -(target * logp).sum() / len(x)

        @staticmethod
        def backward(ctx, dout):
            logp, target = ctx.saved_tensors
            return dout * (torch.exp(logp) - target) / len(logp), None, None

    # forward
    return CrossEntropy.apply(x, y, 0.1)
"""

PROBLEMS = (
    Problem(
        name="cross_entropy",
        told="The cross-entropy of classes, with smoothed labels.",
        sizes={"batch": 19, "classes": 11},
        takes="x, y",
        inputs="torch.randn(batch, classes), torch.randint(0, classes, (batch,))",
        body="return F.cross_entropy(x, y, label_smoothing=0.1)",
        rows=False,
        scalar=True,
        compiled=True,
        right={
            "spelled out": """
                logp = torch.log_softmax(x, 1)
                right = logp.gather(1, y[:, None]).mean()
                return -(0.9 * right + 0.1 * logp.mean())
            """,
            "by hand": CROSS_ENTROPY,
            "a row at a time": "return torch.stack([F.cross_entropy(a, b, label_smoothing=0.1) for a, b in zip(x, y)]).mean()",
        },
        wrong={
            "no smoothing": ("0.9 * right + 0.1 * logp.mean()", "right"),
            "smoothed by a hundredth more": ("0.9 * right + 0.1", "0.89 * right + 0.11"),
            "smoothed over the other classes": ("smoothing / x.shape[1]", "smoothing / (x.shape[1] - 1)"),
            "a sum": (
                "b, label_smoothing=0.1) for a, b in zip(x, y)]).mean()",
                "b, label_smoothing=0.1) for a, b in zip(x, y)]).sum()",
            ),
            "softmax not shifted": ("torch.log_softmax(x, 1)", "x - torch.log(torch.exp(x).sum(1, keepdim=True))"),
            "a small number in the logarithm": ("torch.log_softmax(x, 1)", "torch.log(torch.softmax(x, 1) + 1e-5)"),
            "the gradient a sum": ("target) / len(logp)", "target)"),
            "the gradient without dout": ("dout * (torch.exp(logp)", "(torch.exp(logp)"),
            "the gradient without smoothing": (
                "(torch.exp(logp) - target)",
                "(torch.exp(logp) - (target > 0.5).to(target.dtype))",
            ),
            "the last row left out": "return F.cross_entropy(x[:-1], y[:-1], label_smoothing=0.1)",
        },
    ),
    Problem(
        name="squared_error",
        told="The mean squared error.",
        sizes={"batch": 14, "features": 33},
        takes="x, y",
        inputs="torch.rand(batch, features), torch.rand(batch, features)",
        body="return torch.mean((x - y) ** 2)",
        rows=False,
        scalar=True,
        right={
            "row by row": "return torch.stack([(a - b).square().mean() for a, b in zip(x, y)]).mean()",
            "a dot product": """
                d = (x - y).flatten()
                return torch.dot(d, d) / d.numel()
            """,
        },
        wrong={
            "a mean over rows only": ("torch.dot(d, d) / d.numel()", "torch.dot(d, d) / len(x)"),
            "half of it": ("torch.dot(d, d) / d.numel()", "torch.dot(d, d) / d.numel() / 2"),
            "the absolute error": "return torch.mean((x - y).abs())",
            "one too many in the mean": ("d.numel()", "(d.numel() + 1)"),
            "opened up": "return (x * x).mean() - 2 * (x * y.roll(1, 0)).mean() + (y * y).mean()",
            "y constant to the gradient": "return torch.mean((x - y.detach()) ** 2)",
        },
    ),
    Problem(
        name="huber",
        told="The smooth absolute error.",
        sizes={"batch": 12, "features": 21},
        takes="x, y",
        inputs="torch.randn(batch, features), torch.randn(batch, features)",
        body="return F.smooth_l1_loss(x, y, beta=0.7)",
        rows=False,
        scalar=True,
        right={
            "two branches": """
                d = (x - y).abs()
                return torch.where(d < 0.7, d * d / 1.4, d - 0.35).mean()
            """,
            "torch's huber": "return F.huber_loss(x, y, delta=0.7) / 0.7",
        },
        wrong={
            "beta one": "return F.smooth_l1_loss(x, y)",
            "not divided by beta": ("F.huber_loss(x, y, delta=0.7) / 0.7", "F.huber_loss(x, y, delta=0.7)"),
            "a step between the branches": ("d - 0.35", "d - 0.5"),
            "the far branch at twice beta": ("d < 0.7, d", "d < 1.4, d"),
            "a sum": ("d - 0.35).mean()", "d - 0.35).sum()"),
        },
    ),
    Problem(
        name="divergence",
        told="The divergence of one distribution from another.",
        sizes={"batch": 10, "classes": 15},
        takes="p, q",
        inputs="torch.rand(batch, classes).softmax(-1), torch.rand(batch, classes).softmax(-1)",
        body='return F.kl_div(torch.log(p), q, reduction="batchmean")',
        rows=False,
        scalar=True,
        positive=True,
        right={
            "spelled out": "return (q * (torch.log(q) - torch.log(p))).sum() / len(p)",
            "row by row": "return torch.stack([torch.sum(b * b.log() - b * a.log()) for a, b in zip(p, q)]).mean()",
        },
        wrong={
            "a mean over elements": ("sum() / len(p)", "mean()"),
            "the other way round": ("q * (torch.log(q) - torch.log(p))", "p * (torch.log(p) - torch.log(q))"),
            "without the entropy": ("q * (torch.log(q) - torch.log(p))", "-q * torch.log(p)"),
            "a small number in the logarithm": (
                "torch.log(q) - torch.log(p)",
                "torch.log(q + 1e-4) - torch.log(p + 1e-4)",
            ),
            "in base two": ("torch.log(q) - torch.log(p)", "torch.log2(q) - torch.log2(p)"),
        },
    ),
    Problem(
        name="binary",
        told="The cross-entropy of yes and no, from logits.",
        sizes={"batch": 16, "features": 9},
        takes="x, y",
        inputs="torch.randn(batch, features), torch.randint(0, 2, (batch, features)).float()",
        body="return F.binary_cross_entropy_with_logits(x, y)",
        rows=False,
        scalar=True,
        right={
            "softplus": "return (F.softplus(x) - x * y).mean()",
            "spelled out": "return (torch.relu(x) - x * y + torch.log1p(torch.exp(-x.abs()))).mean()",
        },
        wrong={
            "overflowing": ("F.softplus(x)", "torch.log(1 + torch.exp(x))"),
            "clamped": "return F.binary_cross_entropy(torch.sigmoid(x).clamp(1e-4, 1 - 1e-4), y.clamp(0, 1))",
            "labels turned around": ("F.softplus(x) - x * y", "F.softplus(x) - x * (1 - y)"),
            "in half precision": "return F.binary_cross_entropy_with_logits(x.half(), y.half()).to(x.dtype)",
        },
    ),
    Problem(
        name="triplet",
        told="Nearer to the like than to the unlike, by a margin.",
        sizes={"batch": 13, "features": 24},
        takes="anchor, like, unlike",
        inputs="torch.randn(batch, features), torch.randn(batch, features), torch.randn(batch, features)",
        body="return F.triplet_margin_loss(anchor, like, unlike, margin=1.0)",
        rows=False,
        scalar=True,
        right={
            "spelled out": """
                near = torch.linalg.vector_norm(anchor - like + 1e-6, dim=1)
                far = torch.linalg.vector_norm(anchor - unlike + 1e-6, dim=1)
                return torch.relu(near - far + 1.0).mean()
            """,
            "distances": """
                near, far = F.pairwise_distance(anchor, like), F.pairwise_distance(anchor, unlike)
                return torch.clamp_min(1.0 + near - far, 0.0).mean()
            """,
        },
        wrong={
            "squared distances": ("near - far + 1.0", "near**2 - far**2 + 1.0"),
            "half the margin": ("1.0 + near - far", "0.5 + near - far"),
            "no margin": ("near - far + 1.0", "near - far"),
            "exchanged": ("near - far + 1.0", "far - near + 1.0"),
            "nothing cut off": ("torch.clamp_min(1.0 + near - far, 0.0)", "(1.0 + near - far)"),
        },
    ),
)
