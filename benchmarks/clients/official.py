"""The calls of the official client, and of the classic API of this one, which has the same names.

It is used as its examples use it: inputs and requested outputs are built for each request.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from benchmarks.workloads import Array, AsyncCall, Call, Workload
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor


class Official:
    """Uses `tritonclient.http`, `tritonclient.grpc` and their `.aio`."""

    package = "tritonclient"
    shared = False  # its documentation says that threads must not share a client

    @contextmanager
    def blocking(self, url: str, workload: Workload, prepared: bool) -> Iterator[Call]:
        module, address = _module(url), _address(url)
        client = module.InferenceServerClient(address)
        model, names = workload.model, workload.outputs

        def call() -> list[Array]:
            inputs, outputs = _build(module, workload)
            result = client.infer(model, inputs, outputs=outputs)
            return [result.as_numpy(name) for name in names]

        def call_prepared() -> list[Array]:
            result = client.infer(model, built[0], outputs=built[1])
            return [result.as_numpy(name) for name in names]

        if prepared:
            built = _build(module, workload)
        try:
            yield call_prepared if prepared else call
        finally:
            client.close()

    @asynccontextmanager
    async def asynchronous(
        self, url: str, workload: Workload, connections: int
    ) -> AsyncIterator[AsyncCall]:
        model, names = workload.model, workload.outputs
        module = _module(url)
        aio = importlib.import_module(f"{module.__name__}.aio")
        # Over gRPC all calls share a connection.
        options = {"conn_limit": connections} if url.startswith("http") else {}
        async with aio.InferenceServerClient(_address(url), **options) as client:

            async def call() -> list[Array]:
                inputs, outputs = _build(module, workload)
                result = await client.infer(model, inputs, outputs=outputs)
                return [result.as_numpy(name) for name in names]

            yield call

    def serialise(self, array: Array) -> Any:
        return serialize_byte_tensor(array).item()

    def deserialise(self, wire: bytes, count: int) -> Callable[[], Array]:
        return lambda: deserialize_bytes_tensor(wire)


def _module(url: str) -> Any:
    return importlib.import_module(f"tritonclient.{url.partition(':')[0]}")


def _address(url: str) -> str:
    return url.partition("://")[2]


def _build(module: Any, workload: Workload) -> tuple[list[Any], list[Any]]:
    inputs = []
    for name, array in workload.inputs.items():
        tensor = module.InferInput(name, array.shape, workload.datatype)
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    return inputs, [module.InferRequestedOutput(name) for name in workload.outputs]
