"""A model's inputs and outputs, and checks of given inputs before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datatypes import NUMPY
from ..errors import ProtocolError
from ..messages import InferTensor, ModelMetadata, RequestedOutput, TensorMetadata
from .misfits import dtype_hint, shape_hint
from .notebook import html_table
from .requests import (
    NumberMisfit,
    Tensor,
    TensorLike,
    as_array,
    change,
    convert,
    make_input,
    request,
)
from .strange_values import is_cut, is_number
from .suggestions import meant, no_attribute


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

    if not TYPE_CHECKING:  # a type checker would take it that there is any name

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(
                self, name, {"shape": "inputs[name].shape", "datatype": "inputs[name]"}
            )

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
        cast: bool = False,
    ) -> dict[str, TensorLike]:
        """The inputs, lists and scalars among them made arrays of the expected datatypes.

        Args:
            cast: convert arrays of other datatypes too, float64 to float32 for instance.

        Raises:
            TypeError, ValueError: a name, datatype or shape does not fit, or an input is missing.
        """
        if not isinstance(inputs, Mapping):
            example = next(iter(self.inputs), "INPUT")
            raise TypeError(
                f"inputs is {type(inputs).__name__}, expected a mapping of names to arrays, "
                f"such as {{{example!r}: array}}"
            )
        self.check_outputs(outputs)
        if not self.inputs:
            return dict(inputs)  # some servers tell nothing of a model
        for name in inputs:
            if name not in self.inputs:
                raise ValueError(
                    f"model {self.name!r} has no input {name!r}; "
                    f"its inputs are {list_tensors(self.inputs)}"
                    f"{meant(str(name), self.inputs) or _way_to_option(name)}"
                )
        for name in self.inputs:
            if name not in inputs and name not in self.optional:
                raise ValueError(
                    f"input {name!r} of model {self.name!r} is missing; "
                    f"its inputs are {list_tensors(self.inputs)}"
                )
        return {name: self._fit(self.inputs[name], value, cast) for name, value in inputs.items()}

    def check_outputs(self, outputs: Sequence[str | RequestedOutput] | None) -> None:
        """Raise for outputs that the model does not have.

        Raises:
            TypeError, ValueError: an output is none of the model's.
        """
        if isinstance(outputs, str):
            raise TypeError(
                f"outputs is {outputs!r:.60}, expected a sequence of names: [{outputs!r:.60}]"
            )
        for output in outputs or ():
            name = output if isinstance(output, str) else output.name
            if self.outputs and name not in self.outputs:
                raise ValueError(
                    f"model {self.name!r} has no output {name!r}; "
                    f"its outputs are {list_tensors(self.outputs)}{meant(str(name), self.outputs)}"
                )

    def only_input(self, given: tuple[TensorLike, ...]) -> dict[str, TensorLike]:
        """The inputs that a model called with arguments without names is given.

        Raises:
            TypeError: it takes more inputs than one, or an argument names its inputs itself.
        """
        required = [name for name in self.inputs if name not in self.optional]
        names = required if required else list(self.inputs)
        if not names:
            raise TypeError(
                f"the server does not say which inputs model {self.name!r} has; name them as the "
                "model does: model(NAME=array)"
            )
        if isinstance(given[0], Mapping):
            raise TypeError(
                "a mapping of names to arrays is given without a name; "
                "use model.infer(inputs), or model(**inputs)"
            )
        if len(given) != 1 or len(names) != 1:
            named = ", ".join(f"{name}=..." for name in self.inputs)
            raise TypeError(
                f"model {self.name!r} got {len(given)} inputs without names; "
                f"its inputs are {list_tensors(self.inputs)}; name them: model({named})"
            )
        return {names[0]: given[0]}

    def _fit(self, expected: TensorMetadata, value: TensorLike, cast: bool) -> TensorLike:
        given = value
        try:
            if not hasattr(value, "as_input"):  # one in shared memory is what it is
                if isinstance(value, Tensor):
                    value = Tensor(
                        convert(value.array, value.datatype), value.datatype, value.binary
                    )
                else:
                    if cast:
                        value = _cast(value, expected.datatype)
                    value = Tensor(convert(value, expected.datatype), expected.datatype)
            tensor = make_input(expected.name, value)
        except (TypeError, ValueError) as error:
            fault = str(error).removeprefix(f"input {expected.name!r}: ")
            if not isinstance(error, NumberMisfit):
                fault += _way_to_datatype(given, expected, cast)
            got = f"got {_describe_value(given)}: {fault}"
            raise self._misfit(expected, got, type(error)) from None
        if tensor.datatype != expected.datatype:
            raise self._misfit(expected, f"got {tensor.datatype}")
        if not self._shape_fits(expected, tensor):
            raise self._misfit(expected, f"got {describe(tensor)}{self._hint(expected, tensor)}")
        if isinstance(value, Tensor) and is_cut(value.array):
            # A warning was given; whoever sends the objects gives no other.
            value = replace(value, array=value.array.astype(object))
        return value

    def _shape_fits(self, expected: TensorMetadata, tensor: InferTensor) -> bool:
        if len(expected.shape) != len(tensor.shape):
            return False
        if self.max_batch_size and tensor.shape and tensor.shape[0] > self.max_batch_size:
            return False
        return all(e in (-1, n) for e, n in zip(expected.shape, tensor.shape, strict=True))

    def _hint(self, expected: TensorMetadata, tensor: InferTensor) -> str:
        hint = shape_hint(expected.shape, tensor.shape, self.max_batch_size)
        if not hint and self.max_batch_size:
            hint = (
                f"its largest batch is {self.max_batch_size}; "
                f"client.map({self.name!r}, rows) makes batches of any number of rows"
            )
        return f"; {hint}" if hint else ""

    def _misfit(
        self,
        expected: TensorMetadata,
        got: str,
        kind: type[TypeError] | type[ValueError] = ValueError,
    ) -> TypeError | ValueError:
        return kind(
            f"input {expected.name!r} of model {self.name!r} is {describe(expected)}; {got}"
        )

    def __str__(self) -> str:
        name = f"{self.name} version {self.version}" if self.version else self.name
        return f"{name}: {list_tensors(self.inputs)} -> {list_tensors(self.outputs)}"

    def _repr_html_(self) -> str:
        rows = [
            (kind, each.name, each.datatype, str(list(each.shape)))
            for kind, tensors in (("input", self.inputs), ("output", self.outputs))
            for each in tensors.values()
        ]
        version = f" version {self.version}" if self.version else ""
        batch = f", largest batch {self.max_batch_size}" if self.max_batch_size else ""
        return html_table(f"{self.name}{version}{batch}", ("", "Name", "Datatype", "Shape"), rows)


def describe(tensor: TensorMetadata | InferTensor) -> str:
    """Datatype and shape, as in "FP32 [-1, 3]"."""
    return f"{tensor.datatype} {list(tensor.shape)}"


def list_tensors(tensors: Mapping[str, TensorMetadata]) -> str:
    return ", ".join(f"{name} {describe(tensor)}" for name, tensor in tensors.items()) or "none"


def _way_to_option(name: object) -> str:
    """Return what to do about an option of `infer` that is given among the inputs."""
    if name in ("timeout", "headers", "query", "shared_memory", *(request.__kwdefaults__ or ())):
        return f"; options are given to model.infer({{name: array}}, {name}=...)"
    return ""


def _describe_value(value: Any) -> str:
    value = value.array if isinstance(value, Tensor) else value
    try:
        array = as_array(value)
    except (TypeError, ValueError):
        return type(value).__name__
    return f"{array.dtype} {list(array.shape)}"


def _way_to_datatype(value: Any, expected: TensorMetadata, cast: bool) -> str:
    if isinstance(value, Tensor):
        return ""
    try:
        array = as_array(value)
    except (TypeError, ValueError):
        return ""
    if array.dtype == object:
        return ""
    casts = not cast and _is_cast(array.dtype, expected.datatype)
    return dtype_hint(value, array.dtype, expected.datatype, casts)


def _cast(value: TensorLike, datatype: str) -> TensorLike:
    """Return numbers as an array of a datatype, rounded where it is less exact.

    Anything else stays as it is.

    Raises:
        ValueError: a number does not fit, or would become another number.
    """
    array = as_array(value)
    expected = np.dtype(np.float32) if datatype == "BF16" else NUMPY.get(datatype)
    if expected is None or array.dtype == expected:
        return value
    if array.dtype == object:
        try:
            array = array.astype(np.float64 if expected.kind == "f" else expected)
        except (TypeError, ValueError, OverflowError):
            return value
    return change(array, expected, datatype) if _is_cast(array.dtype, datatype) else value


def _is_cast(dtype: np.dtype[Any], datatype: str) -> bool:
    """True if `cast=True` converts arrays of a dtype to a datatype."""
    if datatype == "BF16":
        return dtype.name != "bfloat16" and dtype.kind in "if"
    if datatype not in NUMPY:
        return False
    kind = "f" if dtype.kind == "V" and is_number(dtype) else dtype.kind
    return kind in {"b": "b", "i": "biu", "u": "biu"}.get(NUMPY[datatype].kind, "biuf")
