"""The Python backend: executes `model.py` files with a class `TritonPythonModel`, unchanged.

As in Triton each instance has a process of its own. With `in_process` all instances run in this
process, for breakpoints, coverage and mocks. Each instance then still has its own package and
object, and modules that a model imports from its own directory are not visible to other models.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from ....codec import messages_pb
from ...config import reading as model_config
from ...config import scheduling
from ...jobs.host import Host
from ..base import Instance, InstanceFactory, ModelSource
from .completion import completed
from .instance import InstanceSource, PythonInstance
from .process.instance import ProcessInstance, completed_in_process


class PythonBackend:
    """Loads Python-backend models."""

    def complete(self, source: ModelSource) -> None:
        """Call the model's `auto_complete_config`, if it has one."""
        values = messages_pb.to_dict(source.config)
        instance, python = _instance_source(source, values, source.name), source.python
        if source.in_process:
            changed = completed(instance, source.host)
        else:
            changed = completed_in_process(instance, source.host, python)
        if changed in (None, values):
            return
        source.config.CopyFrom(model_config.from_json(json.dumps(changed)))
        scheduling.complete(source.config)

    def instances(self, source: ModelSource, config: dict[str, Any]) -> list[InstanceFactory]:
        """Return as many factories as all instance groups count."""
        make: Callable[[InstanceSource, Host], Instance] = (
            PythonInstance if source.in_process else partial(ProcessInstance, python=source.python)
        )
        return [
            partial(make, _instance_source(source, config, f"{group['name']}_{index}"), source.host)
            for group in config["instance_group"]
            for index in range(group["count"])
        ]


def _instance_source(source: ModelSource, config: dict[str, Any], name: str) -> InstanceSource:
    return InstanceSource(name, source.name, source.version, source.directory, source.path, config)
