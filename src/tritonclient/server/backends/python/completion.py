"""`completed`: what a model's `auto_complete_config` makes of a configuration."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from ....errors import ServerError
from ...jobs.host import Host
from .instance import InstanceSource
from .loader import LoadedModel, model_errors
from .pb_utils.model_config import ModelConfig


def completed(source: InstanceSource, host: Host) -> dict[str, Any] | None:
    """Return the completed configuration in its JSON form; None if the model completes nothing."""
    loaded = LoadedModel(source.path, host, source.package)
    with contextlib.closing(loaded), loaded.loading():
        model = loaded.python_class()
        if not hasattr(model, "auto_complete_config"):
            return None
        with model_errors():
            offered = model.auto_complete_config(ModelConfig(json.dumps(source.config)))
    if not isinstance(offered, ModelConfig):
        raise ServerError(
            f"Internal: auto_complete_config function in model '{source.model}' must return a "
            "valid pb.ModelConfig object.",
            "400",
        )
    values: dict[str, Any] = offered.as_dict()
    return values
