"""The documentation names tests and options that there are."""

from __future__ import annotations

import re
from pathlib import Path

from tritonclient.perf.exits import MEANINGS
from tritonclient.perf.options.table import BY_SPELLING

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = sorted((ROOT / "docs" / "perf_analyzer").glob("*.md"))


def test_every_test_that_is_named_is_there():
    text = (ROOT / "docs" / "perf_analyzer" / "faults.md").read_text()
    sources = {
        path.relative_to(ROOT / "tests" / "perf").as_posix(): path.read_text()
        for path in (ROOT / "tests" / "perf").rglob("test_*.py")
    }
    named = re.findall(r"`(?:([\w/]+\.py))?(?:::)?(test_\w+)?`", text.split("| test |")[1])
    assert len(named) > 20
    for file, name in named:
        if file:
            assert file in sources, file
        if name:
            places = [sources[file]] if file else sources.values()
            assert any(f"def {name}(" in source for source in places), name


def test_every_option_that_is_named_is_there():
    for document in DOCUMENTS:
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", document.read_text()):
            assert option in BY_SPELLING, f"{document.name}: {option}"


def test_every_exit_code_is_told():
    text = (ROOT / "docs" / "perf_analyzer" / "tutorial.md").read_text()
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert codes == set(MEANINGS)
