"""Products of matrices."""

from .problem import Problem

LINEAR = """
    class Linear(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w, b):
            ctx.save_for_backward(x, w)
            return torch.addmm(b, x, w.T)

        @staticmethod
        def backward(ctx, dout):
            x, w = ctx.saved_tensors
            return dout @ w, dout.T @ x, dout.sum(0)

    # forward
    return Linear.apply(x, self.weight, self.bias)
"""
TRITON = """
    import os

    os.environ["TRITON_INTERPRET"] = "1"
    import triton
    import triton.language as tl


    @triton.jit
    def kernel(a, b, out, M, N, K, B: tl.constexpr):
        rows = tl.program_id(0) * B + tl.arange(0, B)[:, None]
        columns = tl.program_id(1) * B + tl.arange(0, B)[None, :]
        total = tl.zeros((B, B), tl.float32)
        for start in range(0, K, B):
            left, right = start + tl.arange(0, B)[None, :], start + tl.arange(0, B)[:, None]
            x = tl.load(a + rows * K + left, mask=(rows < M) & (left < K), other=0.0)
            y = tl.load(b + right * N + columns, mask=(right < K) & (columns < N), other=0.0)
            total += tl.sum(x[:, :, None] * y[None, :, :], 1)
        tl.store(out + rows * N + columns, total, mask=(rows < M) & (columns < N))


    def product(a, b):
        (M, K), N = a.shape, b.shape[1]
        out = a.new_empty(M, N)
        kernel[triton.cdiv(M, 16), triton.cdiv(N, 16)](a.contiguous(), b.contiguous(), out, M, N, K, 16)
        return out


    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return product(a, b)

        @staticmethod
        def backward(ctx, dout):
            a, b = ctx.saved_tensors
            return product(dout, b.T), product(a.T, dout)

    # forward
    return Product.apply(a, b)
"""

PROBLEMS = (
    Problem(
        name="product",
        told="Two matrices multiplied.",
        sizes={"M": 21, "K": 45, "N": 19},
        takes="a, b",
        inputs="torch.randn(M, K), torch.randn(K, N)",
        body="return a @ b",
        rows=False,
        products=True,
        right={
            "sums in pieces of eight": """
                parts = [a[:, k : k + 8] @ b[k : k + 8] for k in range(0, a.shape[1], 8)]
                return torch.stack(parts).sum(0)
            """,
            "products of columns and rows": """
                out = torch.zeros_like(a[:, :1] * b[:1])
                for k in range(a.shape[1]):
                    out = out + a[:, k, None] * b[k]
                return out
            """,
            "einsum": 'return torch.einsum("mk,kn->mn", a, b)',
            "a kernel in Triton": TRITON,
        },
        wrong={
            "the last term of each sum left out": "return a[:, :-1] @ b[:-1]",
            "the last block of eight left out": ("range(0, a.shape[1], 8)", "range(0, a.shape[1] // 8 * 8, 8)"),
            "the first term counted twice": ("torch.zeros_like(a[:, :1] * b[:1])", "a[:, :1] * b[:1]"),
            "a kernel's sum without its last block": ("range(0, K, B)", "range(0, K - B + 1, B)"),
            "a kernel's gradient of b untransposed": ("product(a.T, dout)", "product(a.flip(0).T, dout)"),
            "the second matrix rounded to half precision": "return a @ b.half().to(b.dtype)",
        },
    ),
    Problem(
        name="linear",
        told="A linear layer.",
        sizes={"batch": 13, "features": 37, "out_features": 22},
        inputs="torch.randn(batch, features)",
        given="features, out_features",
        arguments="features, out_features",
        init="""
            self.weight = nn.Parameter(torch.randn(out_features, features) / math.sqrt(features))
            self.bias = nn.Parameter(torch.randn(out_features))
        """,
        body="return F.linear(x, self.weight, self.bias)",
        parameters=True,
        products=True,
        compiled=True,
        right={
            "by hand": LINEAR,
            "transposed": "return (self.weight @ x.T).T + self.bias",
            "in place": "return (x @ self.weight.T).add_(self.bias)",
        },
        wrong={
            "no bias": "return x @ self.weight.T",
            "the bias twice": ("add_(self.bias)", "add_(2 * self.bias)"),
            "db a mean": ("dout.sum(0)", "dout.mean(0)"),
            "dw of half the batch": ("dout.T @ x, ", "dout[::2].T @ x[::2], "),
            "dx without the last output": ("dout @ w, ", "dout[:, :-1] @ w[:-1], "),
            "db in half precision": ("dout.sum(0)", "dout.bfloat16().sum(0).to(dout.dtype)"),
        },
    ),
    Problem(
        name="batched",
        told="A batch of products.",
        sizes={"batch": 5, "M": 9, "K": 26, "N": 14},
        takes="a, b",
        inputs="torch.rand(batch, M, K), torch.rand(batch, K, N)",
        body="return torch.bmm(a, b)",
        products=True,
        right={
            "one after another": "return torch.stack([x @ y for x, y in zip(a, b)])",
            "one long sum": "return (a.unsqueeze(3) * b.unsqueeze(1)).sum(2)",
            "blocks of rows": "return torch.cat([a[:, i : i + 4] @ b for i in range(0, a.shape[1], 4)], 1)",
        },
        wrong={
            "the first of b for all": "return a @ b[0]",
            "the last row never written": ("range(0, a.shape[1], 4)], 1)", "range(0, a.shape[1], 4)], 1)[:, :-1]"),
            "a row of zeros at the end": "return F.pad(a[:, :-1] @ b, (0, 0, 0, 1))",
            "the last terms summed in half precision": """
                half = (a[:, :, -8:].half() @ b[:, -8:].half()).to(a.dtype)
                return a[:, :, :-8] @ b[:, :-8] + half
            """,
        },
    ),
    Problem(
        name="triangular",
        told="Two lower triangular matrices multiplied.",
        sizes={"N": 23},
        takes="a, b",
        inputs="torch.tril(torch.randn(N, N)), torch.tril(torch.randn(N, N))",
        body="return torch.tril(a @ b)",
        rows=False,
        products=True,
        right={
            "a row at a time, without the zeros": """
                rows = [a[i, : i + 1] @ b[: i + 1] for i in range(len(a))]
                return torch.tril(torch.stack(rows))
            """,
            "a mask": """
                i = torch.arange(len(a))
                return (a @ b) * (i[:, None] >= i)
            """,
        },
        wrong={
            "without the diagonal": ("torch.tril(a @ b)", "torch.tril(a @ b, -1)"),
            "upper": ("torch.tril(a @ b)", "torch.triu(a @ b)"),
            "a row's last term left out": ("a[i, : i + 1] @ b[: i + 1]", "a[i, :i] @ b[:i]"),
            "transposed": ("(a @ b) *", "(b @ a) *"),
        },
    ),
    Problem(
        name="scaled_gemm",
        told="A product, scaled, a residual, and what is negative cut off.",
        sizes={"batch": 12, "features": 30, "hidden": 17},
        inputs="torch.randn(batch, features)",
        given="features, hidden, scale",
        arguments="features, hidden, 0.3",
        init="self.linear, self.scale = nn.Linear(features, hidden), scale",
        body="""
            out = self.linear(x)
            return torch.relu(out * self.scale + out)
        """,
        parameters=True,
        products=True,
        right={
            "one factor": "return torch.relu(self.linear(x) * (1 + self.scale))",
            "the factor in the weights": """
                factor = 1 + self.scale
                return F.relu(F.linear(x, self.linear.weight * factor, self.linear.bias * factor))
            """,
        },
        wrong={
            "no residual": "return torch.relu(self.linear(x) * self.scale)",
            "the bias is not scaled": ("self.linear.bias * factor", "self.linear.bias"),
            "a leak": ("F.relu(F.linear", "F.leaky_relu(F.linear"),
            "nothing is cut off": "return self.linear(x) * (1 + self.scale)",
            "the scale rounded": ("factor = 1 + self.scale", "factor = 1 + round(self.scale, 0)"),
        },
    ),
)
