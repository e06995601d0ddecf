"""Sources that time has passed: Python 2, and names that NumPy has removed, made to run as they once did.

Python 2 is taken for what its own text shows: a print statement, `xrange`, `iteritems`. Then a division of whole
numbers is whole, as it was.
"""

import ast
import builtins
import functools
import io
import linecache
import operator
import re
import tokenize
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

import numpy as np

TAB = 8


class Source:
    """A source as a syntax tree, and what had to be done to get one.

    text: the source. old: whether to read it as Python 2 even if it could be Python 3. Raises: SyntaxError.
    """

    def __init__(self, text: str, name: str, *, old: bool = False) -> None:
        self.name = name
        # It may lie where it cannot be read again: who asks for its lines finds them here.
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        tree, self.old = _parsed(text, name, old)
        self.old = self.old or bool(_loaded(tree) & set(GONE))
        # A source that already divides as Python 3 does, or speaks as it alone does, was never Python 2.
        self.may_be_old = not any(isinstance(node, MODERN) for node in ast.walk(tree))
        self.removed = sorted(_removed(tree))
        tree = _NumPy(tree).visit(tree) if self.removed else tree
        self.breakpoints = sorted({node.lineno for node in ast.walk(tree) if _stops(node)})
        tree = _Unstopped().visit(tree) if self.breakpoints else tree
        if self.old and not _imports_division(tree):
            tree = _Division().visit(tree)
        self.tree = ast.fix_missing_locations(tree)

    def run(self, namespace: dict[str, Any]) -> None:
        """Execute the source in a module's namespace."""
        if self.old:
            namespace.update({name: value for name, value in PYTHON2.items() if name not in namespace})
        exec(compile(self.tree, self.name, "exec", dont_inherit=True), namespace)

    def remarks(self) -> Iterator[str]:
        if self.old:
            yield f"{self.name} is read as Python 2: whole numbers divide to whole numbers"
        if self.removed:
            yield f"{self.name} uses names that NumPy has removed: {', '.join(f'np.{n}' for n in self.removed)}"
        for line in self.breakpoints:
            yield f"{self.name} stops at a breakpoint in line {line}: it is passed over"


def _stops(node: ast.AST) -> TypeGuard[ast.Call]:
    """Whether a node is a call that waits for somebody at the keyboard: `breakpoint()`, `pdb.set_trace()`."""
    if not isinstance(node, ast.Call) or node.args:
        return False
    return getattr(node.func, "id", "") == "breakpoint" or getattr(node.func, "attr", "") == "set_trace"


class _Unstopped(ast.NodeTransformer):
    """Breakpoints that stop nobody."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        return ast.copy_location(ast.Constant(None), node) if _stops(node) else self.generic_visit(node)


def _parsed(text: str, name: str, old: bool) -> tuple[ast.Module, bool]:
    """The tree, and whether it is one of Python 2. Raises: SyntaxError."""
    try:
        tree = ast.parse(text, name)
    except SyntaxError as error:
        try:
            return ast.parse(translated(text), name), True
        except tokenize.TokenError:
            raise error from None
    # `print >>file, words` means something else today, but nothing that anyone writes.
    prints = any(isinstance(n, ast.BinOp) and getattr(n.left, "id", "") == "print" for n in ast.walk(tree))
    return (ast.parse(translated(text), name), True) if prints else (tree, old)


def translated(text: str) -> str:
    """The text with the statements of Python 2 written as Python 3 has them."""
    lines = [_untabbed(line) for line in text.splitlines()]
    text = "\n".join(lines) + "\n"
    for old, new in STATEMENTS:
        text = re.sub(old, new, text, flags=re.MULTILINE)
    return _printed(text)


STATEMENTS = (
    (r"\bexcept\s+([\w.]+|\([^)\n]*\))\s*,\s*(\w+)\s*:", r"except \1 as \2:"),
    (r"^(\s*)raise\s+([\w.]+)\s*,\s*(.+)$", r"\1raise \2(\3)"),
    (r"<>", "!="),
    (r"\b0([0-7]+)\b(?![.eExX])", r"0o\1"),
    (r"\b(\d+)[lL]\b", r"\1"),
)


def _untabbed(line: str) -> str:
    body = line.lstrip(" \t")
    return line[: len(line) - len(body)].expandtabs(TAB) + body


def _printed(text: str) -> str:
    """Every `print a, b` as `print(a, b)`."""
    lines = text.splitlines(keepends=True)
    for (row, start), (end_row, end) in reversed(list(_print_statements(text))):
        if lines[row - 1][start + 5 :].lstrip().startswith(">>"):
            lines[row - 1] = lines[row - 1][:start] + "pass  #" + lines[row - 1][start:]
            continue
        lines[end_row - 1] = lines[end_row - 1][:end] + ")" + lines[end_row - 1][end:]
        lines[row - 1] = lines[row - 1][: start + 5] + "(" + lines[row - 1][start + 5 :].lstrip(" \t")
    return "".join(lines)


def _print_statements(text: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where each print statement begins, and where its last word ends."""
    tokens = [t for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.type not in (tokenize.COMMENT,)]
    fresh, begun, last = True, None, (0, 0)
    for token, following in zip(tokens, [*tokens[1:], tokens[-1]], strict=True):
        ends = token.type in (tokenize.NEWLINE, tokenize.ENDMARKER) or token.string == ";"
        if ends and begun:
            # `lstrip` above moves what follows on the same line; the end is found in the line as it was
            yield begun, last
            begun = None
        elif fresh and token.string == "print" and following.string not in ("(", "=", ".", ",") and _words(following):
            begun = token.start
        last = token.end
        fresh = ends or token.type in (tokenize.INDENT, tokenize.DEDENT, tokenize.NL) or token.string == ":"


def _words(token: tokenize.TokenInfo) -> bool:
    return token.type not in (tokenize.NEWLINE, tokenize.NL, tokenize.ENDMARKER)


def _loaded(tree: ast.AST) -> set[str]:
    """Names that are used but nowhere made, and methods that are called."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    made = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    made |= {a.asname or a.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for a in node.names}
    methods = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return ({node.id for node in names} - made) | (methods & set(METHODS))


MODERN = (ast.FloorDiv, ast.JoinedStr, ast.AnnAssign, ast.Nonlocal, ast.NamedExpr, ast.MatMult, ast.AsyncFunctionDef)
METHODS = {"iteritems": "items", "itervalues": "values", "iterkeys": "keys"}


def _whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) or (isinstance(value, np.ndarray) and value.dtype.kind in "iu")


def _divide(division: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    return a // b if _whole(a) and _whole(b) else division(a, b)


def _listed(function: Callable[..., Any]) -> Callable[..., list[Any]]:
    return lambda *args: list(function(*args))


GONE: dict[str, Any] = {
    "xrange": range,
    "raw_input": builtins.input,
    "unicode": str,
    "long": int,
    "basestring": str,
    "reduce": functools.reduce,
    "unichr": chr,
    **dict.fromkeys(METHODS),
}
PYTHON2: dict[str, Any] = {
    **{name: value for name, value in GONE.items() if value is not None},
    **{name: _listed(getattr(builtins, name)) for name in ("range", "map", "zip", "filter")},
    "__divide__": functools.partial(_divide, operator.truediv),
    "__divide_in_place__": functools.partial(_divide, operator.itruediv),
}


def _imports_division(tree: ast.AST) -> bool:
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return any(node.module == "__future__" and any(a.name == "division" for a in node.names) for node in imports)


class _Division(ast.NodeTransformer):
    """`a / b` as Python 2 computes it, and the dictionary's methods by their later names."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Div):
            return node
        return ast.copy_location(_call("__divide__", node.left, node.right), node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Div):
            return node
        target = ast.parse(ast.unparse(node.target), mode="eval").body
        return ast.copy_location(
            ast.Assign(targets=[node.target], value=_call("__divide_in_place__", target, node.value)), node
        )

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        node.attr = METHODS.get(node.attr, node.attr)
        return node


def _call(name: str, *args: ast.expr) -> ast.Call:
    return ast.Call(func=ast.Name(id=name, ctx=ast.Load()), args=list(args), keywords=[])


# What NumPy has removed, as expressions of what is left.
REMOVED = {
    "float": "float",
    "int": "int",
    "bool": "bool",
    "object": "object",
    "str": "str",
    "long": "int",
    "complex": "complex",
    "float_": "np.float64",
    "product": "np.prod",
    "cumproduct": "np.cumprod",
    "alltrue": "np.all",
    "sometrue": "np.any",
    "row_stack": "np.vstack",
    "in1d": "np.isin",
    "NaN": "np.nan",
    "NAN": "np.nan",
    "Inf": "np.inf",
    "Infinity": "np.inf",
    "infty": "np.inf",
    "trapz": "np.trapezoid",
    "asfarray": "(lambda a: np.asarray(a, dtype=float))",
    "msort": "(lambda a: np.sort(a, axis=0))",
}


def _numpy_names(tree: ast.AST) -> set[str]:
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.Import))
    return {a.asname or a.name for node in imports for a in node.names if a.name == "numpy"}


def _is_removed(node: ast.AST, numpy_names: set[str]) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in numpy_names
        and node.attr in REMOVED
        and _lacks(node.attr)
    )


def _has_moved(node: ast.AST, numpy_names: set[str]) -> bool:
    """Whether it is a name that np.lib once had and NumPy itself still has: np.lib.pad."""
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "lib"
        and isinstance(node.value.value, ast.Name)
        and node.value.value.id in numpy_names
        and not hasattr(np.lib, node.attr)
        and hasattr(np, node.attr)
    )


@functools.cache
def _lacks(name: str) -> bool:
    """Whether this NumPy has no such name, or has another thing under it: np.bool and np.long are types again."""
    return name not in np.__dict__


def _removed(tree: ast.AST) -> set[str]:
    names = _numpy_names(tree)
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    moved = {f"lib.{node.attr}" for node in attributes if _has_moved(node, names)}
    return moved | {node.attr for node in attributes if _is_removed(node, names)}


class _NumPy(ast.NodeTransformer):
    """What NumPy has removed, by what is left of it."""

    def __init__(self, tree: ast.AST) -> None:
        self.names = _numpy_names(tree)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if _has_moved(node, self.names):
            assert isinstance(node.value, ast.Attribute)
            return ast.copy_location(ast.Attribute(value=node.value.value, attr=node.attr, ctx=node.ctx), node)
        if not _is_removed(node, self.names):
            return node
        assert isinstance(node.value, ast.Name)
        text = REMOVED[node.attr].replace("np.", f"{node.value.id}.")
        return ast.copy_location(ast.parse(text, mode="eval").body, node)
