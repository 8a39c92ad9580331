"""Arrays in, arrays out: making inference requests from arrays, and reading the answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..datatypes import NUMPY, Array, check, datatype_of, pack, unpack
from ..errors import ProtocolError
from ..messages import (
    Infer,
    InferResponse,
    InferTensor,
    Parameter,
    Request,
    RequestedOutput,
)
from .notebook import NotebookResult
from .request_checks import check_texts, request_parameters, requested_outputs
from .strange_values import excerpt, pack_objects, warn_of_cut_zeros, way_to_array
from .suggestions import RESULT_NAMES, meant, no_attribute

#: What can stand for a tensor: an array, or something numpy makes one of.
TensorLike: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input whose datatype is stated rather than taken from the array.

    For example `Tensor(bits, "BF16")` sends an array of uint16 bit patterns as BF16, and
    `Tensor([1, 2], "INT32")` makes INT32 of a list.

    Attributes:
        array: an array, or anything that numpy makes one of.
        datatype: one of the protocol's datatypes, such as "FP32".
        binary: False to send the elements as JSON over HTTP.
    """

    array: TensorLike
    datatype: str
    binary: bool = True

    def __post_init__(self) -> None:
        check(self.datatype)


def request(
    model: str,
    inputs: Mapping[str, TensorLike],
    *,
    version: str = "",
    outputs: Sequence[str | RequestedOutput] | None = None,
    id: str = "",
    sequence_id: int | str = 0,
    sequence_start: bool = False,
    sequence_end: bool = False,
    priority: int = 0,
    server_timeout: float | None = None,
    parameters: Mapping[str, Parameter] | None = None,
    binary: bool = True,
    empty_final_response: bool = False,
) -> Infer:
    """The request that these arguments make; they are those of `Client.infer`.

    Its type, for annotations, is `tritonclient.messages.Infer`.

    Args:
        empty_final_response: on a stream, also ask for the response of a decoupled model that
            holds no outputs and only says that it was the last.

    Raises:
        TypeError, ValueError: an argument is not what it should be.
    """
    check_texts(model=model, version=version, id=id)
    if not model:
        raise ValueError("model is '', expected the name of a model")
    if not isinstance(inputs, Mapping):
        raise TypeError(
            f"inputs is {type(inputs).__name__}, expected a mapping of names to arrays, "
            'such as {"INPUT": array}'
        )
    given = request_parameters(
        parameters, sequence_id, sequence_start, sequence_end, priority, server_timeout
    )
    if empty_final_response:
        given = {**given, "triton_enable_empty_final_response": True}
    return Infer(
        model,
        tuple([make_input(name, value, binary) for name, value in inputs.items()]),
        version,
        requested_outputs(outputs, binary) if outputs else (),
        id,
        given,
        binary,
    )


# Inputs


def make_input(name: str, value: TensorLike, binary: bool = True) -> InferTensor:
    """The tensor that a value given for an input makes.

    Raises:
        TypeError, ValueError: the value makes no tensor; the message names the input.
    """
    if not isinstance(name, str):
        raise TypeError(f"inputs has the key {name!r:.60}, expected the name of an input")
    try:
        if hasattr(value, "as_input"):  # it lies in shared memory
            placed: InferTensor = value.as_input(name)
            return placed
        if isinstance(value, Tensor):
            datatype, binary = value.datatype, value.binary and binary
            array = convert(value.array, datatype)
        else:
            array = as_array(value)
            datatype = datatype_of(array)
        if array.dtype.kind == "S":
            warn_of_cut_zeros(name, array)
        if array.dtype == object and not isinstance(value, Tensor):
            data = pack_objects(value, array)
        else:
            data = pack(array, datatype)
        return InferTensor(name, datatype, array.shape, data, binary=binary)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"input {name!r}: {error}") from None


def as_array(value: TensorLike) -> Array:
    """An array of an array-like value, without losing bytes or guessing at ragged lists.

    Raises:
        TypeError: numpy knows nothing of such values.
        ValueError: it holds what makes no array.
    """
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, (str, bytes)):
        return np.array(value, object)
    if hasattr(value, "__dlpack__"):
        return _from_dlpack(value)
    try:
        array = np.asarray(value)
    except UnicodeDecodeError:
        return np.array(value, object)  # texts and bytes mixed, which numpy tries to unify
    except ValueError as error:
        raise ValueError(f"{excerpt(value)} is not a rectangular array: {error}") from None
    if array.dtype == object and array.ndim == 0 and array.item() is value:
        raise TypeError(f"{excerpt(value)} is not an array{way_to_array(value)}")
    if array.dtype.kind in "SU":
        # numpy drops the trailing NUL bytes of these, so start again from the objects.
        array = np.array(value, object)
    return array


def _from_dlpack(value: Any) -> Array:
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{type(value).__name__} can't be read as a CPU array: {error}") from None


def convert(value: TensorLike, datatype: str) -> Array:
    """An array that can be sent as a datatype.

    Arrays must have a fitting dtype. Lists and scalars are converted when no value changes.

    Raises:
        ValueError: the value does not fit.
    """
    array = as_array(value)
    if isinstance(value, np.ndarray) or datatype in ("BYTES", "BF16"):
        return _floats(array) if _is_plain_float(value, array, datatype) else array
    check(datatype)
    expected = NUMPY[datatype]
    if array.dtype == expected or array.size == 0:
        return array.astype(expected, copy=False)
    kinds = {"b": "b", "i": "iu", "u": "iu", "f": "iuf"}[expected.kind]
    if array.dtype.kind in kinds:
        with np.errstate(over="ignore"):
            converted = array.astype(expected)
        if expected.kind == "f" or (converted == array).all():
            return converted
    raise ValueError(f"{excerpt(value)} does not fit {datatype}")


def _floats(array: Array) -> Array:
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def _is_plain_float(value: TensorLike, array: Array, datatype: str) -> bool:
    return datatype == "BF16" and not isinstance(value, np.ndarray) and array.dtype.kind in "fi"


# Answers


@dataclass(frozen=True, slots=True)
class Classification:
    """One of the best classes of a classification; `label` is "" when the model has none."""

    value: float
    index: int
    label: str


class InferResult(NotebookResult, Mapping[str, Array]):
    """A model's answer: a mapping from the names of outputs to arrays.

    Arrays are views of the memory that the answer was received into, and may be written to.
    BYTES come as object arrays of `bytes`. They are made when first asked for.
    """

    __slots__ = ("_arrays", "_endpoint", "_requested", "_response", "_tensors")

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
        self._tensors: dict[str, InferTensor] = {}
        for tensor in response.outputs:
            self._tensors[tensor.name] = tensor
        self._arrays: dict[str, Array] = {}

    if not TYPE_CHECKING:  # a type checker would take it that there is any name

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(self, name, RESULT_NAMES)

    def __reduce__(self) -> tuple[Any, ...]:
        # Views of memory can't be pickled; a copy goes along in their place.
        outputs = tuple(map(self._copied, self._response.outputs))
        return InferResult, (self._response._replace(outputs=outputs), self._endpoint)

    def _copied(self, tensor: InferTensor) -> InferTensor:
        data = tensor.data
        if data is None:
            if self._place(tensor.name) is None:
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
        try:
            return self._tensors[name]
        except KeyError:
            names = ", ".join(map(repr, self._tensors)) or "none"
            hint = meant(str(name), self._tensors)
            raise KeyError(f"no output {name!r}{hint}; the outputs are {names}") from None

    def __getitem__(self, name: str) -> Array:
        array = self._arrays.get(name)
        if array is not None:
            return array
        # Taken apart at once, which is quicker than by name.
        _, datatype, shape, data, _, _ = self._tensors.get(name) or self.output(name)
        try:
            if data is not None:
                array = unpack(data, datatype, shape)
            elif (place := self._place(name)) is not None:
                array = place.read(datatype, shape)
        except ValueError as error:
            raise self._error(f"output {name!r} can't be read: {error}") from error
        if array is None:
            raise ValueError(f"output {name!r} has no data here: it is in shared memory")
        self._arrays[name] = array
        return array

    def _place(self, name: str) -> Any:
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
        tensor, place = self.output(name), self._place(name)
        if place is None or tensor.data is not None:
            raise ValueError(f"output {name!r} is not in shared memory; result[{name!r}] has it")
        return place.tensor(tensor.datatype, tensor.shape)

    def _error(self, text: str) -> ProtocolError:
        return ProtocolError(
            text, endpoint=self._endpoint, model=self.model_name, request_id=self.id
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

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
                f"ask for one by outputs=[RequestedOutput({name!r}, classes=3)]"
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
                f"ask for one by outputs=[RequestedOutput({name!r}, classes=3)]"
            ) from error
