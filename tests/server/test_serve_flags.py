"""The table of tritonserver's flags: complete, true to the docs and to the parser."""

from __future__ import annotations

import argparse
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.servers import triton_installation
from tritonclient.cli import main, serve, serve_flags

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "server_flags.md"
#: What `tritonserver --help` of 2.51 lists.
RECORDED = (ROOT / "tests/data/tritonserver_flags.txt").read_text().split()


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    return parser


def test_the_table_has_every_flag() -> None:
    listed = {name for name, each in serve_flags.FLAGS.items() if not each.later}
    assert listed == set(RECORDED)


def test_the_page_has_the_table() -> None:
    assert serve_flags.table() in PAGE.read_text("utf-8"), "put serve_flags.table() into the page"


def test_the_parser_knows_every_flag(parser: argparse.ArgumentParser) -> None:
    known = {name for action in parser._actions for name in action.option_strings}
    own = {"-h", "--help", "--demo", "--watch", "--http-certificate", "--http-key"}
    own |= {
        "--max-requests",
        "--receive-timeout-secs",
        "--min-receive-rate",
        "--in-process",
        "--python",
    }
    assert known - own == set(serve_flags.FLAGS)


def test_flags_that_work_have_a_help_of_their_own(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        for name in action.option_strings:
            if name in serve_flags.FLAGS:
                hidden = action.help == argparse.SUPPRESS
                deprecated = name.startswith("--trace-") and name != "--trace-config"
                assert hidden == (serve_flags.FLAGS[name].use != "works") or deprecated, name


def test_flags_without_effect_are_taken_and_named(parser: argparse.ArgumentParser) -> None:
    given = serve_flags.flags("without effect")
    words = [flag if serve_flags.FLAGS[flag].alone else f"{flag}=1" for flag in given]
    assert serve_flags.ignored(parser.parse_args(["m.onnx", *words])) == given


def test_a_flag_without_a_value_takes_no_model(parser: argparse.ArgumentParser) -> None:
    arguments = parser.parse_args(["--disable-auto-complete-config", "m.onnx"])
    assert arguments.models == ["m.onnx"]
    assert serve_flags.ignored(arguments) == ["--disable-auto-complete-config"]


@pytest.mark.parametrize("flag", serve_flags.flags("refused"))
def test_refused_flags_end_the_program(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--demo", f"{flag}=health:a=b"]) == 1
    assert re.search(f"{flag}: this server cannot restrict", capsys.readouterr().err)


def test_every_note_is_there() -> None:
    assert [
        name for name, each in serve_flags.FLAGS.items() if each.use != "works" and not each.note
    ] == []


@pytest.mark.triton
def test_the_record_is_that_of_triton() -> None:
    installed = triton_installation.ensure_installed()
    done = subprocess.run(
        [str(installed.server), "--help"], capture_output=True, text=True, check=False
    )
    listed = set(re.findall(r"^\s+(--[a-z0-9-]+)", done.stdout + done.stderr, re.MULTILINE))
    assert listed - {"--help"} == set(RECORDED)
