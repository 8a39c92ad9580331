"""`python -m benchmarks.bare_servers HTTP_PORT GRPC_PORT`: uvicorn and grpcio with fixed responses.

What they cost alone is the floor of a server that is built on them: nothing is decoded, no model is
executed, and nothing is encoded.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
import grpc.aio
import uvicorn

from tritonclient import messages as m
from tritonclient.codec import rest, rpc

MODEL = "identity"
#: Bytes of a request above which it gets the large response.
LARGE = 1 << 20
REQUEST = m.Infer(MODEL, ())


def response(size: int) -> m.InferResponse:
    """Return a response with a tensor of this many bytes."""
    output = m.InferTensor("OUT", "FP32", (size // 4,), bytes(size))
    return m.InferResponse(MODEL, "1", outputs=(output,))


RESPONSES = [response(64), response(16 << 20)]
HTTP = [rest.encode_response(REQUEST, each) for each in RESPONSES]
GRPC = [b"".join(rpc.encode_response(REQUEST, each)) for each in RESPONSES]


async def application(
    scope: Mapping[str, Any],
    receive: Callable[[], Awaitable[Mapping[str, Any]]],
    send: Callable[[Mapping[str, Any]], Awaitable[None]],
) -> None:
    """Respond to any request; the ASGI application."""
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    found = HTTP[size > LARGE]
    headers = [(name.lower().encode(), value.encode()) for name, value in found.headers.items()]
    headers.append((b"content-length", str(sum(map(len, found.body))).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"".join(found.body)})


async def call(message: bytes, context: object) -> bytes:
    """Respond to any gRPC call."""
    return GRPC[len(message) > LARGE]


class Handler(grpc.GenericRpcHandler):
    """Gives each method the same handler."""

    def service(self, handler_call_details: object) -> Any:
        """Return the handler of a method."""
        return grpc.unary_unary_rpc_method_handler(call)


async def serve(http_port: int, grpc_port: int) -> None:
    """Serve until this is cancelled."""
    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.aio.server(options=unlimited)
    server.add_generic_rpc_handlers((Handler(),))
    server.add_insecure_port(f"127.0.0.1:{grpc_port}")
    await server.start()
    config = uvicorn.Config(
        application,
        port=http_port,
        http="httptools",
        loop="asyncio",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    asyncio.run(serve(*map(int, sys.argv[1:])))
