"""Errors of jobs."""

from __future__ import annotations

import logging

from ...errors import InferenceServerException, Internal, Unavailable, Unimplemented

_log = logging.getLogger(__name__)

#: What clients see of an exception of the server's own.
UNEXPECTED = "internal error of the server; its log has the cause"


class ModelClosed(Unavailable):
    """The model version was unloaded before it took the job; a new one may have replaced it."""


class ModelNotReady(Unavailable):
    """The model version was unloaded, or could not be loaded."""


class DecoupledModel(Unimplemented):
    """A single response was requested of a decoupled model; frontends add their own words."""


def as_server_error(error: Exception) -> InferenceServerException:
    """Return the error as a protocol error; log it and return Internal if it is unexpected.

    The text of an exception of the server's own is for its log: a client can do nothing with it.
    """
    if isinstance(error, InferenceServerException):
        return error
    _log.error("a request failed in an unforeseen way", exc_info=error)
    return Internal(UNEXPECTED, "500")
