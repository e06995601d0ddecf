"""The page's ten lines run, and it names every kind that it should."""

import re
from pathlib import Path

from scratchproof.judging.naming import CONTROLS

PAGE = (Path(__file__).parents[3] / "docs" / "judge.md").read_text(encoding="utf-8")
REFERENCE = """
import torch
class Model(torch.nn.Module):
    def forward(self, x):
        return torch.softmax(x, 1)
rows, columns = 6, 70
def get_inputs():
    return [torch.rand(rows, columns)]
"""
ONLINE = """
import torch
class ModelNew(torch.nn.Module):
    def forward(self, x):
        top, total = x[:, :1].detach(), torch.ones_like(x[:, :1])
        total = total * (x[:, :1] - top).exp()
        for start in range(1, x.shape[1], 16):
            block = x[:, start : start + 16]
            higher = torch.maximum(top, block.amax(1, keepdim=True).detach())
            total = total * (top - higher).exp() + (block - higher).exp().sum(1, keepdim=True)
            top = higher
        return (x - top).exp() / total
"""


def test_the_ten_lines_run(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "softmax.py").write_text(REFERENCE)
    (tmp_path / "online.py").write_text(ONLINE)
    half = REFERENCE.replace("class Model", "class ModelNew").replace("(x, 1)", "(x.bfloat16(), 1).float()")
    (tmp_path / "bfloat16.py").write_text(half)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert "downgrade | as if bfloat16 inside" in capsys.readouterr().out


def test_the_page_names_the_controls():
    said = PAGE.replace("an earlier answer", "stale output").replace(
        "the truth a thousandth too large", "scaled by a thousandth"
    )
    assert [control.name for control in CONTROLS if control.name not in said] == []
