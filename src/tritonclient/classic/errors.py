"""Errors as the classic clients raise them."""

from __future__ import annotations

from typing import Any

from ..errors import InferenceServerException


def plain(
    error: InferenceServerException,
    text: str | None = None,
    status: str | None = None,
    details: Any = None,
) -> InferenceServerException:
    """An error of the base class itself, which is what programs compare the type of an error with.

    It says the same as the one given, or this text with this status and these details.
    """
    if text is None:
        text, status, details = error.message(), error.status(), error.debug_details()
    return InferenceServerException(
        text,
        status,
        details,
        endpoint=error.endpoint,
        model=error.model,
        request_id=error.request_id,
    )
