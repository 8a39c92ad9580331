"""`tritonclient load`, `unload` and `config`: the models of a server's repository."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ..client.blocking import Client
from . import connection
from .arguments import model_name
from .output import as_json, say, waiting


def _add_load(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=model_name, metavar="NAME", help="the model")
    parser.add_argument(
        "--config",
        metavar="JSON",
        help="a configuration to use instead of the repository's: JSON, or a file that holds it",
    )
    parser.add_argument(
        "--file",
        dest="files",
        action="append",
        default=[],
        type=_file,
        metavar="PATH=FILE",
        help="a file to use instead of the repository's, such as 1/model.onnx=new.onnx; needs "
        "--config; may be given several times",
    )
    connection.add_arguments(parser)


def _load(client: Client, arguments: argparse.Namespace) -> int:
    name = arguments.model
    files = {path: Path(file).read_bytes() for path, file in arguments.files}
    with waiting(f"loading {name}"):
        client.load_model(name, config=_config(arguments.config), files=files or None)
    return _done(arguments, "loaded")


def _add_unload(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=model_name, metavar="NAME", help="the model")
    parser.add_argument(
        "--dependents", action="store_true", help="also the models that an ensemble brought along"
    )
    connection.add_arguments(parser)


def _unload(client: Client, arguments: argparse.Namespace) -> int:
    with waiting(f"unloading {arguments.model}"):
        client.unload_model(arguments.model, unload_dependents=arguments.dependents)
    return _done(arguments, "unloaded")


def _done(arguments: argparse.Namespace, what: str) -> int:
    name = arguments.model
    say(as_json({"model": name, "state": what}) if arguments.json else f"{what} {name}")
    return 0


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=model_name, metavar="NAME", help="the model")
    parser.add_argument("--version", default="", help="its version; the server's choice by default")
    connection.add_arguments(parser)


def _show_config(client: Client, arguments: argparse.Namespace) -> int:
    config = client.model_config(arguments.model, arguments.version)
    say(as_json(config) if arguments.json else json.dumps(config, indent=2, ensure_ascii=False))
    return 0


def _config(given: str | None) -> str | None:
    """Return the JSON text of a configuration that was given as text or as the name of a file."""
    if given is None or given.lstrip().startswith("{"):
        return given
    if given.lstrip()[:1] in ("[", '"'):
        raise ValueError(
            f"--config is {given!r:.60}, expected a JSON object, or a file that holds it"
        )
    try:
        return Path(given).read_text("utf-8")
    except OSError as error:
        raise ValueError(
            f"--config is {given!r:.60}, neither a JSON object nor a file that can be read: "
            f"{error.strerror}"
        ) from None


def _file(text: str) -> tuple[str, str]:
    path, equals, file = text.partition("=")
    if not (path and equals and file):
        raise argparse.ArgumentTypeError(f"{text!r} is not PATH=FILE")
    return path, file


def _command(name: str, text: str, description: str, add: Any, work: connection.Work) -> Any:
    return SimpleNamespace(
        NAME=name,
        HELP=text,
        DESCRIPTION=f"{description}\n\n"
        "Exit status: 0, or 1 if the server refuses or cannot be asked.",
        add_arguments=add,
        run=lambda arguments: connection.run(work, arguments),
    )


LOAD = _command(
    "load",
    "load or reload a model",
    "Load or reload a model; the server must run in model control mode explicit.",
    _add_load,
    _load,
)
UNLOAD = _command("unload", "unload a model", "Unload a model.", _add_unload, _unload)
CONFIG = _command(
    "config",
    "show a model's configuration",
    "Show the configuration of a model as JSON, indented unless --json is given.",
    _add_config,
    _show_config,
)
