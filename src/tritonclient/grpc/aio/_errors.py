"""Errors of streams, which are also those of grpcio for programs that expect them."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

from ...classic.errors import as_classic_error
from ...errors import InferenceServerException


def with_grpcio_type(error: InferenceServerException) -> InferenceServerException:
    """Return the error that ended a stream, also a `grpc.aio.AioRpcError` if grpcio is imported.

    Programs that handle such errors import it.
    """
    grpcio = sys.modules.get("grpc")
    if grpcio is None or error.status() is None:
        return error
    failed: InferenceServerException = _kind(grpcio)(error)
    return failed


@cache
def _kind(grpcio: Any) -> Any:
    class StreamFailed(InferenceServerException, grpcio.aio.AioRpcError):  # type: ignore[misc]
        """The server or the network ended the stream."""

        def __init__(self, error: InferenceServerException) -> None:
            details = error.debug_details()
            super().__init__(error.message(), error.status(), details, endpoint=error.endpoint)
            self._code = grpcio.StatusCode[str(error.status()).removeprefix("StatusCode.")]
            self._initial_metadata = self._trailing_metadata = None
            self._details, self._debug_error_string = error.message(), details

        def __reduce__(self) -> tuple[Any, ...]:
            return as_classic_error(self).__reduce__()  # this class can't be found by its name

    return StreamFailed
