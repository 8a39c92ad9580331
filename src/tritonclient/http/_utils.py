"""Functions of the official module that programs with their own HTTP client import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..classic.arguments import request_parameters
from ..classic.lazy_names import lazy_names
from ..codec.rest_infer import HEAD_LENGTH, encode_request
from ..errors import InferenceServerException
from ..messages import Infer
from ..transport.http_call import encode_query
from . import _calls
from ._infer_input import InferInput
from ._requested_output import InferRequestedOutput


def _get_inference_request(
    inputs: Sequence[InferInput],
    request_id: str,
    outputs: Sequence[InferRequestedOutput] | None,
    sequence_id: int | str,
    sequence_start: bool,
    sequence_end: bool,
    priority: int,
    timeout: int | None,
    custom_parameters: Mapping[str, Any] | None,
) -> tuple[bytes, int | None]:
    """The body that these arguments make, and the length of the JSON that it begins with.

    The length is None when all of the body is JSON.
    """
    request = Infer(
        "",
        tuple([tensor._tensor() for tensor in inputs]),
        outputs=tuple([output._requested() for output in outputs or ()]),
        id=request_id,
        parameters=request_parameters(
            sequence_id, sequence_start, sequence_end, priority, timeout, custom_parameters
        ),
    )
    headers, body = encode_request(request)
    length = headers.get(HEAD_LENGTH)
    return b"".join(body), None if length is None else int(length)


def _get_query_string(query_params: Mapping[str, Any]) -> str:
    """Return the query string of a URL."""
    return encode_query(query_params)[1:]


def _get_error(response: Any) -> InferenceServerException | None:
    """Return the error of a response, or None.

    Args:
        response: something with a `status_code` and `read()`.
    """
    try:
        _raise_if_error(response)
    except InferenceServerException as error:
        return error
    return None


def _raise_if_error(response: Any) -> None:
    """Raise the error of a response with an error status.

    Args:
        response: something with a `status_code` and `read()`.

    Raises:
        InferenceServerException: the status is no success.
    """
    status: int = response.status_code
    if not 200 <= status < 300:
        _calls.raise_if_error(status, response.read())


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = lazy_names(__name__)
