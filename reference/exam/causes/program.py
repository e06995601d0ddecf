"""A script that shows a mistake with NumPy and torch alone: the subject's call, torch's, and the difference.

What a subject said of itself goes into the script as names and literals, never as code.
"""

import keyword
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scratchproof.exam.causes.references import REFERENCES
from scratchproof.exam.exam import Trial
from scratchproof.subjects.protocol import Spelling
from scratchproof.table.expressions import WithoutHalf
from scratchproof.vjp import ONLY, Array, Inputs, Outputs, floating

SHORT = 16  # elements; so few stand on one line
MOST = 3000  # elements; more is nothing to read
SPECIAL = {"dtype": "np.{dtype}", "rng": "np.random.default_rng(0)"}
LOADER = '''\
def load(file):
    """The module in a file; what it imports is looked for beside it, and in the folders above."""
    folder = Path(file).resolve().parent
    sys.path[:0] = [str(place) for place in (folder, *folder.parents[:2])]
    package = []
    while (folder / "__init__.py").exists():
        package.insert(0, folder.name)
        folder = folder.parent
        sys.path.insert(0, str(folder))
    return importlib.import_module(".".join([*package, Path(file).stem]))
'''
SHOWN = """\
print("got", got, "expected", expected, sep="\\n")
if np.shape(got) == expected.shape:
    print("difference", got - expected, sep="\\n")
"""
BEGINNING = "# scratchproof: "


def program(trial: Trial, quantity: str, spelling: Spelling, told: Sequence[str]) -> str:
    """The script for one quantity of a trial; an empty string where none can be written.

    told: what is to stand on top of it, in comments.
    """
    reference = REFERENCES.get(trial.layer.name)
    called = _called(trial, quantity, spelling)
    elements = sum(value.size for value in trial.inputs.values())
    if reference is None or called is None or elements > MOST or not spelling.file.endswith(".py"):
        return ""
    parts = (
        BEGINNING + "\n# ".join(_one_line(line) for line in told if line),
        "import importlib\nimport sys\nfrom pathlib import Path\n",
        "import numpy as np\nimport torch\nfrom torch.nn import functional as F\n",
        f"\n{LOADER}",
        f"\n{reference.rstrip()}\n",
        f"\n{_arrays(trial, () if quantity in trial.outputs else trial.cotangents[:1])}",
        f"module = load({spelling.file!r})\n{called}",
        _expected(trial, quantity),
        SHOWN,
    )
    return "\n".join(parts)


def _arrays(trial: Trial, douts: Sequence[Outputs]) -> str:
    lines = [f"{name} = {_literal(name, value, trial)}\n" for name, value in trial.inputs.items()]
    for dout in douts:
        lines += [f"{_dout(name)} = {_literal(_dout(name), value, trial)}\n" for name, value in dout.items()]
    return "".join(lines)


def _dout(name: str) -> str:
    return "dout" if name == ONLY else f"d{name}"


def _literal(name: str, value: Array, trial: Trial) -> str:
    dtype = trial.precision.array_dtype if value.dtype.kind == "f" else value.dtype
    told = "" if dtype in (np.float64, np.int64, np.bool_) else f", dtype=np.{dtype}"
    if not value.size:
        return f"np.zeros({value.shape}, dtype=np.{dtype})"
    if value.size <= SHORT:
        numbers = repr(value.astype(dtype).tolist())
    else:
        size, start = value.size + 1, f"{name} = np.array("
        numbers = np.array2string(value.astype(dtype), separator=", ", threshold=size, floatmode="unique", prefix=start)
    numbers = re.sub("(inf|nan)", r"np.\1", numbers)
    return f"np.array({numbers}{told})"


def _called(trial: Trial, quantity: str, spelling: Spelling) -> str | None:
    """The subject's call, that puts its answer into `got`."""
    if not all(_is_name(name) for name in (*spelling.names, *spelling.keywords, *spelling.loss)):
        return None
    ways = {"pair": _pair, "loss": _loss, "rule": _rule, "running": _mode, "inference": _mode, "net": _net}
    return ways[trial.layer.kind](trial, quantity, spelling) if trial.layer.kind in ways else None


def _arguments(trial: Trial, spelling: Spelling) -> str:
    extra = [repr(value) for value in spelling.args] + _by_keyword(spelling.keywords, trial)
    return ", ".join([*(f"{name}.copy()" for name in trial.inputs), *extra])


def _by_keyword(values: Mapping[str, Any], trial: Trial) -> list[str]:
    special = {name: text.format(dtype=trial.precision.array_dtype) for name, text in SPECIAL.items()}
    return [f"{k}={special[k] if v is None and k in special else repr(v)}" for k, v in values.items()]


def _pair(trial: Trial, quantity: str, spelling: Spelling) -> str:
    forward, backward = spelling.names
    outs = list(trial.truth.outs)
    names = [quantity if name == ONLY else name for name in outs] if quantity in trial.outputs else outs
    code = f"{', '.join(names)}, cache = module.{forward}({_arguments(trial, spelling)})\n"
    if quantity in trial.outputs:
        return f"{code}got = {quantity}\n"
    douts = ", ".join(f"{_dout(name)}.copy()" for name in trial.cotangents[0])
    at = list(trial.truth.grads[0]).index(quantity[1:])
    return (
        f"{code}grads = module.{backward}({douts}, cache)\n"
        f"got = grads[{at}] if isinstance(grads, (tuple, list)) else grads\n"
    )


def _loss(trial: Trial, quantity: str, spelling: Spelling) -> str:
    (name,) = spelling.names
    (gradient,) = floating(trial.inputs, trial.layer.constant)
    got = "loss" if quantity in trial.outputs else f"d{gradient}"
    return f"loss, d{gradient} = module.{name}({_arguments(trial, spelling)})\ngot = {got}\n"


def _rule(trial: Trial, quantity: str, spelling: Spelling) -> str:
    (name,) = spelling.names
    w, dw = trial.inputs
    return (
        f"config, now, got = {spelling.args[0]!r}, {w}.copy(), []\n"
        f"for step in {dw}:\n"
        f"    answered = module.{name}(now, step.copy(), config)\n"
        "    now, config = answered if isinstance(answered, tuple) else (now, answered or config)\n"
        "    got.append(np.array(now))\n"
        "got = np.stack(got)\n"
    )


def _mode(trial: Trial, quantity: str, spelling: Spelling) -> str:
    *given, mean, var = trial.inputs
    (name,) = spelling.names
    kept = {**spelling.args[0]}
    got = (
        'np.stack([bn_param["running_mean"], bn_param["running_var"]])' if trial.layer.kind == "running" else "found[0]"
    )
    return (
        f'bn_param = {{**{kept!r}, "running_mean": {mean}.copy(), "running_var": {var}.copy()}}\n'
        f"found = module.{name}({', '.join(f'{one}.copy()' for one in given)}, bn_param)\n"
        f"got = {got}\n"
    )


def _net(trial: Trial, quantity: str, spelling: Spelling) -> str:
    (name,) = spelling.names
    assert trial.layer.sizes is not None
    sizes = [repr(_plain(size)) for size in trial.layer.sizes(trial.inputs)]
    X, y = list(trial.inputs)[:2]
    params = ", ".join(f"{theirs!r}: {ours}.copy()" for ours, theirs in spelling.params.items())
    more = "".join(f", {text}" for text in _by_keyword(spelling.loss, trial))
    got = "loss" if quantity in trial.outputs else f"grads[{spelling.params.get(quantity[1:], quantity[1:])!r}]"
    return (
        f"net = module.{name}({', '.join([*sizes, *_by_keyword(spelling.keywords, trial)])})\n"
        f"net.params.update({{{params}}})\n"
        f"loss, grads = net.loss({X}.copy(), {y}.copy(){more})\n"
        f"got = {got}\n"
    )


def _expected(trial: Trial, quantity: str) -> str:
    """torch's answer to the same, in float64."""
    inputs: Inputs = trial.inputs
    options = dict(trial.case.options)
    if isinstance(trial.layer.torch, WithoutHalf):
        options["reg"] = 2 * options.get("reg", 0.0)
    code = f"tensors = [torch.from_numpy(value.copy()) for value in [{', '.join(inputs)}]]\n"
    code += "tensors = [t.double() if t.is_floating_point() else t for t in tensors]\n"
    given = "".join(f", {text}" for text in _by_keyword(_taken(options), trial))
    call = f"reference(*tensors{given})"
    if quantity in trial.outputs:
        outs = list(trial.truth.outs)
        if len(outs) > 1:
            call += f"[{outs.index(trial.outputs[quantity])}]"
        return f"{code}expected = {call}.numpy()\n"
    at = list(inputs).index(quantity[1:])
    douts = ", ".join(f"torch.as_tensor({_dout(name)}, dtype=torch.float64)" for name in trial.cotangents[0])
    return (
        f"{code}tensors[{at}].requires_grad_()\n"
        f"out = {call}\n"
        f"douts = [{douts}]\n"
        f"(expected,) = torch.autograd.grad(out, tensors[{at}], douts, materialize_grads=True)\n"
        "expected = expected.numpy()\n"
    )


def _taken(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in options.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return type(value)(_plain(one) for one in value)
    return value.item() if isinstance(value, np.generic) else value


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else "?" for c in text).split())
