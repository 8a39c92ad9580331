"""Clients of HTTP and gRPC that are in wide use, carrying the same bytes.

They send a request that is encoded beforehand and leave the response as it is, so what they cost
is the transport alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from benchmarks import wire
from benchmarks.workloads import AsyncCall, Call, Workload


class Httpx:
    """httpx.Client and httpx.AsyncClient."""

    package = "httpx"
    shared = True

    @contextmanager
    def blocking(self, url: str, workload: Workload, prepared: bool) -> Iterator[Call]:
        import httpx

        path, headers, body = wire.http_request(workload)
        with httpx.Client(base_url=url, timeout=60) as client:
            yield lambda: client.post(path, content=body, headers=headers).content

    @asynccontextmanager
    async def asynchronous(
        self, url: str, workload: Workload, connections: int
    ) -> AsyncIterator[AsyncCall]:
        import httpx

        path, headers, body = wire.http_request(workload)
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:

            async def call() -> bytes:
                return (await client.post(path, content=body, headers=headers)).content

            yield call


class Aiohttp:
    """aiohttp.ClientSession."""

    package = "aiohttp"

    @asynccontextmanager
    async def asynchronous(
        self, url: str, workload: Workload, connections: int
    ) -> AsyncIterator[AsyncCall]:
        import aiohttp

        path, headers, body = wire.http_request(workload)
        connector = aiohttp.TCPConnector(limit=connections)
        async with aiohttp.ClientSession(url, connector=connector) as session:

            async def call() -> bytes:
                async with session.post(path, data=body, headers=headers) as response:
                    return await response.read()

            yield call


class Grpclib:
    """grpclib.client.Channel; messages are bytes to it."""

    package = "grpclib"

    @asynccontextmanager
    async def asynchronous(
        self, url: str, workload: Workload, connections: int
    ) -> AsyncIterator[AsyncCall]:
        from grpclib.client import Channel, UnaryUnaryMethod
        from grpclib.encoding.base import CodecBase

        class Plain(CodecBase):
            __content_subtype__ = "proto"

            def encode(self, message: Any, message_type: Any) -> bytes:
                return bytes(message)

            def decode(self, data: bytes, message_type: Any) -> bytes:
                return data

        message = wire.grpc_request(workload)
        host, _, port = url.partition("://")[2].rpartition(":")
        async with Channel(host, int(port), codec=Plain()) as channel:
            method = UnaryUnaryMethod(channel, wire.GRPC_PATH, bytes, bytes)
            yield lambda: method(message)
