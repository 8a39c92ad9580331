"""What executes a model; one module per kind of model."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ...datatypes import Array
from ...messages import Parameter
from ..config import ModelConfig


class Tensor(NamedTuple):
    """A named array and its v2 datatype.

    BYTES are an object array of `bytes`. BF16 are its bit patterns as uint16, since numpy has no
    such type.
    """

    name: str
    datatype: str
    array: Array


@dataclass(frozen=True, slots=True)
class Call:
    """What a model may know of the request that it executes, beside the inputs.

    Attributes:
        outputs: names of the outputs that are wanted.
        cancelled: set when nobody waits for the answer any more.
    """

    id: str = ""
    outputs: tuple[str, ...] = ()
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    cancelled: threading.Event = field(default_factory=threading.Event)


class Instance(Protocol):
    """Executes one request at a time."""

    def execute(self, inputs: Sequence[Tensor], call: Call) -> Sequence[Tensor]:
        """The outputs; a ServerError when the model refuses."""
        ...

    def close(self) -> None:
        """Give up what the instance holds; it executes no more."""


@dataclass(frozen=True, slots=True)
class Source:
    """A version of a model to be loaded.

    Attributes:
        directory: the model's directory, which holds a directory per version.
        config: completed; a backend may complete it further.
    """

    name: str
    version: int
    directory: Path
    config: ModelConfig

    @property
    def path(self) -> Path:
        """The model's file."""
        return self.directory / str(self.version) / str(self.config.default_model_filename)


class Backend(Protocol):
    """Makes the instances of one version of a model, after its configuration was completed."""

    def complete(self, source: Source) -> None:
        """Fill in what of the configuration can be learnt from the model."""

    def instances(self, source: Source, config: dict[str, Any]) -> list[Instance]:
        """The instances that the configuration asks for; `config` is its JSON form."""
        ...


def find(name: str) -> Backend:
    """The backend of this name.

    Raises:
        ValueError: there is none.
    """
    if name == "onnxruntime":
        from .onnx import OnnxBackend

        return OnnxBackend()
    if name == "python":
        from .python import PythonBackend

        return PythonBackend()
    raise ValueError(
        f"unable to find backend library for backend '{name}', "
        "this server has the backends 'onnxruntime' and 'python'"
    )
