"""The sizes that a problem's file is written for, and the same file at others.

A file in KernelBench's form says its sizes as whole numbers at its top level and in `get_inputs` and
`get_init_inputs`. Rewriting those, equal ones alike, gives the same problem at another size, if the reference runs at
it. Numbers up to LEAST are kernels, strides, axes and groups as often as sizes, and are left as they are. Where there
is no `get_init_inputs`, as in robust-kbench's form, the defaults of `Model.__init__` say sizes too.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence

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


def resized_defaults(source: str, sizes: Sizes) -> tuple[str, ...]:
    """The arguments of `Model.__init__` whose defaults are sizes and are replaced."""
    return tuple(
        name
        for name, default in _defaults(_Folded().visit(ast.parse(source)))
        if any(sizes.get(number, number) != number for number in map(_whole, ast.walk(default)))
    )


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


def reduced(found: tuple[int, ...], factor: int, least: int = LEAST, *, apart: bool = True) -> dict[int, int]:
    """Sizes divided by a factor, none below `least`. apart: what was different stays so, and groups still divide."""
    sizes: dict[int, int] = {}
    last = 0
    for size in found:
        divided = -(-size // factor)
        last = max(divided, least, last + least if apart and divided <= last else 0)
        sizes[size] = min(size, last)
    return sizes


def _numbers(tree: ast.AST) -> Iterator[ast.Constant]:
    """The whole numbers of assignments at the top level, of the functions that draw, and of defaults in their place."""
    body = getattr(tree, "body", ())
    saying = [node for node in body if isinstance(node, ast.Assign | ast.AnnAssign) or _named(node, DRAWING)]
    for node in (*saying, *(default for _, default in _defaults(tree))):
        for inner in ast.walk(node):
            if isinstance(inner, ast.Constant) and type(inner.value) is int:
                yield inner


def _defaults(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """The arguments with defaults of `Model.__init__`, where no function says what it is built with."""
    body = getattr(tree, "body", ())
    if any(_named(node, DRAWING[1:]) for node in body):
        return
    for model in (node for node in body if isinstance(node, ast.ClassDef) and node.name == "Model"):
        for init in (node for node in model.body if _named(node, ("__init__",))):
            given = init.args  # type: ignore[attr-defined]
            yield from zip((arg.arg for arg in given.args[-len(given.defaults) :]), given.defaults, strict=False)


def _named(node: ast.AST, names: Sequence[str]) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name in names


def _whole(node: ast.AST) -> int:
    return node.value if isinstance(node, ast.Constant) and type(node.value) is int else 0


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
