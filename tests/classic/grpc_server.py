"""A gRPC server that plays scripts: grpcio's own, with the procedures that a test gives it.

    with GrpcServer(ModelInfer=simple) as server, GrpcBlocking(server.url) as client:
        ...

Its messages are those of `tritonclient.grpc.service_pb2`, and what it serves is a
`GRPCInferenceServiceServicer`, so that both are put to use by it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import grpc
import numpy as np

from tests.support.peers.hostile_peers import PATIENCE
from tritonclient.grpc import service_pb2, service_pb2_grpc

Procedure = Callable[[Any, Any], Any]
METHODS = [
    method.name
    for method in service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods
]


class Call(NamedTuple):
    """A call that was made; the request of a stream is an iterator."""

    method: str
    request: Any
    metadata: dict[str, Any]
    peer: str


class GrpcServer:
    """Plays procedures by their names; those that are not given are unimplemented.

    Attributes:
        calls: all calls so far.
        ending: set when the test is through.
        cancelled: set when a call was cancelled.
    """

    def __init__(
        self, *, credentials: Any = None, address: str = "127.0.0.1:0", **procedures: Procedure
    ) -> None:
        self.calls: list[Call] = []
        self.ending = threading.Event()
        self.cancelled = threading.Event()
        self._changed = threading.Condition()
        self._threads = ThreadPoolExecutor(32)
        options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)]
        self._server: Any = grpc.server(self._threads, options=options)
        servicer: Any = service_pb2_grpc.GRPCInferenceServiceServicer()
        for method, procedure in procedures.items():
            assert method in METHODS
            setattr(servicer, method, self._recorded(method, procedure))
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, self._server)
        if credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, credentials)

    def _recorded(self, method: str, procedure: Procedure) -> Procedure:
        def play(request: Any, context: Any) -> Any:
            metadata = dict(context.invocation_metadata())
            with self._changed:
                self.calls.append(Call(method, request, metadata, context.peer()))
                self._changed.notify_all()

            def ended() -> None:
                if not context.code():
                    self.cancelled.set()

            if not context.add_callback(ended):  # it has ended already
                ended()
            return procedure(request, context)

        return play

    def wait_for_calls(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.calls) >= count, PATIENCE)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"grpc://{self.address}"

    def __enter__(self) -> GrpcServer:
        self._server.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.ending.set()
        self._server.stop(None).wait(PATIENCE)
        self._threads.shutdown()


# Procedures


def array_of(request: Any, index: int) -> Any:
    """An input of a request, whose datatype must be INT32."""
    tensor = request.inputs[index]
    data = np.frombuffer(request.raw_input_contents[index], np.int32)
    return data.reshape(list(tensor.shape))


def answer(request: Any, array: Any, name: str = "OUTPUT0") -> Any:
    """A response with one output, and the request's id."""
    array = np.asarray(array, np.int32)
    response = service_pb2.ModelInferResponse(model_name=request.model_name, id=request.id)
    response.outputs.add(name=name, datatype="INT32", shape=array.shape)
    response.raw_output_contents.append(array.tobytes())
    return response


def simple(request: Any, context: Any) -> Any:
    """The sum of two inputs."""
    return answer(request, array_of(request, 0) + array_of(request, 1))


def streamed(request: Any, array: Any) -> Any:
    """A response of a stream."""
    return service_pb2.ModelStreamInferResponse(infer_response=answer(request, array))


def simple_stream(requests: Any, context: Any) -> Any:
    """The sum of two inputs for each request of a stream."""
    for request in requests:
        yield streamed(request, array_of(request, 0) + array_of(request, 1))


def failed(code: str, text: str) -> Procedure:
    """A procedure that ends with a status."""

    def procedure(request: Any, context: Any) -> Any:
        context.abort(getattr(grpc.StatusCode, code), text)

    return procedure
