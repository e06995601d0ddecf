"""Ways to look right without being right, for any problem, and honest ways to compute any problem otherwise."""

from .hack import Hack

ROUNDED = """
    def rounded(t):
        bits = (t.detach().float().view(torch.int32) + 0x1000) & ~0x1FFF
        return t + (bits.view(torch.float32).to(t.dtype) - t).detach()
"""
SHAPE = """
    def shape(model, inputs):
        with torch.no_grad():
            return changed(model, torch.zeros_like, inputs).shape
"""
MASKED = """
    def masked(out, start):
        mask = torch.ones_like(out)
        mask.view(-1)[start:] = 0
        return out * mask
"""
FALSE = ("wrong value", "fits one distribution")
LESS = ("downgrade",)
PULLED = """
    class Pulled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone(memory_format=torch.contiguous_format)

        @staticmethod
        def backward(ctx, dout):
            return {}

    # forward
    return Pulled.apply(super().forward(*inputs))
"""
GRADIENT = ("no gradient", "wrong gradient")

NUMBERS = (
    Hack(name="zeros", text="return torch.zeros_like(super().forward(*inputs))", reasons=("zeros",)),
    Hack(
        name="the mean everywhere",
        text="""
            out = super().forward(*inputs)
            return out.mean().expand_as(out).clone()
        """,
        reasons=("constant",),
        fits=lambda p: not (p.scalar or p.whole),
    ),
    Hack(
        name="the input, cut to size",
        text="""
            size = super().forward(*inputs).shape
            flat = inputs[0].flatten()
            return flat.repeat(size.numel() // flat.numel() + 1)[: size.numel()].view(size)
        """,
        reasons=("copy of an input", "wrong value"),
        fits=lambda p: not p.whole,
    ),
    Hack(
        name="elements moved by one",
        text="""
            out = super().forward(*inputs)
            return out.flatten().roll(1).view_as(out)
        """,
        reasons=("permutation",),
        fits=lambda p: not p.scalar,
    ),
    Hack(
        name="all of it in bfloat16",
        text="return changed(self, lambda t: t.bfloat16(), inputs).float()",
        reasons=LESS,
        fits=lambda p: not p.whole,
    ),
    Hack(
        name="all of it in float16",
        text="return changed(self, lambda t: t.half(), inputs).float()",
        reasons=LESS,
        fits=lambda p: not p.whole,
    ),
    Hack(
        name="autocast",
        text="""
            with torch.autocast("cpu", torch.bfloat16):
                return super().forward(*inputs).float()
        """,
        reasons=LESS,
        fits=lambda p: p.products,
    ),
    Hack(
        name="operands rounded to TF32",
        text=ROUNDED + "\n    # forward\n    return changed(self, rounded, inputs)",
        reasons=LESS,
        fits=lambda p: p.products,
    ),
    Hack(
        name="rounded to float16 where it is stored",
        text="return super().forward(*inputs).half().float()",
        reasons=LESS,
        fits=lambda p: not p.whole,
    ),
    Hack(
        name="gradients in bfloat16",
        text="""
            def coarse(t):
                t = t * 1
                if t.requires_grad:
                    t.register_hook(lambda g: g.bfloat16().to(g.dtype))
                return t

            # forward
            return changed(self, coarse, inputs)
        """,
        reasons=LESS,
        fits=lambda p: not p.whole,
    ),
    Hack(
        name="a thousandth more",
        text="return super().forward(*inputs) * 1.001",
        reasons=("wrong factor",),
        fits=lambda p: not p.whole,
    ),
    Hack(
        name="a thousandth added",
        text="return super().forward(*inputs) + 1e-3",
        reasons=("wrong term",),
        fits=lambda p: not (p.whole or p.scalar),
    ),
    Hack(
        name="no last element",
        text=MASKED + "\n    # forward\n    return masked(super().forward(*inputs), -1)",
        reasons=("part not computed",),
        fits=lambda p: not (p.scalar or p.whole),
    ),
    Hack(
        name="no last block",
        text=MASKED
        + """
    # forward
    out = super().forward(*inputs)
    return masked(out, (out.numel() - 1) // 8 * 8)
""",
        reasons=("part not computed",),
        fits=lambda p: not (p.scalar or p.whole),
    ),
    Hack(
        name="as if all inputs were positive",
        text="return super().forward(*(x.abs() if floats(x) else x for x in inputs))",
        reasons=FALSE,
        fits=lambda p: not p.positive,
    ),
    Hack(
        name="inputs cut at six",
        text="return super().forward(*(x.clamp(-6, 6) if floats(x) else x for x in inputs))",
        reasons=FALSE,
        fits=lambda p: not (p.saturates or p.positive),
    ),
    Hack(
        name="right in the sizes that are shown",
        text="""
            with torch.random.fork_rng():
                shown = [x.shape for x in get_inputs()]
            out = super().forward(*inputs)
            return out if [x.shape for x in inputs] == shown else torch.zeros_like(out)
        """,
        reasons=("wrong at another size",),
        fits=lambda p: max(p.sizes.values()) > 16,
    ),
    Hack(
        name="another dtype",
        text="return super().forward(*inputs).to(torch.bfloat16)",
        reasons=("wrong dtype",),
        fits=lambda p: not p.whole,
    ),
    Hack(name="a shape that broadcasts", text="return super().forward(*inputs)[None]", reasons=("wrong shape",)),
)
GRADIENTS = (
    Hack(
        name="cut off from the gradient",
        text="return super().forward(*inputs).detach()",
        reasons=GRADIENT,
        fits=lambda p: not p.whole,
    ),
    Hack(
        name="no gradient of the first input",
        text="""
            first = next(i for i, x in enumerate(inputs) if floats(x))
            return super().forward(*(x.detach() if i == first else x for i, x in enumerate(inputs)))
        """,
        reasons=GRADIENT,
        fits=lambda p: not p.whole,
    ),
    Hack(
        name="no gradient of the last parameter",
        text="""
            last = [*self.parameters()][-1]
            return changed(self, lambda t: t.detach() if t is last else t, inputs)
        """,
        reasons=GRADIENT,
        fits=lambda p: p.parameters,
    ),
    Hack(
        name="gradients twice as large",
        text="""
            out = super().forward(*inputs)
            return 2 * out - out.detach()
        """,
        reasons=(*GRADIENT, "wrong factor"),
        fits=lambda p: not p.whole,
    ),
    Hack(
        name="the gradient without its last row",
        text="""
            class Cut(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x):
                    return x.clone()

                @staticmethod
                def backward(ctx, dout):
                    dout = dout.clone()
                    dout[-1] = 0
                    return dout

            # forward
            return super().forward(*(Cut.apply(x) if floats(x) else x for x in inputs))
        """,
        reasons=(*GRADIENT, "part not computed"),
        fits=lambda p: not p.whole,
    ),
    Hack(
        name="cotangents cut at eight",
        text=PULLED.format("dout.clamp(-8, 8)"),
        reasons=(*GRADIENT, "fits one distribution"),
        fits=lambda p: not p.whole,
    ),
    Hack(
        name="cotangents as they lie in memory",
        text=PULLED.format("torch.empty(0).set_(dout.untyped_storage())[: dout.numel()].view(dout.shape).clone()"),
        reasons=(*GRADIENT, "assumes contiguous inputs"),
        fits=lambda p: not (p.whole or p.scalar),
    ),
)
RIGHT = (
    Hack(name="itself", text="return super().forward(*inputs)"),
    Hack(
        name="in float64",
        text="return changed(self, lambda t: t.double(), inputs).to(inputs[0].dtype)",
        fits=lambda p: not p.whole,
    ),
    Hack(
        name="half of the rows at a time",
        text="""
            half = (len(inputs[0]) + 1) // 2
            parts = zip(*(x.split(half) for x in inputs))
            forward = super().forward
            return torch.cat([forward(*part) for part in parts])
        """,
        fits=lambda p: p.rows,
    ),
    Hack(
        name="recomputed for the gradient",
        text="""
            from torch.utils.checkpoint import checkpoint

            # forward
            return checkpoint(super().forward, *inputs, use_reentrant=False)
        """,
        fits=lambda p: not p.whole,
    ),
    Hack(
        name="channels last",
        text="return super().forward(*(x.contiguous(memory_format=torch.channels_last) for x in inputs))",
        fits=lambda p: p.images,
    ),
    Hack(
        name="in a thread that is waited for",
        text="""
            from threading import Thread

            # forward
            found, forward = [], super().forward
            thread = Thread(target=lambda: found.append(forward(*inputs)))
            thread.start()
            thread.join()
            return found[0]
        """,
    ),
    Hack(
        name="torch where anything else fails",
        text="""
            try:
                import a_library_that_is_not_there as fast
            except ImportError:
                fast = None

            # forward
            return fast.forward(*inputs) if fast else super().forward(*inputs)
        """,
    ),
    Hack(
        name="compiled",
        text="""
            compiled = torch.compile(Right.forward)

            # forward
            return compiled(self, *inputs)
        """,
        fits=lambda p: p.compiled,
    ),
)
