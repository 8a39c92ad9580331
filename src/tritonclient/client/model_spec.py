"""Interface of a model, and the check of inputs against it before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ProtocolError
from ..messages import InferTensor, ModelMetadata, RequestedOutput, TensorMetadata
from .requests import Tensor, TensorLike, as_array, convert, make_input


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model's interface.

    Attributes:
        max_batch_size: largest first dimension of a batching model; 0 for a model that does not
            batch; None when the server does not tell.
        optional: names of inputs that may be left out.
    """

    name: str
    version: str
    inputs: Mapping[str, TensorMetadata]
    outputs: Mapping[str, TensorMetadata]
    max_batch_size: int | None = None
    optional: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls, name: str, version: str, metadata: ModelMetadata, config: Mapping[str, Any] | None
    ) -> ModelSpec:
        """The interface that metadata and, where the server has one, configuration describe."""
        inputs = {tensor.name: tensor for tensor in metadata.inputs}
        outputs = {tensor.name: tensor for tensor in metadata.outputs}
        if config is None:
            # Which inputs may be left out is then for the server to say.
            return cls(name, version, inputs, outputs, None, frozenset(inputs))
        try:
            described = config.get("input", [])
            optional = frozenset(str(t.get("name")) for t in described if t.get("optional"))
            largest = int(config.get("max_batch_size", 0))
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            raise ProtocolError(f"the configuration can't be read: {error}", model=name) from error
        return cls(name, version, inputs, outputs, largest, optional)

    def check(
        self,
        inputs: Mapping[str, TensorLike],
        outputs: Sequence[str | RequestedOutput] | None = None,
    ) -> dict[str, TensorLike]:
        """The inputs, lists and scalars among them made arrays of the expected datatypes.

        Raises:
            ValueError: a name, datatype or shape does not fit, or an input is missing.
        """
        for output in outputs or ():
            name = output if isinstance(output, str) else output.name
            if self.outputs and name not in self.outputs:
                raise ValueError(
                    f"model {self.name!r} has no output {name!r}; "
                    f"its outputs are {_list(self.outputs)}"
                )
        if not self.inputs:
            return dict(inputs)  # some servers tell nothing of a model
        for name in inputs:
            if name not in self.inputs:
                raise ValueError(
                    f"model {self.name!r} has no input {name!r}; "
                    f"its inputs are {_list(self.inputs)}"
                )
        for name in self.inputs:
            if name not in inputs and name not in self.optional:
                raise ValueError(
                    f"input {name!r} of model {self.name!r} is missing; "
                    f"its inputs are {_list(self.inputs)}"
                )
        return {name: self._fit(self.inputs[name], value) for name, value in inputs.items()}

    def _fit(self, expected: TensorMetadata, value: TensorLike) -> TensorLike:
        try:
            if not hasattr(value, "as_input"):  # one in shared memory is what it is
                stated = value.datatype if isinstance(value, Tensor) else expected.datatype
                array = convert(value.array if isinstance(value, Tensor) else value, stated)
                value = Tensor(array, stated)
            tensor = make_input(expected.name, value)
        except ValueError as error:
            raise self._misfit(expected, f"got {_describe_value(value)}: {error}") from None
        if tensor.datatype != expected.datatype:
            raise self._misfit(expected, f"got {tensor.datatype}")
        if not self._shape_fits(expected, tensor):
            raise self._misfit(expected, f"got {describe(tensor)}{self._hint(expected, tensor)}")
        return value

    def _shape_fits(self, expected: TensorMetadata, tensor: InferTensor) -> bool:
        if len(expected.shape) != len(tensor.shape):
            return False
        if self.max_batch_size and tensor.shape and tensor.shape[0] > self.max_batch_size:
            return False
        return all(e in (-1, n) for e, n in zip(expected.shape, tensor.shape, strict=True))

    def _hint(self, expected: TensorMetadata, tensor: InferTensor) -> str:
        if not self.max_batch_size:
            return ""
        if len(tensor.shape) == len(expected.shape) - 1:
            return "; the first dimension is the batch: array[None] adds it"
        if tensor.shape and tensor.shape[0] > self.max_batch_size:
            return f"; its largest batch is {self.max_batch_size}"
        return ""

    def _misfit(self, expected: TensorMetadata, got: str) -> ValueError:
        return ValueError(
            f"input {expected.name!r} of model {self.name!r} is {describe(expected)}; {got}"
        )

    def __str__(self) -> str:
        name = f"{self.name} version {self.version}" if self.version else self.name
        return f"{name}: {_list(self.inputs)} -> {_list(self.outputs)}"


def describe(tensor: TensorMetadata | InferTensor) -> str:
    """Datatype and shape, as in "FP32 [-1, 3]"."""
    return f"{tensor.datatype} {list(tensor.shape)}"


def _list(tensors: Mapping[str, TensorMetadata]) -> str:
    return ", ".join(f"{name} {describe(tensor)}" for name, tensor in tensors.items()) or "none"


def _describe_value(value: Any) -> str:
    value = value.array if isinstance(value, Tensor) else value
    try:
        array = as_array(value)
    except ValueError:
        return type(value).__name__
    return f"{array.dtype} {list(array.shape)}"
