"""`FunctionModel`: a Python function as a model."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ....client.signatures import explains_call
from ...config import reading
from .tensor_types import TensorType, given_types, tensor_type, typed_fields

#: What a function may ask for by keyword-only parameters of these names.
REQUEST_ARGUMENTS = ("parameters", "request_id")
_NO_TYPE = (inspect.Parameter.empty, Any, np.ndarray)
_FREE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class FunctionModel:
    """A function that takes and returns arrays by name.

    The function runs in the process of the server, and on a thread of the model. It takes one
    argument per input and returns a dictionary of outputs; a function with one declared output may
    return that array alone. A generator function is a decoupled model, which sends a response for
    each item. Coroutine functions and asynchronous generator functions run on an event loop of the
    model, any number at a time. Keyword-only parameters named `parameters` and `request_id`
    receive these parts of the request. An input whose parameter has a default may be left out.

    Args:
        function: the function.
        inputs: types by name; None to read them from the annotations. A type is a datatype
            ("FP32"), a dtype (`np.float32`, `NDArray[np.float32]`), or a pair of these and a shape
            without the batch dimension. An input without a type takes FP32 arrays of any shape.
        outputs: types by name; None to read them from the annotation, which must be a TypedDict.
            Without one, the function is called once, with zeros, when the model is loaded.
        max_batch_size: 0 if arrays have no batch dimension; else the largest batch. Requests that
            wait at the same time are then joined for one call, unless the function is a generator,
            a coroutine function, or asks for a part of the request.
        instances: threads that execute the function at the same time.

    Raises:
        TypeError: an argument, or the function's signature, cannot be used; the message says why.
    """

    @explains_call
    def __init__(
        self,
        function: Callable[..., Any],
        *,
        inputs: Mapping[str, Any] | None = None,
        outputs: Mapping[str, Any] | None = None,
        max_batch_size: int = 0,
        instances: int = 1,
    ) -> None:
        _check_function(function)
        for name, number, least in (
            ("max_batch_size", max_batch_size, 0),
            ("instances", instances, 1),
        ):
            if type(number) is not int or not least <= number < 1 << 31:
                raise TypeError(
                    f"{name} is {number!r:.80}, expected a whole number from {least} below 2**31"
                )
        self.function = function
        self.max_batch_size = max_batch_size
        self.instances = instances
        body = _body(function)
        self.is_generator = inspect.isgeneratorfunction(body)
        self.is_async_generator = inspect.isasyncgenfunction(body)
        self.is_coroutine = inspect.iscoroutinefunction(body)
        signature = _signature(function)
        parameters = {} if signature is None else dict(signature.parameters)
        self.asks_for = tuple(name for name in REQUEST_ARGUMENTS if _keyword_only(parameters, name))
        # A function without a signature, such as a ufunc, takes its inputs by position.
        self.by_position = [
            name
            for name, each in parameters.items()
            if each.kind is inspect.Parameter.POSITIONAL_ONLY
        ]
        self.inputs = self._read_inputs(inputs, parameters, signature is None)
        #: Inputs that nothing says a type of.
        self.untyped = (
            []
            if inputs is not None
            else [name for name in self.inputs if _is_untyped(parameters[name])]
        )
        self.optional = {
            name
            for name in self.inputs
            if name in parameters and parameters[name].default is not inspect.Parameter.empty
        }
        returned = None if signature is None else signature.return_annotation
        self.outputs: dict[str, TensorType] | None = (
            _read_outputs(returned) if outputs is None else given_types(outputs, "outputs")
        )

    @property
    def decoupled(self) -> bool:
        """True if a request may have any number of responses."""
        return self.is_generator or self.is_async_generator

    @property
    def joins(self) -> bool:
        """True if one call may execute several requests."""
        single = self.decoupled or self.is_coroutine or bool(self.asks_for)
        return self.max_batch_size > 0 and not single

    @property
    def any_shape(self) -> frozenset[str]:
        """The inputs that may have any shape."""
        return frozenset(name for name, each in self.inputs.items() if each.shape is None)

    def _read_inputs(
        self,
        given: Mapping[str, Any] | None,
        parameters: Mapping[str, inspect.Parameter],
        unknown: bool,
    ) -> dict[str, TensorType]:
        """Return the types of the inputs, and check that the function takes them."""
        types = None if given is None else given_types(given, "inputs")
        if types is None and next(iter(parameters), "") == "self":
            raise TypeError(
                f"{self.function!r:.80} takes self, so it is a method without its object; give "
                "the method of an object, such as Model().run"
            )
        if unknown:
            if types is None:
                raise TypeError(
                    f"{self.function!r:.80} has no signature to read inputs from; give "
                    'inputs={"X": "FP32"}'
                )
            self.by_position = list(types)
            return types
        takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
        found = {
            name: each
            for name, each in parameters.items()
            if each.kind in _FREE
            or (each.kind is inspect.Parameter.KEYWORD_ONLY and name not in REQUEST_ARGUMENTS)
        }
        if types is None:
            if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters.values()) or (
                takes_any
            ):
                raise TypeError(
                    "the function takes any arguments (* or **), so its inputs are not known; give "
                    'inputs={"X": "FP32"}'
                )
            return {
                name: TensorType() if _is_untyped(each) else tensor_type(each.annotation, name)
                for name, each in found.items()
            }
        for name in types:
            if name not in found and not takes_any:
                raise TypeError(
                    f"inputs has {name!r}, but the function takes {', '.join(found) or 'nothing'}"
                )
        for name, each in found.items():
            if name not in types and each.default is inspect.Parameter.empty:
                raise TypeError(f"the function takes {name!r}, which inputs does not have")
        return types

    def configuration(self, name: str) -> str:
        """Return the model configuration as JSON text, without outputs that are not known yet."""
        config: dict[str, Any] = {
            "name": name,
            "backend": "function",
            "max_batch_size": self.max_batch_size,
            "input": [
                {**described(each, stated), "optional": each in self.optional}
                for each, stated in self.inputs.items()
            ],
            "output": [described(each, stated) for each, stated in (self.outputs or {}).items()],
            "instance_group": [{"count": self.instances, "kind": "KIND_CPU"}],
        }
        if self.decoupled:
            config["model_transaction_policy"] = {"decoupled": True}
        if self.joins:
            config["dynamic_batching"] = {}
        return json.dumps(config)

    def configuration_file(self, name: str) -> str:
        """Return the model configuration in the format of `config.pbtxt`."""
        from google.protobuf import text_format

        return text_format.MessageToString(reading.from_json(self.configuration(name)))


def as_function_model(given: FunctionModel | Callable[..., Any]) -> FunctionModel:
    """Return the model, or a model of the function."""
    return given if isinstance(given, FunctionModel) else FunctionModel(given)


def described(name: str, stated: TensorType) -> dict[str, Any]:
    """Return an input or output as a configuration describes it."""
    datatype = "TYPE_STRING" if stated.datatype == "BYTES" else f"TYPE_{stated.datatype}"
    dims = [-1] if stated.shape is None else list(stated.shape)
    return {"name": name, "data_type": datatype, "dims": dims or [1]}


def _check_function(function: Any) -> None:
    """Raise TypeError for what is no function."""
    if isinstance(function, FunctionModel):
        raise TypeError("function is a FunctionModel already, expected a function")
    if inspect.isclass(function):
        raise TypeError(
            f"function is the class {function.__name__}, expected a function; an object of it is "
            "one if it has __call__, and so are its methods"
        )
    if not callable(function):
        raise TypeError(f"function is {function!r:.80}, expected a function")


def _body(function: Callable[..., Any]) -> Any:
    """Return what a call executes: the function, or the `__call__` of an object."""
    while isinstance(function, partial):
        function = function.func
    if inspect.isroutine(function) or inspect.isclass(function):
        return function
    return type(function).__call__


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    if isinstance(function, np.ufunc):  # its further parameters, such as `out`, are no inputs
        return None
    try:
        inspect.signature(function)
    except (TypeError, ValueError):
        return None
    try:
        return inspect.signature(function, eval_str=True)
    except NameError as error:
        raise TypeError(
            f"an annotation of {function!r:.80} names what is not there ({error}); give inputs= "
            "and outputs= instead"
        ) from error
    except Exception as error:  # whatever the expression in it raises
        raise TypeError(
            f"an annotation of {function!r:.80} can't be evaluated ({type(error).__name__}: "
            f"{error}); give inputs= and outputs= instead"
        ) from error


def _is_untyped(parameter: inspect.Parameter) -> bool:
    # Not by equality: np.dtype(object) equals np.ndarray, and arrays equal nothing as a whole.
    return any(parameter.annotation is each for each in _NO_TYPE)


def _keyword_only(parameters: Mapping[str, inspect.Parameter], name: str) -> bool:
    found = parameters.get(name)
    return found is not None and found.kind is inspect.Parameter.KEYWORD_ONLY


def _read_outputs(annotation: Any) -> dict[str, TensorType] | None:
    """Return the outputs that a return annotation names, also as the item of an iterator."""
    for each in (annotation, *typing.get_args(annotation)):
        found = typed_fields(each)
        if found is not None:
            return found
    return None
