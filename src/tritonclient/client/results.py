"""Inference results: responses as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..codec.outputs import NamedOutputs, Outputs, PlacedOutputs
from ..datatypes import Array, pack
from ..errors import ProtocolError
from ..messages import (
    InferResponse,
    InferTensor,
    Parameter,
    Request,
    RequestedOutput,
)
from .notebook import NotebookResult
from .signatures import explains_arguments
from .suggestions import RESULT_NAMES, meant, no_attribute


@dataclass(frozen=True, slots=True)
class Classification:
    """One of the best classes of a classification; `label` is "" when the model has none."""

    value: float
    index: int
    label: str


@explains_arguments
class InferResult(NotebookResult, Mapping[str, Array]):
    """A model's answer: a mapping from the names of outputs to arrays.

    Arrays are views of the memory that the response was received into, and may be written to.
    BYTES come as object arrays of `bytes`. They are made when first asked for.
    """

    __slots__ = ("_endpoint", "_outputs", "_requested", "_response")

    def __init__(
        self,
        response: InferResponse,
        endpoint: str = "",
        request: Request[Any] | None = None,
    ) -> None:
        self._response = response
        self._endpoint = endpoint
        # Not the request itself, which would keep its inputs.
        self._requested: Sequence[RequestedOutput] = getattr(request, "outputs", ())
        try:
            outputs = response.outputs
        except AttributeError:
            raise TypeError(
                f"response is {type(response).__name__}, expected InferResponse; "
                "tritonclient.testing.infer_result makes a result of arrays"
            ) from None
        self._outputs: Outputs = (
            outputs if type(outputs) is PlacedOutputs else NamedOutputs(outputs)
        )

    if not TYPE_CHECKING:  # a type checker would take it that there is any name

        def __getattr__(self, name: str) -> Any:
            if name[0] == "_":  # also where a result is not set up yet
                raise no_attribute(self, name, RESULT_NAMES)
            here = dict(RESULT_NAMES)
            if name in self._outputs.names:
                here[name] = f"result[{name!r}]"
            elif name not in here and hasattr(np.ndarray, name):
                first = next(iter(self._outputs.names), "OUTPUT")
                here[name] = f"result[{first!r}].{name}, of an output"
            raise no_attribute(self, name, here)

    def __reduce__(self) -> tuple[Any, ...]:
        # Views of memory can't be pickled; a copy goes along in their place.
        outputs = tuple(map(self._copied, self._response.outputs))
        return InferResult, (self._response._replace(outputs=outputs), self._endpoint)

    def _copied(self, tensor: InferTensor) -> InferTensor:
        data = tensor.data
        if data is None:
            if self._block_of(tensor.name) is None:
                return tensor
            data = pack(self[tensor.name], tensor.datatype)
        return tensor._replace(data=bytearray(data))

    # Mapping would compare the arrays, which have no one truth value.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    @property
    def model_name(self) -> str:
        """The model that answered."""
        return self._response.model_name

    @property
    def model_version(self) -> str:
        """The version of the model that answered."""
        return self._response.model_version

    @property
    def id(self) -> str:
        """The request's id, as the server gave it back."""
        return self._response.id

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The response's own parameters."""
        return self._response.parameters

    @property
    def final(self) -> bool:
        """True if this is the last response to its request; only streams have others."""
        return bool(self._response.parameters.get("triton_final_response", True))

    def output(self, name: str) -> InferTensor:
        """Datatype, shape, parameters and wire bytes of an output.

        Raises:
            KeyError: there is no such output; the message lists those that are.
        """
        tensor = self._find(name)
        if tensor is None:
            names = ", ".join(map(repr, self)) or "none"
            hint = meant(str(name), list(self))
            raise KeyError(f"no output {name!r}{hint}; the outputs are {names}")
        return tensor

    def _find(self, name: str) -> InferTensor | None:
        return self._outputs.tensor(name)

    @property
    def _tensors(self) -> dict[str, InferTensor]:
        """The outputs by name, as they came."""
        return {tensor.name: tensor for tensor in self._response.outputs}

    def __getitem__(self, name: str) -> Array:
        try:
            array = self._outputs.array(name)
        except ValueError as error:
            raise self._unreadable(name, error) from error
        return self._read_shared(name) if array is None else array

    def _read_shared(self, name: str) -> Array:
        """Read an output, once, from the shared memory that the request named."""
        tensor, block = self.output(name), self._block_of(name)
        if block is None:
            raise ValueError(f"output {name!r} has no data here: it is in shared memory")
        try:
            array = block.read(tensor.datatype, tensor.shape)
        except ValueError as error:
            raise self._unreadable(name, error) from error
        return self._outputs.keep(name, array)

    def _block_of(self, name: str) -> Any:
        """The shared memory that an output was put into, if the request said so."""
        for output in self._requested:
            if output.name == name:
                return getattr(output, "place", None)
        return None

    def dlpack(self, name: str) -> Any:
        """An output where it lies in shared memory, for `torch.from_dlpack` and its like.

        Raises:
            KeyError: there is no such output.
            ValueError: it is not in shared memory, or its datatype has no DLPack form.
        """
        tensor, block = self.output(name), self._block_of(name)
        if block is None or tensor.data is not None:
            raise ValueError(f"output {name!r} is not in shared memory; result[{name!r}] has it")
        return block.tensor(tensor.datatype, tensor.shape)

    def _unreadable(self, name: str, error: ValueError) -> ProtocolError:
        return self._error(f"output {name!r} can't be read: {error}")

    def _error(self, text: str) -> ProtocolError:
        return ProtocolError(
            text, endpoint=self._endpoint, model=self.model_name, request_id=self.id
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._outputs.names)

    def __len__(self) -> int:
        return len(self._outputs.names)

    def __contains__(self, name: object) -> bool:
        return name in self._outputs.names

    def classes(self, name: str) -> Array:
        """The classes of an output that was requested with `RequestedOutput(name, classes=k)`.

        Returns:
            An object array of `Classification`, best first, of shape [k], or [batch, k] from a
            model that batches.

        Raises:
            ProtocolError: the output is not a classification.
        """
        texts = self[name]
        if texts.dtype != object:
            raise self._error(
                f"output {name!r} is not a classification result: it holds {texts.dtype}; "
                f"{self._way_to_classes(name)}"
            )
        classes: Array = np.empty(texts.shape, object)
        for position, text in np.ndenumerate(texts):
            classes[position] = self._classification(name, text)
        return classes

    def _classification(self, name: str, text: Any) -> Classification:
        try:
            # A label may itself hold colons.
            value, index, *label = text.decode("utf-8", "replace").split(":", 2)
            return Classification(float(value), int(index), label[0] if label else "")
        except (AttributeError, ValueError) as error:
            raise self._error(
                f"output {name!r} is not a classification result: it holds {text!r:.60}; "
                f"{self._way_to_classes(name)}"
            ) from error

    def _way_to_classes(self, name: str) -> str:
        if any(each.name == name and each.classes for each in self._requested):
            return "the server ignored classes=..., an extension of Triton's; use np.argsort"
        return f"ask for one by outputs=[RequestedOutput({name!r}, classes=3)]"
