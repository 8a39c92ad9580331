"""A stream of inferences with a thread that reads the responses and calls back."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import queue
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ..call_log import StreamRecord
from ..classic.errors import as_classic_error
from ..classic.lazy_names import lazy_names
from ..client.blocking_stream import response_of
from ..codec import rpc
from ..datatypes import Buffer
from ..errors import InferenceServerException
from ..extras import optional_import
from ..messages import InferResponse
from ..transport.call import GrpcStream
from ..utils import raise_error
from ._errors import as_grpc_error, raise_error_grpc
from ._infer_result import InferResult

#: Called with `result` and `error` by name, one of which is None.
Callback: TypeAlias = Callable[..., Any]

#: Seconds that a server may be silent after the last request before it is waited for no longer.
SILENCE = 300.0
#: Seconds for the thread to end once the stream has ended: the program's callback may hold it up.
_ENDING = 5.0
_streams: weakref.WeakSet[_InferStream] = weakref.WeakSet()


class _InferStream:
    """A stream that sends requests in order and passes responses to the callback.

    Args:
        callback: called on the reader's thread with `result` and `error` by name.
        verbose: print responses.
        url: of the server, for the log.
    """

    def __init__(self, callback: Callback, verbose: bool, url: str = "") -> None:
        self._callback = callback
        self._record = StreamRecord(url)
        self._verbose = verbose
        self._active = True
        self._heard = 0
        self._grpc_stream: GrpcStream | None = None
        self._reader: threading.Thread | None = None
        self._pid = 0
        self._lock = threading.Lock()
        self._draining = False
        self._request_queue: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def start(self, open: Callable[[], GrpcStream]) -> None:
        """Open the stream, and read from it; that it can't be opened is told to the callback."""
        try:
            self._grpc_stream = open()
        except InferenceServerException as error:
            self._active = False
            self._record.end(error)
            self._run(self._call_back, None, as_grpc_error(error))
        else:
            self._run(self._read, self._grpc_stream)

    def _run(self, function: Callable[..., None], *arguments: Any) -> None:
        self._pid = os.getpid()
        _streams.add(self)
        self._reader = _start(function, *arguments)
        if self._verbose:
            print("stream started...")

    # Requests

    def send(self, message: Sequence[Buffer]) -> None:
        """Send a request without waiting for the server to take it.

        Raises:
            InferenceServerException: the stream has ended.
        """
        if not self._active or self._grpc_stream is None:
            raise_error(
                "The stream is no longer in valid state, the error detail is reported through "
                "provided callback. A new stream should be started after stopping the current "
                "stream."
            )
        # What the server does not take at once, another thread sends: the caller may be the one
        # on whom the reader waits.
        with self._lock:
            if not self._grpc_stream.post(message) and not self._draining:
                self._draining = True
                _start(self._drain, self._grpc_stream)

    def _drain(self, stream: GrpcStream) -> None:
        while True:
            with contextlib.suppress(InferenceServerException):  # the reader is told as well
                stream.drain()
            with self._lock:
                if stream.sent():
                    self._draining = False
                    return

    # Responses

    def _read(self, stream: GrpcStream) -> None:
        try:
            while (message := stream.receive()) is not None:
                self._heard += 1
                self._deliver(message)
            self._record.end()
        except InferenceServerException as error:
            self._active = False
            self._record.end(error)
            self._call_back(None, as_grpc_error(error))
        finally:
            self._active = False
            stream.cancel()  # where the server has said what can't be read

    def _deliver(self, message: Buffer) -> None:
        response = response_of(message, "", self._record)
        if self._verbose:
            print(rpc.parse("ModelStreamInferResponse", message))
        if isinstance(response, InferResponse):
            self._call_back(InferResult._of(response, message, streamed=True), None)
        else:
            self._call_back(None, as_classic_error(response))

    def _call_back(
        self, result: InferResult | None, error: InferenceServerException | None
    ) -> None:
        call_back(self._callback, result, error)

    # The end

    def close(self, cancel_requests: bool = False, timeout: float | None = SILENCE) -> None:
        """Send no more, and wait until the callback has got all responses.

        In the callback it does not wait; responses continue.

        Args:
            cancel_requests: do not wait for responses; the callback gets an error.
            timeout: seconds without data before remaining requests are cancelled.
        """
        stream, reader = self._grpc_stream, self._reader
        if stream is not None:
            if cancel_requests:
                stream.cancel()
            else:
                stream.end()
        if reader is not None and reader is not threading.current_thread():
            if not cancel_requests:
                self._wait(reader, timeout)
            if stream is not None:
                stream.cancel()
            reader.join(_ENDING)
        if self._verbose:
            print("stream stopped...")

    def _wait(self, reader: threading.Thread, timeout: float | None) -> None:
        heard = -1
        while reader.is_alive() and heard != self._heard:
            heard = self._heard
            reader.join(timeout)

    def abandon(self) -> None:
        """End at once without telling the callback."""
        self._callback = _ignore
        self._verbose = False
        self.close(cancel_requests=True)

    # For programs that open the stream themselves, with a stub of grpcio

    def _init_handler(self, response_iterator: Any) -> None:
        """Read from a stream that was opened with `_RequestIterator(self)`."""
        self.start(lambda: _StubStream(response_iterator, self._request_queue))

    def _enqueue_request(self, request: Any) -> None:
        """Queue a ModelInferRequest for `_RequestIterator`; None ends it."""
        self._request_queue.put(request)

    def _get_request(self) -> Any:
        return self._request_queue.get()


class _RequestIterator(Iterator[Any]):
    """The requests of a stream, as a stub of grpcio takes them."""

    def __init__(self, stream: _InferStream) -> None:
        self._stream = stream

    def __next__(self) -> Any:
        request = self._stream._get_request()
        if request is None:
            raise StopIteration
        return request


class _StubStream:
    """A stream on a stub of grpcio, in place of one of our own."""

    def __init__(self, responses: Any, requests: queue.SimpleQueue[Any]) -> None:
        self._responses = responses
        self._requests = requests

    @property
    def ended(self) -> bool:
        return bool(self._responses.done())

    def send(self, message: Sequence[Buffer]) -> None:
        self.post(message)

    def post(self, message: Sequence[Buffer]) -> bool:
        self._requests.put(rpc.parse("ModelInferRequest", b"".join(message)))
        return True

    def sent(self) -> bool:
        return True

    def drain(self) -> None:
        pass

    def end(self) -> None:
        self._requests.put(None)

    def receive(self, timeout: float | None = None) -> Buffer | None:
        with optional_import("grpcio", "a stub", "grpcio"):
            import grpc
        try:
            response = next(self._responses, None)
        except grpc.RpcError as error:
            raise_error_grpc(error)
        if response is None:
            return None
        message: bytes = response.SerializeToString()
        return message

    def cancel(self, error: InferenceServerException | None = None) -> None:
        self._responses.cancel()
        self.end()


def _start(function: Callable[..., None], *arguments: Any) -> threading.Thread:
    # Daemons, so that a program can end while the server is silent.
    thread = threading.Thread(
        target=function, args=arguments, name="tritonclient-stream", daemon=True
    )
    thread.start()
    return thread


def _ignore(result: Any, error: Any) -> None:
    pass


@atexit.register
def _abandon_all() -> None:
    """The interpreter aborts when a thread prints while it ends, as callbacks may."""
    for stream in list(_streams):
        if stream._pid == os.getpid():  # not the parent's, in a forked child
            stream.abandon()


def call_back(callback: Callback, result: InferResult | None, error: BaseException | None) -> None:
    """Call the program's callback; log what it raises."""
    try:
        callback(result=result, error=error)
    except Exception:
        logging.getLogger("tritonclient").exception("the callback %r failed", callback)


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = lazy_names(__name__)
