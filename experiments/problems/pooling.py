"""Pooling."""

from .problem import Problem

PROBLEMS = (
    Problem(
        name="max_2d",
        told="The largest of each window, which overlap, of padded images.",
        sizes={"batch": 2, "channels": 4, "height": 9, "width": 12},
        inputs="torch.randn(batch, channels, height, width)",
        body="return F.max_pool2d(x, 3, stride=2, padding=1)",
        images=True,
        right={
            "windows": """
                padded = F.pad(x, (1, 1, 1, 1), value=-math.inf)
                windows = padded.unfold(2, 3, 2).unfold(3, 3, 2).flatten(-2)
                return windows.max(-1).values
            """,
            "columns, then rows": "return F.max_pool2d(F.max_pool2d(x, (1, 3), (1, 2), (0, 1)), (3, 1), (2, 1), (1, 0))",
        },
        wrong={
            "padded with zeros": ("value=-math.inf", "value=0.0"),
            "padded with minus three": ("value=-math.inf", "value=-3.0"),
            "padded at the other side": ("F.pad(x, (1, 1, 1, 1), value", "F.pad(x, (0, 2, 0, 2), value"),
            "the last of a window not seen": ("flatten(-2)", "flatten(-2)[..., :-1]"),
            "the smallest": "return -F.max_pool2d(-x, 3, stride=2, padding=1)",
            "a mean": "return F.avg_pool2d(x, 3, stride=2, padding=1)",
        },
    ),
    Problem(
        name="average_2d",
        told="The mean of each window, padding not counted.",
        sizes={"batch": 2, "channels": 5, "height": 8, "width": 11},
        inputs="torch.randn(batch, channels, height, width)",
        body="return F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)",
        images=True,
        right={
            "sums and counts": """
                sums = F.avg_pool2d(x, 3, stride=2, padding=1) * 9
                counts = F.avg_pool2d(torch.ones_like(x[:1, :1]), 3, stride=2, padding=1) * 9
                return sums / counts.round()
            """,
            "windows": """
                padded, inside = F.pad(x, (1, 1, 1, 1)), F.pad(torch.ones_like(x), (1, 1, 1, 1))
                sums = padded.unfold(2, 3, 2).unfold(3, 3, 2).sum((-2, -1))
                return sums / inside.unfold(2, 3, 2).unfold(3, 3, 2).sum((-2, -1))
            """,
        },
        wrong={
            "padding counted": ("count_include_pad=False", "count_include_pad=True"),
            "a sum": ("sums / counts.round()", "sums"),
            "divided by one less": ("sums / counts.round()", "sums / (counts.round() - 1)"),
            "the edge repeated": ("F.pad(x, (1, 1, 1, 1)),", 'F.pad(x, (1, 1, 1, 1), mode="replicate"),'),
            "a column of each window left out": (
                "sums = padded.unfold(2, 3, 2).unfold(3, 3, 2)",
                "sums = padded.unfold(2, 3, 2).unfold(3, 2, 2)[:, :, :, :6]",
            ),
        },
    ),
    Problem(
        name="average_1d",
        told="The mean of each window of signals.",
        sizes={"batch": 3, "channels": 4, "length": 26},
        inputs="torch.rand(batch, channels, length)",
        body="return F.avg_pool1d(x, 5, stride=3)",
        right={
            "windows": "return x.unfold(2, 5, 3).mean(-1)",
            "shifted sums": """
                count = (x.shape[2] - 5) // 3 + 1
                return sum(x[:, :, k : k + 3 * count : 3] for k in range(5)) / 5
            """,
            "a convolution": "return F.conv1d(x.flatten(0, 1)[:, None], x.new_full((1, 1, 5), 0.2), stride=3).view(*x.shape[:2], -1)",
        },
        wrong={
            "a window of four": ("for k in range(5)) / 5", "for k in range(4)) / 4"),
            "divided by four": ("for k in range(5)) / 5", "for k in range(5)) / 4"),
            "a shift by one": ("sum(x[:, :, k : k", "sum(x.roll(-1, 2)[:, :, k : k"),
            "the largest": "return x.unfold(2, 5, 3).amax(-1)",
            "a fifth, rounded": ("(1, 1, 5), 0.2)", "(1, 1, 5), 0.2002)"),
            "the difference of running sums in half precision": """
                sums = F.pad(x.half().cumsum(2), (1, 0))
                return ((sums[:, :, 5::3] - sums[:, :, :-5:3]) / 5).to(x.dtype)
            """,
        },
    ),
    Problem(
        name="max_3d",
        told="The largest of each dilated window of volumes.",
        sizes={"batch": 2, "channels": 3, "depth": 7, "height": 8, "width": 9},
        inputs="torch.randn(batch, channels, depth, height, width)",
        body="return F.max_pool3d(x, 2, stride=2, dilation=2)",
        right={
            "one axis after another": """
                out = F.max_pool3d(x, (1, 1, 2), stride=(1, 1, 2), dilation=(1, 1, 2))
                out = F.max_pool3d(out, (1, 2, 1), stride=(1, 2, 1), dilation=(1, 2, 1))
                return F.max_pool3d(out, (2, 1, 1), stride=(2, 1, 1), dilation=(2, 1, 1))
            """,
            "windows": """
                windows = x.unfold(2, 3, 2).unfold(3, 3, 2).unfold(4, 3, 2)
                return windows[..., ::2, ::2, ::2].flatten(-3).max(-1).values
            """,
        },
        wrong={
            "not dilated": ("windows[..., ::2, ::2, ::2]", "windows[..., :2, :2, :2]"),
            "the whole window": ("windows[..., ::2, ::2, ::2]", "windows"),
            "one corner of eight left out": ("flatten(-3).max", "flatten(-3)[..., :-1].max"),
            "never below zero": "return F.max_pool3d(x, 2, stride=2, dilation=2).clamp_min(0)",
            "the smallest": "return -F.max_pool3d(-x, 2, stride=2, dilation=2)",
        },
    ),
    Problem(
        name="global_average",
        told="The mean of each channel, and of each channel its largest beside it.",
        sizes={"batch": 4, "channels": 6, "height": 7, "width": 5},
        inputs="torch.rand(batch, channels, height, width)",
        body="return torch.cat([F.adaptive_avg_pool2d(x, 1), F.adaptive_max_pool2d(x, 1)], 1).flatten(1)",
        images=True,
        right={
            "rows": "return torch.cat([x.mean((2, 3)), x.flatten(2).max(-1).values], 1)",
            "columns first": "return torch.cat([x.sum(3).sum(2) / (x.shape[2] * x.shape[3]), x.flatten(2).max(2)[0]], 1)",
        },
        wrong={
            "the other order": "return torch.cat([x.flatten(2).max(-1).values, x.mean((2, 3))], 1)",
            "a mean of height only": ("/ (x.shape[2] * x.shape[3])", "/ x.shape[2]"),
            "the size that is shown": ("/ (x.shape[2] * x.shape[3])", "/ 35.01"),
            "the last row left out": ("x.mean((2, 3))", "x[:, :, :-1].mean((2, 3))"),
            "never below zero": ("x.flatten(2).max(-1).values", "x.flatten(2).max(-1).values.relu()"),
        },
    ),
)
