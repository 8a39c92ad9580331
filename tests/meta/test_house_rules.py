"""Rules for every source file: no import circle, and at most 400 lines."""

from __future__ import annotations

import pytest

from tests.meta import imports
from tests.meta.imports import ROOT, circles, own

LIMIT = 400
#: Circles that are still to be broken. This list may only shrink.
KNOWN_CIRCLES = []


def test_no_import_circle() -> None:
    found = circles()
    assert [each for each in found if each not in KNOWN_CIRCLES] == []
    assert [each for each in KNOWN_CIRCLES if each not in found] == [], "broken: remove it"


def test_imports_for_type_checkers_count(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    (tmp_path / "a.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .b import B\n"
    )
    (tmp_path / "b.py").write_text("def f():\n    from . import c\n")
    (tmp_path / "c.py").write_text("from tritonclient.a import A\n")
    (tmp_path / "d.py").write_text("from . import a\n")
    modules = {name: tmp_path / f"{name}.py" for name in "abcd"}
    monkeypatch.setattr(imports, "MODULES", modules)
    imports.imports.cache_clear()
    try:
        assert own(imports.imports("a")) == set()
        assert own(imports.imports("a", for_types=True)) == {"b"}
        assert circles() == [{"a", "b", "c"}]
    finally:
        imports.imports.cache_clear()


def test_no_file_is_too_long() -> None:
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines())
        for path in ROOT.rglob("*.py")
    }
    assert {name: lines for name, lines in lengths.items() if lines > LIMIT} == {}
