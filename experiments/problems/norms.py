"""Normalisations."""

from .problem import Problem

WELFORD = """
    mean, total = x[..., 0], torch.zeros_like(x[..., 0])
    for k in range(1, x.shape[-1]):
        step = x[..., k] - mean
        mean = mean + step / (k + 1)
        total = total + step * (x[..., k] - mean)
    root = torch.rsqrt(total / x.shape[-1] + self.eps)
    return (x - mean[..., None]) * root[..., None] * self.weight + self.bias
"""
LAYER_NORM = """
    class LayerNorm(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w, b, eps):
            mean = x.mean(-1, keepdim=True)
            root = torch.rsqrt((x - mean).square().mean(-1, keepdim=True) + eps)
            normal = (x - mean) * root
            ctx.save_for_backward(normal, root, w)
            return normal * w + b

        @staticmethod
        def backward(ctx, dout):
            normal, root, w = ctx.saved_tensors
            inner = dout * w
            dx = inner - inner.mean(-1, keepdim=True) - normal * (inner * normal).mean(-1, keepdim=True)
            return dx * root, (dout * normal).flatten(0, -2).sum(0), dout.flatten(0, -2).sum(0), None

    # forward
    return LayerNorm.apply(x, self.weight, self.bias, self.eps)
"""
TRITON = """
    import os

    os.environ["TRITON_INTERPRET"] = "1"
    import triton
    import triton.language as tl


    @triton.jit
    def kernel(x, w, out, D, eps, B: tl.constexpr):
        row, columns = tl.program_id(0), tl.arange(0, B)
        values = tl.load(x + row * D + columns, mask=columns < D, other=0.0)
        root = 1 / tl.sqrt(tl.sum(values * values, 0) / D + eps)
        scale = tl.load(w + columns, mask=columns < D, other=0.0)
        tl.store(out + row * D + columns, values * root * scale, mask=columns < D)


    class Normed(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w, eps):
            ctx.save_for_backward(x, w)
            ctx.eps, D = eps, x.shape[-1]
            out = torch.empty_like(x.contiguous())
            kernel[(x.numel() // D,)](x.contiguous(), w.contiguous(), out, D, eps, triton.next_power_of_2(D))
            return out

        @staticmethod
        def backward(ctx, dout):
            x, w = ctx.saved_tensors
            root = torch.rsqrt(x.square().mean(-1, keepdim=True) + ctx.eps)
            inner, normal = dout * w, x * root
            dx = root * (inner - normal * (inner * normal).mean(-1, keepdim=True))
            return dx, (dout * normal).flatten(0, -2).sum(0), None

    # forward
    return Normed.apply(x, self.weight, self.eps)
"""
SCALES = """
    self.weight = nn.Parameter(1 + 0.2 * torch.randn(features))
    self.bias = nn.Parameter(torch.randn(features))
    self.eps = eps
"""

PROBLEMS = (
    Problem(
        name="layer_norm",
        told="Each row by its own mean and variance.",
        sizes={"batch": 6, "length": 5, "features": 43},
        inputs="torch.randn(batch, length, features)",
        given="features, eps",
        arguments="features, 1e-5",
        init=SCALES,
        body="return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)",
        parameters=True,
        compiled=True,
        right={
            "two passes": """
                centred = x - x.mean(-1, keepdim=True)
                variance = (centred * centred).mean(-1, keepdim=True)
                return centred / torch.sqrt(variance + self.eps) * self.weight + self.bias
            """,
            "Welford's": WELFORD,
            "by hand": LAYER_NORM,
        },
        wrong={
            "eps outside the root": ("torch.sqrt(variance + self.eps)", "(torch.sqrt(variance) + self.eps)"),
            "eps a tenth": ("torch.sqrt(variance + self.eps)", "torch.sqrt(variance + 1e-6)"),
            "the variance of a sample": ("total / x.shape[-1]", "total / (x.shape[-1] - 1)"),
            "the variance not centred": ("(centred * centred).mean", "(x * x).mean"),
            "the last element not counted": ("x.mean(-1, keepdim=True)", "x[..., :-1].mean(-1, keepdim=True)"),
            "dx without its last term": (" - normal * (inner * normal).mean(-1, keepdim=True)\n", "\n"),
            "dw without the scale's normal": ("(dout * normal).flatten", "(dout * dout).flatten"),
            "the bias before the scale": ("* self.weight + self.bias", "* (self.weight + self.bias)"),
        },
    ),
    Problem(
        name="rms_norm",
        told="Each row by its root mean square.",
        sizes={"batch": 9, "features": 53},
        inputs="torch.randn(batch, features)",
        given="features, eps",
        arguments="features, 1e-6",
        init="""
            self.weight = nn.Parameter(1 + 0.2 * torch.randn(features))
            self.eps = eps
        """,
        body="return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight",
        parameters=True,
        right={
            "a root and a quotient": """
                root = torch.sqrt((x * x).sum(-1, keepdim=True) / x.shape[-1] + self.eps)
                return x / root * self.weight
            """,
            "a kernel in Triton": TRITON,
        },
        wrong={
            "eps ten times": ("x.shape[-1] + self.eps", "x.shape[-1] + 10 * self.eps"),
            "a mean over one more": ("/ x.shape[-1] + self.eps", "/ (x.shape[-1] + 1) + self.eps"),
            "no scale": ("x / root * self.weight", "x / root"),
            "a kernel's row without its last": (
                "* D + columns, mask=columns < D, other",
                "* D + columns, mask=columns < D - 1, other",
            ),
            "a kernel without eps": (
                "root = 1 / tl.sqrt(tl.sum(values * values, 0) / D + eps)",
                "root = 1 / tl.sqrt(tl.sum(values * values, 0) / D)",
            ),
            "dx as of a constant root": ("inner - normal * (inner * normal).mean(-1, keepdim=True)", "inner"),
        },
    ),
    Problem(
        name="batch_norm",
        told="Each channel by mean and variance of the batch.",
        sizes={"batch": 4, "features": 6, "height": 5, "width": 7},
        inputs="torch.rand(batch, features, height, width)",
        given="features, eps",
        arguments="features, 1e-5",
        init=SCALES,
        body="return F.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)",
        rows=False,
        parameters=True,
        images=True,
        right={
            "spelled out": """
                mean = x.mean((0, 2, 3), keepdim=True)
                variance = (x - mean).square().mean((0, 2, 3), keepdim=True)
                scale = self.weight[:, None, None] * torch.rsqrt(variance + self.eps)
                return (x - mean) * scale + self.bias[:, None, None]
            """,
            "as rows": """
                rows = x.transpose(0, 1).flatten(1)
                centred = rows - rows.mean(1, keepdim=True)
                root = torch.sqrt(centred.square().mean(1, keepdim=True) + self.eps)
                out = centred / root * self.weight[:, None] + self.bias[:, None]
                return out.view(x.shape[1], x.shape[0], *x.shape[2:]).transpose(0, 1)
            """,
        },
        wrong={
            "the variance of a sample": (
                "(x - mean).square().mean((0, 2, 3), keepdim=True)",
                "x.var((0, 2, 3), keepdim=True)",
            ),
            "each image by itself": ("mean = x.mean((0, 2, 3), keepdim=True)", "mean = x.mean((2, 3), keepdim=True)"),
            "mean and variance constant to the gradient": (
                "torch.rsqrt(variance + self.eps)",
                "torch.rsqrt(variance.detach() + self.eps)",
            ),
            "no eps": ("variance + self.eps", "variance"),
            "the bias left out": ("* scale + self.bias[:, None, None]", "* scale"),
        },
    ),
    Problem(
        name="group_norm",
        told="Groups of channels of each image.",
        sizes={"batch": 3, "features": 8, "groups": 4, "size": 6},
        inputs="torch.randn(batch, features, size, size)",
        given="features, groups, eps",
        arguments="features, groups, 1e-5",
        init=SCALES + "    self.groups = groups\n",
        body="return F.group_norm(x, self.groups, self.weight, self.bias, self.eps)",
        parameters=True,
        images=True,
        right={
            "spelled out": """
                rows = x.reshape(x.shape[0], self.groups, -1)
                rows = rows - rows.mean(-1, keepdim=True)
                rows = rows * torch.rsqrt(rows.square().mean(-1, keepdim=True) + self.eps)
                return rows.view_as(x) * self.weight[:, None, None] + self.bias[:, None, None]
            """,
            "as a layer norm": """
                rows = x.reshape(x.shape[0] * self.groups, -1)
                out = F.layer_norm(rows, rows.shape[1:], eps=self.eps).view_as(x)
                return torch.addcmul(self.bias[:, None, None], out, self.weight[:, None, None])
            """,
        },
        wrong={
            "half as many groups": ("x.shape[0], self.groups, -1", "x.shape[0], self.groups // 2, -1"),
            "every other channel": ("rows.view_as(x) *", "rows.view_as(x).roll(1, 1) *"),
            "eps left out": ("keepdim=True) + self.eps)", "keepdim=True))"),
            "the scale of the first channel": ("out, self.weight[:, None, None]", "out, self.weight[:1, None, None]"),
        },
    ),
    Problem(
        name="normalize",
        told="Rows of length one.",
        sizes={"batch": 11, "features": 26},
        inputs="torch.randn(batch, features)",
        body="return F.normalize(x, dim=1)",
        right={
            "a quotient": "return x / x.square().sum(1, keepdim=True).sqrt().clamp_min(1e-12)",
            "in place": "return x.clone().div_(torch.linalg.vector_norm(x, dim=1, keepdim=True).clamp_min(1e-12))",
        },
        wrong={
            "by the sum": "return x / x.abs().sum(1, keepdim=True).clamp_min(1e-12)",
            "a large eps": ("sqrt().clamp_min(1e-12)", "sqrt().clamp_min(1e-3)"),
            "eps added": ("sqrt().clamp_min(1e-12)", "sqrt().add(1e-5)"),
            "columns": ("vector_norm(x, dim=1", "vector_norm(x, dim=0"),
            "the length constant to the gradient": (
                "sum(1, keepdim=True).sqrt()",
                "sum(1, keepdim=True).sqrt().detach()",
            ),
        },
    ),
)
