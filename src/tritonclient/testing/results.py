"""`infer_result`: the result of a call, made from arrays."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..client.request_checks import check_texts
from ..client.requests import TensorLike, make_input
from ..client.results import InferResult
from ..client.signatures import explains_call
from ..messages import InferResponse, InferTensor, Parameter


@explains_call
def infer_result(
    outputs: Mapping[str, TensorLike],
    *,
    model: str = "model",
    version: str = "1",
    id: str = "",
    parameters: Mapping[str, Parameter] | None = None,
) -> InferResult:
    """Return the result that a client would return for these outputs.

    Args:
        outputs: by name an array, a list, or a `tritonclient.Tensor` to state the datatype.
        model, version, id: what the result says of the model and the request.
        parameters: those of the response.

    Raises:
        TypeError, ValueError: an output makes no tensor; the message names it.
    """
    if not isinstance(outputs, Mapping):
        raise TypeError(
            f"outputs is {type(outputs).__name__}, expected a mapping of names to arrays, such as "
            '{"Y": array}'
        )
    check_texts(model=model, version=version, id=id)
    if parameters is not None and not isinstance(parameters, Mapping):
        raise TypeError(f"parameters is {type(parameters).__name__}, expected a mapping")
    for name, value in (parameters or {}).items():
        if not isinstance(value, (bool, int, float, str)):
            kind = type(value).__name__
            raise TypeError(f"parameter {name!r} is {kind}, expected bool, int, float or str")
    tensors = tuple(_make_output(name, value) for name, value in outputs.items())
    # A copy, as a result owns its memory.
    owned = tuple(
        each if each.data is None else each._replace(data=bytearray(each.data)) for each in tensors
    )
    return InferResult(InferResponse(model, version, id, dict(parameters or {}), owned))


def _output(found: re.Match[str]) -> str:
    return f"{found[1] or ''}output"


def _make_output(name: str, value: TensorLike) -> InferTensor:
    try:
        return make_input(name, value)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(re.sub(r"\b(an )?input(?=s?\b)", _output, str(error))) from None
