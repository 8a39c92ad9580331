"""The calls of this client, for `measure`; run in the project's own virtual environment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import tritonclient
from tritonclient.datatypes import Buffer, pack_bytes, unpack_bytes

from .cases import Array, Workload
from .measure import AsyncCall, Call, main


class Ours:
    """Uses the modern front as its README does.

    Args:
        grpcio: how to carry gRPC through grpcio; None for the package's own engine.
    """

    shared = True

    def __init__(self, grpcio: tritonclient.Grpcio | None = None) -> None:
        self._grpcio = grpcio

    @contextmanager
    def blocking(self, url: str, workload: Workload, prepared: bool) -> Iterator[Call]:
        model, inputs, outputs = workload.model, workload.inputs, workload.outputs
        with tritonclient.Client(url, grpcio=self._grpcio) as client:

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
        async with tritonclient.AsyncClient(
            url, max_connections=connections, grpcio=self._grpcio
        ) as client:

            async def call() -> list[Array]:
                result = await client.infer(model, inputs, outputs=outputs)
                return [result[name] for name in outputs]

            yield call

    def serialise(self, array: Array) -> Buffer:
        return pack_bytes(array)

    def deserialise(self, wire: bytes, count: int) -> Callable[[], Array]:
        view = memoryview(wire)  # as answers hold it
        return lambda: unpack_bytes(view, count)


if __name__ == "__main__":
    main(Ours())
