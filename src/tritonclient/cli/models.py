"""`tritonclient models`: the models of a server, or all about one of them."""

from __future__ import annotations

import argparse
from typing import Any

from .. import messages as m
from ..client.blocking import Client
from ..errors import NotFound, ServerError, Unimplemented
from . import connection
from .arguments import model_name
from .output import as_json, say, table

NAME = "models"
HELP = "list the models of a server"
DESCRIPTION = """\
List the models of a server with their states, inputs, outputs and statistics.

  tritonclient models
  tritonclient models simple -u grpc://localhost:8001
  tritonclient models --json | jq -r '.[].name'

Exit status: 0, or 1 if there is no such model or the server cannot be asked."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "model", nargs="?", type=model_name, default="", metavar="NAME", help="only this model"
    )
    connection.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the models; the exit status."""
    return connection.run(_run, arguments)


def _run(client: Client, arguments: argparse.Namespace) -> int:
    found = _models(client, arguments.model)
    if arguments.json:
        say(as_json(found))
    elif arguments.model:
        say("\n\n".join(_described(each) for each in found))
    else:
        head = ("Model", "Version", "State", "Inputs", "Outputs", "Inferences")
        say(table([head, *map(_row, found)]))
    return 0


def _models(client: Client, name: str) -> list[dict[str, Any]]:
    """Return what the server tells of each version of the models."""
    try:
        index = client.repository_index()
    except (NotFound, Unimplemented):  # a server without a repository; it may still know the model
        if not name:
            raise
        index = (m.ModelIndex(name, state="READY"),)
    chosen = [each for each in index if name in ("", each.name)]
    if not chosen:  # models whose files came with a load request are not listed
        client.model_metadata(name)
        chosen = [m.ModelIndex(name, state="READY")]
    return [_model(client, each) for each in chosen]


def _model(client: Client, row: m.ModelIndex) -> dict[str, Any]:
    found: dict[str, Any] = row._asdict()
    if row.state != "READY":
        return found
    metadata = client.model_metadata(row.name, row.version)
    found["platform"] = metadata.platform
    found["inputs"], found["outputs"] = metadata.inputs, metadata.outputs
    try:
        found["max_batch_size"] = client.model_config(row.name, row.version).get("max_batch_size")
        found["statistics"] = client.statistics(row.name, row.version)[0]
    except (IndexError, ServerError):  # extensions that not every server has
        pass
    return found


def _row(found: dict[str, Any]) -> tuple[str, ...]:
    statistics = found.get("statistics")
    return (
        found["name"],
        found["version"] or "-",
        "\n".join(filter(None, [found["state"] or "not loaded", found["reason"].strip()])),
        "\n".join(map(_tensor, found.get("inputs", ()))),
        "\n".join(map(_tensor, found.get("outputs", ()))),
        "" if statistics is None else str(statistics.inference_count),
    )


def _tensor(tensor: m.TensorMetadata) -> str:
    return f"{tensor.name} {tensor.datatype} {list(tensor.shape)}"


def _described(found: dict[str, Any]) -> str:
    version = f" version {found['version']}" if found["version"] else ""
    lines = [f"{found['name']}{version}: {found['state'] or 'not loaded'}"]
    if found["reason"]:
        lines.append(f"  reason: {found['reason'].strip()}")
    if found.get("platform"):
        lines.append(f"  platform: {found['platform']}")
    for kind in ("inputs", "outputs"):
        lines += [f"  {kind[:-1]}: {_tensor(each)}" for each in found.get(kind, ())]
    if found.get("max_batch_size"):
        lines.append(f"  largest batch: {found['max_batch_size']}")
    statistics = found.get("statistics")
    if statistics is not None:
        lines.append(
            f"  inferences: {statistics.inference_count} in {statistics.execution_count} executions"
        )
        for stage in ("success", "fail", "queue", "compute_infer"):
            count, ns = getattr(statistics.inference_stats, stage)
            if count:
                lines.append(f"  {stage}: {count}, {ns / count / 1e6:.3f} ms each")
    return "\n".join(lines)
