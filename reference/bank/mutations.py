"""Mechanical mutants: one small change of a module's syntax tree each, every change that there is of a few kinds.

Operators, comparisons and their negations, constants, axes and indices, keywords of a call dropped, arguments
exchanged, statements deleted, results of one branch for the other's.
"""

import ast
import copy
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

ARITHMETIC: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult, ast.Mod),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
}
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A changed source text. function: the top-level function or class changed; change: what, on one line.

    number: of several such changes on the line, the how-manieth. changed: the text of the function or class alone.
    """

    function: str
    line: int
    change: str
    source: str
    changed: str
    number: int = 1

    @property
    def name(self) -> str:
        again = f" ({self.number})" if self.number > 1 else ""
        return f"{self.function}, line {self.line}: {self.change}{again}"


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module's source, in the order of its text, each with a name of its own.

    Docstrings, annotations and imports stay.
    """
    tops, met = ast.parse(source).body, Counter[str]()
    texts = [ast.unparse(top) for top in tops]
    for i, top in enumerate(tops):
        if isinstance(top, ast.FunctionDef | ast.ClassDef | ast.Assign):
            for told, line, changed in _changes(top):
                whole = "\n\n".join((*texts[:i], changed, *texts[i + 1 :]))
                function = getattr(top, "name", "") or "the module"
                mutant = Mutant(function=function, line=line, change=told, source=whole, changed=changed)
                met[mutant.name] += 1
                yield replace(mutant, number=met[mutant.name])


def _changes(top: ast.stmt) -> Iterator[tuple[str, int, str]]:
    """Every change of a function or class: what it is, its line, the text with it."""
    for node in (top, *_code(top)):
        for change in CHANGES:
            for toggle in change(node):
                told, changed = toggle(), ast.unparse(top)
                toggle()
                yield told, getattr(node, "lineno", 0), changed


def _code(top: ast.AST) -> Iterator[ast.AST]:
    """The nodes that compute: no annotations, decorators, docstrings, nor what only words an error."""
    for name, value in ast.iter_fields(top):
        if name in ("annotation", "returns", "decorator_list", "bases"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr | ast.Raise):
                yield child
                yield from _code(child)


Toggle = Callable[[], str]
"""Called once it makes a change and says which; called again it takes it back."""


def _swap(node: ast.AST, name: str, new: object, told: str) -> Toggle:
    held = [new]

    def toggle() -> str:
        old = getattr(node, name)
        setattr(node, name, held[0])
        held[0] = old
        return told

    return toggle


def operators(node: ast.AST) -> Iterator[Toggle]:
    if isinstance(node, ast.BinOp | ast.AugAssign):
        for other in ARITHMETIC.get(type(node.op), ()):
            yield _swap(node, "op", other(), f"{_sign(node.op)} becomes {_sign(other())} in {_short(node)}")
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield _swap(node, "op", ast.UAdd(), f"the minus of {_short(node)} is lost")


def comparisons(node: ast.AST) -> Iterator[Toggle]:
    if isinstance(node, ast.Compare):
        for other in COMPARISONS.get(type(node.ops[0]), ()):
            told = f"{_sign(node.ops[0])} becomes {_sign(other())} in {_short(node)}"
            yield _swap(node, "ops", [other(), *node.ops[1:]], told)
    if isinstance(node, ast.BoolOp):
        other_op: ast.boolop = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield _swap(node, "op", other_op, f"and and or exchanged in {_short(node)}")
    if isinstance(node, ast.If | ast.IfExp):
        test = ast.UnaryOp(op=ast.Not(), operand=node.test)
        yield _swap(node, "test", test, f"the condition {_short(node.test)} is negated")


def constants(node: ast.AST) -> Iterator[Toggle]:
    if not isinstance(node, ast.Constant) or isinstance(node.value, str | bytes) or node.value is None:
        return
    if isinstance(node.value, bool):
        yield _swap(node, "value", not node.value, f"{node.value} becomes {not node.value}")
    elif isinstance(node.value, int):
        for other in (node.value + 1, node.value - 1):
            yield _swap(node, "value", other, f"{node.value} becomes {other}")
    elif isinstance(node.value, float):
        yield _swap(node, "value", 2 * node.value + 0.1, f"{node.value} becomes {2 * node.value + 0.1}")


def calls(node: ast.AST) -> Iterator[Toggle]:
    if not isinstance(node, ast.Call):
        return
    for i, keyword in enumerate(node.keywords):
        others = node.keywords[:i] + node.keywords[i + 1 :]
        yield _swap(node, "keywords", others, f"{keyword.arg}= is left out of {_short(node)}")
    if len(node.args) > 1 and not _alike(*node.args[:2]):
        yield _swap(
            node, "args", [node.args[1], node.args[0], *node.args[2:]], f"arguments exchanged in {_short(node)}"
        )


def indices(node: ast.AST) -> Iterator[Toggle]:
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple) and len(node.slice.elts) > 1:
        first, second, *rest = node.slice.elts
        if _alike(first, second):
            return
        exchanged = ast.Tuple(elts=[second, first, *rest], ctx=ast.Load())
        yield _swap(node, "slice", exchanged, f"indices exchanged in {_short(node)}")
    if isinstance(node, ast.Slice):
        for bound in ("lower", "upper", "step"):
            if getattr(node, bound) is not None:
                yield _swap(node, bound, None, f"the {bound} bound of {_short(node)} is left out")
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield _swap(node, "attr", "real", f"{_short(node)} is not transposed")


def statements(node: ast.AST) -> Iterator[Toggle]:
    """Each simple statement deleted, if others are left, and each assignment `a += b` as `a = b`."""
    for block in ("body", "orelse"):
        body = getattr(node, block, None)
        if not isinstance(body, list):
            continue
        for i, statement in enumerate(body):
            if isinstance(statement, ast.Assign | ast.AugAssign | ast.Expr) and not _docstring(statement):
                rest = [*body[:i], ast.Pass(), *body[i + 1 :]]
                yield _swap(node, block, rest, f"deleted: {_short(statement)}")
            if isinstance(statement, ast.AugAssign):
                plain = copy.copy(statement.target)
                other = ast.copy_location(ast.Assign(targets=[plain], value=statement.value), statement)
                yield _swap(node, block, [*body[:i], other, *body[i + 1 :]], f"= for the sign of {_short(statement)}")


CHANGES = (operators, comparisons, constants, calls, indices, statements)


def _alike(one: ast.AST, other: ast.AST) -> bool:
    return ast.unparse(one) == ast.unparse(other)


def _docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 60 else text[:57] + "..."


SIGNS = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.MatMult: "@",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Is: "is",
    ast.IsNot: "is not",
}


def _sign(operator: ast.operator | ast.cmpop) -> str:
    return SIGNS.get(type(operator), type(operator).__name__)
