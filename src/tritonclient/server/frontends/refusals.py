"""Errors that clients get."""

from __future__ import annotations

from ...errors import InferenceServerException
from ..core import InferenceServer


def refusal(
    server: InferenceServer, error: InferenceServerException, model: tuple[str, str] | None
) -> InferenceServerException:
    """Return the error for a request that cannot be read.

    As in Triton, a model that is not served comes first.

    Args:
        error: why it cannot be read.
        model: name and version of the model that it asks for, or None.
    """
    if model is not None:
        try:
            server.model_info(*model)
        except InferenceServerException as unknown:
            return unknown
    return error


def frameless(error: InferenceServerException) -> InferenceServerException:
    """Return an error after it has let go of all frames.

    They refer to the request and its tensors, and maybe to the error: a circle, which would keep
    the tensors until the garbage collector comes.
    """
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return error
