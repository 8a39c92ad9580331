"""Inference over gRPC, unary and in streams, and the forms of its tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scripts.record_vectors.requests import INT32S, A, B, pack_bytes
from scripts.record_vectors.rpc_recorder import Recorder, encode

Json = dict[str, Any]


def tensor(name: str, datatype: str, shape: Sequence[int], **more: object) -> Json:
    return {"name": name, "datatype": datatype, "shape": list(shape), **more}


def raw(model: str, inputs: Sequence[Json], *contents: bytes, **more: object) -> Json:
    """A request whose tensors have raw contents."""
    return {
        "model_name": model,
        "inputs": list(inputs),
        "raw_input_contents": list(contents),
        **more,
    }


def parameters(**values: bool | int | float | str) -> Json:
    """Parameters of the kinds that the official client chooses."""
    kinds = {bool: "bool_param", int: "int64_param", float: "double_param", str: "string_param"}
    return {name: {kinds[type(value)]: value} for name, value in values.items()}


def simple(**more: object) -> Json:
    """A request to the model `simple` that succeeds, changed as told."""
    inputs = [tensor("INPUT0", "INT32", [1, 16]), tensor("INPUT1", "INT32", [1, 16])]
    return raw("simple", inputs, INT32S[:64], INT32S[64:]) | more


def typed(**more: object) -> Json:
    """Return a request with its elements as typed contents."""
    request: Json = simple(**more)
    del request["raw_input_contents"]
    for each, values in zip(request["inputs"], (A, B), strict=True):
        each["contents"] = {"int_contents": values}
    return request


def failing(message: str, **more: object) -> Json:
    data = pack_bytes([message.encode()])
    return raw("failing", [tensor("MESSAGE", "BYTES", [1])], data, **more)


def record_infer(to: Recorder) -> None:
    def infer(name: str, request: Json) -> None:
        to.call(name, "ModelInfer", request)

    outputs = [{"name": "OUTPUT0"}, {"name": "OUTPUT1"}]
    infer("raw", simple())
    infer("typed", typed())
    infer("all outputs listed", simple(outputs=outputs))
    infer("one output", simple(outputs=outputs[1:]))
    infer("outputs in another order", simple(outputs=outputs[::-1]))
    infer("version", simple(model_version="1"))
    numbers = tensor("INPUT0", "INT32", [2], contents={"int_contents": [1, 2]})
    infer("another version", {"model_name": "versioned", "model_version": "1", "inputs": [numbers]})
    infer("latest version", {"model_name": "versioned", "inputs": [numbers]})
    infer("request id", simple(id="request-7"))
    batch = simple()
    for each in batch["inputs"]:
        each["shape"] = [2, 16]
    batch["raw_input_contents"] = [INT32S, INT32S]
    infer("batch of two", batch)
    for name, given in {
        "priority and timeout": {
            "priority": {"uint64_param": 1},
            "timeout": {"int64_param": 5_000_000},
        },
        "priority of int64": parameters(priority=1),
        "sequence": parameters(sequence_id=42, sequence_start=True, sequence_end=True),
        "sequence with a string": parameters(
            sequence_id="forty-two", sequence_start=True, sequence_end=True
        ),
        "custom parameters": parameters(text="value", number=-5, flag=True, real=0.5),
        "a parameter of uint64": {"large": {"uint64_param": 2**64 - 1}},
        "parameters of zero": parameters(text="", number=0, flag=False),
    }.items():
        infer(name, simple(parameters=given))
    tensors = simple()
    tensors["inputs"][0]["parameters"] = parameters(text="value", binary_data_size=64)
    infer("parameters of an input", tensors)
    infer("binary flags", simple(parameters=parameters(binary_data_output=True)))
    binary = [{"name": "OUTPUT0", "parameters": parameters(binary_data=False)}]
    infer("binary flag of an output", simple(outputs=binary))
    data = encode("ModelInferRequest", simple())
    to.call("unknown fields", "ModelInfer", b"\xc2\x3e\x04what" + data + b"\xc0\x3e\x07")


_TYPED: dict[str, tuple[str, list[Any]]] = {
    "BOOL": ("bool_contents", [True, False, True, True, False, False]),
    "UINT8": ("uint_contents", [0, 1, 2, 127, 128, 255]),
    "UINT16": ("uint_contents", [0, 1, 2, 3, 32768, 65535]),
    "UINT32": ("uint_contents", [0, 1, 2, 3, 2**31, 2**32 - 1]),
    "UINT64": ("uint64_contents", [0, 1, 2, 3, 2**63, 2**64 - 1]),
    "INT8": ("int_contents", [0, 1, -1, 2, 127, -128]),
    "INT16": ("int_contents", [0, 1, -1, 2, 2**15 - 1, -(2**15)]),
    "INT32": ("int_contents", [0, 1, -1, 2, 2**31 - 1, -(2**31)]),
    "INT64": ("int64_contents", [0, 1, -1, 2, 2**63 - 1, -(2**63)]),
    "FP32": ("fp32_contents", [0.0, 0.5, -1.0, float("nan"), float("inf"), 0.1]),
    "FP64": ("fp64_contents", [0.0, 0.5, -1.0, float("nan"), float("-inf"), 0.1]),
    "BYTES": ("bytes_contents", [b"", b"a", b"zw\xc3\xb6lf", b"\xff\xfe", b"a\0b", b"z"]),
}


def record_datatypes(to: Recorder) -> None:
    for datatype, (field, elements) in _TYPED.items():
        if datatype == "BYTES":
            data = pack_bytes(elements)
        else:
            kind = {"BOOL": "?", "FP32": "<f4", "FP64": "<f8"}.get(datatype)
            data = np.array(elements, kind or datatype.lower()).tobytes()
        _echo(to, f"{datatype} raw", datatype, data)
        each = tensor(f"INPUT_{datatype}", datatype, [2, 3], contents={field: elements})
        to.call(f"{datatype} typed", "ModelInfer", {"model_name": "echo", "inputs": [each]})
    halves = {"FP16": "0000 0038 00bc 0040 ff7b 662e", "BF16": "0000 003f 80bf 0040 7f7f cd3d"}
    for datatype, text in halves.items():
        _echo(to, f"{datatype} raw", datatype, bytes.fromhex(text))
    empty = tensor("INPUT_INT32", "INT32", [0, 3])
    to.call("no elements", "ModelInfer", raw("echo", [empty], b""))
    to.call("no elements, typed", "ModelInfer", raw("echo", [empty | {"contents": {}}]))
    to.call("no elements and no entry", "ModelInfer", raw("echo", [empty]))
    empty = tensor("INPUT_BYTES", "BYTES", [0])
    to.call("no elements of BYTES", "ModelInfer", raw("echo", [empty], b""))


def _echo(to: Recorder, name: str, datatype: str, data: bytes) -> None:
    request = raw("echo", [tensor(f"INPUT_{datatype}", datatype, [2, 3])], data)
    to.call(name, "ModelInfer", request)


def record_classification(to: Recorder) -> None:
    image = np.zeros((2, 1, 8, 8), "<f4")
    image[0, 0, 1:7, 3] = image[1, 0, 1:7, 2] = image[1, 0, 1:7, 5] = 16.0
    image[1, 0, [1, 6], 2:6] = 16.0  # a one and a nought
    inputs = [tensor("IMAGE", "FP32", image.shape)]
    for name, value in {
        "three classes": {"int64_param": 3},
        "more than there are": {"int64_param": 99},
        "none": {"int64_param": 0},
        "below zero": {"int64_param": -1},
        "uint64": {"uint64_param": 2},
        "a wrong type": {"string_param": "three"},
        "no value": {},
    }.items():
        outputs = [{"name": "PROBABILITIES", "parameters": {"classification": value}}]
        to.call(name, "ModelInfer", raw("digits", inputs, image.tobytes(), outputs=outputs))
    outputs = [{"name": f"OUTPUT{i}", "parameters": parameters(classification=2)} for i in (0, 1)]
    to.call("without labels", "ModelInfer", simple(outputs=outputs))


def record_stream(to: Recorder) -> None:
    to.stream("no requests")
    to.stream("one request", simple(id="1"))
    to.stream("two requests without ids", simple(), typed())
    to.stream("the final response", simple(parameters=_FINAL))
    to.stream("unknown model", simple(model_name="nope", id="7"))
    to.stream("unknown model without an id", simple(model_name="nope"))
    to.stream("failing model", failing("on purpose", id="8"))
    to.stream("missing input", simple(id="9", inputs=[tensor("INPUT0", "INT32", [1, 16])]))
    raw_contents = {"raw_input_contents": [INT32S[:64], INT32S[64:]]}
    to.stream("contents and raw contents", typed(id="10") | raw_contents)
    to.stream("an error and a success", typed(id="11") | raw_contents, simple(id="12"))
    to.stream("no message", b"\xff\xff")


def record_decoupled(to: Recorder) -> None:
    to.stream("three responses", _repeat(3))
    to.stream("three responses and an empty one", _repeat(3, id="7", parameters=_FINAL))
    to.stream("no responses", _repeat(0, id="8"))
    to.stream("no responses but an empty one", _repeat(0, id="9", parameters=_FINAL))
    to.stream("an unknown version", _repeat(1, id="10", model_version="9"))
    to.call("without a stream", "ModelInfer", _repeat(1))


def _repeat(count: int, **more: object) -> Json:
    """A request to the model `repeat_int32` that is answered so many times."""
    inputs = [
        tensor("IN", "INT32", [count], contents={"int_contents": A[:count]}),
        tensor("DELAY", "UINT32", [count], contents={"uint_contents": [0] * count}),
        tensor("WAIT", "UINT32", [1], contents={"uint_contents": [0]}),
    ]
    return {"model_name": "repeat_int32", "inputs": inputs, **more}


_FINAL = parameters(triton_enable_empty_final_response=True)
