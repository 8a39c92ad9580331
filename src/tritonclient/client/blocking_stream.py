"""Streams of inferences over gRPC: `InferStream`, and what both runtimes share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import Thread
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from ..call_log import StreamRecord
from ..codec import rpc_infer
from ..datatypes import Buffer
from ..errors import InferenceServerException, ProtocolError, ServerError
from ..messages import Infer, InferResponse
from ..transport.call import GrpcStream
from .requests import request as make_request
from .results import InferResult
from .signatures import explains_arguments, explains_missing
from .suggestions import STREAM_NAMES, by_keyword, no_attribute, not_picklable

if TYPE_CHECKING:
    from typing_extensions import Never, Self

#: A request for a stream: one made by `tritonclient.request`, or the arguments of that by name.
StreamRequest: TypeAlias = "Infer | Mapping[str, Any]"
Requests: TypeAlias = Iterable[StreamRequest]


def message_of(request: StreamRequest) -> tuple[Buffer, ...]:
    """Return the message of a request.

    Raises:
        TypeError, ValueError: it is no request.
    """
    if isinstance(request, Mapping):
        if "model" not in request and "model_name" not in request:
            raise TypeError(
                "a stream's request is a mapping without 'model', expected the arguments of "
                "tritonclient.request: {'model': name, 'inputs': inputs}"
            )
        request = make_request(**request)
    if not isinstance(request, Infer):
        raise TypeError(
            f"a stream's request is {type(request).__name__}, expected one made by "
            "tritonclient.request, or its arguments as a mapping"
        )
    return rpc_infer.encode_request(request)


def no_more_requests(why: str) -> RuntimeError:
    """Return the error for a request that is sent on a stream which takes none.

    Args:
        why: what has ended its requests.
    """
    return RuntimeError(
        f"the stream takes no more requests {why}; open another with client.open_stream()"
    )


def result_of(
    message: Buffer, url: str, record: StreamRecord
) -> InferResult | InferenceServerException:
    """Return the result in a message, or the error of one request."""
    decoded = response_of(message, url, record)
    return InferResult(decoded, url) if isinstance(decoded, InferResponse) else decoded


def response_of(
    message: Buffer, url: str, record: StreamRecord
) -> InferResponse | InferenceServerException:
    """Return the response in a message, or the error of one request, as the codec decodes it.

    Args:
        record: the stream's record, which notes it.

    Raises:
        ProtocolError: the message is none of a stream's.
    """
    try:
        decoded = rpc_infer.decode_stream_response(message)
    except ValueError as error:
        raise ProtocolError(f"the answer can't be read: {error}", endpoint=url) from error
    response, refusal = decoded.response, None
    model, id = response.model_name, response.id
    if decoded.error:
        refusal = ServerError(decoded.error, endpoint=url, model=model, request_id=id)
    record.received(model, id, refusal)
    return refusal or response


@explains_arguments
class InferStream(Iterator[InferResult]):
    """An iterator of the responses of a stream; it ends after the last response.

    When the server refuses one request of several, that error is raised with its `request_id`, and
    the iteration can go on. Leaving a `with` block, or dropping the stream, cancels what is left:

        with client.stream("repeat_int32", inputs) as responses:
            for response in responses: ...

    One thread may send while another iterates.
    """

    def __init__(
        self,
        stream: GrpcStream,
        url: str,
        response_timeout: float | None,
        explain: Callable[[InferenceServerException], None],
    ) -> None:
        self._grpc_stream = stream
        self._url = url
        self._timeout = response_timeout
        self._explain = explain
        self._complete = ""  # why no more requests are taken
        self._record = StreamRecord(url)
        self._failures: list[BaseException] = []  # of taking the next request

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.cancel()

    if not TYPE_CHECKING:  # type checkers find this mistake themselves

        async def __aenter__(self) -> NoReturn:
            raise TypeError("this stream is blocking: use `with`, or AsyncClient")

        async def __aexit__(self, *exc_info: object) -> None:
            """Do nothing: there is no such context."""

    if not TYPE_CHECKING:  # a type checker would take it that there is any name

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(self, name, STREAM_NAMES)

    def __reduce__(self) -> Any:
        raise not_picklable(self, "it is a call", "pass its results, or open one in each process")

    def __del__(self) -> None:
        stream = getattr(self, "_grpc_stream", None)
        if stream is not None:
            stream.cancel()  # gives its connection back when the stream has ended

    def __next__(self) -> InferResult:
        try:
            message = self._grpc_stream.receive(self._timeout)
        except InferenceServerException as error:
            error.endpoint = self._url
            self._record.end(error)
            if self._failures:
                raise self._failures.pop() from None
            self._explain(error)
            raise
        if message is None:
            self._record.end()
            raise StopIteration
        result = result_of(message, self._url, self._record)
        if isinstance(result, InferResult):
            return result
        self._explain(result)
        try:
            raise result
        finally:
            del result  # it refers to this frame, which would be a circle

    @explains_missing
    def send(self, model: str, inputs: Mapping[str, Any], *surplus: Never, **options: Any) -> None:
        """Send a request; takes the arguments of `tritonclient.request`.

        Returns when the request is on its way; waits while the server takes no more. When the
        server has ended the stream, the request is dropped and the iteration tells why.

        Raises:
            RuntimeError: `end` or `cancel` was called, or `with` has ended.
        """
        if surplus:
            raise by_keyword(surplus, InferStream.send)
        if self._complete:
            raise no_more_requests(self._complete)
        self._grpc_stream.send(message_of(make_request(model, inputs, **options)))

    def end(self) -> None:
        """Half-close the stream: no more requests will come. It ends with the last response."""
        self._complete = self._complete or "after end()"
        self._grpc_stream.end()

    def cancel(self) -> None:
        """End the stream at once, from any thread; harmless when it has ended."""
        self._complete = "after cancel(), which the end of its `with` block calls as well"
        self._grpc_stream.cancel()
        self._record.end("Cancelled")

    def send_all(self, requests: Requests) -> Self:
        """Send all requests, from a thread of their own, and then end.

        When taking the next request fails, the stream is cancelled and the iteration raises that.
        """
        if isinstance(requests, (list, tuple)):
            for request in requests:
                message_of(request)  # refused before anything is sent
        self._complete = "than those that stream() was given"
        # It holds what it needs rather than the stream, which may be dropped meanwhile.
        arguments = (self._grpc_stream, requests, self._failures)
        Thread(target=_send_all, args=arguments, name="tritonclient-stream", daemon=True).start()
        return self


def _send_all(stream: GrpcStream, requests: Requests, failures: list[BaseException]) -> None:
    try:
        for request in requests:
            if stream.ended:
                return
            stream.send(message_of(request))
        stream.end()
    except InferenceServerException:
        pass  # the receiver gets the error as well
    except BaseException as error:
        failures.append(error)
        stream.cancel()
