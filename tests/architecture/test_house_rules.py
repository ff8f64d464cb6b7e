"""Rules of the house that no linter knows."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "repdiag").rglob("*.py"))
ALL = SOURCES + sorted(p for f in ("tests", "benchmarks", "analyses") for p in (ROOT / f).rglob("*.py"))


def functions(path: Path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_lines(node: ast.FunctionDef) -> int:
    statements = node.body
    if ast.get_docstring(node) is not None:
        statements = statements[1:]
    return statements[-1].end_lineno - statements[0].lineno + 1 if statements else 0


def test_a_file_holds_one_concept_in_at_most_400_lines():
    long = {str(path): lines for path in ALL if (lines := len(path.read_text("utf-8").splitlines())) > 400}
    assert long == {}


def test_function_bodies_are_at_most_60_lines():
    long = {f"{path}:{node.name}": body_lines(node) for path in SOURCES for node in functions(path)}
    assert {name: lines for name, lines in long.items() if lines > 60} == {}


def test_public_functions_take_at_most_three_positional_parameters():
    """Commands are exempt: typer reads its options from the signature; so are Triton's, which take no keywords."""
    found = {}
    for path in SOURCES:
        for node in functions(path):
            if any(ast.unparse(decorator) == "triton.jit" for decorator in node.decorator_list):
                continue
            names = [a.arg for a in (*node.args.posonlyargs, *node.args.args) if a.arg not in ("self", "cls")]
            if len(names) > 3 and not node.name.startswith("_") and "cli" not in path.parts:
                found[f"{path}:{node.name}"] = names
    assert found == {}


def test_no_module_is_called_utils_helpers_or_common():
    assert [p for p in SOURCES if p.stem in {"utils", "helpers", "common", "misc"}] == []


def test_pickles_are_never_loaded_as_they_are():
    unsafe = re.compile(r"weights_only\s*=\s*False|allow_pickle\s*=\s*True|pickle\.loads?\(|yaml\.load\(")
    found = [str(p) for p in SOURCES if unsafe.search(_code(p))]
    assert found == []


def test_torch_load_is_called_in_one_place_only():
    found = {str(p.relative_to(ROOT)) for p in SOURCES if "torch.load(" in _code(p)}
    assert all(name.startswith("repdiag/checkpoints/") for name in found), found


def test_nothing_but_the_entry_points_imports_the_commands() -> None:
    """Analyses, benchmarks and integrations call workflows, as a notebook does."""
    callers = [p for p in ALL if p.is_relative_to(ROOT / "repdiag") or {"analyses", "benchmarks"} & set(p.parts)]
    outside = [p for p in callers if "cli" not in p.parts and p.name != "__main__.py"]
    assert [str(p) for p in outside if re.search(r"^\s*(from|import) repdiag\.cli", p.read_text("utf-8"), re.M)] == []


def test_no_module_reaches_itself_by_its_imports() -> None:
    """Imports within functions count as well; those for type checkers alone do not."""
    graph = grimp.build_graph("repdiag", exclude_type_checking_imports=True, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 400
    TopologicalSorter(imports).prepare()  # raises CycleError with the circle


def test_commands_stay_thin() -> None:
    """They parse, call one workflow and print; what else they come to hold belongs where a notebook reaches it."""
    lines = sum(len(path.read_text("utf-8").splitlines()) for path in SOURCES if path.parts[-2] == "cli")
    assert 1000 < lines < 1900


def test_every_package_states_its_rule():
    for path in (ROOT / "repdiag").rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), path


def _code(path: Path) -> str:
    """Return the source without comments and docstrings, which may speak of what the code must not do."""
    return ast.unparse(_WithoutDocstrings().visit(ast.parse(path.read_text("utf-8"))))


class _WithoutDocstrings(ast.NodeTransformer):
    def visit_Expr(self, node):
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node

    def generic_visit(self, node):
        super().generic_visit(node)
        if hasattr(node, "body") and isinstance(node.body, list) and not node.body:
            node.body = [ast.Pass()]
        return node


def test_generated_pages_are_up_to_date():
    from docs.generate import pages

    assert [path.name for path, text in pages().items() if path.read_text("utf-8") != text] == []
