"""The documentation site: it builds without warnings, and broken links fail the build."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"

pytestmark = pytest.mark.slow


def build(docs: Path, site: Path) -> str:
    """Build a site as `make docs` does; return what is wrong with it."""
    flags = ["--quiet", "--fresh-env", "--fail-on-warning", "--keep-going"]
    command = [sys.executable, "-m", "sphinx", *flags, str(docs), str(site)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode == 0) == (not done.stderr)
    return done.stderr


def test_it_builds_without_warnings(tmp_path: Path) -> None:
    assert build(DOCS, tmp_path) == ""
    clients = (tmp_path / "reference/clients.html").read_text()
    assert 'id="tritonclient.AsyncClient.infer"' in clients
    assert "server_timeout" in clients


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[page](missing.md)", "missing.md"),
        ("[file](../missing.txt)", "links to missing.txt, which does not exist"),
        ("[anchor](#missing)", "missing"),
        ("[anchor](other.md#missing)", "missing"),
    ],
)
def test_broken_links_fail(text: str, message: str, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    shutil.copy(DOCS / "conf.py", docs)
    (docs / "other.md").write_text("# Other\n")
    navigation = "```{toctree}\nother\n```\n"
    (docs / "index.md").write_text(f"# Index\n\n{text}\n\n{navigation}")
    assert message in build(docs, tmp_path / "site")
    (docs / "index.md").write_text(f"# Index\n\n[page](other.md)\n\n{navigation}")
    assert build(docs, tmp_path / "site") == ""


def test_a_page_that_is_in_no_navigation_fails(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    shutil.copy(DOCS / "conf.py", docs)
    (docs / "index.md").write_text("# Index\n")
    (docs / "other.md").write_text("# Other\n")
    assert "toctree" in build(docs, tmp_path / "site")
