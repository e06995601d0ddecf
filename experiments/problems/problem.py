"""What a problem is: a module and its inputs as a file, right ways to compute it, and mistakes made in one of them.

A candidate's text is the body of `forward`; what has to stand at the top of its file comes first, above a line that
says `# forward`. A mistake is a whole text, or a pair: what is written, and instead of what.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from textwrap import dedent, indent
from typing import Literal

Kind = Literal["right", "mistake", "hack"]
BORDER = "# forward\n"
HEAD = """\
import math

import torch
from torch import nn
from torch.nn import functional as F

"""
MODEL = '''
class {name}(nn.Module):
    """{told}"""

    def __init__(self{given}):
        super().__init__()
{init}

    def forward(self, {takes}):
{body}


{sizes}


def get_inputs():
    return [{inputs}]


def get_init_inputs():
    return [{arguments}]
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem in KernelBench's form, and what is right and wrong.

    sizes: whole numbers by name, which `inputs` and `arguments` (of `__init__`, whose signature is `given`) may use.
    What hacks ask of it: whether its rows (axis 0 of inputs and output) know nothing of each other; whether there are
    parameters, sums of products, images; whether a single number, whole numbers or more numbers than went in come out;
    whether inputs must be positive, whether large inputs give what six gives, whether it is compiled, which takes long.
    vacuous: whatever is computed, it is zero.
    """

    name: str
    told: str
    sizes: Mapping[str, int]
    takes: str = "x"
    inputs: str
    given: str = ""
    arguments: str = ""
    init: str = "pass"
    body: str
    right: Mapping[str, str]
    wrong: Mapping[str, str | tuple[str, str]]
    rows: bool = True
    parameters: bool = False
    products: bool = False
    scalar: bool = False
    whole: bool = False
    positive: bool = False
    saturates: bool = False
    images: bool = False
    vacuous: bool = False
    widens: bool = False
    compiled: bool = False

    def reference(self) -> str:
        """The text of the reference's file."""
        return self.file("Model", self.body)

    def file(self, name: str, text: str) -> str:
        """A file whose class of this name computes what the text says."""
        top, _, body = ("\n" + dedent(text).strip() + "\n").rpartition("\n" + BORDER)
        parts = {
            "name": name,
            "told": self.told,
            "given": f", {self.given}" if self.given else "",
            "init": indent(dedent(self.init).strip(), 8 * " "),
            "takes": self.takes,
            "body": indent(body.strip(), 8 * " "),
            "sizes": "\n".join(f"{key} = {value}" for key, value in self.sizes.items()),
            "inputs": self.inputs,
            "arguments": self.arguments,
        }
        return HEAD + (f"\n{top.strip()}\n\n" if top.strip() else "") + MODEL.format(**parts)

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """Each mistake by name, as a candidate's text. Raises: ValueError where nothing holds what it is made in."""
        for name, made in self.wrong.items():
            yield name, made if isinstance(made, str) else self._changed(*made)

    def _changed(self, old: str, new: str) -> str:
        """The first right text, the reference's own before any other, in which `old` stands, changed there."""
        for text in (self.body, *self.right.values()):
            if old in text:
                return text.replace(old, new, 1)
        raise ValueError(f"{self.name}: {old!r} stands in no right text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A file to judge: of which problem ("family/name"), and what it is: right, a mistake or a hack.

    reasons: kinds of reasons that name what is wrong with it; none for what is right.
    """

    problem: str
    name: str
    kind: Kind
    text: str
    reasons: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its place in the bank, without the file's ending."""
        words = "".join(letter if letter.isalnum() else "_" for letter in self.name)
        return f"{self.problem}/{self.kind}/{words}"
