"""Convolutions: of images, signals and volumes, strided, dilated, in groups, transposed."""

from .problem import Problem

TAPS = """
    height, width = x.shape[2] - 2 + 2, x.shape[3] - 2 + 2
    padded = F.pad(x, (1, 1, 1, 1))
    out = 0.0
    for i in range(3):
        for j in range(3):
            window = padded[:, :, i : i + height, j : j + width]
            out = out + torch.einsum("nchw,fc->nfhw", window, self.conv.weight[:, :, i, j])
    return out + self.conv.bias[:, None, None]
"""
UNFOLDED = """
    columns = F.unfold(x, 3, padding=1)
    out = self.conv.weight.flatten(1) @ columns + self.conv.bias[:, None]
    return out.unflatten(2, x.shape[2:])
"""
WINOGRAD = """
    def transforms(x):
        B = x.new_tensor([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
        G = x.new_tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
        A = x.new_tensor([[1, 1, 1, 0], [0, 1, -1, -1]])
        return B, G, A

    # forward
    B, G, A = transforms(x)
    height, width = x.shape[2:]
    padded = F.pad(x, (1, 1 + width % 2, 1, 1 + height % 2))
    tiles = padded.unfold(2, 4, 2).unfold(3, 4, 2)
    images = torch.einsum("ia,nchwab,jb->nchwij", B, tiles, B)
    kernels = torch.einsum("ia,fcab,jb->fcij", G, self.conv.weight, G)
    out = torch.einsum("nchwij,fcij->nfhwij", images, kernels)
    out = torch.einsum("ai,nfhwij,bj->nfhawb", A, out, A).flatten(4, 5).flatten(2, 3)
    return out[:, :, :height, :width] + self.conv.bias[:, None, None]
"""

PROBLEMS = (
    Problem(
        name="images",
        told="A convolution of images.",
        sizes={"batch": 3, "channels": 5, "filters": 6, "height": 9, "width": 18},
        inputs="torch.randn(batch, channels, height, width)",
        given="channels, filters",
        arguments="channels, filters",
        init="self.conv = nn.Conv2d(channels, filters, 3, padding=1)",
        body="return self.conv(x)",
        parameters=True,
        products=True,
        images=True,
        widens=True,
        compiled=True,
        right={"tap by tap": TAPS, "unfolded": UNFOLDED, "Winograd's": WINOGRAD},
        wrong={
            "no bias": "return F.conv2d(x, self.conv.weight, padding=1)",
            "the kernel turned around": "return F.conv2d(x, self.conv.weight.flip(2, 3), self.conv.bias, padding=1)",
            "a tap left out": ("for j in range(3)", "for j in range(2)"),
            "the edge repeated": ("F.pad(x, (1, 1, 1, 1))", 'F.pad(x, (1, 1, 1, 1), mode="replicate")'),
            "padded at one side": ("F.pad(x, (1, 1, 1, 1))", "F.pad(x, (2, 0, 1, 1))"),
            "a kernel's transform slightly off": ("[0.5, -0.5, 0.5]", "[0.5, -0.5, 0.499]"),
        },
    ),
    Problem(
        name="depthwise",
        told="Each channel with its own kernel, and a step of two.",
        sizes={"batch": 2, "channels": 7, "size": 19},
        inputs="torch.rand(batch, channels, size, size)",
        given="channels",
        arguments="channels",
        init="self.weight = nn.Parameter(torch.rand(channels, 1, 3, 3))",
        body="return F.conv2d(x, self.weight, stride=2, groups=len(self.weight))",
        parameters=True,
        products=True,
        images=True,
        right={
            "windows": """
                windows = x.unfold(2, 3, 2).unfold(3, 3, 2)
                return (windows * self.weight[:, 0, None, None]).sum((-2, -1))
            """,
            "a channel at a time": """
                parts = [F.conv2d(x[:, c, None], self.weight[c, None], stride=2) for c in range(len(self.weight))]
                return torch.cat(parts, 1)
            """,
        },
        wrong={
            "the neighbour's kernel": ("self.weight[c, None]", "self.weight[c - 1, None]"),
            "the first kernel for all": ("self.weight[:, 0, None, None]", "self.weight[:1, 0, None, None]"),
            "the last column of windows left at zero": """
                out = F.conv2d(x, self.weight, stride=2, groups=len(self.weight))
                return F.pad(out[..., :-1], (0, 1))
            """,
            "a mean of the window": ("sum((-2, -1))", "mean((-2, -1))"),
        },
    ),
    Problem(
        name="transposed",
        told="A transposed convolution with a step of two.",
        sizes={"batch": 2, "channels": 4, "filters": 5, "size": 17},
        inputs="torch.randn(batch, channels, size, size)",
        given="channels, filters",
        arguments="channels, filters",
        init="self.conv = nn.ConvTranspose2d(channels, filters, 3, stride=2, padding=1, output_padding=1)",
        body="return self.conv(x)",
        parameters=True,
        products=True,
        images=True,
        widens=True,
        right={
            "zeros between": """
                spaced = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
                spaced[:, :, ::2, ::2] = x
                weight = self.conv.weight.flip(2, 3).transpose(0, 1)
                return F.conv2d(F.pad(spaced, (1, 1, 1, 1)), weight, self.conv.bias)
            """,
            "columns folded": """
                n, c, h, w = x.shape
                columns = torch.einsum("ncl,cfij->nfijl", x.flatten(2), self.conv.weight)
                out = F.fold(columns.flatten(1, 3), (2 * h, 2 * w), 3, padding=1, stride=2)
                return out + self.conv.bias[:, None, None]
            """,
        },
        wrong={
            "the kernel not turned": ("self.conv.weight.flip(2, 3)", "self.conv.weight"),
            "written where windows overlap, not added": """
                n, c, h, w = x.shape
                out = x.new_zeros(n, self.conv.weight.shape[1], 2 * h + 1, 2 * w + 1)
                for i in range(3):
                    for j in range(3):
                        out[:, :, i : i + 2 * h : 2, j : j + 2 * w : 2] = torch.einsum(
                            "nchw,cf->nfhw", x, self.conv.weight[:, :, i, j]
                        )
                return out[:, :, 1:, 1:] + self.conv.bias[:, None, None]
            """,
            "the last row lost": "return F.pad(self.conv(x)[:, :, :-1], (0, 0, 0, 1))",
            "no bias": ("return out + self.conv.bias[:, None, None]", "return out"),
            "a shift by one": ("F.pad(spaced, (1, 1, 1, 1))", "F.pad(spaced, (0, 2, 1, 1))"),
        },
    ),
    Problem(
        name="signals",
        told="A dilated convolution of signals that sees only the past.",
        sizes={"batch": 3, "channels": 6, "filters": 4, "length": 29},
        inputs="torch.randn(batch, channels, length)",
        given="channels, filters",
        arguments="channels, filters",
        init="self.weight = nn.Parameter(torch.randn(filters, channels, 3) / 4)",
        body="return F.conv1d(F.pad(x, (4, 0)), self.weight, dilation=2)",
        parameters=True,
        products=True,
        right={
            "tap by tap": """
                padded, length = F.pad(x, (4, 0)), x.shape[2]
                taps = [self.weight[:, :, k] @ padded[:, :, 2 * k : 2 * k + length] for k in range(3)]
                return taps[0] + taps[1] + taps[2]
            """,
            "as an image": "return F.conv2d(F.pad(x, (4, 0))[:, :, None], self.weight[:, :, None], dilation=2)[:, :, 0]",
            "from the latest to the first": """
                padded, length = F.pad(x, (4, 0)), x.shape[2]
                return sum(self.weight[:, :, k] @ padded[:, :, 2 * k :][:, :, :length] for k in (2, 1, 0))
            """,
        },
        wrong={
            "it sees the next": ("F.pad(x, (4, 0)), x.shape[2]", "F.pad(x, (3, 1)), x.shape[2]"),
            "not dilated": ("2 * k : 2 * k + length", "2 + k : 2 + k + length"),
            "the oldest tap left out": ("taps[0] + taps[1]", "taps[1]"),
            "the start repeated": ("F.pad(x, (4, 0))[:, :, None]", 'F.pad(x, (4, 0), "replicate")[:, :, None]'),
        },
    ),
    Problem(
        name="volumes",
        told="A convolution of volumes in groups.",
        sizes={"batch": 2, "channels": 4, "filters": 6, "depth": 5, "height": 6, "width": 17},
        inputs="torch.randn(batch, channels, depth, height, width)",
        given="channels, filters",
        arguments="channels, filters",
        init="self.conv = nn.Conv3d(channels, filters, 3, groups=2)",
        body="return self.conv(x)",
        parameters=True,
        products=True,
        right={
            "a slice at a time": """
                weight, depth = self.conv.weight, x.shape[2] - 2
                slices = [
                    sum(F.conv2d(x[:, :, d + k], weight[:, :, k], groups=2) for k in range(3)) for d in range(depth)
                ]
                return torch.stack(slices, 2) + self.conv.bias[:, None, None, None]
            """,
            "a group at a time": """
                parts = zip(x.chunk(2, 1), self.conv.weight.chunk(2), self.conv.bias.chunk(2))
                return torch.cat([F.conv3d(*part) for part in parts], 1)
            """,
        },
        wrong={
            "groups exchanged": ("x.chunk(2, 1), ", "x.chunk(2, 1)[::-1], "),
            "a slice too few": ("for k in range(3))", "for k in range(2))"),
            "the bias of the other group": ("self.conv.bias.chunk(2))", "self.conv.bias.chunk(2)[::-1])"),
            "depth from the other end": ("torch.stack(slices, 2)", "torch.stack(slices[::-1], 2)"),
        },
    ),
)
