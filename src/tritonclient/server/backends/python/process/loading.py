"""Loading a model in its process."""

from __future__ import annotations

from typing import Any

from .....errors import ServerError
from ....jobs.host import Host
from ....loop import ServerLoop
from ..instance import InstanceSource
from . import messages
from .channel import Message
from .dispatcher import Dispatcher
from .launch import ModelProcess


def complete_in_process(
    process: ModelProcess, source: InstanceSource, host: Host, loop: ServerLoop
) -> dict[str, Any] | None:
    """Return what a model's `auto_complete_config` makes of its configuration, as `completed`.

    Args:
        process: runs the model's code; an instance may take it afterwards.
        loop: reads what it sends.

    Raises:
        ServerError: the model failed.
        ValueError: its file has no model.
    """
    answers: list[Message] = []

    def lifecycle(message: Message) -> bool:
        answers.append(message)
        return True

    dispatcher = Dispatcher(process.channel, host, loop, lifecycle)
    dispatcher.send(load_values(source, "complete"))
    with loop.interruptible(process.kill):
        wrong = dispatcher.receive()
    dispatcher.end(unhealthy_at_load(source, wrong))
    if not answers:
        if wrong:
            process.kill()
        raise unhealthy_at_load(source, wrong or process.end())
    values = answers[0].values
    if (problem := load_error(values)) is not None:
        raise problem
    config: dict[str, Any] | None = values["config"]
    return config


def load_values(source: InstanceSource, mode: str) -> dict[str, Any]:
    """Return the message that lets a process load a model.

    Args:
        mode: "instance", or "complete" to complete the configuration only.
    """
    policy = source.config.get("model_transaction_policy", {})
    return {
        "kind": "load",
        "mode": mode,
        "name": source.name,
        "model": source.model,
        "version": source.version,
        "directory": str(source.directory),
        "path": str(source.path),
        "config": source.config,
        "decoupled": policy.get("decoupled", False),
    }


def load_error(values: dict[str, Any]) -> Exception | None:
    """Return the error that a message about loading or closing has; None if it has none."""
    if "invalid" in values:
        return ValueError(values["invalid"])
    return messages.error(values["error"]) if "error" in values else None


def unhealthy_at_load(source: InstanceSource, reason: str) -> ServerError:
    """Return the error of a model whose process ended while it was loaded."""
    return ServerError(f"Internal: Stub process '{source.name}' is not healthy: {reason}", "400")
