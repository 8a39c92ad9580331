"""A model that answers with its input: how tests ask it, and what hostile servers answer for it.

The answers are read and written by the codec's server side.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.data.recordings import parse_head
from tests.support.peers.hostile_peers import http
from tritonclient import InferenceServerException
from tritonclient.codec import rest, rpc
from tritonclient.messages import Infer, InferResponse, InferTensor, Request


def infer(client: Any, number: int = 7, **options: Any) -> Any:
    """Ask with what tells this call from all others."""
    return client.infer("echo", {"IN": np.full(3, number)}, id=str(number), **options)


def check(result: Any, number: int = 7) -> None:
    assert result.id == str(number)
    assert result["OUT"].tolist() == [number] * 3


def located(error: InferenceServerException, url: str, model: str = "echo") -> bool:
    """True if an error names the endpoint and the request."""
    return (error.endpoint, error.model, error.request_id) == (url, model, "7")


def over_http(head: bytes, body: bytes) -> bytes:
    """The answer to a request."""
    first, headers, _ = parse_head(head)
    method, path, _ = first.split(" ")
    request = rest.decode_request(rest.HttpRequest(method, path, headers, (body,)))
    answer = rest.encode_response(request, _answer(request))
    return http(b"".join(answer.body), *(f"{n}: {v}" for n, v in answer.headers.items()))


def over_grpc(headers: dict[str, str], message: bytes) -> bytes:
    """The message that answers another."""
    request = rpc.decode_request(headers[":path"].rsplit("/", 1)[1], message)
    return b"".join(rpc.encode_response(request, _answer(request)))


def _answer(request: Request[Any]) -> Any:
    """The first input, or True to all that is no inference."""
    if not isinstance(request, Infer):
        return True
    given = request.inputs[0]
    data = bytes(given.data) if given.data is not None else b""
    output = InferTensor("OUT", given.datatype, given.shape, data)
    return InferResponse(request.model, "1", request.id, {}, (output,))
