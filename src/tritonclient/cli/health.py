"""`tritonclient health`: whether a server, or a model, is ready."""

from __future__ import annotations

import argparse
import sys

from .. import messages as m
from ..client.blocking import Client
from ..client.refusals import of_models
from ..errors import ConnectionFailed, DeadlineExceeded, InferenceServerException, Unavailable
from . import connection
from .arguments import model_name
from .output import as_json, say, waiting

NAME = "health"
HELP = "tell whether a server or a model is ready"
DESCRIPTION = """\
Tell whether a server is live and ready, and whether a model is.

  tritonclient health
  tritonclient health simple --wait 30

What is not ready is explained on stderr.
Exit status: 0 if all is ready, 1 if not or if the server cannot be reached."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "model", nargs="?", type=model_name, default="", metavar="NAME", help="also of this model"
    )
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
    found, reason = _ask(client, arguments.model)
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
    if reason:
        print(f"error: {reason}", file=sys.stderr)
    return 0 if all(found.values()) else 1


def _ask(client: Client, model: str) -> tuple[dict[str, bool], str]:
    """Return what is live and ready, and why something is not, as far as it is known."""
    found: dict[str, bool] = {"live": False, "ready": False, **({"model": False} if model else {})}
    try:
        found["live"] = client.ask(m.IsServerLive())
        found["ready"] = client.ask(m.IsServerReady())
        if model:
            found["model"] = client.ask(m.IsModelReady(model))
    except (ConnectionFailed, DeadlineExceeded, Unavailable) as error:
        return found, str(error)
    return found, _why_not_ready(client, model) if model and not found["model"] else ""


def _why_not_ready(client: Client, model: str) -> str:
    try:
        index = client.repository_index()
    except InferenceServerException:  # some servers have none
        return ""
    return of_models(model, index)
