"""Requests about the server, its models and its memory."""

from __future__ import annotations

import base64
import json
from multiprocessing import shared_memory

from scripts.record_vectors.recorder import Recorder
from scripts.record_vectors.requests import (
    INT32S,
    MODELS,
    Json,
    failing,
    identity,
    output,
    simple,
    tensor,
)


def record_statistics(to: Recorder) -> None:
    to.get("model never used", "/v2/models/simple_int8/stats")
    to.get("version never used", "/v2/models/versioned/versions/1/stats")
    to.get("unknown model", "/v2/models/nope/stats")
    to.get("unknown version", "/v2/models/simple/versions/9/stats")
    to.get("all models", "/v2/models/stats")
    to.infer("a request to be counted", "identity_fp32", identity("FP32", [0.5]))
    to.infer("a request to fail", "failing", failing("on purpose"))
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
    to.infer("infer after unload", "identity_fp32", identity("FP32", [0.5]))
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
    outputs = [output("OUTPUT0", shared_memory_region="more", shared_memory_byte_size=64)]
    to.infer("infer with an output alone", "simple", simple(outputs=outputs))
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
            tensor("INPUT0", "INT32", [1, 16], parameters=where),
            tensor("INPUT1", "INT32", [1, 16], parameters=where | {"shared_memory_offset": 64}),
        ],
        "outputs": [output("OUTPUT0", **where, shared_memory_offset=128), output("OUTPUT1")],
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
