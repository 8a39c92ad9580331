"""Requests as messages, and errors of grpcio, under the names by which programs know them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..classic.arguments import check_version, request_parameters
from ..codec import rpc, rpc_infer
from ..errors import InferenceServerException
from ..messages import Infer
from ..utils import raise_error
from ._errors import get_error_grpc, raise_error_grpc
from ._tensors import InferInput, InferRequestedOutput

__all__ = ["_get_inference_request", "get_error_grpc", "infer_request", "raise_error_grpc"]


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
        InferenceServerException: one of them is not what it should be.
    """
    check_version(model_version)
    given = request_parameters(
        sequence_id, sequence_start, sequence_end, priority, timeout, parameters
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
