"""Errors of jobs."""

from __future__ import annotations

import logging

from ...errors import InferenceServerException, Internal, Unavailable, Unimplemented

_log = logging.getLogger(__name__)


class ModelClosed(Unavailable):
    """The version was unloaded when a request came to it; another may have taken its place."""


class DecoupledModel(Unimplemented):
    """A model was asked for one answer that gives any number of them; fronts say who asked."""


def own(error: Exception) -> InferenceServerException:
    """An error as the protocol has it; one that nobody has foreseen is logged."""
    if isinstance(error, InferenceServerException):
        return error
    _log.error("a request failed in an unforeseen way", exc_info=error)
    return Internal(f"{type(error).__name__}: {error}", "500")
