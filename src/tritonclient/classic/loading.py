"""Loading models: what the classic clients take for a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..messages import LoadModel
from ..utils import raise_error


def load_request(
    model_name: str, config: str | Mapping[str, Any] | None, files: Mapping[str, bytes] | None
) -> LoadModel:
    """The request that the arguments of `load_model` make.

    Args:
        config: JSON text, or the mapping that it stands for.

    Raises:
        InferenceServerException: it is neither.
    """
    if isinstance(config, Mapping):
        import json  # which few programs over gRPC need

        config = json.dumps(config)
    elif config is not None and not isinstance(config, str):
        raise_error(f"config is {type(config).__name__}, expected JSON text or a mapping")
    return LoadModel(model_name, config, files or {})
