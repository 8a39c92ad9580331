"""Requests that the inference endpoint, and other endpoints, reject."""

from __future__ import annotations

from scripts.record_vectors.recorder import Recorder, encode_body, encode_head
from scripts.record_vectors.requests import (
    INT32S,
    A,
    batch,
    binary_tensor,
    failing,
    output,
    simple,
    simple_binary,
    simple_but,
    tensor,
)


def record_infer_errors(to: Recorder) -> None:
    url = "/v2/models/simple/infer"
    to.infer("unknown model", "nope", simple())
    to.post("unknown version", "/v2/models/simple/versions/9/infer", simple())
    to.infer("failing model", "failing", failing("on purpose"))
    to.infer("failing model with an id", "failing", failing("on purpose") | {"id": "request-7"})
    to.infer("unknown input", "simple", simple_but(name="NOPE"))
    to.infer("missing input", "simple", {"inputs": simple()["inputs"][:1]})
    to.infer("missing input with an id", "simple", {"id": "7", "inputs": simple()["inputs"][:1]})
    to.infer("no inputs", "simple", {"inputs": []})
    to.infer("duplicate input", "simple", {"inputs": simple()["inputs"][:1] * 2})
    to.infer("unknown output", "simple", simple(outputs=[output("NOPE")]))
    to.infer("wrong shape", "simple", simple_but(shape=[1, 15], data=A[:15]))
    to.infer("wrong rank", "simple", simple_but(shape=[1, 4, 4]))
    fixed = {"inputs": [tensor("MESSAGE", "BYTES", [2], data=["a", "b"])]}
    to.infer("wrong shape without batching", "failing", fixed)
    to.infer("batch too large", "simple", batch(9))
    to.infer("batches that differ", "simple", simple_but(shape=[2, 16], data=A * 2))
    to.infer("wrong datatype", "simple", simple_but(datatype="FP32"))
    to.infer("unknown datatype", "simple", simple_but(datatype="INT33"))
    to.infer("too little data", "simple", simple_but(data=A[:15]))
    to.infer("too much data", "simple", simple_but(data=[*A, 16]))
    to.infer("data of a wrong type", "simple", simple_but(data=["a"] * 16))
    to.infer("negative shape", "simple", simple_but(shape=[-1, 16]))
    for field in ("data", "datatype", "shape", "name"):
        without = simple()
        del without["inputs"][0][field]
        to.infer(f"input without {field}", "simple", without)
    to.infer("without inputs", "simple", {})
    both = simple_but(parameters={"binary_data_size": 64})
    to.infer_binary("two kinds of data", "simple", both, INT32S[:64])
    to.infer_binary("binary data too short", "simple", simple_binary(), INT32S[:-4])
    to.infer_binary("binary data too long", "simple", simple_binary(), INT32S + bytes(4))
    short = simple_binary()
    short["inputs"][0]["parameters"]["binary_data_size"] = 60
    to.infer_binary("binary size that does not fit", "simple", short, INT32S[:-4])
    broken = {"inputs": [binary_tensor("INPUT0", "BYTES", [2], 9)]}
    to.infer_binary("broken BYTES", "identity_bytes", broken, b"\x09\0\0\0hello")
    length = "Inference-Header-Content-Length"
    to.post("header length too large", url, simple(), [(length, "99999")])
    to.post("header length below zero", url, simple(), [(length, "-1")])
    to.post("malformed JSON", url, '{"inputs":[}')
    to.post("cut JSON", url, encode_body(simple())[:-2])
    to.post("junk after JSON", url, encode_body(simple()) + b"junk")
    to.post("JSON of another type", url, [])
    to.post("no body", url)
    to.infer("id of a wrong type", "simple", simple(id=7))
    to.infer("null parameter", "simple", simple(parameters={"custom": None}))
    to.infer("reserved parameter", "simple", simple(parameters={"triton_custom": 1}))
    to.infer("priority of a wrong type", "simple", simple(parameters={"priority": "high"}))
    to.infer("timeout of a wrong type", "simple", simple(parameters={"timeout": -1}))
    to.infer("parameters of a wrong type", "simple", simple(parameters=[]))


def record_transport(to: Recorder) -> None:
    body = encode_body(simple())
    infer = "/v2/models/simple/infer"
    for path in ("/", "/v2/", "/v2/nope", "/v2/models/simple/nope", "/v2/models/simple/versions/x"):
        to.get(f"unknown URL {path}", path)
    to.get("escaped model name", "/v2/models/sim%70le")
    to.get("query", "/v2/health/live?x=1")
    to.get("GET of infer", infer)
    to.get("GET of the repository index", "/v2/repository/index")
    for method, path in (("POST", "/v2/health/live"), ("HEAD", "/v2/health/live"), ("PUT", "/v2")):
        to.send(f"{method} of {path}", encode_head(method, path))
    length = ("Content-Length", str(len(body)))
    to.send("HTTP/1.0", encode_head("GET", "/v2", version="1.0"))
    to.send("HTTP/1.0 infer", encode_head("POST", infer, [length], version="1.0") + body)
    to.get("Connection: close", "/v2/health/live", [("Connection", "close")])
    head = encode_head("POST", infer, [length, ("Expect", "100-continue")])
    to.send("Expect: 100-continue", head + body)
    chunks = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (10, body[:10], len(body) - 10, body[10:])
    to.send("chunked", encode_head("POST", infer, [("Transfer-Encoding", "chunked")]) + chunks)
    to.send("no HTTP", b"nonsense\r\n\r\n")
