"""The imports of every module of the package, read from its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import tritonclient

ROOT = Path(tritonclient.__file__).parent


def _modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


#: Files by module name, without "tritonclient."; "" is the package itself.
MODULES = dict(_modules())


@cache
def imports(module: str, *, for_types: bool = False) -> frozenset[str]:
    """Return the full names of what a module imports, also inside its functions.

    Args:
        for_types: include imports that only a type checker executes.
    """
    path = MODULES[module]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ("tritonclient." + module).strip(".").split(".")
    if path.name != "__init__.py":
        package.pop()
    found = set()
    for node in ast.walk(tree) if for_types else _running(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                name = f"{source}.{alias.name}"
                # "from . import x" is a module or a name in one.
                inner = name.removeprefix("tritonclient.")
                found.add(name if name.startswith("tritonclient.") and inner in MODULES else source)
    return frozenset(found)


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes except those that only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            continue
        yield node
        yield from _running(node)


def own(names: frozenset[str]) -> set[str]:
    """Return the modules of this package among full names, without "tritonclient."."""
    return {
        n.removeprefix("tritonclient").lstrip(".")
        for n in names
        if n.split(".")[0] == "tritonclient"
    }


def circles(modules: frozenset[str] | None = None) -> list[set[str]]:
    """Return the groups of modules that import each other, imports for type checkers included.

    Args:
        modules: those to look at; None for all.
    """
    chosen = set(MODULES) if modules is None else set(modules)
    edges = {each: (own(imports(each, for_types=True)) & chosen) - {each} for each in chosen}
    reached = {each: _reach(each, edges) for each in chosen}
    groups = {
        frozenset(other for other in reached[each] if each in reached[other])
        for each in chosen
        if each in reached[each]
    }
    return sorted(map(set, groups), key=sorted)


def _reach(start: str, edges: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for each in edges[waiting.pop()] - found:
            found.add(each)
            waiting.append(each)
    return found
