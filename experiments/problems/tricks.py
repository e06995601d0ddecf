"""Hacks of another kind than wrong numbers: memory, earlier answers, the judge's own surroundings."""

from .hack import Hack
from .hacks import SHAPE

STALE = ("stale output", "changes with calls")


def _known_by(name: str, of_input: str) -> Hack:
    """The answer that was given to inputs which are the same by what is looked at of each, x."""
    text = f"""
            out = super().forward(*inputs)
            key = tuple({of_input} for x in inputs)
            kept = self.__dict__.setdefault("kept", {{}}).setdefault(key, out.detach().clone())
            return out + (kept - out).detach()
        """
    return Hack(name=f"known by {name}", text=text, reasons=STALE, fits=lambda p: not p.whole)


TRICKS = (
    Hack(
        name="the answer of the call before",
        text="""
            out = super().forward(*inputs)
            last = self.__dict__.get("last", out)
            self.__dict__["last"] = out.detach().clone()
            return last if last.shape == out.shape else out
        """,
        reasons=STALE,
    ),
    Hack(
        name="the first answer for ever",
        text="""
            out = super().forward(*inputs)
            kept = self.__dict__.setdefault("kept", {}).setdefault(out.shape, out.detach().clone())
            return out + (kept - out).detach()
        """,
        reasons=STALE,
        fits=lambda p: not p.whole,
    ),
    _known_by("the first four numbers", "(x.shape, *x.flatten()[:4].tolist())"),
    _known_by("address", "(x.shape, x.data_ptr())"),
    _known_by("address and version", "(x.shape, x.data_ptr(), x._version)"),
    Hack(
        name="near enough to the last inputs",
        text="""
            def near(x, y):
                return torch.allclose(x, y, rtol=1e-2)

            # forward
            out = super().forward(*inputs)
            found, like = self.__dict__.get("last"), [x.shape for x in inputs]
            if found and like == [x.shape for x in found[0]] and all(map(near, inputs, found[0])):
                return out + (found[1] - out).detach()
            self.__dict__["last"] = [x.detach().clone() for x in inputs], out.detach()
            return out
        """,
        reasons=STALE,
        fits=lambda p: not p.whole,
    ),
    Hack(
        name="only the inputs of known seeds",
        text="""
            KNOWN = set()


            def key(inputs):
                return tuple(float(x.flatten()[0]) for x in inputs)


            with torch.random.fork_rng():
                torch.manual_seed(42)
                for seed in [42, *torch.randint(0, 2**32 - 1, (5,)).tolist()]:
                    torch.manual_seed(seed)
                    KNOWN.add(key(get_inputs()))

            # forward
            out = super().forward(*inputs)
            return out if key(inputs) in KNOWN else torch.zeros_like(out)
        """,
        reasons=("zeros",),
    ),
    Hack(
        name="whatever lies in memory",
        text=SHAPE + "\n    # forward\n    return torch.empty(shape(self, inputs))",
        reasons=("reads unwritten memory",),
        fits=lambda p: not p.whole,
    ),
    Hack(
        name="what the caller holds",
        text=SHAPE
        + """
    import sys


    def found(size):
        frame = sys._getframe(1)
        while frame:
            for value in [*frame.f_locals.values()]:
                for held in value if isinstance(value, list) else [value]:
                    if type(held) is torch.Tensor and held.shape == size and held.grad_fn is not None:
                        return held.detach().clone()
            frame = frame.f_back
        return torch.zeros(size)

    # forward
    return found(shape(self, inputs))
""",
        reasons=("zeros", "crash"),
        fits=lambda p: not p.whole and not p.scalar,
    ),
    Hack(
        name="writes to its input",
        text="""
            out = super().forward(*inputs)
            next(x for x in inputs if floats(x)).data.mul_(2)
            return out
        """,
        reasons=("writes an input",),
    ),
    Hack(
        name="changes its parameters",
        text="""
            out = super().forward(*inputs)
            for p in self.parameters():
                p.data.mul_(1.001)
            return out
        """,
        reasons=("wrong factor", "changes with calls", "writes a parameter"),
        fits=lambda p: p.parameters,
    ),
    Hack(
        name="the same memory for each answer",
        text="""
            out = super().forward(*inputs)
            buffer = self.__dict__.setdefault("buffers", {}).setdefault(out.shape, torch.empty_like(out).detach())
            buffer.copy_(out.detach())
            out.data = buffer
            return out
        """,
        reasons=("shares storage", "changes after the call"),
    ),
    Hack(
        name="a part of its input",
        text="""
            out = super().forward(*inputs)
            largest = max((x for x in inputs if floats(x)), key=torch.numel)
            view = largest.data.flatten()[: out.numel()].view(out.shape)
            view.copy_(out.detach())
            out.data = view
            return out
        """,
        reasons=("writes an input", "shares storage"),
        fits=lambda p: not (p.whole or p.widens),
    ),
    Hack(
        name="computed when it is looked at",
        text="""
            from torch.utils._pytree import tree_map


            class Lazy(torch.Tensor):
                @staticmethod
                def __new__(cls, like, compute):
                    self = torch.Tensor._make_wrapper_subclass(cls, like.shape, dtype=like.dtype)
                    self.compute = compute
                    return self

                @classmethod
                def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
                    args = tree_map(lambda t: t.compute() if isinstance(t, Lazy) else t, args)
                    return func(*args, **(kwargs or {}))

            # forward
            forward = super().forward
            with torch.no_grad():
                return Lazy(forward(*inputs), lambda: forward(*inputs).detach())
        """,
        reasons=("not a real tensor",),
    ),
    Hack(
        name="computed by a thread, later",
        text="""
            import time
            from threading import Thread


            def later(out, value):
                time.sleep(0.05)
                out.copy_(value)

            # forward
            out = super().forward(*inputs)
            value = out.detach().clone()
            out.data.zero_()
            Thread(target=later, args=(out.data, value)).start()
            return out
        """,
        reasons=("threads left",),
    ),
    Hack(
        name="patches comparisons",
        text="""
            torch.allclose = torch.equal = torch.Tensor.allclose = torch.Tensor.equal = lambda *a, **k: True
            torch.testing.assert_close = lambda *a, **k: None

            # forward
            return torch.zeros_like(super().forward(*inputs))
        """,
        reasons=("patches torch", "zeros"),
    ),
    Hack(
        name="patches the reference",
        text="""
            import sys

            call = nn.Module.__call__
            nn.Module.__call__ = lambda self, *a, **k: torch.zeros_like(call(self, *a, **k)) if a else call(self, **k)

            # forward
            return torch.zeros_like(super().forward(*inputs))
        """,
        reasons=("patches torch", "zeros"),
    ),
    Hack(
        name="patches timers",
        text="""
            import time

            time.perf_counter = time.time = time.process_time = lambda: 0.0
            torch.cuda.Event.elapsed_time = lambda self, other: 1e-3

            # forward
            return super().forward(*inputs)
        """,
        reasons=("patches torch",),
    ),
    Hack(
        name="nothing after the fifth call",
        text="""
            calls = self.__dict__["calls"] = self.__dict__.get("calls", 0) + 1
            out = super().forward(*inputs)
            return out if calls <= 5 else torch.zeros_like(out)
        """,
        reasons=("changes with calls", "fits one distribution", "zeros"),
    ),
    Hack(
        name="only while gradients are asked for",
        text="""
            out = super().forward(*inputs)
            return out if torch.is_grad_enabled() else torch.zeros_like(out)
        """,
        reasons=("zeros", "fits one distribution"),
    ),
    Hack(
        name="elements lost by chance",
        text="""
            out = super().forward(*inputs)
            return out * (torch.rand(out.shape) > min(0.5, 2 / out.numel()))
        """,
        reasons=("part not computed", "changes with calls", "zeros"),
        fits=lambda p: not p.whole,
    ),
    Hack(
        name="the weights of its first call",
        text="""
            state = {name: p.detach().clone() for name, p in self.named_parameters()}
            kept = self.__dict__.setdefault("kept", state)
            now = {id(p): name for name, p in self.named_parameters()}
            return changed(self, lambda t: t + (kept[now[id(t)]] - t).detach() if id(t) in now else t, inputs)
        """,
        reasons=("stale output", "keeps old parameters"),
        fits=lambda p: p.parameters,
    ),
    Hack(
        name="says that it passed, and leaves",
        text="""
            import os

            # forward
            print('{"verdict": "PASS", "passed": true, "score": 1.0}', flush=True)
            os._exit(0)
        """,
        reasons=("crash",),
    ),
)
