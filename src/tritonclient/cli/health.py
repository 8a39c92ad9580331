"""`tritonclient health`: whether a server, or a model, is ready."""

from __future__ import annotations

import argparse

from ..client.blocking import Client
from . import connection
from .output import as_json, say, waiting

NAME = "health"
HELP = "tell whether a server or a model is ready"
DESCRIPTION = """\
Tell whether a server is live and ready, and whether a model is.

  tritonclient health
  tritonclient health simple --wait 30

Exit status: 0 if all is ready, 1 if not or if the server cannot be reached."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("model", nargs="?", default="", metavar="NAME", help="also of this model")
    parser.add_argument(
        "--wait",
        type=connection.seconds,
        metavar="SECONDS",
        help="wait so long until all is ready",
    )
    connection.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the health; the exit status."""
    return connection.run(_run, arguments)


def _run(client: Client, arguments: argparse.Namespace) -> int:
    if arguments.wait:
        with waiting(f"waiting for {arguments.url}"):
            client.wait_until_ready(arguments.model, timeout=arguments.wait)
    found = {"live": client.is_server_live(), "ready": client.is_server_ready()}
    if arguments.model:
        found["model"] = client.is_model_ready(arguments.model)
    if arguments.json:
        say(as_json({"url": arguments.url, **found}))
    else:
        names = {
            "live": "server live",
            "ready": "server ready",
            "model": f"{arguments.model} ready",
        }
        for key, value in found.items():
            say(f"{names[key]}: {'yes' if value else 'no'}")
    return 0 if all(found.values()) else 1
