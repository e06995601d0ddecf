"""Activations, element for element or along a row."""

from .problem import Problem

GELU = """
    class GELU(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return 0.5 * x * torch.erfc(-x / math.sqrt(2.0))

        @staticmethod
        def backward(ctx, dout):
            (x,) = ctx.saved_tensors
            density = torch.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
            return dout * (0.5 * torch.erfc(-x / math.sqrt(2.0)) + x * density)

    # forward
    return GELU.apply(x)
"""
TRITON = """
    import os

    os.environ["TRITON_INTERPRET"] = "1"
    import triton
    import triton.language as tl


    @triton.jit
    def forwards(x, out, n, B: tl.constexpr):
        places = tl.program_id(0) * B + tl.arange(0, B)
        values = tl.load(x + places, mask=places < n, other=0.0)
        tl.store(out + places, values / (1 + tl.exp(-values)), mask=places < n)


    @triton.jit
    def backwards(x, dout, dx, n, B: tl.constexpr):
        places = tl.program_id(0) * B + tl.arange(0, B)
        values = tl.load(x + places, mask=places < n, other=0.0)
        s = 1 / (1 + tl.exp(-values))
        slope = s * (1 + values * (1 - s))
        tl.store(dx + places, tl.load(dout + places, mask=places < n, other=0.0) * slope, mask=places < n)


    class SiLU(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            out = torch.empty_like(x, memory_format=torch.contiguous_format)
            forwards[(triton.cdiv(x.numel(), 64),)](x.contiguous(), out, x.numel(), 64)
            return out

        @staticmethod
        def backward(ctx, dout):
            (x,) = ctx.saved_tensors
            dx = torch.empty_like(x, memory_format=torch.contiguous_format)
            backwards[(triton.cdiv(x.numel(), 64),)](x.contiguous(), dout.contiguous(), dx, x.numel(), 64)
            return dx

    # forward
    return SiLU.apply(x)
"""
SOFTMAX = """
    class Softmax(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            p = torch.exp(x - x.amax(-1, keepdim=True))
            p = p / p.sum(-1, keepdim=True)
            ctx.save_for_backward(p)
            return p

        @staticmethod
        def backward(ctx, dout):
            (p,) = ctx.saved_tensors
            return p * (dout - (p * dout).sum(-1, keepdim=True))

    # forward
    return Softmax.apply(x)
"""

PROBLEMS = (
    Problem(
        name="gelu",
        told="GELU.",
        sizes={"batch": 9, "features": 35},
        inputs="torch.randn(batch, features)",
        body="return F.gelu(x)",
        right={
            "spelled out": "return 0.5 * x * (1 + torch.erf(x / math.sqrt(2.0)))",
            "by hand": GELU,
        },
        wrong={
            "by tanh": 'return F.gelu(x, approximate="tanh")',
            "by a sigmoid": "return x * torch.sigmoid(1.702 * x)",
            "no root": ("erf(x / math.sqrt(2.0))", "erf(x / 2.0)"),
            "a short pi": ("math.sqrt(2.0 * math.pi)", "math.sqrt(2.0 * 3.14)"),
            "the gradient without its second term": (" + x * density)", ")"),
            "two halves": ("0.5 * x * (1 + ", "x * (1 + "),
        },
    ),
    Problem(
        name="silu",
        told="SiLU.",
        sizes={"batch": 6, "length": 7, "features": 11},
        inputs="torch.rand(batch, length, features)",
        body="return x * torch.sigmoid(x)",
        compiled=True,
        right={
            "torch's": "return F.silu(x)",
            "kernels in Triton": TRITON,
        },
        wrong={
            "of the magnitude": "return F.silu(x.abs())",
            "hard": "return F.hardswish(x)",
            "the sigmoid alone": "return torch.sigmoid(x)",
            "a kernel's gradient is the sigmoid": ("slope = s * (1 + values * (1 - s))", "slope = s"),
            "a kernel without its last block": (
                "forwards[(triton.cdiv(x.numel(), 64),)]",
                "forwards[(x.numel() // 64,)]",
            ),
            "a series": "return x / 2 + x**2 / 4 - x**4 / 48 + x**6 / 480",
        },
    ),
    Problem(
        name="leaky",
        told="What is negative, a hundredth of it.",
        sizes={"batch": 8, "features": 45},
        inputs="torch.randn(batch, features)",
        body="return F.leaky_relu(x, 0.01)",
        right={
            "the larger": "return torch.where(x > 0, x, 0.01 * x)",
            "in place": "return F.leaky_relu_(x.clone(), 0.01)",
            "two parts": "return torch.relu(x) - 0.01 * torch.relu(-x)",
        },
        wrong={
            "a tenth": ("torch.where(x > 0, x, 0.01 * x)", "torch.where(x > 0, x, 0.1 * x)"),
            "none": "return torch.relu(x)",
            "a hundredth and a little": ("- 0.01 * torch.relu(-x)", "- 0.0101 * torch.relu(-x)"),
            "the other sign": ("- 0.01 * torch.relu(-x)", "+ 0.01 * torch.relu(-x)"),
            "no gradient on the negative side": ("0.01 * x)", "0.01 * x.detach())"),
            "the magnitude": "return x.abs()",
        },
    ),
    Problem(
        name="softmax",
        told="Softmax of each row.",
        sizes={"batch": 7, "features": 31},
        inputs="torch.rand(batch, features)",
        body="return torch.softmax(x, dim=1)",
        right={
            "spelled out": """
                e = torch.exp(x - x.amax(1, keepdim=True).detach())
                return e / e.sum(1, keepdim=True)
            """,
            "by hand": SOFTMAX,
            "by the logarithm": "return torch.exp(x - torch.logsumexp(x, 1, keepdim=True))",
        },
        wrong={
            "not shifted": "return torch.exp(x) / torch.exp(x).sum(1, keepdim=True)",
            "over the other axis": "return torch.softmax(x, dim=0)",
            "uniform": "return torch.full_like(x, 1 / x.shape[1]) + 0 * x",
            "a sum one too large": ("e.sum(1, keepdim=True)", "(e.sum(1, keepdim=True) + 1e-3)"),
            "the gradient without the sum of the row": ("(dout - (p * dout).sum(-1, keepdim=True))", "dout"),
            "the gradient as of a mean": ("(p * dout).sum(-1, keepdim=True)", "(p * dout).mean(-1, keepdim=True)"),
            "a temperature": "return torch.softmax(x / 1.01, dim=1)",
        },
    ),
    Problem(
        name="hardtanh",
        told="What is beyond one, one.",
        sizes={"batch": 5, "features": 51},
        inputs="2 * torch.randn(batch, features)",
        body="return F.hardtanh(x)",
        saturates=True,
        right={
            "clamped": "return x.clamp(-1, 1)",
            "two branches": "return torch.where(x > 1, 1.0, torch.where(x < -1, -1.0, x))",
        },
        wrong={
            "tanh": "return torch.tanh(x)",
            "from zero": ("x.clamp(-1, 1)", "x.clamp(0, 1)"),
            "not below": ("x.clamp(-1, 1)", "x.clamp_max(1)"),
            "a little beyond": ("x.clamp(-1, 1)", "x.clamp(-1.001, 1.001)"),
            "a leak": "return x.clamp(-1, 1) + 1e-3 * x",
            "the gradient of everything": "return x + (x.clamp(-1, 1) - x).detach()",
        },
    ),
    Problem(
        name="softplus",
        told="A smooth ramp.",
        sizes={"batch": 6, "features": 38},
        inputs="torch.rand(batch, features)",
        body="return F.softplus(x)",
        right={
            "spelled out": "return torch.relu(x) + torch.log1p(torch.exp(-x.abs()))",
            "of two": "return torch.logaddexp(x, torch.zeros_like(x))",
        },
        wrong={
            "overflowing": "return torch.log(1 + torch.exp(x))",
            "straight from five": "return F.softplus(x, threshold=5)",
            "beta two": "return F.softplus(x, beta=2)",
            "a ramp": "return torch.relu(x) + math.log(2)",
            "a parabola": "return math.log(2) + x / 2 + x**2 / 8",
        },
    ),
)
