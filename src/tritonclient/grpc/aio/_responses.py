"""The responses of a stream of the classic asyncio client."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from ...call_log import StreamRecord
from ...classic.errors import as_classic_error
from ...client.blocking_stream import response_of
from ...codec import rpc
from ...datatypes import Buffer
from ...errors import Cancelled, InferenceServerException
from ...messages import InferResponse
from ...utils import raise_error
from .. import InferResult
from .._base import GrpcClientBase
from .._utils import infer_request
from ._errors import with_grpcio_type

if TYPE_CHECKING:
    from ...transport.call import AsyncGrpcStream

Response: TypeAlias = "tuple[InferResult | None, InferenceServerException | None]"
#: Arguments of a request with their defaults.
_ARGUMENTS: Mapping[str, Any] = {
    "model_version": "",
    "outputs": None,
    "request_id": "",
    "sequence_id": 0,
    "sequence_start": False,
    "sequence_end": False,
    "priority": 0,
    "timeout": None,
    "parameters": None,
}


class StreamCancelled(Cancelled, asyncio.CancelledError):
    """The program cancelled the stream, or closed the client, and expects a CancelledError."""


class Responses(AsyncIterator["Response"]):
    """A pair of result and error for each response as they come, one of which is None."""

    def __init__(
        self,
        client: GrpcClientBase,
        opening: Coroutine[Any, Any, AsyncGrpcStream],
        requests: AsyncIterator[Mapping[str, Any]],
    ) -> None:
        self._client = client
        self._record = StreamRecord(client._url)
        self._failures: list[Exception] = []  # what ended the stream
        self._over = False
        self._cancelled = False
        self._opening = asyncio.ensure_future(opening)
        # It holds what it needs rather than this, which may be dropped meanwhile.
        feeding = _feed(self._opening, requests, _encoder(client), self._failures)
        self._feeder = asyncio.ensure_future(feeding)

    def __del__(self) -> None:
        if hasattr(self, "_feeder"):
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self.cancel()

    def cancel(self) -> bool:
        """Cancel the stream; return True if it had not ended.

        Later calls raise an error that is also an `asyncio.CancelledError`.
        """
        self._record.end("Cancelled")
        opened = self._opening.done() and not self._opening.cancelled()
        if opened and self._opening.exception() is not None:
            self._over = True
        if self._over or self._cancelled or (opened and self._opening.result().ended):
            return False
        self._cancelled = True
        self._feeder.cancel()
        if opened:
            self._opening.result().cancel()
        else:
            self._opening.cancel()
        return True

    async def __anext__(self) -> Response:
        if self._cancelled:
            raise self._reason(Cancelled(""))
        try:
            stream = await asyncio.shield(self._opening)
            message = await stream.receive()
            response = None if message is None else response_of(message, "", self._record)
        except InferenceServerException as error:
            self._record.end(error)
            self._end()
            self._failures.append(self._reason(error))
            raise self._failures[0] from error.__cause__
        except asyncio.CancelledError:
            if not self._opening.cancelled():  # it is this task that is cancelled, not the stream
                raise
            raise self._reason(Cancelled("")) from None
        if response is None or message is None:
            self._record.end()
            self._end()
            raise StopAsyncIteration
        if self._client._verbose:
            print(rpc.parse("ModelStreamInferResponse", message))
        if isinstance(response, InferResponse):
            return InferResult._of(response, message, streamed=True), None
        return None, as_classic_error(response)

    def _end(self) -> None:
        self._over = True
        self._feeder.cancel()
        if not self._opening.exception():
            self._opening.result().cancel()  # where the server has said what can't be read

    def _reason(self, error: InferenceServerException) -> Exception:
        """Return the error that ended the stream instead of this one, if there is one."""
        if self._failures:
            return self._failures[0]
        if self._cancelled:
            return StreamCancelled("Locally cancelled by application!", "StatusCode.CANCELLED")
        failure = self._client._failure(error, 0)
        if self._client._closed and isinstance(error, Cancelled):
            return StreamCancelled("Channel closed!", "StatusCode.CANCELLED")
        return (
            with_grpcio_type(failure) if isinstance(failure, InferenceServerException) else failure
        )


def _encoder(client: GrpcClientBase) -> Callable[[Any], tuple[Buffer, ...]]:
    def encode(given: Any) -> tuple[Buffer, ...]:
        if not isinstance(given, Mapping):
            raise_error("inputs_iterator is not yielding a dict")
        if "model_name" not in given or "inputs" not in given:
            raise_error("model_name and/or inputs is missing from inputs_iterator's yielded dict")
        arguments = {name: given.get(name, default) for name, default in _ARGUMENTS.items()}
        request = infer_request(given["model_name"], given["inputs"], **arguments)
        return client._stream_message(request, given.get("enable_empty_final_response", False))

    return encode


async def _feed(
    opening: asyncio.Future[AsyncGrpcStream],
    requests: AsyncIterator[Mapping[str, Any]],
    encode: Callable[[Any], tuple[Buffer, ...]],
    failures: list[Exception],
) -> None:
    try:
        stream = await asyncio.shield(opening)
    except Exception:
        return  # the reader gets the error as well
    try:
        async for request in requests:
            message = encode(request)
            if stream.ended:
                return
            await stream.send(message)
        await stream.end()
    except Exception as error:
        failures.append(error)
        stream.cancel()
