"""The `tritonclient` command; each subcommand is a module here."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from .. import errors as _errors  # noqa: F401  # checks that no other distribution is mixed in
from . import bench, completion, health, infer, models, repository, serve
from .arguments import Parser

#: Modules with `NAME`, `HELP`, `DESCRIPTION`, `add_arguments(parser)` and `run(arguments)`, which
#: returns the exit status.
_COMMANDS: tuple[Any, ...] = (
    bench,
    serve,
    infer,
    models,
    health,
    repository.LOAD,
    repository.UNLOAD,
    repository.CONFIG,
    completion,
)


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *arguments: Any, **options: Any) -> None:
        # Imported here because it takes longer than all else that a command does at its start.
        from importlib.metadata import version

        print(f"{parser.prog} {version('tritonclient')}")
        parser.exit()


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    parser = Parser(
        prog="tritonclient",
        description="Tools for the v2 inference protocol.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        child = commands.add_parser(
            command.NAME,
            help=command.HELP,
            description=command.DESCRIPTION,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(child)
        child.set_defaults(run=command.run, command=child)
    parser.set_defaults(parser=parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; its exit status."""
    given = list(sys.argv[1:] if argv is None else argv)
    if given[:1] == [bench.NAME]:
        # Its options are read as getopt does, which argparse can't.
        return bench.main(given[1:])
    arguments, unknown = make_parser().parse_known_args(given)
    if unknown:
        arguments.command.error(f"unrecognized arguments: {' '.join(unknown)}")
    status: int = arguments.run(arguments)
    return status
