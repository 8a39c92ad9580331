"""gRPC requests about the server, its models and its memory."""

from __future__ import annotations

import json
from multiprocessing import shared_memory

from scripts.record_vectors.requests import INT32S, MODELS
from scripts.record_vectors.rpc_inference import parameters, raw, simple, tensor
from scripts.record_vectors.rpc_recorder import Message, Recorder


def record_statistics(to: Recorder) -> None:
    method = "ModelStatistics"
    to.call("model never used", method, {"name": "simple_int8"})
    to.call("version never used", method, {"name": "versioned", "version": "1"})
    to.call("unknown model", method, {"name": "nope"})
    to.call("unknown version", method, {"name": "simple", "version": "9"})
    to.call("version that is no number", method, {"name": "simple", "version": "x"})
    to.call("all models", method)
    to.call("a request to be counted", "ModelInfer", simple())
    to.call("model used", method, {"name": "simple"})
    failing = raw("failing", [tensor("MESSAGE", "BYTES", [1])], b"\x0a\0\0\0on purpose")
    to.call("a request to fail", "ModelInfer", failing)
    to.call("model failed", method, {"name": "failing"})


def record_health(to: Recorder) -> None:
    to.call("server live", "ServerLive")
    to.call("server ready", "ServerReady")
    for name, model in {
        "model": {"name": "simple"},
        "model version": {"name": "simple", "version": "1"},
        "unknown model": {"name": "nope"},
        "unknown version": {"name": "simple", "version": "9"},
        "version that is no number": {"name": "simple", "version": "x"},
        "no model": {},
    }.items():
        to.call(f"{name} ready", "ModelReady", model)


def record_metadata(to: Recorder) -> None:
    to.call("server", "ServerMetadata")
    for model in sorted(path.name for path in MODELS.iterdir() if path.is_dir()):
        to.call(f"model {model}", "ModelMetadata", {"name": model})
    to.call("model version", "ModelMetadata", {"name": "simple", "version": "1"})
    to.call("unknown model", "ModelMetadata", {"name": "nope"})
    to.call("unknown version", "ModelMetadata", {"name": "simple", "version": "9"})
    to.call("version that is no number", "ModelMetadata", {"name": "simple", "version": "x"})
    to.call("no model", "ModelMetadata")


def record_config(to: Recorder) -> None:
    for model in ("simple", "digits", "slow_identity", "versioned"):
        to.call(f"model {model}", "ModelConfig", {"name": model})
    to.call("model version", "ModelConfig", {"name": "simple", "version": "1"})
    to.call("unknown model", "ModelConfig", {"name": "nope"})
    to.call("unknown version", "ModelConfig", {"name": "simple", "version": "9"})


def record_repository(to: Recorder) -> None:
    index, load, unload = "RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload"
    identity = {"model_name": "identity_fp32"}
    to.call("index", index)
    to.call("index of ready models", index, {"ready": True})
    to.call("index of a repository", index, {"repository_name": "nope"})
    to.call("unload", unload, identity)
    to.call_until(b"UNAVAILABLE", "index after unload", index)  # until then it is UNLOADING
    to.call("ready index after unload", index, {"ready": True})
    to.call("ready after unload", "ModelReady", {"name": "identity_fp32"})
    to.call("metadata after unload", "ModelMetadata", {"name": "identity_fp32"})
    to.call("statistics after unload", "ModelStatistics", {"name": "identity_fp32"})
    request = raw("identity_fp32", [tensor("INPUT0", "FP32", [1])], bytes(4))
    to.call("infer after unload", "ModelInfer", request)
    to.call("load", load, identity)
    config = {
        "backend": "python",
        "max_batch_size": 0,
        "input": [{"name": "INPUT0", "data_type": "TYPE_FP32", "dims": [3]}],
        "output": [{"name": "OUTPUT0", "data_type": "TYPE_FP32", "dims": [3]}],
    }
    override = {"config": {"string_param": json.dumps(config)}}
    to.call("load with a configuration", load, identity | {"parameters": override})
    to.call("metadata after load with a configuration", "ModelMetadata", {"name": "identity_fp32"})
    source = (MODELS / "identity_fp32" / "1" / "model.py").read_bytes()
    files = {"file:1/model.py": {"bytes_param": source}}
    uploaded = {"model_name": "uploaded"}
    to.call("load with files", load, uploaded | {"parameters": override | files})
    to.call("metadata after load with files", "ModelMetadata", {"name": "uploaded"})
    to.call("index after load with files", index)
    to.call("load with files alone", load, identity | {"parameters": files})
    dependents = {"unload_dependents": {"bool_param": True}}
    to.call("unload with dependents", unload, uploaded | {"parameters": dependents})
    to.call("load as it was", load, identity)
    to.call("load unknown model", load, {"model_name": "nope"})
    to.call("unload unknown model", unload, {"model_name": "nope"})
    for name, wrong in {
        "a bad configuration": {"config": {"string_param": "{"}},
        "an unknown parameter": {"nope": {"string_param": "x"}},
        "a configuration of a wrong type": {"config": {"int64_param": 1}},
        "a parameter without a value": {"config": {}},
        "a file of a wrong type": override | {"file:1/model.py": {"string_param": "x"}},
    }.items():
        to.call(f"load with {name}", load, {"model_name": "simple", "parameters": wrong})
    wrong = {"unload_dependents": {"int64_param": 1}}
    to.call("unload with a wrong type", unload, identity | {"parameters": wrong})
    to.call("unload with an unknown parameter", unload, identity | {"parameters": {"nope": {}}})
    to.call("load it for those who follow", load, identity)


def record_settings(to: Recorder) -> None:
    def trace(name: str, model: str = "", **settings: list[str]) -> None:
        values = {key: {"value": value} for key, value in settings.items()}
        to.call(name, "TraceSetting", {"model_name": model, "settings": values})

    trace("trace settings")
    trace("trace settings of a model", "simple")
    trace("update trace settings", trace_rate=["500"], log_frequency=["10"])
    trace("switch tracing on", trace_level=["TIMESTAMPS", "TENSORS"])
    trace("update a model's", "simple", trace_level=["TIMESTAMPS"], trace_count=["7"])
    trace("the model's settings", "simple")
    trace("the others' settings")
    trace("clear a model's", "simple", trace_level=[], trace_count=[])
    trace("clear trace settings", trace_level=[], trace_rate=[], trace_count=[], log_frequency=[])
    trace("unknown trace setting", nope=["1"])
    trace("two trace rates", trace_rate=["1", "2"])
    trace("trace rate that is no number", trace_rate=["x"])
    trace("trace count too small", trace_count=["-2"])
    trace("unknown trace level", trace_level=["NOPE"])
    trace("trace file", trace_file=["other.json"])
    trace("trace settings of an unknown model", "nope")
    trace("update an unknown model's", "nope", trace_rate=["1"])

    def log(name: str, **settings: Message) -> None:
        to.call(name, "LogSettings", {"settings": settings})

    log("log settings")
    log(
        "update log settings",
        log_verbose_level={"uint32_param": 1},
        log_format={"string_param": "ISO8601"},
    )
    log(
        "log settings back",
        log_verbose_level={"uint32_param": 0},
        log_format={"string_param": "default"},
    )
    log("unknown log setting", nope={"uint32_param": 1})
    log("log setting of a wrong type", log_info={"string_param": "yes"})
    log("log verbosity of a wrong type", log_verbose_level={"bool_param": True})
    log("log setting without a value", log_info={})
    log("unknown log format", log_format={"string_param": "nope"})
    log("log file", log_file={"string_param": "other.log"})


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
    status, register, unregister = (
        f"SystemSharedMemory{verb}" for verb in ("Status", "Register", "Unregister")
    )
    region = {"name": "data", "key": "/tritonclient_recording", "byte_size": 8192}
    key = "/tritonclient_recording_more"
    second = {"name": "more", "key": key, "offset": 4096, "byte_size": 4096}
    to.call("status of none", status)
    for name, changed in {
        "register a key that does not exist": second | {"key": "/tritonclient_nope"},
        "register too much": second | {"byte_size": 8192},
        "register nothing": second | {"byte_size": 0},
        "register without a key": {"name": "more", "byte_size": 64},
    }.items():
        to.call(name, register, changed)
    to.call("register", register, region)
    to.call("status", status)
    to.call("status of one", status, {"name": "data"})
    to.call("register again", register, region)
    to.call("register at an offset", register, second)
    to.call("status of two", status)
    to.call("infer", "ModelInfer", _shared())
    output = {"name": "OUTPUT0", "parameters": _where("more")}
    to.call("infer with an output alone", "ModelInfer", simple(outputs=[output]))
    to.call("infer with an input alone", "ModelInfer", _one_shared())
    contents = _one_shared()
    contents["inputs"][0]["contents"] = {"int_contents": [1] * 16}
    to.call("infer with contents of a shared input", "ModelInfer", contents)
    surplus = _one_shared()
    surplus["raw_input_contents"] = [INT32S[:64], INT32S[64:]]
    to.call("infer with an entry for each input", "ModelInfer", surplus)
    to.call("infer from an unknown region", "ModelInfer", _shared(region="nope"))
    to.call("infer beyond the region", "ModelInfer", _shared(size=9000))
    to.call("infer from too few bytes", "ModelInfer", _shared(size=60))
    small = _shared()
    small["outputs"][0]["parameters"] |= parameters(shared_memory_byte_size=8)
    to.call("infer into too few bytes", "ModelInfer", small)
    for kind, build in (("an input", _one_shared), ("an output", _shared_output)):
        for parameter in ("region", "byte_size", "offset"):
            name = f"shared_memory_{parameter}"
            lacking, wrong, unset = build(), build(), build()
            for request, value in ((wrong, {"bool_param": True}), (unset, {})):
                _of_first(request)[name] = value
            _of_first(lacking).pop(name, None)
            to.call(f"infer without the {parameter} of {kind}", "ModelInfer", lacking)
            to.call(f"infer with the {parameter} of {kind} a bool", "ModelInfer", wrong)
            to.call(f"infer with the {parameter} of {kind} unset", "ModelInfer", unset)
        below, unnamed = build(), build()
        _of_first(below)["shared_memory_offset"] = {"int64_param": -64}
        _of_first(unnamed)["shared_memory_region"] = {"string_param": ""}
        to.call(f"infer with {kind} before the region", "ModelInfer", below)
        to.call(f"infer with {kind} in a region without a name", "ModelInfer", unnamed)
    to.call("status of an unknown region", status, {"name": "nope"})
    to.call("unregister an unknown region", unregister, {"name": "nope"})
    to.call("unregister", unregister, {"name": "data"})
    to.call("status of the other", status)
    to.call("unregister all", unregister)
    to.call("status at the end", status)


def _where(region: str, size: int = 64, **more: int) -> Message:
    return parameters(shared_memory_region=region, shared_memory_byte_size=size, **more)


def _shared(region: str = "data", size: int = 64) -> Message:
    first, second = tensor("INPUT0", "INT32", [1, 16]), tensor("INPUT1", "INT32", [1, 16])
    return {
        "model_name": "simple",
        "inputs": [
            first | {"parameters": _where(region, size)},
            second | {"parameters": _where(region, size, shared_memory_offset=64)},
        ],
        "outputs": [
            {"name": "OUTPUT0", "parameters": _where(region, size, shared_memory_offset=128)},
            {"name": "OUTPUT1"},
        ],
    }


def _one_shared() -> Message:
    request = simple()
    request["inputs"][0]["parameters"] = _where("data")
    request["raw_input_contents"] = [INT32S[64:]]
    return request


def _shared_output() -> Message:
    return simple(outputs=[{"name": "OUTPUT0", "parameters": _where("data")}])


def _of_first(request: Message) -> Message:
    """The parameters of the tensor that is in shared memory."""
    return request["outputs" if "outputs" in request else "inputs"][0]["parameters"]


def record_cuda_shared_memory(to: Recorder) -> None:
    status, register, unregister = (
        f"CudaSharedMemory{verb}" for verb in ("Status", "Register", "Unregister")
    )
    region = {"name": "data", "raw_handle": bytes(64), "device_id": 0, "byte_size": 64}
    to.call("status", status)
    to.call("status of an unknown region", status, {"name": "nope"})
    to.call("register without a GPU", register, region)
    to.call("register a handle that is none", register, region | {"raw_handle": b"\0"})
    to.call("register without a handle", register, {"name": "data", "byte_size": 64})
    to.call("unregister an unknown region", unregister, {"name": "nope"})
    to.call("unregister all", unregister)
