"""The public names of `triton_python_backend_utils`, read from the stub."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

STUB = Path(__file__).parents[4] / "src/triton_python_backend_utils-stubs/__init__.pyi"


class Parameter(NamedTuple):
    """A parameter of a function; `keyword` is False for one without a name in Triton."""

    name: str
    optional: bool
    keyword: bool = True


class Name(NamedTuple):
    """A name, such as `Tensor.shape`; `parameters` is None if it is no function or class."""

    name: str
    parameters: tuple[Parameter, ...] | None
    meaning: str


def names() -> dict[str, Name]:
    """Return all names; classes that no name leads to begin with `_`."""
    found: dict[str, Name] = {}
    for node in ast.parse(STUB.read_text("utf-8")).body:
        _add(found, node, "")
    return found


def table() -> str:
    """Return the names of the module and of its classes as a Markdown table."""
    rows = ["| Name | Meaning |", "|---|---|"]
    for each in names().values():
        call = "" if each.parameters is None else f"({_written(each.parameters)})"
        rows.append(f"| `{each.name.removeprefix('_')}{call}` | {each.meaning} |")
    return "\n".join(rows)


def _written(parameters: tuple[Parameter, ...]) -> str:
    return ", ".join(f"{each.name}{'=...' if each.optional else ''}" for each in parameters)


def _add(found: dict[str, Name], node: ast.stmt, owner: str) -> None:
    if isinstance(node, ast.ClassDef):
        name = owner + node.name
        if not node.name.startswith("_") or ast.get_docstring(node):
            found[name] = Name(name, None, _meaning(node))
            for each in node.body:
                _add(found, each, f"{name}.")
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        name = owner + node.name
        if node.name == "__init__":
            known = found[owner[:-1]]
            found[owner[:-1]] = known._replace(parameters=_parameters(node))
        elif not node.name.startswith("_"):
            known = found.get(name) or Name(name, _parameters(node), "")
            found[name] = known._replace(meaning=_meaning(node))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        if not node.target.id.startswith("_"):
            found[owner + node.target.id] = Name(owner + node.target.id, None, "")
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and found:
        # The text below a constant is its meaning.
        last = next(reversed(found.values()))
        if not last.meaning and last.name.startswith(owner):
            found[last.name] = last._replace(meaning=str(node.value.value))


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[Parameter, ...]:
    arguments = node.args
    unnamed = len(arguments.posonlyargs)
    places = [*arguments.posonlyargs, *arguments.args]
    first_optional = len(places) - len(arguments.defaults)
    found = [
        Parameter(argument.arg, place >= first_optional, place >= unnamed)
        for place, argument in enumerate(places)
    ]
    found += [
        Parameter(each.arg, default is not None)
        for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    return tuple(each for each in found if each.name != "self")


def _meaning(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return ast.get_docstring(node) or ""
