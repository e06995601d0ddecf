"""Attention."""

from .problem import Problem

ONLINE = """
    top = torch.full_like(q[..., :1], -math.inf)
    total, out = torch.zeros_like(q[..., :1]), torch.zeros_like(q @ k.mT[..., :1] * v[..., :1, :])
    for start in range(0, k.shape[-2], 8):
        scores = q @ k[..., start : start + 8, :].mT / math.sqrt(q.shape[-1])
        higher = torch.maximum(top, scores.amax(-1, keepdim=True).detach())
        weights, shrunk = torch.exp(scores - higher), torch.exp(top - higher)
        total = total * shrunk + weights.sum(-1, keepdim=True)
        out = out * shrunk + weights @ v[..., start : start + 8, :]
        top = higher
    return out / total
"""
BACKWARD = """
    class Attention(torch.autograd.Function):
        @staticmethod
        def forward(ctx, q, k, v):
            scale = 1 / math.sqrt(q.shape[-1])
            scores = q @ k.mT * scale
            log = torch.logsumexp(scores, -1, keepdim=True)
            out = torch.exp(scores - log) @ v
            ctx.save_for_backward(q, k, v, out, log)
            return out

        @staticmethod
        def backward(ctx, dout):
            q, k, v, out, log = ctx.saved_tensors
            scale = 1 / math.sqrt(q.shape[-1])
            p = torch.exp(q @ k.mT * scale - log)
            ds = p * (dout @ v.mT - (dout * out).sum(-1, keepdim=True)) * scale
            return ds @ k, ds.mT @ q, p.mT @ dout

    # forward
    return Attention.apply(q, k, v)
"""

PROBLEMS = (
    Problem(
        name="attention",
        told="Attention, heads apart.",
        sizes={"batch": 2, "heads": 3, "length": 13, "past": 19, "width": 12},
        takes="q, k, v",
        inputs="torch.randn(batch, heads, length, width), torch.randn(batch, heads, past, width), torch.randn(batch, heads, past, width)",
        body="return F.scaled_dot_product_attention(q, k, v)",
        products=True,
        right={
            "spelled out": """
                scores = q @ k.mT / math.sqrt(q.shape[-1])
                return torch.softmax(scores, -1) @ v
            """,
            "online": ONLINE,
            "by hand, recomputed in backward": BACKWARD,
            "a head at a time": """
                heads = zip(q.unbind(1), k.unbind(1), v.unbind(1))
                return torch.stack([torch.softmax(a @ b.mT * a.shape[-1] ** -0.5, -1) @ c for a, b, c in heads], 1)
            """,
        },
        wrong={
            "no scale": ("q @ k.mT / math.sqrt(q.shape[-1])", "q @ k.mT"),
            "scaled by the length of keys": ("math.sqrt(q.shape[-1])", "math.sqrt(k.shape[-2])"),
            "the scale a thousandth off": ("math.sqrt(q.shape[-1])", "math.sqrt(q.shape[-1]) * 1.001"),
            "softmax over queries": ("torch.softmax(scores, -1) @ v", "torch.softmax(scores, -2) @ v"),
            "softmax not shifted": (
                "torch.softmax(scores, -1) @ v",
                "torch.exp(scores) / torch.exp(scores).sum(-1, keepdim=True) @ v",
            ),
            "the last block of keys left out": ("range(0, k.shape[-2], 8)", "range(0, k.shape[-2] // 8 * 8, 8)"),
            "the output is not rescaled": ("out = out * shrunk + weights", "out = out + weights"),
            "dk without its scale": ("ds.mT @ q", "ds.mT @ q / scale"),
            "ds without the sum of rows": ("dout @ v.mT - (dout * out).sum(-1, keepdim=True)", "dout @ v.mT"),
            "weights in half precision": "return torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), -1).bfloat16().to(v.dtype) @ v",
        },
    ),
    Problem(
        name="causal",
        told="Attention that sees only the past.",
        sizes={"batch": 2, "heads": 2, "length": 17, "width": 10},
        takes="q, k, v",
        inputs="torch.randn(batch, heads, length, width), torch.randn(batch, heads, length, width), torch.randn(batch, heads, length, width)",
        body="return F.scaled_dot_product_attention(q, k, v, is_causal=True)",
        products=True,
        right={
            "a mask": """
                scores = q @ k.mT / math.sqrt(q.shape[-1])
                seen = torch.ones_like(scores[0, 0], dtype=torch.bool).tril()
                return torch.softmax(scores.masked_fill(~seen, -math.inf), -1) @ v
            """,
            "a query at a time": """
                rows = [
                    torch.softmax(q[..., i, None, :] @ k[..., : i + 1, :].mT / math.sqrt(q.shape[-1]), -1) @ v[..., : i + 1, :]
                    for i in range(q.shape[-2])
                ]
                return torch.cat(rows, -2)
            """,
        },
        wrong={
            "it does not see itself but the next": ("dtype=torch.bool).tril()", "dtype=torch.bool).tril(1)"),
            "no mask": ("masked_fill(~seen, -math.inf)", "masked_fill(~seen.any(-2), -math.inf)"),
            "masked with zero": ("~seen, -math.inf", "~seen, 0.0"),
            "masked with minus eight": ("~seen, -math.inf", "~seen, -8.0"),
            "the mask transposed": ("dtype=torch.bool).tril()", "dtype=torch.bool).triu()"),
            "masked after softmax": "return torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), -1).tril() @ v",
            "every fifth key unseen": (
                "dtype=torch.bool).tril()",
                "dtype=torch.bool).tril() & (torch.arange(k.shape[-2]) % 5 != 1)",
            ),
        },
    ),
    Problem(
        name="self_attention",
        told="Several heads of one sequence, with their projections.",
        sizes={"batch": 2, "length": 11, "width": 12, "heads": 3},
        inputs="torch.randn(batch, length, width)",
        given="width, heads",
        arguments="width, heads",
        init="""
            self.heads = heads
            self.mixed, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        """,
        body="""
            q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.mixed(x).chunk(3, -1))
            out = F.scaled_dot_product_attention(q, k, v)
            return self.out(out.transpose(1, 2).flatten(2))
        """,
        parameters=True,
        products=True,
        right={
            "einsum": """
                q, k, v = (part.unflatten(-1, (self.heads, -1)) for part in self.mixed(x).chunk(3, -1))
                weights = torch.softmax(torch.einsum("nihd,njhd->nhij", q, k) / math.sqrt(q.shape[-1]), -1)
                return self.out(torch.einsum("nhij,njhd->nihd", weights, v).flatten(2))
            """,
            "projected apart": """
                w, b = self.mixed.weight.chunk(3), self.mixed.bias.chunk(3)
                q, k, v = (F.linear(x, w[i], b[i]).unflatten(-1, (self.heads, -1)).transpose(1, 2) for i in range(3))
                out = torch.softmax(q * q.shape[-1] ** -0.5 @ k.mT, -1) @ v
                return self.out(out.transpose(1, 2).flatten(2))
            """,
        },
        wrong={
            "heads and width exchanged": ("weights, v).flatten(2)", "weights, v).mT.flatten(2)"),
            "scaled by the whole width": ("math.sqrt(q.shape[-1])", "math.sqrt(x.shape[-1])"),
            "keys for values": (
                "q, k, v = (part.unflatten(-1, (self.heads, -1)) for",
                "q, v, k = (part.unflatten(-1, (self.heads, -1)) for",
            ),
            "one head": (
                "F.scaled_dot_product_attention(q, k, v)",
                "F.scaled_dot_product_attention(q, k[:, :1], v, enable_gqa=True)",
            ),
            "heads not put back": ("out.transpose(1, 2).flatten(2)", "out.reshape(x.shape)"),
            "the last projection left out": (
                "return self.out(out.transpose(1, 2).flatten(2))",
                "return out.transpose(1, 2).flatten(2)",
            ),
        },
    ),
    Problem(
        name="window",
        told="Attention to the latest four, with a slope against distance.",
        sizes={"batch": 3, "length": 15, "width": 8},
        takes="q, k, v",
        inputs="torch.randn(batch, length, width), torch.randn(batch, length, width), torch.randn(batch, length, width)",
        body="""
            places = torch.arange(q.shape[-2])
            back = places[:, None] - places
            scores = q @ k.mT / math.sqrt(q.shape[-1]) - 0.5 * back
            scores = scores.masked_fill((back < 0) | (back >= 4), -math.inf)
            return torch.softmax(scores, -1) @ v
        """,
        products=True,
        right={
            "four shifted products": """
                keys, values = F.pad(k, (0, 0, 3, 0)), F.pad(v, (0, 0, 3, 0))
                keys, values = keys.unfold(1, 4, 1), values.unfold(1, 4, 1)
                slope = 0.5 * torch.arange(3, -1, -1)
                scores = torch.einsum("nid,nidw->niw", q, keys) / math.sqrt(q.shape[-1]) - slope
                seen = torch.arange(q.shape[1])[:, None] >= torch.arange(3, -1, -1)
                weights = torch.softmax(scores.masked_fill(~seen, -math.inf), -1)
                return torch.einsum("niw,nidw->nid", weights, values)
            """,
            "a bias": """
                places = torch.arange(q.shape[-2])
                back = places[:, None] - places
                bias = (-0.5 * back).masked_fill((back < 0) | (back >= 4), -math.inf).to(q.dtype)
                return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
            """,
        },
        wrong={
            "a window of five": ("back >= 4", "back >= 5"),
            "a window of three": ("back >= 4", "back >= 3"),
            "half the slope": ("- 0.5 * back", "- 0.25 * back"),
            "the slope before the scale": (
                "scores = q @ k.mT / math.sqrt(q.shape[-1]) - 0.5 * back",
                "scores = (q @ k.mT - 0.5 * back) / math.sqrt(q.shape[-1])",
            ),
            "the start sees zeros": ("scores.masked_fill(~seen, -math.inf)", "scores"),
        },
    ),
)
