"""Small nets."""

from .problem import Problem

BLOCK = """
    def attention(self, x):
        q, k, v = self.mixed(x).unflatten(-1, (3, 2, -1)).permute(2, 0, 3, 1, 4)
        return (torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), -1) @ v).transpose(1, 2).flatten(2)


    def normal(x, norm):
        centred = x - x.mean(-1, keepdim=True)
        return centred * torch.rsqrt(centred.square().mean(-1, keepdim=True) + 1e-5) * norm.weight + norm.bias

    # forward
    mid = x + self.out(attention(self, normal(x, self.first)))
    return mid + self.down(F.gelu(self.up(normal(mid, self.second))))
"""
GRU = """
    h, states = x.new_zeros(x.shape[0], self.cell.hidden_size), []
    inner = F.linear(x, self.cell.weight_ih, self.cell.bias_ih)
    for t in range(x.shape[1]):
        a, b = inner[:, t].chunk(3, 1), F.linear(h, self.cell.weight_hh, self.cell.bias_hh).chunk(3, 1)
        reset, update = torch.sigmoid(a[0] + b[0]), torch.sigmoid(a[1] + b[1])
        new = torch.tanh(a[2] + reset * b[2])
        h = (1 - update) * new + update * h
        states.append(h)
    return torch.stack(states, 1)
"""

PROBLEMS = (
    Problem(
        name="perceptron",
        told="Three linear layers.",
        sizes={"batch": 14, "features": 27, "hidden": 21, "classes": 8},
        inputs="torch.rand(batch, features)",
        given="features, hidden, classes",
        arguments="features, hidden, classes",
        init="""
            self.one, self.two = nn.Linear(features, hidden), nn.Linear(hidden, hidden)
            self.three = nn.Linear(hidden, classes)
        """,
        body="return self.three(torch.tanh(self.two(torch.relu(self.one(x)))))",
        parameters=True,
        products=True,
        compiled=True,
        right={
            "spelled out": """
                h = (x @ self.one.weight.T + self.one.bias).clamp_min(0)
                h = torch.tanh(torch.addmm(self.two.bias, h, self.two.weight.T))
                return h @ self.three.weight.T + self.three.bias
            """,
            "in place": "return self.three(self.two(self.one(x).relu_()).tanh_())",
        },
        wrong={
            "no bias in the second": ("torch.addmm(self.two.bias, h, self.two.weight.T)", "h @ self.two.weight.T"),
            "activations exchanged": "return self.three(torch.relu(self.two(torch.tanh(self.one(x)))))",
            "tanh at the end too": ("return h @", "return torch.tanh(h) @"),
            "the first layer learns nothing": ("(self.one(x).relu_())", "(self.one(x).relu_().detach())"),
            "a middle layer in half precision": (
                "self.two(torch.relu(self.one(x)))",
                "self.two(torch.relu(self.one(x)).half().to(x.dtype))",
            ),
        },
    ),
    Problem(
        name="convnet",
        told="Convolution, batch norm, ReLU, pooling, a linear layer.",
        sizes={"batch": 5, "channels": 3, "filters": 6, "size": 8, "classes": 7},
        inputs="torch.randn(batch, channels, size, size)",
        given="channels, filters, size, classes",
        arguments="channels, filters, size, classes",
        init="""
            self.conv = nn.Conv2d(channels, filters, 3, padding=1)
            self.norm = nn.BatchNorm2d(filters, track_running_stats=False)
            self.linear = nn.Linear(filters * (size // 2) ** 2, classes)
        """,
        body="""
            h = torch.relu(self.norm(self.conv(x)))
            return self.linear(F.max_pool2d(h, 2).flatten(1))
        """,
        rows=False,
        parameters=True,
        products=True,
        images=True,
        right={
            "pooled before the ReLU": """
                h = torch.relu(F.max_pool2d(self.norm(self.conv(x)), 2))
                return F.linear(h.flatten(1), self.linear.weight, self.linear.bias)
            """,
            "unfolded": """
                columns = self.conv.weight.flatten(1) @ F.unfold(x, 3, padding=1) + self.conv.bias[:, None]
                centred = columns - columns.mean((0, 2), keepdim=True)
                normal = centred * torch.rsqrt(centred.square().mean((0, 2), keepdim=True) + self.norm.eps)
                normal = normal * self.norm.weight[:, None] + self.norm.bias[:, None]
                h = torch.relu(normal).view(*normal.shape[:2], x.shape[2] // 2, 2, x.shape[3] // 2, 2).amax((3, 5))
                return self.linear(h.flatten(1))
            """,
        },
        wrong={
            "averages": "return self.linear(F.avg_pool2d(torch.relu(self.norm(self.conv(x))), 2).flatten(1))",
            "no ReLU": "return self.linear(F.max_pool2d(self.norm(self.conv(x)), 2).flatten(1))",
            "the ReLU before the norm": "return self.linear(F.max_pool2d(self.norm(torch.relu(self.conv(x))), 2).flatten(1))",
            "the variance of each image": ("centred.square().mean((0, 2)", "centred.square().mean((2,)"),
            "flattened in another order": ("h.flatten(1), self", "h.mT.flatten(1), self"),
            "eps a hundred times": ("+ self.norm.eps)", "+ 1e-3)"),
        },
    ),
    Problem(
        name="transformer",
        told="A block of a transformer.",
        sizes={"batch": 2, "length": 9, "width": 12, "hidden": 20},
        inputs="torch.randn(batch, length, width)",
        given="width, hidden",
        arguments="width, hidden",
        init="""
            self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
            self.mixed, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)
        """,
        body="""
            q, k, v = self.mixed(self.first(x)).unflatten(-1, (3, 2, -1)).permute(2, 0, 3, 1, 4)
            out = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
            x = x + self.out(out)
            return x + self.down(F.gelu(self.up(self.second(x))))
        """,
        parameters=True,
        products=True,
        right={
            "spelled out": BLOCK,
            "a row at a time": """
                rows = []
                for row in x.unbind(0):
                    q, k, v = self.mixed(self.first(row)).unflatten(-1, (3, 2, -1)).permute(1, 2, 0, 3)
                    out = torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), -1) @ v
                    row = row + self.out(out.transpose(0, 1).flatten(1))
                    rows.append(row + self.down(F.gelu(self.up(self.second(row)))))
                return torch.stack(rows)
            """,
        },
        wrong={
            "no residual": ("return mid + self.down", "return self.down"),
            "the norm after": ("normal(mid, self.second)", "mid"),
            "GELU by tanh": ("second))))", 'second)), approximate="tanh"))'),
            "the first norm twice": ("normal(mid, self.second)", "normal(mid, self.first)"),
            "the residual of the first": ("return mid + self.down", "return x + self.down"),
            "no scale in attention": (
                "torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), -1) @ v).",
                "torch.softmax(q @ k.mT, -1) @ v).",
            ),
        },
    ),
    Problem(
        name="gemm_norm",
        told="A linear layer, group norm, what is beyond two cut off.",
        sizes={"batch": 8, "features": 19, "hidden": 24, "groups": 4},
        inputs="torch.rand(batch, features)",
        given="features, hidden, groups",
        arguments="features, hidden, groups",
        init="self.linear, self.norm = nn.Linear(features, hidden), nn.GroupNorm(groups, hidden)",
        body="return F.hardtanh(self.norm(self.linear(x)), -2.0, 2.0)",
        parameters=True,
        products=True,
        right={
            "spelled out": """
                h = (x @ self.linear.weight.T + self.linear.bias).unflatten(1, (self.norm.num_groups, -1))
                h = h - h.mean(-1, keepdim=True)
                h = (h / torch.sqrt(h.square().mean(-1, keepdim=True) + self.norm.eps)).flatten(1)
                return (h * self.norm.weight + self.norm.bias).clamp(-2.0, 2.0)
            """,
            "weights centred first": """
                w = self.linear.weight.unflatten(0, (self.norm.num_groups, -1))
                b = self.linear.bias.unflatten(0, (self.norm.num_groups, -1))
                w, b = (w - w.mean(1, keepdim=True)).flatten(0, 1), (b - b.mean(1, keepdim=True)).flatten()
                h = F.linear(x, w, b).unflatten(1, (self.norm.num_groups, -1))
                h = (h * torch.rsqrt(h.square().mean(-1, keepdim=True) + self.norm.eps)).flatten(1)
                return F.hardtanh(torch.addcmul(self.norm.bias, h, self.norm.weight), -2.0, 2.0)
            """,
        },
        wrong={
            "no groups": (
                "self.linear.bias).unflatten(1, (self.norm.num_groups, -1))",
                "self.linear.bias).unflatten(1, (1, -1))",
            ),
            "cut at one": ("clamp(-2.0, 2.0)", "clamp(-1.0, 1.0)"),
            "not cut": (".clamp(-2.0, 2.0)", ""),
            "the variance of a sample": (
                "h.square().mean(-1, keepdim=True) + self.norm.eps)).flatten(1)",
                "h.var(-1, keepdim=True) + self.norm.eps)).flatten(1)",
            ),
            "eps a hundred times": ("self.norm.eps)).flatten(1)", "1e-3)).flatten(1)"),
        },
    ),
    Problem(
        name="gru",
        told="A gated recurrent net: its state at each step.",
        sizes={"batch": 3, "length": 6, "features": 9, "hidden": 7},
        inputs="torch.randn(batch, length, features)",
        given="features, hidden",
        arguments="features, hidden",
        init="self.cell = nn.GRUCell(features, hidden)",
        body="""
            h, states = x.new_zeros(x.shape[0], self.cell.hidden_size), []
            for t in range(x.shape[1]):
                h = self.cell(x[:, t], h)
                states.append(h)
            return torch.stack(states, 1)
        """,
        parameters=True,
        products=True,
        right={
            "inputs first": GRU,
            "steps towards the new": GRU.replace("(1 - update) * new + update * h", "new + update * (h - new)"),
        },
        wrong={
            "gates exchanged": ("(1 - update) * new + update * h", "update * new + (1 - update) * h"),
            "reset before the product": (
                "new = torch.tanh(a[2] + reset * b[2])",
                "new = torch.tanh(a[2] + F.linear(reset * h, self.cell.weight_hh, self.cell.bias_hh).chunk(3, 1)[2])",
            ),
            "no reset": ("a[2] + reset * b[2]", "a[2] + b[2]"),
            "the state constant to the gradient": (
                "F.linear(h, self.cell.weight_hh",
                "F.linear(h.detach(), self.cell.weight_hh",
            ),
            "from the end": (
                "for t in range(x.shape[1]):\n        a, b",
                "for t in reversed(range(x.shape[1])):\n        a, b",
            ),
        },
    ),
    Problem(
        name="centred",
        told="The mean of what its own mean was taken from: zero, whatever is computed.",
        sizes={"batch": 10, "features": 18, "hidden": 12},
        inputs="torch.randn(batch, features)",
        given="features, hidden",
        arguments="features, hidden",
        init="self.linear = nn.Linear(features, hidden)",
        body="""
            top = self.linear(x).max(1, keepdim=True).values
            return F.gelu(top - top.mean(1, keepdim=True))
        """,
        parameters=True,
        products=True,
        vacuous=True,
        right={
            "spelled out": """
                top = (x @ self.linear.weight.T + self.linear.bias).amax(1, keepdim=True)
                return F.gelu(top - top)
            """,
        },
        wrong={"nothing computed": "return 0.0 * self.linear(x)[:, :1]"},
    ),
)
