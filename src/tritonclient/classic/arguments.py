"""Arguments that the classic clients share: what they mean, and what of them is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..messages import RESERVED_PARAMETERS, RESERVED_PREFIX
from ..utils import raise_error


def check_version(model_version: str) -> None:
    """Raise unless a model's version is text."""
    if not isinstance(model_version, str):
        raise_error("model version must be a string")


def request_parameters(
    sequence_id: int | str,
    sequence_start: bool,
    sequence_end: bool,
    priority: int,
    timeout: int | None,
    parameters: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The parameters of an inference request.

    Args:
        sequence_id: 0 or "" for none; `sequence_start` and `sequence_end` then mean nothing.
        priority: 0 for the model's default.
        timeout: microseconds that the request may wait in the server's queue.
        parameters: the caller's own.

    Raises:
        InferenceServerException: one of the caller's has a name that is taken.
    """
    found: dict[str, Any] = {}
    if sequence_id:
        found["sequence_id"] = sequence_id
        found["sequence_start"] = bool(sequence_start)
        found["sequence_end"] = bool(sequence_end)
    if priority:
        found["priority"] = priority
    if timeout is not None:
        found["timeout"] = timeout
    for name, value in (parameters or {}).items():
        if name in RESERVED_PARAMETERS or name.startswith(RESERVED_PREFIX):
            raise_error(f'Parameter "{name}" is a reserved parameter and cannot be specified.')
        found[name] = value
    return found
