"""The Python backend: executes `model.py` files with a class `TritonPythonModel`, unchanged.

As in Triton each instance has a process of its own. With `in_process` all instances run in this
process, for breakpoints, coverage and mocks. Each instance then still has its own package and
object, and modules that a model imports from its own directory are not visible to other models.
"""

from __future__ import annotations

import json
import logging
import os
from functools import partial
from typing import Any

from ....codec import messages_pb
from ...config import reading as model_config
from ...config import scheduling
from ..base import Backend, Instance, InstanceFactory, ModelSource
from . import environment
from .completion import completed
from .instance import InstanceSource, PythonInstance
from .process.instance import ProcessInstance
from .process.launch import ModelProcess
from .process.loading import complete_in_process
from .process.template import TEMPLATES

_log = logging.getLogger(__name__)


class PythonBackend(Backend):
    """Loads Python-backend models."""

    def __init__(self) -> None:
        # The process that completed the configuration; the first instance takes it.
        self._process: ModelProcess | None = None

    def complete(self, source: ModelSource) -> None:
        """Call the model's `auto_complete_config`, if it has one."""
        values = messages_pb.to_dict(source.config)
        _check_parameters(values)
        instance = _instance_source(source, values, source.name)
        if source.in_process:
            _warn_of_environment(source, values)
            changed = completed(instance, source.host)
        else:
            if os.name != "posix":
                raise ValueError("this system needs in_process=True for Python models")
            environment.remove_leftovers_once()
            TEMPLATES.hold(source.host)
            self._process = ModelProcess(_interpreter(source, values))
            changed = complete_in_process(self._process, instance, source.host, source.loop)
        if changed in (None, values):
            return
        source.config.CopyFrom(model_config.from_json(json.dumps(changed)))
        scheduling.complete(source.config)

    def instances(self, source: ModelSource, config: dict[str, Any]) -> list[InstanceFactory]:
        """Return as many factories as all instance groups count."""
        names = [
            f"{group['name']}_{index}"
            for group in config["instance_group"]
            for index in range(group["count"])
        ]
        python = "" if source.in_process else _interpreter(source, config)
        return [
            partial(self._instance, source, _instance_source(source, config, name), python)
            for name in names
        ]

    def _instance(self, source: ModelSource, instance: InstanceSource, python: str) -> Instance:
        if source.in_process:
            return PythonInstance(instance, source.host)
        process, self._process = self._process, None
        return ProcessInstance(instance, source.host, source.loop, python, process)

    def close(self) -> None:
        """End the process that completed a configuration, if no instance has taken it."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.end()


def _check_parameters(config: dict[str, Any]) -> None:
    name = "FORCE_CPU_ONLY_INPUT_TENSORS"
    value = config.get("parameters", {}).get(name, {}).get("string_value", "yes")
    if value not in ("yes", "no"):
        raise ValueError(f"Incorrect value for {name}: {value!r:.80}, expected 'yes' or 'no'")


def _interpreter(source: ModelSource, config: dict[str, Any]) -> str:
    return environment.interpreter(config, source.directory, source.python)


def _warn_of_environment(source: ModelSource, config: dict[str, Any]) -> None:
    path = environment.asked_for(config, source.directory)
    if path is not None:
        _log.warning(
            "model '%s' asks for the environment '%s', and is executed without it: models in the "
            "server's process have its interpreter",
            source.name,
            path,
        )


def _instance_source(source: ModelSource, config: dict[str, Any], name: str) -> InstanceSource:
    return InstanceSource(name, source.name, source.version, source.directory, source.path, config)
