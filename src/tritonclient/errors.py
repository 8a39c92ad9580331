"""Everything that can go wrong, as one tree.

    InferenceServerException        base of all; message(), status(), debug_details()
      ConnectionFailed              could not reach or lost the server (also a ConnectionError)
        ConnectionRefused           nobody listens there (also a ConnectionRefusedError)
      DeadlineExceeded              the call's deadline passed (also a TimeoutError)
      Cancelled                     the call was cancelled, here or by the server
      ProtocolError                 the response is not the v2 protocol
      ServerError                   the server understood the call and refused it
        InvalidArgument  Unauthenticated  PermissionDenied  NotFound  AlreadyExists
        ResourceExhausted  FailedPrecondition  Aborted  OutOfRange  Unimplemented
        Internal  Unavailable  DataLoss  Unknown

Misuse of the Python API (a wrong type, a shape that does not fit) raises TypeError or ValueError.
"""

from __future__ import annotations

import sys
from typing import Any

# Another distribution of this name, installed over this one, brings an empty __init__.py. Every
# module of this package comes here first, and says so.
if not hasattr(sys.modules["tritonclient"], "_HOMES"):
    raise ImportError(
        f"{__file__} belongs to a distribution of tritonclient that another one has overwritten. "
        "Run 'pip uninstall tritonclient' until nothing is left, delete what remains of the "
        "folder, and install one of the two; see docs/installing.md"
    )


class InferenceServerException(Exception):
    """A call to an inference server failed.

    Attributes:
        endpoint: the server's URL, or "" when no server was involved.
        model: the name of the model asked for, or "".
        request_id: the id of the request, or "".
        hint: what to do next, or which name was meant, or "". `message()` is without it.
        index: the position of the item of `map` that failed, from 0; None in other calls.
    """

    hint = ""
    index: int | None = None

    __module__ = "tritonclient.utils"  # where programs import it from, and tracebacks place it

    def __init__(
        self,
        msg: str | None,
        status: str | None = None,
        debug_details: Any = None,
        *,
        endpoint: str = "",
        model: str = "",
        request_id: str = "",
    ) -> None:
        given: tuple[Any, ...] = (msg, status, debug_details)
        while len(given) > 1 and given[-1] is None:
            given = given[:-1]
        # Not what comes next for a class that is an OSError too, which takes the words for numbers.
        Exception.__init__(self, *given)
        self._msg = msg
        self._status = status
        self._debug_details = debug_details
        self.endpoint = endpoint
        self.model = model
        self.request_id = request_id

    def message(self) -> str | None:
        """Return the text of the error; for a ServerError the server's own."""
        return self._msg

    def status(self) -> str | None:
        """The protocol's status: "404" over HTTP, "StatusCode.NOT_FOUND" over gRPC, else None."""
        return self._status

    def debug_details(self) -> Any:
        """More about the failure, such as the body of a response that could not be read."""
        return self._debug_details

    def __str__(self) -> str:
        text = "" if self._msg is None else str(self._msg)
        text = text if self._status is None else f"[{self._status}] {text}"
        text = text if self.index is None else f"item {self.index}: {text}"
        return f"{text} ({self.hint})" if self.hint else text

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own __reduce__ would pass `args` only; errors cross process borders in pools.
        state: dict[str, Any] = {
            "endpoint": self.endpoint,
            "model": self.model,
            "request_id": self.request_id,
        }
        if self.hint:
            state["hint"] = self.hint
        if self.index is not None:
            state["index"] = self.index
        if isinstance(self, OSError):
            state["errno"] = self.errno
        return (type(self), (self._msg, self._status, self._debug_details), state)


class _LocalError(InferenceServerException):
    """An error in the client's own words, which therefore say where it happened."""

    def __str__(self) -> str:
        where = [
            f"{label} {value}"
            for label, value in (
                ("endpoint", self.endpoint),
                ("model", self.model),
                ("request id", self.request_id),
            )
            if value
        ]
        return super().__str__() + (f" ({', '.join(where)})" if where else "")


class ConnectionFailed(_LocalError, ConnectionError):
    """The server could not be reached, or the connection was lost before the response was whole."""

    #: True if the peer's kernel is known to have acknowledged no byte of the request.
    _unacknowledged = False


class ConnectionRefused(ConnectionFailed, ConnectionRefusedError):
    """Nobody listens at the server's address: it is not up yet, or has gone."""


class StreamRefused(ConnectionFailed):
    """The server did not begin to process the stream of a call, so that it may be sent again."""


class StreamUnprocessed(StreamRefused):
    """A GOAWAY excludes the stream of a call, but the server has processed earlier streams."""


class DeadlineExceeded(_LocalError, TimeoutError):
    """The call's deadline passed before its response came."""

    def reword(self, text: str) -> None:
        """Say the same in other words."""
        self._msg = text
        self.args = (text, *self.args[1:])


class Cancelled(_LocalError):
    """The call was cancelled, by this program or by the server."""


class ProtocolError(_LocalError):
    """The response is not HTTP, not gRPC or not the v2 inference protocol."""


class ServerError(InferenceServerException):
    """The server understood the call and refused it; `message()` is its own text."""


class InvalidArgument(ServerError):
    """The request is wrong (HTTP 400)."""


class Unauthenticated(ServerError):
    """The server wants credentials (HTTP 401)."""


class PermissionDenied(ServerError):
    """The credentials do not allow this (HTTP 403)."""


class NotFound(ServerError):
    """No such model, version, region or path (HTTP 404)."""


class AlreadyExists(ServerError):
    """A thing of this name is there already (HTTP 409)."""


class ResourceExhausted(ServerError):
    """Too large a request or too many of them (HTTP 413, 429)."""


class FailedPrecondition(ServerError):
    """The server is not in a state for this call (HTTP 412)."""


class Aborted(ServerError):
    """The call was given up, for instance because of a conflict."""


class OutOfRange(ServerError):
    """A value lies outside its valid range (HTTP 416)."""


class Unimplemented(ServerError):
    """The server does not offer this operation (HTTP 405, 501)."""


class Internal(ServerError):
    """The server failed (HTTP 500)."""


class Unavailable(ServerError):
    """The server can't take the call now (HTTP 502, 503)."""


class DataLoss(ServerError):
    """Data was lost or damaged beyond repair."""


class Unknown(ServerError):
    """The server failed without saying how."""
