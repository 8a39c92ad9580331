"""Record how a real Triton answers every operation of the v2 protocol over HTTP.

Run by hand, `python -m tests.record_vectors [SUBJECT...]`, when a model or an operation was added.
The requests are written out here, and sent over a plain socket, so that the recordings owe nothing
to the code that is tested with them.
"""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import socket
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import numpy as np

from tests import triton
from tests.recordings import Exchange, parse_head, save
from tests.twins import build_repository

MODELS = Path(__file__).parent.parent / "models"
SILENCE = 0.1  # seconds without a byte after which a connection counts as left open

Headers = Iterable[tuple[str, str]]
Json = dict[str, Any]


class Recorder:
    """Sends requests, one connection each, and keeps what went to and fro."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.exchanges: list[Exchange] = []

    def get(self, name: str, path: str, headers: Headers = ()) -> None:
        self.send(name, _head("GET", path, headers))

    def post(self, name: str, path: str, body: object = b"", headers: Headers = ()) -> None:
        """Send a body: bytes and text as they are, anything else as JSON."""
        data = _body(body)
        headers = [("Content-Length", str(len(data))), *headers]
        self.send(name, _head("POST", path, headers) + data)

    def post_until(self, wanted: bytes, name: str, path: str) -> None:
        """Send until the answer has `wanted` in it, and keep that exchange only."""
        while True:
            self.post(name, path)
            if wanted in self.exchanges[-1].response:
                return
            self.exchanges.pop()

    def infer(self, name: str, model: str, request: Json, headers: Headers = ()) -> None:
        self.post(name, f"/v2/models/{model}/infer", request, headers)

    def infer_binary(
        self,
        name: str,
        model: str,
        request: Json,
        data: bytes,
        headers: Headers = (),
        compress: Callable[[bytes], bytes] = bytes,
    ) -> None:
        text = _body(request)
        headers = [("Inference-Header-Content-Length", str(len(text))), *headers]
        self.post(name, f"/v2/models/{model}/infer", compress(text + data), headers)

    def send(self, name: str, request: bytes) -> None:
        """Send raw bytes as they are."""
        response, closed = _exchange(self.port, request)
        self.exchanges.append(Exchange(name, request, response, closed))


def _head(method: str, path: str, headers: Headers = (), version: str = "1.1") -> bytes:
    # A fixed name for the host, so that the port of the day is not recorded.
    lines = [f"{method} {path} HTTP/{version}", "Host: localhost:8000"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


def _body(body: object) -> bytes:
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _exchange(port: int, request: bytes) -> tuple[bytes, bool]:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        response = b""
        while not _is_complete(response):
            received = connection.recv(65536)
            response += received
            if not received:
                return response, True
        connection.settimeout(SILENCE)
        try:
            return response, connection.recv(1) == b""
        except TimeoutError:
            return response, False


def _is_complete(response: bytes) -> bool:
    if b"\r\n\r\n" not in response:
        return False
    first, headers, body = parse_head(response)
    if " 100 " in first:
        return _is_complete(body)
    if "transfer-encoding" in headers:
        return body.endswith(b"0\r\n\r\n")
    return len(body) >= int(headers.get("content-length", sys.maxsize))


# --- requests, in short -----------------------------------------------------------------------


def _input(name: str, datatype: str, shape: Sequence[int], **more: object) -> Json:
    return {"name": name, "shape": list(shape), "datatype": datatype, **more}


def _binary(name: str, datatype: str, shape: Sequence[int], size: int) -> Json:
    return _input(name, datatype, shape, parameters={"binary_data_size": size})


def _output(name: str, **parameters: object) -> Json:
    return {"name": name, "parameters": parameters} if parameters else {"name": name}


A = list(range(16))
B = [1] * 16
INT32S = struct.pack("<16i", *A) + struct.pack("<16i", *B)


def _simple(**more: object) -> Json:
    """A request to the model `simple` that succeeds, changed as told."""
    inputs = [
        _input("INPUT0", "INT32", [1, 16], data=A),
        _input("INPUT1", "INT32", [1, 16], data=B),
    ]
    return {"inputs": inputs, **more}


def _simple_but(**changes: object) -> Json:
    """The same with its first input changed."""
    request = _simple()
    request["inputs"][0] |= changes
    return request


def _simple_binary(**more: object) -> Json:
    inputs = [_binary("INPUT0", "INT32", [1, 16], 64), _binary("INPUT1", "INT32", [1, 16], 64)]
    return {"inputs": inputs, **more}


def _pack_bytes(elements: Iterable[bytes]) -> bytes:
    return b"".join(struct.pack("<I", len(each)) + each for each in elements)


# --- the subjects -----------------------------------------------------------------------------


def record_statistics(to: Recorder) -> None:
    # The first subject, so that no other's requests are in the counts.
    to.get("model never used", "/v2/models/simple_int8/stats")
    to.get("version never used", "/v2/models/versioned/versions/1/stats")
    to.get("unknown model", "/v2/models/nope/stats")
    to.get("unknown version", "/v2/models/simple/versions/9/stats")
    to.get("all models", "/v2/models/stats")
    to.infer("a request to be counted", "identity_fp32", _identity("FP32", [0.5]))
    to.infer("a request to fail", "failing", _failing("on purpose"))
    to.get("model used", "/v2/models/identity_fp32/stats")
    to.get("model failed", "/v2/models/failing/stats")


def record_health(to: Recorder) -> None:
    to.get("server live", "/v2/health/live")
    to.get("server ready", "/v2/health/ready")
    to.get("model ready", "/v2/models/simple/ready")
    to.get("model version ready", "/v2/models/simple/versions/1/ready")
    to.get("unknown model ready", "/v2/models/nope/ready")
    to.get("unknown version ready", "/v2/models/simple/versions/9/ready")


def record_metadata(to: Recorder) -> None:
    to.get("server", "/v2")
    for model in sorted(path.name for path in MODELS.iterdir() if path.is_dir()):
        to.get(f"model {model}", f"/v2/models/{model}")
    to.get("model version", "/v2/models/simple/versions/1")
    to.get("unknown model", "/v2/models/nope")
    to.get("unknown version", "/v2/models/simple/versions/9")


def record_config(to: Recorder) -> None:
    for model in ("simple", "digits", "slow_identity", "versioned"):
        to.get(f"model {model}", f"/v2/models/{model}/config")
    to.get("model version", "/v2/models/simple/versions/1/config")
    to.get("unknown model", "/v2/models/nope/config")
    to.get("unknown version", "/v2/models/simple/versions/9/config")


def record_repository(to: Recorder) -> None:
    load, unload = "/v2/repository/models/{}/load", "/v2/repository/models/{}/unload"
    index = "/v2/repository/index"
    to.post("index", index)
    to.post("index of an empty object", index, {})
    to.post("index of ready models", index, {"ready": True})
    to.post("index with a wrong type", index, {"ready": 1})
    to.post("unload", unload.format("identity_fp32"))
    to.post_until(b"UNAVAILABLE", "index after unload", index)  # until then it is UNLOADING
    to.post("ready index after unload", index, {"ready": True})
    to.get("ready after unload", "/v2/models/identity_fp32/ready")
    to.get("metadata after unload", "/v2/models/identity_fp32")
    to.get("statistics after unload", "/v2/models/identity_fp32/stats")
    to.infer("infer after unload", "identity_fp32", _identity("FP32", [0.5]))
    to.post("load", load.format("identity_fp32"), {})
    config = {
        "backend": "python",
        "max_batch_size": 0,
        "input": [{"name": "INPUT0", "data_type": "TYPE_FP32", "dims": [3]}],
        "output": [{"name": "OUTPUT0", "data_type": "TYPE_FP32", "dims": [3]}],
    }
    override = {"config": json.dumps(config)}
    to.post("load with a configuration", load.format("identity_fp32"), {"parameters": override})
    to.get("metadata after load with a configuration", "/v2/models/identity_fp32")
    source = (MODELS / "identity_fp32" / "1" / "model.py").read_bytes()
    files = {"file:1/model.py": base64.b64encode(source).decode()}
    to.post("load with files", load.format("uploaded"), {"parameters": override | files})
    to.get("metadata after load with files", "/v2/models/uploaded")
    to.post("index after load with files", index)
    to.post("load with files alone", load.format("identity_fp32"), {"parameters": files})
    to.post(
        "unload with dependents", unload.format("uploaded"), _parameters(unload_dependents=True)
    )
    to.post("load as it was", load.format("identity_fp32"), b"")
    to.post("load unknown model", load.format("nope"), {})
    to.post("unload unknown model", unload.format("nope"), {})
    to.post("load with a bad configuration", load.format("simple"), _parameters(config="{"))
    to.post("load with an unknown parameter", load.format("simple"), _parameters(nope="x"))
    to.post("load with a wrong type", load.format("simple"), _parameters(config=1))
    to.post("load with malformed JSON", load.format("simple"), "{")


def _parameters(**parameters: object) -> Json:
    return {"parameters": parameters}


def record_settings(to: Recorder) -> None:
    trace, of_model = "/v2/trace/setting", "/v2/models/simple/trace/setting"
    to.get("trace settings", trace)
    to.get("trace settings of a model", of_model)
    to.post("update trace settings", trace, {"trace_rate": "500", "log_frequency": "10"})
    to.post("switch tracing on", trace, {"trace_level": ["TIMESTAMPS", "TENSORS"]})
    to.post("update a model's", of_model, {"trace_level": ["TIMESTAMPS"], "trace_count": "7"})
    to.get("the model's settings", of_model)
    to.get("the others' settings", trace)
    to.post("clear a model's", of_model, {"trace_level": None, "trace_count": None})
    cleared = dict.fromkeys(("trace_level", "trace_rate", "trace_count", "log_frequency"))
    to.post("clear trace settings", trace, cleared)
    to.post("unknown trace setting", trace, {"nope": "1"})
    to.post("trace rate of a wrong type", trace, {"trace_rate": 5})
    to.post("trace rate that is no number", trace, {"trace_rate": "x"})
    to.post("trace count too small", trace, {"trace_count": "-2"})
    to.post("trace level that is no list", trace, {"trace_level": "TIMESTAMPS"})
    to.post("trace file", trace, {"trace_file": "other.json"})
    to.get("trace settings of an unknown model", "/v2/models/nope/trace/setting")
    to.post("update an unknown model's", "/v2/models/nope/trace/setting", {"trace_rate": "1"})
    logging = "/v2/logging"
    to.get("log settings", logging)
    to.post("update log settings", logging, {"log_verbose_level": 1, "log_format": "ISO8601"})
    to.post("log settings back", logging, {"log_verbose_level": 0, "log_format": "default"})
    to.post("unknown log setting", logging, {"nope": 1})
    to.post("log setting of a wrong type", logging, {"log_info": "yes"})
    to.post("log verbosity below zero", logging, {"log_verbose_level": -1})
    to.post("unknown log format", logging, {"log_format": "nope"})
    to.post("log file", logging, {"log_file": "other.log"})
    to.post("log settings without a body", logging)


def record_system_shared_memory(to: Recorder) -> None:
    data = shared_memory.SharedMemory("tritonclient_recording", create=True, size=8192)
    more = shared_memory.SharedMemory("tritonclient_recording_more", create=True, size=8192)
    try:
        data.buf[:128] = INT32S
        _record_system_shared_memory(to)
    finally:
        for each in (data, more):
            each.close()
            each.unlink()


def _record_system_shared_memory(to: Recorder) -> None:
    # Every region has a key of its own. Triton 2.51 keeps the closed file descriptor of a key: a
    # second region of that key is refused with whatever error comes of it, and the descriptor is
    # closed once more, which by then may be that of a connection, and that one hangs for ever.
    status, everything = "/v2/systemsharedmemory/status", "/v2/systemsharedmemory/unregister"
    one = "/v2/systemsharedmemory/region/{}/{}"
    region = {"key": "/tritonclient_recording", "offset": 0, "byte_size": 8192}
    second = {"key": "/tritonclient_recording_more", "offset": 4096, "byte_size": 4096}
    to.get("status of none", status)
    for name, changed in {
        "register a key that does not exist": second | {"key": "/tritonclient_nope"},
        "register too much": second | {"byte_size": 8192},
        "register nothing": second | {"byte_size": 0},
        "register at half a page": second | {"offset": 64, "byte_size": 64},
        "register without a key": {"byte_size": 64},
        "register without a size": {"key": second["key"]},
        "register with a wrong type": second | {"byte_size": "4096"},
    }.items():
        to.post(name, one.format("more", "register"), changed)
    to.post("register without a body", one.format("more", "register"))
    to.post("register", one.format("data", "register"), region)
    to.get("status", status)
    to.get("status of one", one.format("data", "status"))
    to.post("register again", one.format("data", "register"), region)
    to.post("register at an offset", one.format("more", "register"), second)
    to.get("status of two", status)
    to.infer("infer", "simple", _shared())
    outputs = [_output("OUTPUT0", shared_memory_region="more", shared_memory_byte_size=64)]
    to.infer("infer with an output alone", "simple", _simple(outputs=outputs))
    to.infer("infer from an unknown region", "simple", _shared(region="nope"))
    to.infer("infer beyond the region", "simple", _shared(size=9000))
    to.infer("infer from too few bytes", "simple", _shared(size=60))
    small = _shared()
    small["outputs"][0]["parameters"]["shared_memory_byte_size"] = 8
    to.infer("infer into too few bytes", "simple", small)
    small["outputs"][0]["parameters"]["binary_data"] = True
    to.infer("infer into memory and binary data", "simple", small)
    to.get("status of an unknown region", one.format("nope", "status"))
    to.post("unregister an unknown region", one.format("nope", "unregister"))
    to.post("unregister", one.format("data", "unregister"))
    to.get("status of the other", status)
    to.post("unregister all", everything)
    to.get("status at the end", status)


def _shared(region: str = "data", size: int = 64) -> Json:
    where = {"shared_memory_region": region, "shared_memory_byte_size": size}
    return {
        "inputs": [
            _input("INPUT0", "INT32", [1, 16], parameters=where),
            _input("INPUT1", "INT32", [1, 16], parameters=where | {"shared_memory_offset": 64}),
        ],
        "outputs": [_output("OUTPUT0", **where, shared_memory_offset=128), _output("OUTPUT1")],
    }


def record_cuda_shared_memory(to: Recorder) -> None:
    one = "/v2/cudasharedmemory/region/{}/{}"
    handle = {"raw_handle": {"b64": base64.b64encode(bytes(64)).decode()}}
    to.get("status", "/v2/cudasharedmemory/status")
    to.get("status of an unknown region", one.format("nope", "status"))
    region = handle | {"device_id": 0, "byte_size": 64}
    to.post("register without a GPU", one.format("data", "register"), region)
    region |= {"raw_handle": {"b64": "AA=="}}
    to.post("register a handle that is none", one.format("data", "register"), region)
    to.post("register without a handle", one.format("data", "register"), {"byte_size": 64})
    to.post("unregister an unknown region", one.format("nope", "unregister"))
    to.post("unregister all", "/v2/cudasharedmemory/unregister")


def record_infer(to: Recorder) -> None:
    both = [_output("OUTPUT0", binary_data=True), _output("OUTPUT1", binary_data=True)]
    mixed = [_output("OUTPUT0", binary_data=True), _output("OUTPUT1", binary_data=False)]
    to.infer("JSON to JSON", "simple", _simple())
    to.infer_binary("binary to binary", "simple", _simple_binary(outputs=both), INT32S)
    to.infer("JSON to binary", "simple", _simple(outputs=both))
    to.infer_binary("binary to JSON", "simple", _simple_binary(), INT32S)
    request = _simple_binary(outputs=mixed)
    request["inputs"][1] = _input("INPUT1", "INT32", [1, 16], data=B)
    to.infer_binary("mixed to mixed", "simple", request, INT32S[:64])
    binary = {"parameters": {"binary_data_output": True}}
    to.infer("all outputs binary", "simple", _simple(**binary))
    to.infer("binary by default and one not", "simple", _simple(outputs=mixed[1:], **binary))
    to.infer(
        "binary by default and listed", "simple", _simple(outputs=[_output("OUTPUT1")], **binary)
    )
    to.infer("one output", "simple", _simple(outputs=[_output("OUTPUT1")]))
    to.infer("outputs in another order", "simple", _simple(outputs=both[::-1]))
    to.infer("no outputs listed", "simple", _simple(outputs=[]))
    to.post("version", "/v2/models/simple/versions/1/infer", _simple())
    to.post("another version", "/v2/models/versioned/versions/1/infer", _identity("INT32", [1, 2]))
    to.infer("latest version", "versioned", _identity("INT32", [1, 2]))
    to.infer("request id", "simple", _simple(id="request-7"))
    to.infer("batch of two", "simple", _batch(2))
    nested = _simple_but(data=[A])
    to.infer("nested data", "simple", nested)
    scheduling = {"priority": 1, "timeout": 5_000_000}
    to.infer("priority and timeout", "simple", _simple(parameters=scheduling))
    sequence = {"sequence_id": 42, "sequence_start": True, "sequence_end": True}
    to.infer("sequence", "simple", _simple(parameters=sequence))
    sequence["sequence_id"] = "forty-two"
    to.infer("sequence with a string", "simple", _simple(parameters=sequence))
    custom = {"text": "value", "number": 5, "flag": True, "real": 0.5}
    to.infer("custom parameters", "simple", _simple(parameters=custom))


def _batch(size: int) -> Json:
    inputs = [_input(f"INPUT{i}", "INT32", [size, 16], data=A * size) for i in range(2)]
    return {"inputs": inputs}


def _identity(datatype: str, data: Sequence[object]) -> Json:
    return {"inputs": [_input("INPUT0", datatype, [len(data)], data=list(data))]}


def _failing(message: str) -> Json:
    return {"inputs": [_input("MESSAGE", "BYTES", [1], data=[message])]}


def record_datatypes(to: Recorder) -> None:
    values: Mapping[str, Sequence[object]] = {
        "BOOL": [True, False, True, True, False, False],
        "UINT8": [0, 1, 2, 127, 128, 255],
        "UINT16": [0, 1, 2, 3, 32768, 65535],
        "UINT32": [0, 1, 2, 3, 2**31, 2**32 - 1],
        "UINT64": [0, 1, 2, 3, 2**63, 2**64 - 1],
        "INT8": [0, 1, -1, 2, 127, -128],
        "INT16": [0, 1, -1, 2, 2**15 - 1, -(2**15)],
        "INT32": [0, 1, -1, 2, 2**31 - 1, -(2**31)],
        "INT64": [0, 1, -1, 2, 2**63 - 1, -(2**63)],
        "FP16": [0.0, 0.5, -1.0, 2.0, 65504.0, 0.0999755859375],
        "FP32": [0.0, 0.5, -1.0, 2.0, 3.4028234663852886e38, 0.10000000149011612],
        "FP64": [0.0, 0.5, -1.0, 2.0, 1.7976931348623157e308, 0.1],
    }
    for datatype, elements in values.items():
        kind = {"BOOL": "?", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}.get(datatype)
        array = np.array(elements, kind or datatype.lower())
        _record_datatype(to, datatype, array.tobytes(), elements)
    _record_datatype(to, "BF16", bytes.fromhex("0000 003f 80bf 0040 7f7f cd3d"), None)
    texts = ["", "a", "zwölf", "two words", 'quote " and \\', "line\nbreak"]
    _record_datatype(to, "BYTES", _pack_bytes(text.encode() for text in texts), texts)
    raw = _pack_bytes([b"\x00", b"\xff\xfe", b"a\x00b", b"", b"\x80", b"z"])
    outputs = [_output("OUTPUT_BYTES", binary_data=True)]
    request = {"inputs": [_binary("INPUT_BYTES", "BYTES", [2, 3], len(raw))], "outputs": outputs}
    to.infer_binary("BYTES that are no text", "echo", request, raw)
    request["outputs"] = [_output("OUTPUT_BYTES")]
    to.infer_binary("BYTES that are no text, to JSON", "echo", request, raw)
    special = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45, 1.0], "<f4").tobytes()
    request = {"inputs": [_binary("INPUT_FP32", "FP32", [2, 3], len(special))]}
    to.infer_binary("FP32 that JSON can't say", "echo", request, special)
    to.infer("FP32 from whole numbers", "echo", _echo("FP32", [0, 1, 2, 3, 4, 5]))
    to.infer("BOOL from numbers", "echo", _echo("BOOL", [0, 1, 1, 0, 1, 0]))
    to.infer("UINT8 out of range", "echo", _echo("UINT8", [0, 1, 2, 3, 4, 256]))
    to.infer("BYTES from numbers", "echo", _echo("BYTES", [0, 1, 2, 3, 4, 5]))
    empty = _input("INPUT_INT32", "INT32", [0, 3], data=[])
    to.infer("no elements", "echo", {"inputs": [empty]})
    outputs = [_output("OUTPUT_INT32", binary_data=True)]
    empty = _binary("INPUT_INT32", "INT32", [0, 3], 0)
    request = {"inputs": [empty], "outputs": outputs}
    to.infer_binary("no elements, binary", "echo", request, b"")


def _record_datatype(
    to: Recorder, datatype: str, data: bytes, elements: Sequence[object] | None
) -> None:
    request: Json = {"inputs": [_binary(f"INPUT_{datatype}", datatype, [2, 3], len(data))]}
    request["outputs"] = [_output(f"OUTPUT_{datatype}", binary_data=True)]
    to.infer_binary(f"{datatype} binary", "echo", request, data)
    to.infer(f"{datatype} JSON", "echo", _echo(datatype, elements or [0] * 6))
    if elements:
        del request["outputs"]
        to.infer_binary(f"{datatype} binary to JSON", "echo", request, data)


def _echo(datatype: str, data: Sequence[object]) -> Json:
    return {"inputs": [_input(f"INPUT_{datatype}", datatype, [2, 3], data=list(data))]}


def record_classification(to: Recorder) -> None:
    image = np.zeros((2, 1, 8, 8), "<f4")
    image[0, 0, 1:7, 3] = image[1, 0, 1:7, 2] = image[1, 0, 1:7, 5] = 16.0
    image[1, 0, [1, 6], 2:6] = 16.0  # a one and a nought
    data = image.tobytes()
    request: Json = {"inputs": [_binary("IMAGE", "FP32", image.shape, len(data))]}
    for name, parameters in {
        "three classes": {"classification": 3, "binary_data": True},
        "one class, JSON": {"classification": 1},
        "more than there are": {"classification": 99},
        "none": {"classification": 0, "binary_data": True},
        "a wrong type": {"classification": "three"},
    }.items():
        outputs = [_output("PROBABILITIES", **parameters)]
        to.infer_binary(name, "digits", request | {"outputs": outputs}, data)
    outputs = [_output("OUTPUT0", classification=2), _output("OUTPUT1", classification=2)]
    to.infer("without labels", "simple", _simple(outputs=outputs))


def record_compression(to: Recorder) -> None:
    binary = _simple_binary(outputs=[_output("OUTPUT0", binary_data=True)])
    codings = {"gzip": lambda data: gzip.compress(data, mtime=0), "deflate": zlib.compress}
    for coding, compress in codings.items():
        sent, wanted = ("Content-Encoding", coding), ("Accept-Encoding", coding)
        to.infer_binary(f"{coding} request", "simple", binary, INT32S, [sent], compress)
        text = compress(_body(_simple()))
        to.post(f"{coding} request, JSON", "/v2/models/simple/infer", text, [sent])
        to.infer_binary(f"{coding} response", "simple", binary, INT32S, [wanted])
        to.infer(f"{coding} response, JSON", "simple", _simple(), [wanted])
        to.infer_binary(f"{coding} both", "simple", binary, INT32S, [sent, wanted], compress)
        to.infer(f"{coding} and an error", "simple", {}, [wanted])
    for wanted in ("gzip, deflate", "deflate, gzip", "gzip;q=0.5, deflate;q=0.9", "br", "*"):
        to.infer(f"accepting {wanted}", "simple", _simple(), [("Accept-Encoding", wanted)])
    to.infer("unknown coding", "simple", _simple(), [("Content-Encoding", "br")])
    to.infer("identity", "simple", _simple(), [("Content-Encoding", "identity")])
    junk = [("Content-Encoding", "gzip")]
    to.post("not compressed at all", "/v2/models/simple/infer", b"not gzip", junk)


def record_infer_errors(to: Recorder) -> None:
    url = "/v2/models/simple/infer"
    to.infer("unknown model", "nope", _simple())
    to.post("unknown version", "/v2/models/simple/versions/9/infer", _simple())
    to.infer("failing model", "failing", _failing("on purpose"))
    to.infer("failing model with an id", "failing", _failing("on purpose") | {"id": "request-7"})
    to.infer("unknown input", "simple", _simple_but(name="NOPE"))
    to.infer("missing input", "simple", {"inputs": _simple()["inputs"][:1]})
    to.infer("missing input with an id", "simple", {"id": "7", "inputs": _simple()["inputs"][:1]})
    to.infer("no inputs", "simple", {"inputs": []})
    to.infer("duplicate input", "simple", {"inputs": _simple()["inputs"][:1] * 2})
    to.infer("unknown output", "simple", _simple(outputs=[_output("NOPE")]))
    to.infer("wrong shape", "simple", _simple_but(shape=[1, 15], data=A[:15]))
    to.infer("wrong rank", "simple", _simple_but(shape=[1, 4, 4]))
    fixed = {"inputs": [_input("MESSAGE", "BYTES", [2], data=["a", "b"])]}
    to.infer("wrong shape without batching", "failing", fixed)
    to.infer("batch too large", "simple", _batch(9))
    to.infer("batches that differ", "simple", _simple_but(shape=[2, 16], data=A * 2))
    to.infer("wrong datatype", "simple", _simple_but(datatype="FP32"))
    to.infer("unknown datatype", "simple", _simple_but(datatype="INT33"))
    to.infer("too little data", "simple", _simple_but(data=A[:15]))
    to.infer("too much data", "simple", _simple_but(data=[*A, 16]))
    to.infer("data of a wrong type", "simple", _simple_but(data=["a"] * 16))
    to.infer("negative shape", "simple", _simple_but(shape=[-1, 16]))
    for field in ("data", "datatype", "shape", "name"):
        without = _simple()
        del without["inputs"][0][field]
        to.infer(f"input without {field}", "simple", without)
    to.infer("without inputs", "simple", {})
    both = _simple_but(parameters={"binary_data_size": 64})
    to.infer_binary("two kinds of data", "simple", both, INT32S[:64])
    to.infer_binary("binary data too short", "simple", _simple_binary(), INT32S[:-4])
    to.infer_binary("binary data too long", "simple", _simple_binary(), INT32S + bytes(4))
    short = _simple_binary()
    short["inputs"][0]["parameters"]["binary_data_size"] = 60
    to.infer_binary("binary size that does not fit", "simple", short, INT32S[:-4])
    broken = {"inputs": [_binary("INPUT0", "BYTES", [2], 9)]}
    to.infer_binary("broken BYTES", "identity_bytes", broken, b"\x09\0\0\0hello")
    length = "Inference-Header-Content-Length"
    to.post("header length too large", url, _simple(), [(length, "99999")])
    to.post("header length below zero", url, _simple(), [(length, "-1")])
    to.post("malformed JSON", url, '{"inputs":[}')
    to.post("cut JSON", url, _body(_simple())[:-2])
    to.post("junk after JSON", url, _body(_simple()) + b"junk")
    to.post("JSON of another type", url, [])
    to.post("no body", url)
    to.infer("id of a wrong type", "simple", _simple(id=7))
    to.infer("null parameter", "simple", _simple(parameters={"custom": None}))
    to.infer("reserved parameter", "simple", _simple(parameters={"triton_custom": 1}))
    to.infer("priority of a wrong type", "simple", _simple(parameters={"priority": "high"}))
    to.infer("timeout of a wrong type", "simple", _simple(parameters={"timeout": -1}))
    to.infer("parameters of a wrong type", "simple", _simple(parameters=[]))


def record_transport(to: Recorder) -> None:
    body = _body(_simple())
    infer = "/v2/models/simple/infer"
    for path in ("/", "/v2/", "/v2/nope", "/v2/models/simple/nope", "/v2/models/simple/versions/x"):
        to.get(f"unknown URL {path}", path)
    to.get("escaped model name", "/v2/models/sim%70le")
    to.get("query", "/v2/health/live?x=1")
    to.get("GET of infer", infer)
    to.get("GET of the repository index", "/v2/repository/index")
    for method, path in (("POST", "/v2/health/live"), ("HEAD", "/v2/health/live"), ("PUT", "/v2")):
        to.send(f"{method} of {path}", _head(method, path))
    length = ("Content-Length", str(len(body)))
    to.send("HTTP/1.0", _head("GET", "/v2", version="1.0"))
    to.send("HTTP/1.0 infer", _head("POST", infer, [length], version="1.0") + body)
    to.get("Connection: close", "/v2/health/live", [("Connection", "close")])
    head = _head("POST", infer, [length, ("Expect", "100-continue")])
    to.send("Expect: 100-continue", head + body)
    chunks = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (10, body[:10], len(body) - 10, body[10:])
    to.send("chunked", _head("POST", infer, [("Transfer-Encoding", "chunked")]) + chunks)
    to.send("no HTTP", b"nonsense\r\n\r\n")


SUBJECTS: Mapping[str, Callable[[Recorder], None]] = {
    name.removeprefix("record_"): value
    for name, value in list(globals().items())
    if name.startswith("record_")
}


def main(wanted: Sequence[str]) -> None:
    # A fixed place, because errors of the Python backend tell the path of the model.
    repository = Path(tempfile.gettempdir(), "tritonclient-recording", "models")
    shutil.rmtree(repository.parent, ignore_errors=True)
    repository.parent.mkdir()
    try:
        build_repository(MODELS, repository)
        with triton.start(
            repository, control_mode="explicit", extra_args=triton.CONTROLLED
        ) as server:
            for subject, record in SUBJECTS.items():
                if not wanted or subject in wanted:
                    recorder = Recorder(server.http_port)
                    record(recorder)
                    save(subject, recorder.exchanges)
    finally:
        shutil.rmtree(repository.parent)


if __name__ == "__main__":
    main(sys.argv[1:])
