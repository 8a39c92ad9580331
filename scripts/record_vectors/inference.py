"""Inference, and the forms of its tensors."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from scripts.record_vectors.recorder import Recorder, encode_body
from scripts.record_vectors.requests import (
    INT32S,
    A,
    B,
    Json,
    batch,
    binary_tensor,
    identity,
    output,
    pack_bytes,
    simple,
    simple_binary,
    simple_but,
    tensor,
)


def record_infer(to: Recorder) -> None:
    both = [output("OUTPUT0", binary_data=True), output("OUTPUT1", binary_data=True)]
    mixed = [output("OUTPUT0", binary_data=True), output("OUTPUT1", binary_data=False)]
    to.infer("JSON to JSON", "simple", simple())
    to.infer_binary("binary to binary", "simple", simple_binary(outputs=both), INT32S)
    to.infer("JSON to binary", "simple", simple(outputs=both))
    to.infer_binary("binary to JSON", "simple", simple_binary(), INT32S)
    request = simple_binary(outputs=mixed)
    request["inputs"][1] = tensor("INPUT1", "INT32", [1, 16], data=B)
    to.infer_binary("mixed to mixed", "simple", request, INT32S[:64])
    binary = {"parameters": {"binary_data_output": True}}
    to.infer("all outputs binary", "simple", simple(**binary))
    to.infer("binary by default and one not", "simple", simple(outputs=mixed[1:], **binary))
    to.infer(
        "binary by default and listed", "simple", simple(outputs=[output("OUTPUT1")], **binary)
    )
    to.infer("one output", "simple", simple(outputs=[output("OUTPUT1")]))
    to.infer("outputs in another order", "simple", simple(outputs=both[::-1]))
    to.infer("no outputs listed", "simple", simple(outputs=[]))
    to.post("version", "/v2/models/simple/versions/1/infer", simple())
    to.post("another version", "/v2/models/versioned/versions/1/infer", identity("INT32", [1, 2]))
    to.infer("latest version", "versioned", identity("INT32", [1, 2]))
    to.infer("request id", "simple", simple(id="request-7"))
    to.infer("batch of two", "simple", batch(2))
    nested = simple_but(data=[A])
    to.infer("nested data", "simple", nested)
    scheduling = {"priority": 1, "timeout": 5_000_000}
    to.infer("priority and timeout", "simple", simple(parameters=scheduling))
    sequence = {"sequence_id": 42, "sequence_start": True, "sequence_end": True}
    to.infer("sequence", "simple", simple(parameters=sequence))
    sequence["sequence_id"] = "forty-two"
    to.infer("sequence with a string", "simple", simple(parameters=sequence))
    custom = {"text": "value", "number": 5, "flag": True, "real": 0.5}
    to.infer("custom parameters", "simple", simple(parameters=custom))


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
    _record_datatype(to, "BYTES", pack_bytes(text.encode() for text in texts), texts)
    raw = pack_bytes([b"\x00", b"\xff\xfe", b"a\x00b", b"", b"\x80", b"z"])
    outputs = [output("OUTPUT_BYTES", binary_data=True)]
    request = {
        "inputs": [binary_tensor("INPUT_BYTES", "BYTES", [2, 3], len(raw))],
        "outputs": outputs,
    }
    to.infer_binary("BYTES that are no text", "echo", request, raw)
    request["outputs"] = [output("OUTPUT_BYTES")]
    to.infer_binary("BYTES that are no text, to JSON", "echo", request, raw)
    special = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45, 1.0], "<f4").tobytes()
    request = {"inputs": [binary_tensor("INPUT_FP32", "FP32", [2, 3], len(special))]}
    to.infer_binary("FP32 that JSON can't say", "echo", request, special)
    to.infer("FP32 from whole numbers", "echo", _echo("FP32", [0, 1, 2, 3, 4, 5]))
    to.infer("BOOL from numbers", "echo", _echo("BOOL", [0, 1, 1, 0, 1, 0]))
    to.infer("UINT8 out of range", "echo", _echo("UINT8", [0, 1, 2, 3, 4, 256]))
    to.infer("BYTES from numbers", "echo", _echo("BYTES", [0, 1, 2, 3, 4, 5]))
    empty = tensor("INPUT_INT32", "INT32", [0, 3], data=[])
    to.infer("no elements", "echo", {"inputs": [empty]})
    outputs = [output("OUTPUT_INT32", binary_data=True)]
    empty = binary_tensor("INPUT_INT32", "INT32", [0, 3], 0)
    request = {"inputs": [empty], "outputs": outputs}
    to.infer_binary("no elements, binary", "echo", request, b"")


def _record_datatype(
    to: Recorder, datatype: str, data: bytes, elements: Sequence[object] | None
) -> None:
    request: Json = {"inputs": [binary_tensor(f"INPUT_{datatype}", datatype, [2, 3], len(data))]}
    request["outputs"] = [output(f"OUTPUT_{datatype}", binary_data=True)]
    to.infer_binary(f"{datatype} binary", "echo", request, data)
    to.infer(f"{datatype} JSON", "echo", _echo(datatype, elements or [0] * 6))
    if elements:
        del request["outputs"]
        to.infer_binary(f"{datatype} binary to JSON", "echo", request, data)


def _echo(datatype: str, data: Sequence[object]) -> Json:
    return {"inputs": [tensor(f"INPUT_{datatype}", datatype, [2, 3], data=list(data))]}


def record_classification(to: Recorder) -> None:
    image = np.zeros((2, 1, 8, 8), "<f4")
    image[0, 0, 1:7, 3] = image[1, 0, 1:7, 2] = image[1, 0, 1:7, 5] = 16.0
    image[1, 0, [1, 6], 2:6] = 16.0  # a one and a nought
    data = image.tobytes()
    request: Json = {"inputs": [binary_tensor("IMAGE", "FP32", image.shape, len(data))]}
    for name, parameters in {
        "three classes": {"classification": 3, "binary_data": True},
        "one class, JSON": {"classification": 1},
        "more than there are": {"classification": 99},
        "none": {"classification": 0, "binary_data": True},
        "a wrong type": {"classification": "three"},
    }.items():
        outputs = [output("PROBABILITIES", **parameters)]
        to.infer_binary(name, "digits", request | {"outputs": outputs}, data)
    outputs = [output("OUTPUT0", classification=2), output("OUTPUT1", classification=2)]
    to.infer("without labels", "simple", simple(outputs=outputs))


def record_compression(to: Recorder) -> None:
    binary = simple_binary(outputs=[output("OUTPUT0", binary_data=True)])
    codings = {"gzip": lambda data: gzip.compress(data, mtime=0), "deflate": zlib.compress}
    for coding, compress in codings.items():
        sent, wanted = ("Content-Encoding", coding), ("Accept-Encoding", coding)
        to.infer_binary(f"{coding} request", "simple", binary, INT32S, [sent], compress)
        text = compress(encode_body(simple()))
        to.post(f"{coding} request, JSON", "/v2/models/simple/infer", text, [sent])
        to.infer_binary(f"{coding} response", "simple", binary, INT32S, [wanted])
        to.infer(f"{coding} response, JSON", "simple", simple(), [wanted])
        to.infer_binary(f"{coding} both", "simple", binary, INT32S, [sent, wanted], compress)
        to.infer(f"{coding} and an error", "simple", {}, [wanted])
    for wanted in ("gzip, deflate", "deflate, gzip", "gzip;q=0.5, deflate;q=0.9", "br", "*"):
        to.infer(f"accepting {wanted}", "simple", simple(), [("Accept-Encoding", wanted)])
    to.infer("unknown coding", "simple", simple(), [("Content-Encoding", "br")])
    to.infer("identity", "simple", simple(), [("Content-Encoding", "identity")])
    junk = [("Content-Encoding", "gzip")]
    to.post("not compressed at all", "/v2/models/simple/infer", b"not gzip", junk)
