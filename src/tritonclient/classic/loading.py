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
    if files is not None and not isinstance(files, Mapping):
        raise TypeError(
            f"files is {type(files).__name__}, expected a mapping of paths to contents, "
            'such as {"file:1/model.onnx": data}'
        )
    for path, content in (files or {}).items():
        if not isinstance(content, (bytes, bytearray, memoryview)):
            raise TypeError(
                f"file {path!r} is {type(content).__name__}, expected bytes, the file's contents"
            )
    return LoadModel(model_name, config, files or {})
