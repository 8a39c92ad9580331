"""Requests as messages, and errors of grpcio, under the names by which programs know them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import index
from typing import TYPE_CHECKING, Any

from ..classic.arguments import check_version, request_parameters
from ..classic.calls import inputs_of, outputs_of
from ..classic.lazy_names import lazy_names
from ..codec import rpc, rpc_infer
from ..codec.checks import check_name
from ..engine.coding import CODINGS
from ..errors import InferenceServerException
from ..extras import optional_import
from ..messages import Infer
from ..utils import raise_error
from ._errors import get_cancelled_error, get_error_grpc, raise_error_grpc
from ._infer_input import InferInput
from ._requested_output import InferRequestedOutput

__all__ = [
    "_get_inference_request",
    "_grpc_compression_type",
    "get_cancelled_error",
    "get_error_grpc",
    "infer_request",
    "raise_error_grpc",
]


def infer_request(
    model_name: str,
    inputs: Sequence[InferInput],
    model_version: str,
    outputs: Sequence[InferRequestedOutput] | None,
    request_id: str,
    sequence_id: int | str,
    sequence_start: bool,
    sequence_end: bool,
    priority: int,
    timeout: int | None,
    parameters: Mapping[str, Any] | None,
) -> Infer:
    """The request that the arguments of `infer` make.

    Raises:
        InferenceServerException: one of them has a wrong type or value.
    """
    inputs, outputs = inputs_of(inputs), outputs_of(outputs)
    check_version(model_version)
    check_name("request_id", request_id or "", required=False)
    given = request_parameters(
        sequence_id if isinstance(sequence_id, str) else _number(sequence_id or 0),
        sequence_start,
        sequence_end,
        index(priority or 0),
        None if timeout is None else _number(timeout),
        parameters,
    )
    for name in parameters or ():
        if not isinstance(given[name], (str, bool, int, float)):
            kind = type(given[name])
            raise_error(f'The parameter datatype "{kind}" for key "{name}" is not supported.')
    return Infer(
        model_name,
        tuple([tensor._tensor() for tensor in inputs]),
        model_version,
        tuple([output._requested() for output in outputs or ()]),
        request_id,
        given,
    )


def _number(value: Any) -> int:
    """Return a number for a 64-bit field; a negative one becomes its two's complement."""
    number = index(value)
    return number + (1 << 64) if -(1 << 63) <= number < 0 else number


def coding_of(compression_algorithm: str | None) -> str | None:
    """Return the coding with this name, in any case; print a line and return None for others."""
    name = None if compression_algorithm is None else compression_algorithm.lower()
    if name is None or name in CODINGS:
        return name
    print("The provided client-side compression algorithm is not supported... using no compression")
    return None


def _get_inference_request(
    model_name: str,
    inputs: Sequence[InferInput],
    model_version: str,
    request_id: str,
    outputs: Sequence[InferRequestedOutput] | None,
    sequence_id: int | str,
    sequence_start: bool,
    sequence_end: bool,
    priority: int,
    timeout: int | None,
    parameters: Mapping[str, Any] | None,
) -> Any:
    """The message ModelInferRequest that these arguments make."""
    request = infer_request(
        model_name,
        inputs,
        model_version,
        outputs,
        request_id,
        sequence_id,
        sequence_start,
        sequence_end,
        priority,
        timeout,
        parameters,
    )
    try:
        message = rpc_infer.encode_request(request)
    except ValueError as error:
        raise InferenceServerException(str(error)) from error
    return rpc.parse("ModelInferRequest", b"".join(message))


def _grpc_compression_type(algorithm_str: str | None) -> Any:
    """The `grpc.Compression` for the name of an algorithm, of those who use a stub of grpcio."""
    with optional_import("grpcio", "grpc.Compression", "grpcio"):
        from grpc import Compression
    name = coding_of(algorithm_str)
    return Compression.NoCompression if name is None else Compression[name.capitalize()]


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = lazy_names(__name__)
