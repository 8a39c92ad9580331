"""`Client`: every operation of the protocol, blocking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

from .. import messages as m
from ..errors import InferenceServerException
from ..transport.call import Call, Options
from ..transport.endpoint import Security
from ..transport.errors import client_closed
from ..transport.settings import Grpcio, KeepAlive, check_limit, check_timeout
from . import flows
from .admin import AdminClient
from .executor import Workers
from .infer_calls import InferArguments
from .mapping.calls import MapCalls
from .models import Model
from .options import (
    CLIENT_DEFAULT,
    MAX_CONNECTIONS,
    InferOptions,
    StreamOptions,
    Timeout,
    check_model_name,
    check_streams,
    make_transport_options,
    settings,
    split,
    stream_requests,
)
from .requests import TensorLike
from .results import InferResult
from .signatures import check_arguments, explains_arguments, explains_missing
from .suggestions import by_keyword
from .transports import blocking_transport

if TYPE_CHECKING:
    from concurrent.futures import Future

    from typing_extensions import Never, Self, Unpack

    from ..transport.blocking.transport import Transport
    from .aio import AsyncClient
    from .blocking_stream import InferStream, Requests
    from .shared_memory import SharedMemory

T = TypeVar("T")


@explains_arguments
class Client(AdminClient, MapCalls):
    """A client of an inference server. Any number of threads may share one.

    Connections are opened when needed and kept; closing the client closes them:

        with Client("http://localhost:8000") as client:
            result = client.infer("simple", {"INPUT0": a, "INPUT1": b})
            result["OUTPUT0"]

    Every method that asks the server takes `timeout`, `headers` and `query` (see `CallOptions`)
    and raises an `InferenceServerException` when it fails, `ServerError` when the server refused.

    Args:
        url: `http://host:port/base`, `https://...` or `unix:/path/of/socket` for HTTP;
            `grpc://host:port`, `grpcs://...` or `grpc+unix:/path/of/socket` for gRPC.
        timeout: seconds that a call may take from its beginning to its end, None for no limit.
        headers: sent with every call, such as `{"authorization": "Bearer ..."}`; gRPC's metadata.
        tls: how to secure `https` and `grpcs` connections: a `TLS`, an `ssl.SSLContext`, or True
            for the default, which verifies the server.
        max_connections: connections open at the same time; further calls wait for one.
        max_request_size: refuse to send larger bodies, in bytes; None for no limit.
        max_response_size: refuse to receive larger bodies, in bytes, also after decompression. By
            default 2 GiB may be received, and a compressed body may grow to 256 MiB.
        keep_alive: when to ping a silent gRPC server; by default never, so that a call without a
            deadline waits for a server that is gone until the system tells.
        grpcio: carry gRPC through a channel of grpcio, with these arguments.
        workers: threads that carry what is given to `submit`.
        binary: False for tensors as JSON over HTTP, True for binary data. By default they are
            binary, and JSON once the server has refused one and lacks the extension for it.
    """

    @explains_missing
    def __init__(
        self,
        url: str,
        *surplus: Never,
        timeout: float | None = 60.0,
        headers: Mapping[str, str | bytes] | None = None,
        tls: Security = None,
        max_connections: int = MAX_CONNECTIONS,
        max_request_size: int | None = None,
        max_response_size: int | None = None,
        keep_alive: KeepAlive | None = None,
        grpcio: Grpcio | None = None,
        workers: int = 16,
        binary: bool | None = None,
        **unknown: Never,
    ) -> None:
        check_arguments(unknown, Client.__init__, surplus)
        chosen = settings(url, headers, timeout, max_request_size, max_response_size, keep_alive)
        self._transport: Transport = blocking_transport(chosen, tls, max_connections, grpcio)
        self._set_up(chosen, timeout, binary)
        self._carried_by = (chosen, tls, max_connections, grpcio)
        check_limit("workers", workers)
        self._workers = Workers(workers, url)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._url}{', closed' if self._workers.closed else ''}>"

    def __enter__(self) -> Self:
        if self._workers.closed:
            raise client_closed(self._url)
        return self

    if not TYPE_CHECKING:  # type checkers find this mistake themselves

        async def __aenter__(self) -> NoReturn:
            raise TypeError("this client is blocking: use `with`, or AsyncClient")

        async def __aexit__(self, *exc_info: object) -> None:
            """Do nothing: there is no such context."""

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        if kind is None:
            self.close()
        else:
            self._abort()

    def close(self) -> None:
        """Wait for all that was submitted, then close all connections; later calls fail.

        Leaving `with` by an exception does not wait: what was submitted is cancelled, and calls in
        other threads fail.
        """
        self._close_maps()
        self._workers.close()
        self._transport.close()

    def _abort(self) -> None:
        # After an exception, Ctrl-C among them, nobody waits for responses any more.
        self._close_maps()
        self._workers.close(wait=False, cancel=True)
        self._transport.abort()

    def _twin(self) -> AsyncClient:
        """Return an `AsyncClient` with the settings of this client, for the thread of `map`."""
        from .mapping.twin import Twin

        return Twin(*self._carried_by, self._timeout, self._calls.binary)

    # Inference

    @explains_missing
    def infer(
        self,
        model: str,
        inputs: Mapping[str, TensorLike],
        *surplus: Never,
        version: str = "",
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[InferOptions],
    ) -> InferResult:
        """Run a model.

        Arrays are sent from their own memory, without a copy; do not change them meanwhile.

        Args:
            model: name of the model.
            inputs: by name an array, a list of numbers or texts, or a `Tensor` to state the
                datatype. Datatypes follow the array's dtype.
            version: version of the model; "" leaves the choice to the server.
            outputs: names of the outputs to return, or `RequestedOutput` objects for the best
                classes of an output; None for all outputs.
            id: an id that the server gives back.
            sequence_id: the sequence that this request belongs to; 0 or "" for none.
            sequence_start, sequence_end: whether it is the sequence's first or last.
            priority: 1 is the highest, 0 the model's default.
            server_timeout: seconds that the request may wait in the server's queue.
            parameters: further parameters for the model.
            binary: False for tensors as JSON over HTTP, True for binary data; the client's own
                choice by default. gRPC has one form.
            timeout: seconds for the whole call, None for no limit; the client's own by default.
            headers: further HTTP headers; they win over the client's.
            query: query parameters of the URL.
            request_compression: "gzip" or "deflate", to compress what is sent.
            response_compression: the same, asked of the server.
            shared_memory: memory for tensors that do not travel; see `shared_memory`.

        Raises:
            TypeError, ValueError: an argument is not what it should be; nothing was sent.
            InferenceServerException: see `tritonclient.errors`.
        """
        if surplus:
            raise by_keyword(surplus, Client.infer)
        arguments = (model, inputs, version, outputs, options)
        if options and (placed := self._placed(arguments, timeout)) is not None:
            return self._run(*placed)  # type: ignore[no-any-return]
        call = self._calls.build(*arguments)
        response = self._send(call, self._seconds(timeout), arguments)
        return InferResult(response, self._url, call.request)

    @explains_missing
    def prepare(
        self,
        model: str,
        inputs: Mapping[str, TensorLike],
        *surplus: Never,
        version: str = "",
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        **options: Unpack[InferOptions],
    ) -> Call[m.InferResponse]:
        """Build an inference request once, to send it many times with `infer_prepared`.

        Takes the arguments of `infer`, except `timeout`. Contiguous arrays are referred to, so a
        later send carries what they hold by then; BYTES and BF16 are packed now.
        """
        if surplus:
            raise by_keyword(surplus, Client.prepare)
        return self._calls.build_prepared(model, inputs, version, outputs, options)

    @explains_missing
    def infer_prepared(
        self, call: Call[m.InferResponse], *surplus: Never, timeout: Timeout = CLIENT_DEFAULT
    ) -> InferResult:
        """Run a model with a request made by `prepare`; any thread may, at any time."""
        if surplus:
            raise by_keyword(surplus, Client.infer_prepared)
        return InferResult(self.send(call, timeout=timeout), self._url, call.request)

    def _infer(
        self, call: Call[m.InferResponse], seconds: float | None, arguments: InferArguments
    ) -> InferResult:
        response = self._send(call, seconds, arguments)
        return InferResult(response, self._url, call.request)

    @explains_missing
    def submit(
        self,
        model: str,
        inputs: Mapping[str, TensorLike],
        *surplus: Never,
        version: str = "",
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[InferOptions],
    ) -> Future[InferResult]:
        """Run a model on another thread; takes the arguments of `infer`.

        Arguments are checked before this returns. `timeout` counts from the moment that a worker
        takes the request up. Cancelling the future works until then. Closing the client waits for
        all that was submitted.
        """
        if surplus:
            raise by_keyword(surplus, Client.submit)
        seconds = self._seconds(timeout)
        arguments = (model, inputs, version, outputs, options)
        if options and (placed := self._placed(arguments, timeout)) is not None:
            return self._workers.submit(self._run, *placed)
        call = self._calls.build(*arguments)
        return self._workers.submit(self._infer, call, seconds, arguments)

    @overload
    def stream(
        self,
        model: str,
        inputs: Mapping[str, TensorLike],
        *,
        version: str = "",
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        timeout: float | None = None,
        response_timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[StreamOptions],
    ) -> InferStream: ...

    @overload
    def stream(
        self,
        model: Requests,
        /,
        *,
        timeout: float | None = None,
        response_timeout: Timeout = CLIENT_DEFAULT,
        headers: Mapping[str, str | bytes] | None = None,
        request_compression: str | None = None,
    ) -> InferStream: ...

    def stream(
        self,
        model: str | Requests,
        inputs: Mapping[str, TensorLike] | None = None,
        *,
        version: str = "",
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        timeout: float | None = None,
        response_timeout: Timeout = CLIENT_DEFAULT,
        **options: Any,
    ) -> InferStream:
        """The responses of a decoupled model, or the responses to many requests on one stream.

        Only gRPC has streams.

        Args:
            model: name of the model; or an iterable of requests, each made by
                `tritonclient.request` or a mapping of its arguments. They are taken on a
                thread of their own, as fast as the server takes them.
            inputs, version, outputs: those of `infer`, with the options of a request.
            timeout: seconds for the whole stream; None, the default, for no limit.
            response_timeout: seconds that each response may take; the client's timeout by default.
            empty_final_response: also yield the response without outputs that only says that it
                was the last; see `InferResult.final`.
            headers, request_compression: as in `infer`, for the whole stream.

        Raises:
            TypeError, ValueError: an argument is not what it should be; when requests come from an
                iterator, the iteration raises it.
            InferenceServerException: by the iteration. A refused request is a `ServerError` with
                its `request_id` and without a status, which streams do not tell; the iteration can
                go on. All else ends the stream.
        """
        arguments, carrying = split(options)
        requests = stream_requests(model, inputs, version, outputs, arguments)
        name = model if isinstance(model, str) else ""
        return self._open_stream(carrying, timeout, response_timeout, name).send_all(requests)

    def open_stream(
        self,
        *,
        timeout: float | None = None,
        response_timeout: Timeout = CLIENT_DEFAULT,
        headers: Mapping[str, str | bytes] | None = None,
        request_compression: str | None = None,
    ) -> InferStream:
        """A stream on which requests are sent one by one, with `send` and at last `end`.

        Takes the arguments of `stream` that concern the whole stream.
        """
        carrying = make_transport_options(headers, request_compression=request_compression)
        return self._open_stream(carrying, timeout, response_timeout)

    def _open_stream(
        self, options: Options, timeout: float | None, response_timeout: Timeout, model: str = ""
    ) -> InferStream:
        from .blocking_stream import InferStream

        check_streams(self._url)
        seconds = self._seconds(response_timeout, "response_timeout")
        check_timeout(timeout)
        timeout = None if timeout is None else float(timeout)
        explain = self._explainer(options, timeout, seconds, model)
        try:
            opened = self._transport.open(options, timeout)
        except InferenceServerException as error:
            explain(error)
            raise
        return InferStream(opened, self._url, seconds, explain)

    def model(
        self,
        name: str,
        version: str = "",
        *,
        timeout: Timeout = CLIENT_DEFAULT,
        headers: Mapping[str, str | bytes] | None = None,
        query: Mapping[str, Any] | None = None,
        cast: bool = False,
    ) -> Model:
        """A handle on a model, which knows and checks its inputs and outputs.

        Args:
            cast: convert arrays of other datatypes than the model's where their numbers fit:
                float64 to float32, for instance, which rounds.
        """
        check_model_name(name)
        flow = flows.describe_model(name, version, self._seconds(timeout))
        return Model(self, self._run(flow, make_transport_options(headers, query)), cast)

    # Shared memory

    def shared_memory(
        self, byte_size: int = 1 << 20, *, device: int | None = None, mode: int = 0o600
    ) -> SharedMemory:
        """Memory that the server shares, for tensors that do not travel; see `SharedMemory`.

        Args:
            byte_size: the size of its first region; it grows when there is no room.
            device: the number of a GPU, to have the memory there; None for system memory.
            mode: who else may use system memory, as for files: 0o666 lets in a server that runs as
                another user.
        """
        from .shared_memory import SharedMemory  # which few need

        return SharedMemory(self._run, self._url, self._timeout, byte_size, device, mode)
