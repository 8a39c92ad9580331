"""Work and memory grow with what callers and peers send no faster than its size.

Work is counted in bytecodes, memory by tracemalloc; no time is measured.
"""

from __future__ import annotations

import ast
import gc
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tritonclient
from tritonclient import Client
from tritonclient import messages as m
from tritonclient.caches import LARGEST, small_cache
from tritonclient.codec import rest, rest_infer, rpc, rpc_infer, rpc_request
from tritonclient.engine import header_block
from tritonclient.engine.http1 import Http1
from tritonclient.shm.blocks import ALIGNMENT, Room
from tritonclient.transport.call import Options
from tritonclient.transport.endpoint import parse_url
from tritonclient.transport.grpc_call import GrpcSettings
from tritonclient.transport.http_call import HttpSettings


def work(function: Callable[[], object]) -> int:
    """How many bytecodes a function executes."""
    count = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


def check_linear(make: Callable[[int], Callable[[], object]], n: int) -> None:
    """Fail if twice as much takes more than twice the work, give or take."""
    make(3)()  # what happens the first time only
    once, twice = work(make(n)), work(make(2 * n))
    assert once > n / 20, "nothing was done"
    assert twice < 2.3 * once


# Headers


def headers(n, salt=""):
    return {f"x-{salt}{i}": f"value {i}" for i in range(n)}


@pytest.mark.parametrize("scheme", ["http", "grpc"])
@pytest.mark.parametrize("whose", ["client", "call", "both"])
def test_headers_of_requests(scheme, whose):
    kind = HttpSettings if scheme == "http" else GrpcSettings

    def make(n):
        theirs = headers(n if whose != "call" else 1)
        settings = kind(parse_url(f"{scheme}://a"), theirs)
        options = Options(headers(n if whose != "client" else 1, "y"))
        return lambda: settings.call(m.GetServerMetadata(), options)

    check_linear(make, 200)


def test_headers_of_http_answers():
    def make(n):
        lines = "".join(f"x-{i}: value {i}\r\n" for i in range(n))
        head = f"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{lines}\r\n".encode()

        def run():
            engine = Http1()
            engine.start(b"GET / HTTP/1.1\r\n\r\n", ())
            data = head
            while data:
                room = engine.get_buffer()
                size = min(len(room), len(data))
                room[:size] = data[:size]
                engine.buffer_updated(size)
                data = data[size:]
            assert engine.response.status == 200

        return run

    check_linear(make, 400)


@pytest.mark.parametrize("same", [False, True])
def test_header_blocks_of_answers(same):
    def make(n):
        fields = [("a" if same else f"x-{i}", f"value {i}") for i in range(n)]
        block = header_block.encode(fields)
        return lambda: header_block.decode(block)

    check_linear(make, 200)


# Tensors and parameters


def tensors(n):
    return tuple(m.InferTensor(f"T{i}", "INT32", (1,), bytes(4)) for i in range(n))


def parameters(n):
    return {f"p{i}": i for i in range(n)}


def infer(n, of):
    if of == "tensors":
        return m.Infer("m", tensors(n))
    if of == "outputs":
        outputs = tuple(m.RequestedOutput(f"O{i}") for i in range(n))
        return m.Infer("m", tensors(1), outputs=outputs)
    return m.Infer("m", tensors(1), parameters=parameters(n))


every_kind = pytest.mark.parametrize("of", ["tensors", "outputs", "parameters"])


@every_kind
def test_requests_over_http(of):
    check_linear(lambda n: lambda: rest.encode_request(infer(n, of)), 200)

    def decode(n):
        sent = rest.encode_request(infer(n, of))
        names = {name.lower(): value for name, value in sent.headers.items()}
        received = sent._replace(headers=names, body=(b"".join(sent.body),))
        return lambda: rest.decode_request(received)

    check_linear(decode, 200)


@every_kind
def test_requests_over_grpc(of):
    check_linear(lambda n: lambda: rpc.encode_request(infer(n, of)), 200)

    def decode(n):
        message = b"".join(rpc_infer.encode_request(infer(n, of)))
        return lambda: rpc_request.decode_request(memoryview(message))

    check_linear(decode, 200)


def response(n, of):
    if of == "tensors":
        return m.InferResponse("m", "1", outputs=tensors(n))
    return m.InferResponse("m", "1", parameters=parameters(n), outputs=tensors(1))


@pytest.mark.parametrize("of", ["tensors", "parameters"])
def test_answers(of):
    def over_http(n):
        sent, body = rest_infer.encode_response(response(n, of))
        sent = {name.lower(): value for name, value in sent.items()}
        data = memoryview(b"".join(body))
        return lambda: rest_infer.decode_response(sent, data)

    def over_grpc(n):
        message = memoryview(b"".join(rpc_infer.encode_response(response(n, of))))
        return lambda: rpc_infer.decode_response(message)

    check_linear(over_http, 200)
    check_linear(over_grpc, 200)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "grpc://127.0.0.1:9"])
def test_inputs_of_a_client(url):
    client = Client(url)

    def make(n):
        inputs = {f"T{i}": np.zeros(2, np.float32) for i in range(n)}

        def run():
            for _ in range(3):
                client._calls.build("m", inputs, "", None, {})

        return run

    check_linear(make, 200)


# Regions and blocks


def test_lists_of_regions():
    def make(n):
        regions = tuple(
            m.SystemSharedMemoryRegion(f"r{i:04}", f"/r{i:04}", 0, 64) for i in range(n)
        )
        request = m.GetSystemSharedMemoryStatus()
        sent = rest.encode_response(request, regions)
        message = b"".join(rpc.encode_response(request, regions))

        def run():
            assert rest.decode_response(request, sent) == regions
            assert rpc.decode_response(request, message) == regions

        return run

    check_linear(make, 200)


def holes(n):
    """Room with n holes of one block, between n that are taken."""
    room = Room(2 * n * ALIGNMENT)
    offsets = [room.take(1) for _ in range(2 * n)]
    for offset in offsets[::2]:
        room.give_back(offset, [])
    assert room.take(1) == 0
    return room


def take_large(room):
    for _ in range(50):
        assert room.take(2 * ALIGNMENT) is None


def test_room_among_holes():
    """A look for room costs no more where there are many holes."""
    few, many = (work(partial(take_large, holes(n))) for n in (100, 3200))
    assert many < 1.5 * few


def test_room_with_much_abandoned():
    """A block that is returned late costs nothing until it is due."""

    def abandoned(n):
        room = Room((n + 1) * ALIGNMENT, clock=lambda: 0.0)
        for offset in [room.take(1) for _ in range(n)]:
            room.give_back(offset, [600.0])
        room.take(1)  # takes note of all
        return room

    few, many = (work(partial(take_large, abandoned(n))) for n in (100, 3200))
    assert many < 1.5 * few


def test_taking_and_giving_back():
    def make(n):
        room = Room(n * ALIGNMENT)

        def run():
            for offset in [room.take(1) for _ in range(n)]:
                room.give_back(offset, [])
            assert room.take(n * ALIGNMENT) == 0

        return run

    check_linear(make, 500)


# Caches

#: Every cache of the package, and what bounds it. "few": its keys are of this package alone.
CACHES = {
    **dict.fromkeys(
        [
            "codec.messages_pb:message",
            "codec.messages_pb:enum",
            "codec.records:_reader",
            "codec.routes:patterns",
            "engine.header_block:require_hpack",
            "engine.served_stream:first_block",
            "grpc.aio._errors:_kind",
            "http.aio._errors:_both",
        ],
        "few",
    ),
    # Names, which callers choose; see `small_cache`.
    **dict.fromkeys(
        [
            "codec.rest:_infer_path",
            "codec.rest:_routes",
            "codec.rpc_infer:_names",
            "codec.rpc_infer:_target",
            "transport.grpc_call:_begin_block",
        ],
        "small",
    ),
    # Small bytes that were received, and small names and shapes, as asked where they are called.
    **dict.fromkeys(
        [
            "codec.rest_infer:_binary_tensor",
            "codec.rest_infer:_plain_output",
            "codec.rpc_infer:_plain_requested",
            "codec.rpc_infer:_plain_tensor",
            "codec.rest_infer:_response_head",
            "codec.rpc_infer:_response_head",
            "codec.rest_request:_request_head",
            "codec.rpc_request:_request_head",
            "engine.header_block:_decode_cached",
            "engine.http1_head:head_template",
            "engine.rpc_outcome:plain_outcome",
            "transport.http_call:_begin_head",
        ],
        "checked",
    ),
    "transport.grpc_call:timeout_block": "numbers",
    "caches:remembered": "itself",
    "bulk.files:_real_folder": "paths",  # at most 64
}


def decorated():
    """The functions of the package that remember results, by module and name."""
    root = Path(tritonclient.__file__).parent
    for path in sorted(root.rglob("*.py")):
        module = ".".join(path.relative_to(root).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for each in node.decorator_list:
                    text = ast.unparse(each)
                    if "cache" in text and "cached_property" not in text:
                        yield f"{module}:{node.name}", text
            elif isinstance(node, ast.Assign) and "lru_cache" in ast.unparse(node.value):
                yield f"{module}:{ast.unparse(node.targets[0])}", ast.unparse(node.value)


def test_every_cache_is_bounded():
    found = dict(decorated())
    assert set(found) == set(CACHES)
    for name, text in found.items():
        bound = CACHES[name]
        assert text.startswith("small_cache(") == (bound == "small"), name
        assert (text == "cache") == (bound == "few"), name


def test_the_documentation_names_every_template():
    page = (Path(__file__).parents[2] / "docs/templates.md").read_text(encoding="utf-8")
    templates = {name for name, bound in CACHES.items() if bound in ("small", "checked", "numbers")}
    assert [name for name in templates if f"`{name.partition(':')[2]}`" not in page] == []


def test_small_caches():
    made = []

    @small_cache(4)
    def describe(*arguments):
        made.append(arguments)
        return arguments

    for _ in range(2):
        describe("a", "b")
        describe("a" * (LARGEST + 1), "")
        describe("a", "b" * LARGEST)
        describe("a", 3)
    assert len(made) == 7
    assert describe.cache_info().currsize == 1


def grown(function: Callable[[int], object], times: int) -> int:
    """Bytes that calls with ever new arguments leave behind."""
    for number in range(5):
        function(-number)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(times):
            function(number)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


LONG = "x" * 60_000


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "grpc://127.0.0.1:9"])
def test_memory_of_large_heads(url):
    """600 calls with 60 kB of headers, names, versions or outputs of their own leave little."""
    client = Client(url)
    array = np.zeros(1, np.float32)
    for call in (
        lambda i: client.prepare("m", {"A": array}, headers={"a": f"{i}{LONG}"}),
        lambda i: client.prepare(f"m{i}{LONG}", {"A": array}),
        lambda i: client.prepare("m", {f"A{i}{LONG}": array}),
        lambda i: client.prepare("m", {"A": array}, version=f"{i}{LONG}"),
        lambda i: client.prepare("m", {"A": array}, outputs=[f"{i}{LONG}"]),
        lambda i: client._calls.build(f"m{i}{LONG}", {"A": array}, "", None, {}),
        lambda i: client._calls.build("m", {"A": array}, "", [f"{i}{LONG}"], {}),
    ):
        assert grown(call, 100) < 1_000_000


def test_memory_of_large_answers():
    def over_http(i):
        sent, body = rest_infer.encode_response(m.InferResponse(f"m{i}{LONG}", outputs=tensors(1)))
        sent = {name.lower(): value for name, value in sent.items()}
        rest_infer.decode_response(sent, memoryview(b"".join(body)))

    def over_grpc(i):
        answer = m.InferResponse(f"m{i}{LONG}", outputs=tensors(1))
        rpc_infer.decode_response(memoryview(b"".join(rpc_infer.encode_response(answer))))

    def requests(i):
        message = b"".join(rpc_infer.encode_request(m.Infer(f"m{i}{LONG}", tensors(1))))
        rpc_request.decode_request(memoryview(message))

    def blocks(i):
        header_block.decode(header_block.encode([("a", f"{i}{LONG}")]))

    for function in (over_http, over_grpc, requests, blocks):
        assert grown(function, 100) < 1_000_000


def test_memory_of_a_clients_calls():
    """Calls that look alike are remembered, up to a number and a size."""
    client = Client("http://127.0.0.1:9")
    inputs = {f"A{i}": np.zeros(1, np.float32) for i in range(400)}
    assert grown(lambda i: client._calls.build(f"m{i}", inputs, "", None, {}), 40) < 1_000_000
    for i in range(600):
        client._calls.build(f"m{i}", {"A": np.zeros(1, np.float32)}, "", None, {})
    assert len(client._calls._templates) <= 256


# Regions of shared memory on the server


def test_regions_of_the_embedded_server():
    """Registering, asking for each and unregistering them all."""
    from tritonclient.server.tensors.shared_memory import Regions
    from tritonclient.shm.system import create_region

    with create_region(64) as memory:

        def make(n):
            def run():
                table = Regions()
                for i in range(n):
                    table.register(m.RegisterSystemSharedMemory(f"r{i}", memory.key, 64))
                for i in range(n):
                    assert len(table.status(f"r{i}")) == 1
                table.unregister("")
                assert table.status("") == ()

            return run

        check_linear(make, 100)
