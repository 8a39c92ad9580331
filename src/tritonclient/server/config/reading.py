"""Model configurations: reading `config.pbtxt`, completing and checking it.

What is completed follows Triton, so that the `config` endpoint answers alike. The configuration
is the protobuf message itself, whose class is made at run time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

from ...codec import messages_pb
from ..extras import needs

#: The protobuf message `inference.ModelConfig`.
ModelConfig: TypeAlias = Any


# Reading


def read(path: Path) -> ModelConfig:
    """The configuration in a `config.pbtxt`; an empty one when there is no such file.

    Raises:
        ValueError: the file is not a model configuration.
    """
    config = new()
    if not path.exists():
        return config
    with needs("protobuf"):
        from google.protobuf import text_format
    try:
        text_format.Parse(path.read_text("utf-8"), config)
    except text_format.ParseError as error:
        raise ValueError(f"{path}: {error}") from error
    return config


def from_json(text: str) -> ModelConfig:
    """The configuration in a JSON text, as a load request carries it.

    Raises:
        ValueError: the text is not a model configuration.
    """
    config = new()
    with needs("protobuf"):
        from google.protobuf import json_format
    try:
        json_format.Parse(text, config)
    except json_format.ParseError as error:
        raise ValueError(str(error)) from error
    return config


def new() -> ModelConfig:
    """An empty configuration."""
    with needs("protobuf"):
        return messages_pb.message("ModelConfig")()


# Completing


# Checking
