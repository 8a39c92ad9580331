"""Configuration of Sphinx, which builds the documentation site (`make docs`)."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent / "src"))
REPOSITORY = "https://github.com/tritonclient/tritonclient"

project = "tritonclient"
author = copyright = "The tritonclient authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "tritonclient"
html_theme_options = {"source_repository": REPOSITORY, "source_directory": "docs/"}
html_copy_source = False

myst_heading_anchors = 3
myst_fence_as_directive = ["eval-rst"]

default_role = "code"  # docstrings have single backticks, as Markdown
autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True

_LINK = re.compile(r"(\]\()((?:\.\./)+[^)#\s]*)")
_PATTERN = re.compile(r"[a-z_/]+\*$")
_SECTION = re.compile(r"[A-Z][a-z]+:$")


def link_to_repository(app: Any, page: str, content: list[str]) -> None:
    """Turn links to files outside of docs/ into links to the repository; a missing file fails."""
    folder = dirname(join("docs", page))

    def absolute(match: re.Match[str]) -> str:
        target = normpath(join(folder, match[2]))
        if target.startswith("docs/"):
            return match[0]
        if not (DOCS.parent / target).exists():
            raise ValueError(f"docs/{page}.md links to {target}, which does not exist")
        return f"{match[1]}{REPOSITORY}/blob/main/{target}"

    lines = _LINK.sub(absolute, content[0]).splitlines()
    # Patterns of the navigation may match no page.
    content[0] = "\n".join(line for line in lines if not _PATTERN.match(line) or _pages(line))


def _pages(pattern: str) -> list[Path]:
    return list(DOCS.glob(f"{pattern}.md"))


def mark_code(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Mark the indented blocks of a docstring as code, which Markdown does by itself."""
    lines[:] = _marked(list(lines))


def _marked(lines: list[str]) -> Iterator[str]:
    depth, before = 0, ""
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if line.strip():
            if not before and indent >= depth + 4 and not _SECTION.match(before):
                yield " " * depth + "::"
                yield ""
            depth = indent
        before = line.strip()
        yield line


def setup(app: Any) -> None:
    """Register the functions above."""
    app.connect("source-read", link_to_repository)
    app.connect("autodoc-process-docstring", mark_code, priority=400)  # before napoleon
