"""The calls of this client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import tritonclient
from benchmarks.workloads import Array, AsyncCall, Call, Workload
from tritonclient.datatypes import Buffer, pack_bytes, unpack_bytes


class Ours:
    """Uses the modern API as its README does."""

    package = "tritonclient"
    shared = True
    grpcio: tritonclient.Grpcio | None = None

    @contextmanager
    def blocking(self, url: str, workload: Workload, prepared: bool) -> Iterator[Call]:
        model, inputs, outputs = workload.model, workload.inputs, workload.outputs
        with tritonclient.Client(url, grpcio=self.grpcio) as client:

            def call() -> list[Array]:
                result = client.infer(model, inputs, outputs=outputs)
                return [result[name] for name in outputs]

            def call_prepared() -> list[Array]:
                result = client.infer_prepared(request)
                return [result[name] for name in outputs]

            if prepared:
                request = client.prepare(model, inputs, outputs=outputs)
            yield call_prepared if prepared else call

    @asynccontextmanager
    async def asynchronous(
        self, url: str, workload: Workload, connections: int
    ) -> AsyncIterator[AsyncCall]:
        model, inputs, outputs = workload.model, workload.inputs, workload.outputs
        if self.grpcio:  # a channel opens connections as it likes
            client = tritonclient.AsyncClient(url, grpcio=self.grpcio)
        else:
            client = tritonclient.AsyncClient(url, max_connections=connections)
        async with client:

            async def call() -> list[Array]:
                result = await client.infer(model, inputs, outputs=outputs)
                return [result[name] for name in outputs]

            yield call

    def serialise(self, array: Array) -> Buffer:
        return pack_bytes(array)

    def deserialise(self, wire: bytes, count: int) -> Callable[[], Array]:
        view = memoryview(wire)  # as responses hold it
        return lambda: unpack_bytes(view, count)


class ThroughGrpcio(Ours):
    """The modern client with gRPC through grpcio."""

    grpcio = tritonclient.Grpcio()
