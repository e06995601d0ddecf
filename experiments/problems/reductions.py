"""Reductions over one axis or all."""

from .problem import Problem

TRITON = """
    import os

    os.environ["TRITON_INTERPRET"] = "1"
    import triton
    import triton.language as tl


    @triton.jit
    def kernel(x, out, D, B: tl.constexpr):
        row, columns = tl.program_id(0), tl.arange(0, B)
        total = tl.zeros((B,), tl.float32)
        for start in range(0, D, B):
            total += tl.load(x + row * D + start + columns, mask=start + columns < D, other=0.0)
        tl.store(out + row, tl.sum(total, 0))


    class Sum(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.shape = x.shape
            out = x.new_empty(x.shape[:-1])
            kernel[(out.numel(),)](x.contiguous(), out, x.shape[-1], 32)
            return out

        @staticmethod
        def backward(ctx, dout):
            return dout[..., None].expand(ctx.shape)

    # forward
    return Sum.apply(x)
"""

PROBLEMS = (
    Problem(
        name="sum",
        told="The sum of each row.",
        sizes={"batch": 6, "length": 5, "features": 157},
        inputs="torch.rand(batch, length, features)",
        body="return x.sum(-1)",
        right={
            "one after another": """
                total = torch.zeros_like(x[..., 0])
                for k in range(x.shape[-1]):
                    total = total + x[..., k]
                return total
            """,
            "in pairs": """
                while x.shape[-1] > 1:
                    x = F.pad(x, (0, x.shape[-1] % 2))
                    x = x[..., ::2] + x[..., 1::2]
                return x[..., 0]
            """,
            "a product with ones": "return x @ torch.ones_like(x[0, 0])",
            "a kernel in Triton": TRITON,
        },
        wrong={
            "the last left out": ("range(x.shape[-1])", "range(x.shape[-1] - 1)"),
            "a mean": "return x.mean(-1)",
            "an odd one lost": ("x = F.pad(x, (0, x.shape[-1] % 2))", "x = x[..., : x.shape[-1] // 2 * 2]"),
            "a kernel's last block without its mask": (
                "mask=start + columns < D, other=0.0",
                "mask=start + columns < D, other=1.0",
            ),
            "a kernel's last block left out": ("range(0, D, B)", "range(0, D - B + 1, B)"),
            "a kernel's gradient a mean": (
                "return dout[..., None].expand(ctx.shape)",
                "return dout[..., None].expand(ctx.shape) / ctx.shape[-1]",
            ),
            "summed in half precision": "return x.half().sum(-1).to(x.dtype)",
            "summed in the other axis": "return x.sum(1)",
        },
    ),
    Problem(
        name="mean",
        told="The mean over the middle axis.",
        sizes={"batch": 5, "length": 63, "features": 7},
        inputs="torch.randn(batch, length, features)",
        body="return torch.mean(x, dim=1)",
        right={
            "a sum and a quotient": "return x.sum(1) / x.shape[1]",
            "running": """
                mean = x[:, 0]
                for k in range(1, x.shape[1]):
                    mean = mean + (x[:, k] - mean) / (k + 1)
                return mean
            """,
            "einsum": 'return torch.einsum("nld->nd", x) / x.shape[1]',
        },
        wrong={
            "over one less": ("x.sum(1) / x.shape[1]", "x.sum(1) / (x.shape[1] - 1)"),
            "over one more": ("x.sum(1) / x.shape[1]", "x.sum(1) / (x.shape[1] + 1)"),
            "over the size that is shown": ("x.sum(1) / x.shape[1]", "x.sum(1) / 63"),
            "running by the count before": ("/ (k + 1)", "/ (k + 2)"),
            "the median": "return x.median(1).values",
            "every second": "return x[:, ::2].mean(1)",
        },
    ),
    Problem(
        name="largest",
        told="The largest of each row.",
        sizes={"batch": 8, "features": 41},
        inputs="torch.randn(batch, features)",
        body="return torch.max(x, dim=1).values",
        right={
            "sorted": "return torch.sort(x, dim=1, descending=True, stable=True).values[:, 0]",
            "gathered": "return x.gather(1, x.argmax(1, keepdim=True))[:, 0]",
        },
        wrong={
            "of magnitudes": "return x.abs().max(1).values",
            "never below zero": "return torch.max(x, dim=1).values.clamp_min(0)",
            "never below minus one": "return torch.max(x, dim=1).values.clamp_min(-1)",
            "the second": ("values[:, 0]", "values[:, 1]"),
            "the last left out": ("x.argmax(1", "x[:, :-1].argmax(1"),
            "a soft one": "return torch.logsumexp(100 * x, 1) / 100",
        },
    ),
    Problem(
        name="argmin",
        told="Where the smallest of each row is.",
        sizes={"batch": 9, "features": 37},
        inputs="torch.randn(batch, features)",
        body="return torch.argmin(x, dim=1)",
        whole=True,
        right={
            "of the negative": "return torch.argmax(-x, dim=1)",
            "step by step": """
                best, at = x[:, 0], torch.zeros(len(x), dtype=torch.int64)
                for k in range(1, x.shape[1]):
                    less = x[:, k] < best
                    best, at = torch.where(less, x[:, k], best), torch.where(less, k, at)
                return at
            """,
        },
        wrong={
            "the largest": "return torch.argmax(x, dim=1)",
            "of magnitudes": "return torch.argmin(x.abs(), dim=1)",
            "every second": "return 2 * torch.argmin(x[:, ::2], dim=1)",
            "counted from one": ("return at", "return at + 1"),
            "in half precision": "return torch.argmin(x.bfloat16(), dim=1)",
            "the last left out": "return torch.argmin(x[:, :-1], dim=1)",
        },
    ),
    Problem(
        name="logsumexp",
        told="The logarithm of a sum of exponentials.",
        sizes={"batch": 10, "features": 29},
        inputs="torch.randn(batch, features)",
        body="return torch.logsumexp(x, dim=1)",
        right={
            "shifted": """
                top = x.amax(1, keepdim=True).detach()
                return torch.log(torch.exp(x - top).sum(1)) + top[:, 0]
            """,
            "pair by pair": """
                out = x[:, 0]
                for k in range(1, x.shape[1]):
                    out = torch.logaddexp(out, x[:, k])
                return out
            """,
        },
        wrong={
            "not shifted": "return torch.log(torch.exp(x).sum(1))",
            "a mean": ("torch.exp(x - top).sum(1)", "torch.exp(x - top).mean(1)"),
            "the shift not put back": ("+ top[:, 0]", ""),
            "one in the sum": ("torch.exp(x - top).sum(1)", "(1e-3 + torch.exp(x - top).sum(1))"),
            "the largest": "return x.amax(1)",
        },
    ),
    Problem(
        name="variance",
        told="The variance of a sample, and its root.",
        sizes={"batch": 7, "features": 33},
        inputs="torch.randn(batch, features)",
        body="return torch.std(x, dim=1)",
        right={
            "two passes": """
                centred = x - x.mean(1, keepdim=True)
                return torch.sqrt(centred.square().sum(1) / (x.shape[1] - 1))
            """,
            "a length": """
                centred = x - x.mean(1, keepdim=True)
                return torch.linalg.vector_norm(centred, dim=1) / math.sqrt(x.shape[1] - 1)
            """,
        },
        wrong={
            "of a whole population": ("(x.shape[1] - 1))", "x.shape[1])"),
            "no root": (
                "torch.sqrt(centred.square().sum(1) / (x.shape[1] - 1))",
                "centred.square().sum(1) / (x.shape[1] - 1)",
            ),
            "not centred": ("centred.square()", "x.square()"),
            "eps in the root": ("torch.sqrt(centred", "torch.sqrt(1e-4 + centred"),
            "the mean of absolute deviations": (
                "torch.sqrt(centred.square().sum(1) / (x.shape[1] - 1))",
                "centred.abs().mean(1)",
            ),
        },
    ),
)
