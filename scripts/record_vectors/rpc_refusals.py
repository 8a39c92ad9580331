"""gRPC requests that inference, and other operations, reject."""

from __future__ import annotations

from typing import Any

from scripts.record_vectors.requests import INT32S, A, pack_bytes
from scripts.record_vectors.rpc_inference import (
    Json,
    failing,
    parameters,
    raw,
    simple,
    tensor,
    typed,
)
from scripts.record_vectors.rpc_recorder import Recorder, encode


def record_infer_errors(to: Recorder) -> None:
    def infer(name: str, request: Json | bytes) -> None:
        to.call(name, "ModelInfer", request)

    def but(**changes: Any) -> Json:
        request = simple()
        request["inputs"][0] |= changes
        return request

    def typed_but(**changes: Any) -> Json:
        request = typed()
        request["inputs"][0] |= changes
        return request

    infer("unknown model", simple(model_name="nope"))
    infer("no model", simple(model_name=""))
    infer("unknown version", simple(model_version="9"))
    infer("version that is no number", simple(model_version="wrong_specification"))
    infer("failing model", failing("on purpose"))
    infer("failing model with an id", failing("on purpose", id="request-7"))
    infer("unknown input", but(name="NOPE"))
    first = [tensor("INPUT0", "INT32", [1, 16])]
    infer("missing input", raw("simple", first, INT32S[:64]))
    infer("missing input with an id", raw("simple", first, INT32S[:64], id="7"))
    infer("no inputs", raw("simple", []))
    infer("duplicate input", raw("simple", first * 2, INT32S[:64], INT32S[:64]))
    infer("unknown output", simple(outputs=[{"name": "NOPE"}]))
    infer("output without a name", simple(outputs=[{}]))
    infer("wrong shape", but(shape=[1, 15]) | {"raw_input_contents": [INT32S[:60], INT32S[64:]]})
    infer("wrong rank", but(shape=[1, 4, 4]))
    fixed = tensor("MESSAGE", "BYTES", [2])
    infer("wrong shape without batching", raw("failing", [fixed], pack_bytes([b"a", b"b"])))
    nine = simple()
    for each in nine["inputs"]:
        each["shape"] = [9, 16]
    nine["raw_input_contents"] = [INT32S[:64] * 9] * 2
    infer("batch too large", nine)
    differ = but(shape=[2, 16]) | {"raw_input_contents": [INT32S, INT32S[64:]]}
    infer("batches that differ", differ)
    infer("wrong datatype", but(datatype="FP32"))
    infer("unknown datatype", but(datatype="INT33"))
    infer("no datatype", but(datatype=""))
    infer("no shape", but(shape=[]))
    infer("no name", but(name=""))
    infer("negative shape", but(shape=[-1, 16]))
    infer("too large a shape", but(shape=[2**62, 16]))
    infer("too little data", simple() | {"raw_input_contents": [INT32S[:60], INT32S[64:]]})
    infer("too much data", simple() | {"raw_input_contents": [INT32S, INT32S[64:]]})
    infer("too few entries", simple() | {"raw_input_contents": [INT32S[:64]]})
    infer("no entries", simple() | {"raw_input_contents": []})
    infer("too many entries", simple() | {"raw_input_contents": [INT32S[:64]] * 3})
    broken = [tensor("INPUT0", "BYTES", [2])]
    infer("broken BYTES", raw("identity_bytes", broken, b"\x09\0\0\0hello"))
    both = typed() | {"raw_input_contents": [INT32S[:64], INT32S[64:]]}
    infer("contents and raw contents", both)
    infer("contents of one and raw contents", but(contents={"int_contents": A}))
    infer("no contents and raw contents", but(contents={}))
    infer("contents of a wrong field", typed_but(contents={"fp32_contents": [0.0] * 16}))
    two = {"int_contents": A, "fp32_contents": [0.0]}
    infer("contents of two fields", typed_but(contents=two))
    infer("empty contents", typed_but(contents={}))
    infer("too few elements", typed_but(contents={"int_contents": A[:15]}))
    infer("too many elements", typed_but(contents={"int_contents": [*A, 16]}))
    infer("contents of an unknown datatype", typed_but(datatype="INT33"))
    infer("contents of a wrong datatype", typed_but(datatype="INT64"))
    large = tensor("INPUT_INT8", "INT8", [1, 2], contents={"int_contents": [127, 128]})
    infer("an element out of range", raw("echo", [large]))
    for datatype in ("FP16", "BF16"):
        half = tensor(f"INPUT_{datatype}", datatype, [1, 1])
        infer(f"typed {datatype}", raw("echo", [half | {"contents": {"fp32_contents": [1.0]}}]))
        infer(f"empty {datatype}", raw("echo", [half | {"contents": {}}]))
    few = tensor("INPUT0", "BYTES", [2], contents={"bytes_contents": [b"a"]})
    infer("too few elements of BYTES", raw("identity_bytes", [few]))
    _record_parameters(to)
    data = encode("ModelInferRequest", simple())
    for name, message in {
        "no message": b"\xff\xff",
        "a message cut off": data[:-1],
        "an empty message": b"",
        "text that is not UTF-8": data + b"\x1a\x01\xff",
        "a name that is not UTF-8": b"\x0a\x01\xff" + data[8:],
        "a group": b"\x0b\x0c" + data,
    }.items():
        infer(name, message)


def _record_parameters(to: Recorder) -> None:
    for name, given in {
        "a parameter without a value": {"custom": {}},
        "reserved parameter": parameters(triton_custom=1),
        "priority of a wrong type": parameters(priority="high"),
        "priority below zero": parameters(priority=-1),
        "timeout of a wrong type": parameters(timeout="long"),
        "timeout below zero": parameters(timeout=-1),
        "timeout of uint64": {"timeout": {"uint64_param": 5_000_000}},
        "sequence of a wrong type": parameters(sequence_id=True),
        "sequence of uint64": {"sequence_id": {"uint64_param": 7}},
        "sequence below zero": parameters(sequence_id=-1),
        "sequence start of a wrong type": parameters(sequence_start=1),
        "sequence end of a wrong type": parameters(sequence_end="yes"),
        "empty final response of a wrong type": parameters(triton_enable_empty_final_response=1),
    }.items():
        to.call(name, "ModelInfer", simple(parameters=given))


def record_transport(to: Recorder) -> None:
    to.call("unknown method", "Nope", b"")
    to.call("a stream's method", "ModelStreamInfer", encode("ModelInferRequest", simple()))
    for method in ("ServerMetadata", "ModelMetadata", "RepositoryIndex"):
        to.call(f"no message for {method}", method, b"\xff\xff")
