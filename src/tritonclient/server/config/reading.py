"""Read model configurations from `config.pbtxt` or JSON.

A configuration is a protobuf message, whose class is made at run time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

from ...codec import messages_pb
from ..extras import optional_import

#: The protobuf message `inference.ModelConfig`.
ModelConfig: TypeAlias = Any


def read(path: Path) -> ModelConfig:
    """Return the configuration in a `config.pbtxt`; an empty one if the file does not exist.

    Raises:
        ValueError: the file is not a model configuration.
    """
    config = new()
    if not path.exists():
        return config
    with optional_import("protobuf"):
        from google.protobuf import text_format
    try:
        text_format.Parse(path.read_text("utf-8"), config)
    except text_format.ParseError as error:
        raise ValueError(f"{path}: {error}") from error
    return config


def from_json(text: str) -> ModelConfig:
    """Return the configuration in a JSON text, as in load requests.

    Raises:
        ValueError: the text is not a model configuration.
    """
    config = new()
    with optional_import("protobuf"):
        from google.protobuf import json_format
    try:
        json_format.Parse(text, config)
    except json_format.ParseError as error:
        raise ValueError(str(error)) from error
    return config


def new() -> ModelConfig:
    """Return an empty configuration."""
    with optional_import("protobuf"):
        return messages_pb.message("ModelConfig")()
