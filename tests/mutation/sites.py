"""Where a module can be changed a little, and what it reads like afterwards."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


@dataclass(frozen=True)
class Mutant:
    """One change: the line it is on, the statement before and after, and the whole module after it."""

    line: int
    before: str
    after: str
    source: str


def count_places(source: str) -> int:
    """Return in how many places `mutant_at` can change a module.

    Left alone are texts, annotations, decorators and whatever builds a message.
    """
    return sum(1 for _ in _places(ast.parse(source)))


def mutant_at(source: str, number: int) -> Mutant:
    """Return the change of a module in the place of this number, counted in the order of the file from 0 on."""
    tree = ast.parse(source)
    statement, node = list(_places(tree))[number]
    before = _first_line(statement)
    changed(node)
    return Mutant(statement.lineno, before, _first_line(statement), ast.unparse(tree) + "\n")


def changed(node: ast.AST) -> None:
    """Change a node in place: an operator into its neighbour, a number into another, a negation into none."""
    if isinstance(node, ast.Compare):
        node.ops[0] = _SWAPS[type(node.ops[0])]()  # type: ignore[assignment]
    elif isinstance(node, ast.BinOp | ast.BoolOp):
        node.op = _SWAPS[type(node.op)]()  # type: ignore[assignment]
    elif isinstance(node, ast.UnaryOp):
        node.op = ast.UAdd() if isinstance(node.op, ast.USub) else ast.Not()
        if isinstance(node.op, ast.Not):
            node.operand = ast.UnaryOp(op=ast.Not(), operand=node.operand)
    elif isinstance(node, ast.Constant):
        value = node.value
        assert isinstance(value, int | float)
        node.value = value + 1 if isinstance(value, int) or value == 0.0 else 2.0 * value
    else:
        raise TypeError(f"no change is known of {type(node).__name__}")


def _places(tree: ast.Module) -> Iterator[tuple[ast.stmt, ast.AST]]:
    """Yield every node that can be changed, with its statement."""
    waiting: list[tuple[ast.AST, ast.stmt | None]] = [(tree, None)]
    while waiting:
        node, statement = waiting.pop(0)
        if isinstance(node, ast.stmt):
            statement = node
        if statement is not None and _can_change(node):
            yield statement, node
        waiting += [(child, statement) for child in _children(node)]


def _can_change(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float) and not isinstance(node.value, bool)
    if isinstance(node, ast.Compare):
        return type(node.ops[0]) in _SWAPS
    if isinstance(node, ast.BinOp | ast.BoolOp):
        return type(node.op) in _SWAPS and not _is_text(node)
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.JoinedStr | ast.Raise | ast.Import | ast.ImportFrom):
        return
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        parts = value if isinstance(value, list) else [value]
        yield from (part for part in parts if isinstance(part, ast.AST))


def _is_text(node: ast.AST) -> bool:
    """Say whether a sum is one of texts, or a union of types."""
    return any(
        isinstance(part, ast.JoinedStr) or (isinstance(part, ast.Constant) and isinstance(part.value, str))
        for part in ast.walk(node)
    )


def _first_line(statement: ast.stmt) -> str:
    """Return a statement's first line; of a function the one with its name, not a decorator's."""
    return next(line for line in ast.unparse(statement).splitlines() if not line.startswith("@"))
