"""Everything that is shown to people runs: the example scripts, and the documentation's code."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.examples.test_official import NEEDS_GPU, PROGRAMS
from tritonclient.cli import image_client
from tritonclient.server import Server

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]

# What each script prints, in this order; other lines may stand between.
EXPECTED = {
    "async_infer": ["0 2 4 6 8 10 12 14 16 18 20 22 24 26 28 30 32 34 36 38"],
    "classification": [r"0\.960 1 ONE", r"0\.040 2 TWO", r"0\.000 3 THREE"],
    "errors_and_timeouts": [
        r"refused: \[404\] Request for unknown model: 'nowhere' is not found",
        "too slow: .*deadline",
        "wrong: input 'INPUT0'",
        "live: False",
        "unreachable: can't connect",
    ],
    "health_metadata": [
        "live: True",
        "model nowhere is ready: False",
        "server: triton",
        r"input: INPUT0 INT32 \[-1, 16\]",
        r"output: OUTPUT1 INT32 \[-1, 16\]",
        "largest batch: 8",
        r"inferences: \d+",
    ],
    "ensemble_image_client": [
        r'"images/digits/0_0386\.png":',
        r"    1\.000000 \(0\) = ZERO",
        "PASS",
    ],
    "grpc_image_client": [
        r"Image 'images/digits/0_0386\.png':",
        r"    1\.000000 \(0\) = ZERO",
        "PASS",
    ],
    "image_client": ["Request 0, batch size 2", r"    1\.000000 \(0\) = ZERO", "PASS"],
    "model_control": [
        "after loading: True",
        "after unloading: False",
        "largest batch: 16",
        "ready: simple_string version 1",
    ],
    "model_handle": [
        r"simple: INPUT0 INT32 \[-1, 16\], INPUT1",
        r"\[\[ 1  2  3 .* 16\]\]",
        r"input 'INPUT0' of model 'simple' is INT32 \[-1, 16\]; got float32 \[1, 16\]",
    ],
    "prepared": ["1", "11", "21"],
    "shared_memory": ["sum: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", r"2 \+ 1 = 3"],
    "simple_infer": [r"0 \+ 1 = 1, 0 - 1 = -1", r"15 \+ 1 = 16, 15 - 1 = 14"],
    "strings": [r"b'na\\xc3\\xafve'", r"b'\\x00\\xff\\x00'", "0 2 4 .* 30"],
    "threads": ["threads: 0 2 4 6 8 10 12 14", "futures: 0 2 4 6 8 10 12 14"],
}
ARGUMENTS = {
    "ensemble_image_client": ["-m", "ensemble_digits", "images/digits/0_0386.png"],
    "grpc_image_client": ["-m", "digits", "-s", "INCEPTION", "images/digits/0_0386.png"],
    "image_client": ["-m", "digits", "-s", "INCEPTION", "-b", "2", "images/digits/0_0386.png"],
}


@pytest.fixture(scope="module")
def controllable() -> Iterator[Server]:
    """A server that loads and unloads models when it is asked to."""
    with Server(ROOT / "models", model_control_mode="explicit") as server:
        yield server


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_example(name: str, request: pytest.FixtureRequest) -> None:
    server = "controllable" if name == "model_control" else "embedded"
    running = request.getfixturevalue(server)
    url = running.grpc_address if name == "grpc_image_client" else running.http_url
    done = subprocess.run(
        [sys.executable, "-W", "error", f"{name}.py", "-u", url, *ARGUMENTS.get(name, [])],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = iter(done.stdout.splitlines())
    for pattern in EXPECTED[name]:
        assert any(re.match(pattern, line) for line in lines), f"no {pattern!r} in {done.stdout}"


@pytest.mark.parametrize("name", ["simple_infer", "simple_http_string_infer_client"])
@pytest.mark.parametrize("form", ["http_url", "http_address"])
def test_one_flag_takes_host_and_port_and_any_url(name: str, form: str, embedded: Server) -> None:
    command = [sys.executable, f"{name}.py", "-u", getattr(embedded, form)]
    done = subprocess.run(command, cwd=EXAMPLES, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_example_reads_its_url() -> None:
    for path in EXAMPLES.glob("*.py"):
        found = re.search(r'"--url",?(.{0,80})', path.read_text(), re.DOTALL)
        assert found is None or "type=" in found[1], path


def test_no_example_is_left_out() -> None:
    official = {program.name for program in PROGRAMS} | set(NEEDS_GPU)
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(EXPECTED) | official


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_examples_are_short_and_say_what_they_do(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= (45 if path.stem in EXPECTED else 125)
    assert re.match(r'"""[A-Z][^\n]+\.("""\n|\n\n)', text)


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("simple_http_infer_client", ["-H", "foo"], "'foo' is not Header:Value"),
        ("simple_http_aio_infer_client", ["-H", "foo"], "'foo' is not Header:Value"),
        ("reuse_infer_objects_client", ["-i", "foo"], "invalid choice: 'foo'"),
        ("memory_growth_test", ["-i", "foo"], "invalid choice: 'foo'"),
    ],
)
def test_wrong_flags_are_told(name: str, arguments: list[str], told: str) -> None:
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert told in done.stderr


def test_demo() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", ROOT / "scripts/demo.py"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("$ image_client -i gRPC") == 2
    assert done.stdout.splitlines()[-1].startswith("20 of 20 right")


def documents(pattern: str) -> list[str]:
    """Return the pages in which a pattern is found, relative to the root."""
    found = (page for page in PAGES if re.search(pattern, page.read_text(), re.MULTILINE))
    return [page.relative_to(ROOT).as_posix() for page in found]


def code_blocks(document: str, language: str) -> Iterator[str]:
    """Yield the fenced blocks of a language, on the lines where the document has them."""
    text = (ROOT / document).read_text()
    for block in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield "\n" * text.count("\n", 0, block.start(1)) + block[1]


def own_server(names: dict[str, Any]) -> Server | None:
    """Return the running server that a page has started, or None."""
    try:
        return names["server"] if names["server"].http_url else None
    except (KeyError, RuntimeError):
        return None


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "examples/README.md"])
def test_links(page: str) -> None:
    """Pages outside of the documentation site, which checks its own links, link to real files."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text())
    assert links
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []


def write_certificates(directory: Path) -> None:
    """Write the files that pages name: an authority, and certificates that it signed."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    for name in ("server", "client"):
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        certificate.private_key_and_cert_chain_pem.write_to_path(directory / f"{name}.pem")
        certificate.private_key_pem.write_to_path(directory / f"{name}.key")


@pytest.mark.parametrize("document", documents("^```python$"))
def test_document_code(
    document: str,
    embedded: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Run the blocks of a page one after the other, as one program."""
    write_certificates(tmp_path)
    (tmp_path / "models").symlink_to(ROOT / "models")
    monkeypatch.chdir(tmp_path)
    blocks = list(code_blocks(document, "python"))
    promised = re.findall(r"print\(.*\)  # (.*)", "".join(blocks))
    addresses = {"localhost:8000": embedded.http_address, "localhost:8001": embedded.grpc_address}
    for shown, address in addresses.items():
        blocks = [block.replace(shown, address) for block in blocks]
    if any('__name__ == "__main__"' in block for block in blocks):
        printed = run_program("".join(blocks))
    else:
        run_blocks(blocks, document, embedded)
        printed = capsys.readouterr().out
    for text in promised:
        assert text.removesuffix(" ...") in printed


def run_program(code: str) -> str:
    """Run a page that starts processes, which import it; return what it prints."""
    Path("page.py").write_text(code)
    command = [sys.executable, "-W", "error", "page.py"]
    return subprocess.run(command, check=True, timeout=60, stdout=subprocess.PIPE, text=True).stdout


def run_blocks(blocks: list[str], document: str, embedded: Server) -> None:
    """Run blocks in one namespace, and each test function right after its block."""
    names: dict[str, Any] = {"__name__": "document"}
    for code in blocks:
        exec(compile(code, str(ROOT / document), "exec", dont_inherit=True), names)
        for name in [name for name in names if name.startswith("test_")]:
            names.pop(name)(triton_server=own_server(names) or embedded)
    for value in names.values():
        if hasattr(value, "close"):
            value.close()


@pytest.mark.parametrize("document", documents(r"^\$ image_client "))
def test_document_console(
    document: str,
    embedded: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The output of each `image_client` command is what the page shows."""
    monkeypatch.chdir(ROOT)
    blocks = list(code_blocks(document, "console"))
    assert blocks
    for block in blocks:
        command, shown = block.strip().split("\n", 1)
        program, *arguments = shlex.split(command.removeprefix("$ "))
        assert program == "image_client"
        assert image_client.main(["-u", embedded.http_url, *arguments]) == 0
        assert capsys.readouterr().out.strip() == shown
