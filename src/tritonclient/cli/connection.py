"""The server that a command asks: its flags, and the exit status of what went wrong."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TypeAlias

from ..client.blocking import Client
from ..errors import InferenceServerException
from ..transport.endpoint import TLS
from .arguments import server_url

#: A command's work with a connected client; the exit status.
Work: TypeAlias = Callable[[Client, argparse.Namespace], int]

#: Where a Triton on this machine is.
DEFAULT_URL = "http://localhost:8000"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags that all commands which ask a server have."""
    group = parser.add_argument_group("server")
    group.add_argument(
        "-u",
        "--url",
        type=server_url,
        default=DEFAULT_URL,
        metavar="URL",
        help="host:port, or a URL such as grpc://host:8001, https://host or unix:/path; host:port "
        "is HTTP, unless the port is 8001 (default: %(default)s)",
    )
    group.add_argument(
        "--timeout",
        type=seconds,
        default=60.0,
        metavar="SECONDS",
        help="how long the call may take (default: %(default)g)",
    )
    group.add_argument(
        "-H",
        "--header",
        dest="headers",
        type=_header,
        action="append",
        default=[],
        metavar="NAME:VALUE",
        help="sent with each call, such as 'authorization: Bearer ...'; may be given several times",
    )
    group.add_argument("--ca-file", metavar="FILE", help="CA certificates (PEM) to trust")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(work: Work, arguments: argparse.Namespace) -> int:
    """Do a command's work.

    Returns:
        What it returns; with a message, 1 if the server cannot be asked or refuses, and 2 if the
        flags are not those of a server.
    """
    try:
        tls = TLS(ca_file=arguments.ca_file) if arguments.ca_file else None
        headers = dict(arguments.headers)
        client = Client(arguments.url, timeout=arguments.timeout, headers=headers, tls=tls)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (ImportError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    try:
        with client:
            return work(client, arguments)
    except KeyboardInterrupt:
        return 130
    except (ImportError, InferenceServerException, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def seconds(text: str) -> float:
    """A number of seconds above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return number


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME:VALUE")
    return name.strip().lower(), value.strip()
