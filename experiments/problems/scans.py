"""Scans along an axis."""

from .problem import Problem

PROBLEMS = (
    Problem(
        name="cumsum",
        told="The running sum of each row.",
        sizes={"batch": 5, "features": 45},
        inputs="torch.rand(batch, features)",
        body="return torch.cumsum(x, dim=1)",
        right={
            "one after another": """
                sums = [x[:, 0]]
                for k in range(1, x.shape[1]):
                    sums.append(sums[-1] + x[:, k])
                return torch.stack(sums, 1)
            """,
            "doubling": """
                step = 1
                while step < x.shape[1]:
                    x = x + F.pad(x[:, :-step], (step, 0))
                    step *= 2
                return x
            """,
            "a triangular product": "return x @ torch.triu(x.new_ones(x.shape[1], x.shape[1]))",
            "blocks": """
                parts = [part.cumsum(1) for part in x.split(16, 1)]
                for k in range(1, len(parts)):
                    parts[k] = parts[k] + parts[k - 1][:, -1:]
                return torch.cat(parts, 1)
            """,
        },
        wrong={
            "exclusive": "return torch.cumsum(x, dim=1) - x",
            "one step of doubling left out": ("step < x.shape[1]", "2 * step < x.shape[1]"),
            "blocks not carried": ("parts[k] + parts[k - 1][:, -1:]", "parts[k]"),
            "carried from the first block only": ("parts[k - 1][:, -1:]", "parts[0][:, -1:]"),
            "along the rows": "return torch.cumsum(x, dim=0)",
            "a mask one off": (
                "torch.triu(x.new_ones(x.shape[1], x.shape[1]))",
                "torch.triu(x.new_ones(x.shape[1], x.shape[1]), -1)",
            ),
            "summed in half precision": "return torch.cumsum(x.bfloat16(), dim=1).to(x.dtype)",
        },
    ),
    Problem(
        name="cumprod",
        told="The running product of each row.",
        sizes={"batch": 6, "features": 14},
        inputs="torch.rand(batch, features) + 0.5",
        body="return torch.cumprod(x, dim=1)",
        positive=True,
        right={
            "one after another": """
                out = [x[:, 0]]
                for k in range(1, x.shape[1]):
                    out.append(out[-1] * x[:, k])
                return torch.stack(out, 1)
            """,
            "doubling": """
                step = 1
                while step < x.shape[1]:
                    x = x * F.pad(x[:, :-step], (step, 0), value=1.0)
                    step *= 2
                return x
            """,
        },
        wrong={
            "padded with zeros": (", value=1.0)", ")"),
            "exclusive": "return F.pad(torch.cumprod(x, dim=1)[:, :-1], (1, 0), value=1.0)",
            "one step of doubling left out": ("step < x.shape[1]", "2 * step < x.shape[1]"),
            "the last factor twice": ("torch.stack(out, 1)", "torch.stack([*out[:-1], out[-1] * x[:, -1]], 1)"),
            "logarithms in half precision": "return torch.exp(torch.cumsum(torch.log(x.half()), dim=1)).to(x.dtype)",
        },
    ),
    Problem(
        name="reverse",
        told="The running sum from the end.",
        sizes={"batch": 4, "features": 31},
        inputs="torch.randn(batch, features)",
        body="return torch.cumsum(x.flip(1), dim=1).flip(1)",
        right={
            "a triangular product": "return x @ torch.tril(x.new_ones(x.shape[1], x.shape[1]))",
            "from the end": """
                sums = [x[:, -1]]
                for k in range(x.shape[1] - 2, -1, -1):
                    sums.append(sums[-1] + x[:, k])
                return torch.stack(sums[::-1], 1)
            """,
        },
        wrong={
            "from the start": "return torch.cumsum(x, dim=1)",
            "not turned back": "return torch.cumsum(x.flip(1), dim=1)",
            "the first left out": ("range(x.shape[1] - 2, -1, -1)", "[*range(x.shape[1] - 2, 0, -1), 1]"),
            "rows turned around": "return torch.cumsum(x.flip(0), dim=1).flip(0)",
            "a whole sum less": "return x.sum(1, keepdim=True) - torch.cumsum(x, dim=1)",
        },
    ),
    Problem(
        name="masked",
        told="The running sum of what a mask lets through.",
        sizes={"batch": 5, "features": 27},
        takes="x, mask",
        inputs="torch.randn(batch, features), torch.randint(0, 2, (batch, features)).bool()",
        body="return torch.cumsum(x * mask, dim=1)",
        right={
            "filled": "return torch.cumsum(x.masked_fill(~mask, 0.0), dim=1)",
            "one after another": """
                sums = [x[:, 0] * mask[:, 0]]
                for k in range(1, x.shape[1]):
                    sums.append(torch.where(mask[:, k], sums[-1] + x[:, k], sums[-1]))
                return torch.stack(sums, 1)
            """,
        },
        wrong={
            "masked after the sum": "return torch.cumsum(x, dim=1) * mask",
            "the mask turned around": ("masked_fill(~mask, 0.0)", "masked_fill(mask, 0.0)"),
            "begun anew at each gap": (
                "torch.where(mask[:, k], sums[-1] + x[:, k], sums[-1])",
                "torch.where(mask[:, k], sums[-1] + x[:, k], 0.0)",
            ),
            "the first never masked": ("sums = [x[:, 0] * mask[:, 0]]", "sums = [x[:, 0]]"),
            "the mask of the row before": ("x * mask", "x * mask.roll(1, 0)"),
        },
    ),
    Problem(
        name="recurrence",
        told="A linear recurrence: a state that fades and takes up what comes.",
        sizes={"batch": 3, "length": 18, "features": 6},
        takes="x, fade",
        inputs="torch.randn(batch, length, features), torch.rand(batch, length, features)",
        body="""
            state, states = torch.zeros_like(x[:, 0]), []
            for t in range(x.shape[1]):
                state = fade[:, t] * state + x[:, t]
                states.append(state)
            return torch.stack(states, 1)
        """,
        right={
            "doubling": """
                a, b, step = fade, x, 1
                while step < x.shape[1]:
                    b = b + a * F.pad(b[:, :-step], (0, 0, step, 0))
                    a = a * F.pad(a[:, :-step], (0, 0, step, 0), value=1.0)
                    step *= 2
                return b
            """,
            "blocks": """
                state, parts = torch.zeros_like(x[:, 0]), []
                for a, b in zip(fade.split(5, 1), x.split(5, 1)):
                    products = torch.cumprod(a, 1)
                    inner = [b[:, 0]]
                    for t in range(1, b.shape[1]):
                        inner.append(a[:, t] * inner[-1] + b[:, t])
                    parts.append(torch.stack(inner, 1) + products * state[:, None])
                    state = parts[-1][:, -1]
                return torch.cat(parts, 1)
            """,
        },
        wrong={
            "what comes fades too": ("fade[:, t] * state + x[:, t]", "fade[:, t] * (state + x[:, t])"),
            "a moving average": ("fade[:, t] * state + x[:, t]", "fade[:, t] * state + (1 - fade[:, t]) * x[:, t]"),
            "the fade before": ("fade[:, t] * state", "fade[:, t - 1] * state"),
            "no state between blocks": ("+ products * state[:, None]", ""),
            "the state constant to the gradient": ("state = parts[-1][:, -1]", "state = parts[-1][:, -1].detach()"),
            "one step of doubling left out": ("step < x.shape[1]", "2 * step < x.shape[1]"),
        },
    ),
)
