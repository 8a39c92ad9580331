"""`tritonclient completion`: a script that completes the command line in a shell.

shtab writes a script once, which the shell runs by itself. argcomplete would start Python for
each press of the Tab key.
"""

from __future__ import annotations

import argparse
import sys

from ..extras import optional_import
from .output import say

NAME = "completion"
HELP = "print a script that completes commands and flags in a shell"
DESCRIPTION = """\
Print a script that completes commands and flags in a shell.

  tritonclient completion bash > ~/.local/share/bash-completion/completions/tritonclient
  tritonclient completion zsh > "${fpath[1]}/_tritonclient"

Exit status: 0, or 1 if the package shtab is missing."""

SHELLS = ("bash", "zsh", "tcsh")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("shell", choices=SHELLS, help="the shell")


def run(arguments: argparse.Namespace) -> int:
    """Print the script; the exit status."""
    try:
        with optional_import("shtab", "completion", "cli"):
            import shtab  # type: ignore[import-untyped, import-not-found, unused-ignore]
    except ImportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    say(shtab.complete(arguments.parser, shell=arguments.shell))
    return 0
