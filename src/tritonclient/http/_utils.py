"""The body of an inference request over HTTP, under the name by which programs know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..classic.arguments import request_parameters
from ..codec.rest_infer import HEAD_LENGTH, encode_request
from ..messages import Infer
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
