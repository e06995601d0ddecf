"""The sizes that a problem's file is written for, and the same file at others.

A file in KernelBench's form says its sizes as whole numbers at its top level and in `get_inputs` and
`get_init_inputs`. Rewriting those, equal ones alike, gives the same problem at another size, if the reference runs at
it. Numbers up to LEAST are kernels, strides, axes and groups as often as sizes, and are left as they are.
"""

import ast
from collections.abc import Iterator, Mapping

LEAST = 16
DRAWING = ("get_inputs", "get_init_inputs")
Sizes = Mapping[int, int]


def sizes_in(source: str, least: int = LEAST) -> tuple[int, ...]:
    """Every number above `least` in a problem's text that may be a size, ascending, each once."""
    found = {int(str(node.value)) for node in _numbers(_Folded().visit(ast.parse(source)))}
    return tuple(sorted(size for size in found if size > least))


def resized(source: str, sizes: Sizes) -> ast.Module:
    """The text as a syntax tree, with every size replaced."""
    tree: ast.Module = _Folded().visit(ast.parse(source))
    for node in _numbers(tree):
        node.value = sizes.get(int(str(node.value)), node.value)
    return ast.fix_missing_locations(tree)


def resized_copy(source: str, problem: str, sizes: Sizes) -> str:
    """A candidate's text, with the constants that it copies from the problem, by name and value, as they are there."""
    if all(old == new for old, new in sizes.items()):
        return source
    theirs = dict(_constants(_Folded().visit(ast.parse(problem))))
    tree = ast.parse(source)
    copied = {name for name, value in _constants(_Folded().visit(ast.parse(source))) if theirs.get(name) == value}
    for node in tree.body:
        if isinstance(node, ast.Assign) and _target(node) in copied:
            for number in ast.walk(_Folded().visit(node)):
                if isinstance(number, ast.Constant) and type(number.value) is int:
                    number.value = sizes.get(int(str(number.value)), number.value)
    return ast.unparse(ast.fix_missing_locations(tree))


def reduced(found: tuple[int, ...], factor: int) -> Iterator[dict[int, int]]:
    """Ways to divide sizes by a factor, the best first: what was different stays so, and groups still divide."""
    apart: dict[int, int] = {}
    last = 0
    for size in found:
        last = max(size // factor, LEAST, last + LEAST if size // factor <= last else 0)
        apart[size] = min(size, last)
    yield apart
    yield {size: max(size // factor, LEAST) for size in found}
    yield {size: max(-(-size // factor), 1) for size in found}


def _numbers(tree: ast.AST) -> Iterator[ast.Constant]:
    """The whole numbers of assignments at the top level, and of the functions that draw."""
    for node in getattr(tree, "body", ()):
        if isinstance(node, ast.Assign | ast.AnnAssign) or (isinstance(node, ast.FunctionDef) and node.name in DRAWING):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Constant) and type(inner.value) is int:
                    yield inner


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and (name := _target(node)):
            yield name, ast.dump(node.value)


def _target(node: ast.Assign) -> str:
    (target, *others) = node.targets
    return target.id if isinstance(target, ast.Name) and not others else ""


class _Folded(ast.NodeTransformer):
    """Products and the like of whole numbers as one number: 1024 * 2 is a size."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        left, right = node.left, node.right
        if not all(isinstance(side, ast.Constant) and type(side.value) is int for side in (left, right)):
            return node
        if isinstance(node.op, ast.Pow) and abs(right.value) > 64:  # type: ignore[attr-defined]
            return node
        try:
            value = eval(compile(ast.fix_missing_locations(ast.Expression(node)), "", "eval"), {"__builtins__": {}})
        except (ArithmeticError, ValueError, TypeError):
            return node
        return ast.copy_location(ast.Constant(value), node) if type(value) is int else node
