"""The classic `InferenceServerClient` over gRPC, blocking."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from ..classic.arguments import Headers, check_callback
from ..classic.lazy_names import lazy_names
from ..classic.plugins import InferenceServerClientBase
from ..classic.secrets import Verbose
from ..codec import rpc
from ..errors import InferenceServerException
from ..transport.call import Options
from ..transport.grpc_call import GrpcCall
from ..utils import raise_error
from ._admin import AdminClient
from ._base import closed, seconds
from ._channel import MAX_GRPC_MESSAGE_SIZE, KeepAliveOptions
from ._context import CallContext
from ._infer_input import InferInput
from ._infer_result import InferResult
from ._requested_output import InferRequestedOutput
from ._transport import open_transport
from ._utils import infer_request

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..transport.call import GrpcStream
    from ._background import Background
    from ._infer_stream import Callback, _InferStream
    from ._stub import StubTransport

__all__ = [
    "INT32_MAX",
    "MAX_GRPC_MESSAGE_SIZE",
    "CallContext",
    "InferResult",
    "InferenceServerClient",
    "InferenceServerClientBase",
    "KeepAliveOptions",
]

#: What programs know as "never" for `keepalive_time_ms`.
INT32_MAX = 2**31 - 1

T = TypeVar("T")


class InferenceServerClient(AdminClient):
    """A client of an inference server. Any number of threads may share one.

    Methods that ask the server take `headers`, which are sent along as metadata and left as they
    are, and `client_timeout`, the seconds that the call may take. All raise
    `InferenceServerException` when the server refuses or can't be reached. With `as_json` answers
    are dictionaries, in protobuf's JSON form with the fields' own names.

    Args:
        url: `host:port`, or another target of gRPC such as `unix:/path/of/socket`.
        verbose: print requests and responses. The values of headers and query parameters
            that may be secrets are masked; a collection of names shows those, and all else.
        ssl: use TLS; without it the three arguments that follow have no effect, and are warned of.
        root_certificates: a file of certificate authorities to trust; the system's by default.
        private_key: a file with the client's own key.
        certificate_chain: a file with the client's own certificate.
        creds: a `grpc.ChannelCredentials`, used instead of the files; calls then go through grpcio.
        keepalive_options: when to send keepalive pings; never by default.
        channel_args: channel arguments of grpcio, such as
            `[("grpc.max_receive_message_length", 2**20)]`, which replace `keepalive_options`. With
            arguments that this package does not implement, calls go through grpcio.
        max_response_size: refuse larger responses, in bytes, also after decompression; it wins over
            "grpc.max_receive_message_length". Unless one of them is given, 2 GiB may be received,
            and a compressed response may grow to 256 MiB.

    Raises:
        InferenceServerException: the URL has a scheme that is none of gRPC's.
        OSError: a file can't be read.
        ImportError: hpack is not installed, or grpcio where it is needed.
    """

    _stream: _InferStream | None = None
    _carrier: Background | None = None

    def __init__(
        self,
        url: str,
        verbose: Verbose = False,
        ssl: bool = False,
        root_certificates: str | None = None,
        private_key: str | None = None,
        certificate_chain: str | None = None,
        creds: Any = None,
        keepalive_options: KeepAliveOptions | None = None,
        channel_args: Iterable[tuple[str, Any]] | None = None,
        *,
        max_response_size: int | None = None,
    ) -> None:
        super().__init__(
            url,
            verbose,
            ssl,
            root_certificates,
            private_key,
            certificate_chain,
            creds,
            keepalive_options,
            channel_args,
            max_response_size,
        )
        self._transport = open_transport(self._route)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, type: Any, value: Any, traceback: Any) -> None:
        if type is None:
            self.close()
        else:  # nobody waits for responses any more
            self.stop_stream(cancel_requests=True)
            self._shut()

    def __del__(self) -> None:
        # Of a client that was never made whole, or whose modules are gone already, too; with them
        # goes contextlib.
        try:  # noqa: SIM105
            self._shut(wait=False)
        except Exception:
            pass

    def close(self) -> None:
        """Wait for the stream's responses, see `stop_stream`, then cancel running calls.

        Later calls fail.
        """
        try:
            self.stop_stream()
        finally:
            self._shut()

    def _shut(self, *, wait: bool = True) -> None:
        self._closed = True
        self._transport.close()  # tells the server that streams are cancelled
        self._transport.abort()
        if self._carrier is not None:
            self._carrier.close(wait=wait)
        if self._own_channel is not None:
            self._own_channel.close()

    def _call_by_stub(self) -> None:
        from ._stub import StubTransport

        self._transport = StubTransport(self)

    def _send(self, call: GrpcCall[T], client_timeout: float | None) -> T:
        timeout, started = seconds(client_timeout), monotonic()
        try:
            response: T = self._transport.send(call, timeout)
        except (InferenceServerException, RuntimeError) as error:
            self._record(call, started, error)
            raise self._failure(error, timeout) from error.__cause__
        self._record(call, started)
        return response

    # Inference

    def infer(
        self,
        model_name: str,
        inputs: Sequence[InferInput],
        model_version: str = "",
        outputs: Sequence[InferRequestedOutput] | None = None,
        request_id: str = "",
        sequence_id: int | str = 0,
        sequence_start: bool = False,
        sequence_end: bool = False,
        priority: int = 0,
        timeout: int | None = None,
        client_timeout: float | None = None,
        headers: Headers = None,
        compression_algorithm: str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> InferResult:
        """Run a model.

        Args:
            model_name: name of the model.
            inputs: the model's inputs.
            model_version: version of the model; "" leaves the choice to the server.
            outputs: what to return; None or none for all outputs.
            request_id: an id that the server gives back.
            sequence_id: the sequence that this request belongs to; 0 or "" for none.
            sequence_start, sequence_end: whether it is the sequence's first or last.
            priority: 1 is the highest, 0 the model's default.
            timeout: microseconds that the request may wait in the server's queue.
            client_timeout: seconds that the call may take.
            headers: metadata.
            compression_algorithm: "gzip" or "deflate", to compress the request.
            parameters: further parameters for the model.

        Raises:
            InferenceServerException: the server refused or can't be reached, or an argument
                has a wrong type or value.
        """
        call = self._infer_call(
            model_name,
            inputs,
            model_version,
            outputs,
            request_id,
            sequence_id,
            sequence_start,
            sequence_end,
            priority,
            timeout,
            headers,
            compression_algorithm,
            parameters,
        )
        return self._shown(self._send(call, client_timeout))

    def async_infer(
        self,
        model_name: str,
        inputs: Sequence[InferInput],
        callback: Callback,
        model_version: str = "",
        outputs: Sequence[InferRequestedOutput] | None = None,
        request_id: str = "",
        sequence_id: int | str = 0,
        sequence_start: bool = False,
        sequence_end: bool = False,
        priority: int = 0,
        timeout: int | None = None,
        client_timeout: float | None = None,
        headers: Headers = None,
        compression_algorithm: str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> CallContext:
        """Run a model without waiting for it; takes the arguments of `infer`.

        Any number of calls may be under way. Arguments are checked before this returns.

        Args:
            callback: called with `result` and `error` by name, one of which is None, on a thread of
                its own.

        Returns:
            What can cancel the call.
        """
        check_callback(callback)
        if self._closed:
            raise closed(waited_for=False)
        call = self._infer_call(
            model_name,
            inputs,
            model_version,
            outputs,
            request_id,
            sequence_id,
            sequence_start,
            sequence_end,
            priority,
            timeout,
            headers,
            compression_algorithm,
            parameters,
            name="async_infer",
        )
        future = self._background().submit(self, call, seconds(client_timeout), callback)
        if self._verbose:
            print(f"Sent request '{request_id}'" if request_id else "Sent request")
        return CallContext(future)

    def _background(self) -> Background | StubTransport:
        if self._own_stub is not None and hasattr(self._transport, "submit"):
            return self._transport  # type: ignore[no-any-return]
        with self._lock:
            if self._carrier is None:
                from ._background import Background  # only those who use it pay for it

                self._carrier = Background(self._route)
            return self._carrier

    # Streams

    def start_stream(
        self,
        callback: Callback,
        stream_timeout: float | None = None,
        headers: Headers = None,
        compression_algorithm: str | None = None,
    ) -> None:
        """Open the client's stream.

        If the stream cannot be opened, the callback gets the error.

        Args:
            callback: called with `result` and `error` by name, one of which is None, for each
                response and for the error that ends the stream, on a thread of the stream.
            stream_timeout: seconds until the stream must have ended, None for no limit.

        Raises:
            InferenceServerException: there is a stream already.
        """
        if self._stream is not None:
            raise_error(
                "cannot start another stream with one already running. 'InferenceServerClient' "
                "supports only a single active stream at a given time."
            )
        if self._closed:
            raise closed(waited_for=False)
        check_callback(callback)
        options = self._options(headers, compression_algorithm)
        timeout = seconds(stream_timeout)
        from ._infer_stream import _InferStream  # only those who use it pay for it

        stream = self._stream = _InferStream(callback, bool(self._verbose), self._url)
        try:
            stream.start(partial(self._open, options, timeout))
        except BaseException:
            self._stream = None
            raise

    def _open(self, options: Options, timeout: float | None) -> GrpcStream:
        try:
            return self._transport.open(options, timeout)  # type: ignore[no-any-return]
        except (InferenceServerException, RuntimeError) as error:
            raise self._failure(error, timeout) from error.__cause__

    def stop_stream(self, cancel_requests: bool = False) -> None:
        """Close the client's stream, when all responses have come; harmless when there is none.

        In the callback it does not wait for them. After five minutes without data the
        remaining requests are cancelled.

        Args:
            cancel_requests: do not wait for responses; the callback gets an error.
        """
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close(cancel_requests)

    def async_stream_infer(
        self,
        model_name: str,
        inputs: Sequence[InferInput],
        model_version: str = "",
        outputs: Sequence[InferRequestedOutput] | None = None,
        request_id: str = "",
        sequence_id: int | str = 0,
        sequence_start: bool = False,
        sequence_end: bool = False,
        enable_empty_final_response: bool = False,
        priority: int = 0,
        timeout: int | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        """Run a model on the stream; takes the arguments of `infer` that concern the request.

        Args:
            enable_empty_final_response: also pass the final response without outputs to the
                callback; it has the parameter `triton_final_response`.

        Raises:
            InferenceServerException: there is no stream or it has ended, or an argument has a
                wrong type or value.
        """
        stream = self._stream
        if stream is None:
            raise_error("stream not available, use start_stream() to make one available.")
        request = infer_request(
            model_name,
            inputs,
            model_version,
            outputs,
            request_id,
            sequence_id,
            sequence_start,
            sequence_end,
            priority,
            timeout,
            parameters,
        )
        message = self._stream_message(request, enable_empty_final_response)
        if self._verbose:
            shown = rpc.parse("ModelInferRequest", b"".join(message))
            print("async_stream_infer", shown, sep="\n")
        stream.send(message)
        if self._verbose:
            print(f"enqueued request {request_id} to stream...")


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = lazy_names(__name__)
