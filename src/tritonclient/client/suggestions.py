"""Names that were meant: close ones, and those that the official client has for the same thing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

#: Arguments of the official client, of HTTP libraries and of common habit, and what to use here.
_ARGUMENTS: Mapping[str, str] = {
    "model_name": "model, the first argument",
    "model_version": "version",
    "request_id": "id",
    "client_timeout": "timeout, in seconds",
    "query_params": "query",
    "request_compression_algorithm": "request_compression",
    "response_compression_algorithm": "response_compression",
    "compression_algorithm": "request_compression",
    "callback": "submit(...).add_done_callback(callback), or stream(...)",
    "enable_empty_final_response": "empty_final_response",
    "class_count": "classes",
    "binary_data": "binary",
    "network_timeout": "timeout, in seconds",
    "connection_timeout": "timeout, in seconds",
    "conn_timeout": "timeout, in seconds",
    "stream_timeout": "timeout, in seconds",
    "concurrency": "max_connections",
    "conn_limit": "max_connections",
    "max_greenlets": "workers",
    "max_workers": "workers of the client, or concurrency of map",
    "chunksize": "batch_size",
    "chunk_size": "batch_size",
    "progress": "a progress bar around the results, such as tqdm(client.map(...))",
    **dict.fromkeys(
        ("retries", "max_retries", "retry", "retry_policy"),
        "a loop of the program, which alone knows whether the model may run twice",
    ),
    **dict.fromkeys(
        ("proxy", "proxies", "http_proxy", "trust_env"),
        "url, of a proxy that forwards to the server; CONNECT is not supported",
    ),
    "base_url": "url, the first argument",
    "protocol": "the beginning of the url, http:// or grpc://",
    "endpoint": "url, the first argument",
    "dtype": "tritonclient.Tensor(array, 'FP32') as the input",
    "data": "inputs, a mapping of names to arrays",
    "json": "inputs, and binary=False for JSON",
    "ssl": "an https:// or grpcs:// url",
    "ssl_options": "tls=TLS(...)",
    "ssl_context": "tls",
    "ssl_context_factory": "tls, with an ssl.SSLContext",
    "insecure": "tls=TLS(verify=False)",
    "verify": "tls=TLS(ca_file=...), or tls=TLS(verify=False) in tests",
    "verify_ssl": "tls=TLS(ca_file=...), or tls=TLS(verify=False) in tests",
    "cert": "tls=TLS(cert_file=..., key_file=...)",
    "root_certificates": "tls=TLS(ca_file=...)",
    "private_key": "tls=TLS(cert_file=..., key_file=...)",
    "certificate_chain": "tls=TLS(cert_file=..., key_file=...)",
    "creds": "grpcio=Grpcio(credentials=...)",
    "channel_args": "grpcio=Grpcio(options=...)",
    "keepalive_options": "keep_alive=KeepAlive(...)",
    "verbose": "logging.getLogger('tritonclient').setLevel('DEBUG')",
    "auth": 'headers={"authorization": ...}',
    "token": 'headers={"authorization": "Bearer ..."}',
    "api_key": 'headers={"authorization": "Bearer ..."}',
    "metadata": "headers",
    "host": "url, the first argument",
    "port": "http_port or grpc_port of a Server, and part of a client's url",
    "repository": "model_repository, the first argument",
    "model_repository_path": "model_repository, the first argument",
    "address": "url of a client, host of a Server",
}

#: What people ask of an embedded server.
SERVER_NAMES: Mapping[str, str] = {
    "url": "http_url or grpc_url",
    "address": "http_address or grpc_address",
    "port": "http_port or grpc_port",
    "ports": "http_port and grpc_port",
    **dict.fromkeys(("client", "infer", "get_client"), "tritonclient.Client(server.http_url)"),
    **dict.fromkeys(("close", "shutdown", "terminate", "kill", "join", "wait"), "stop"),
    **dict.fromkeys(("run", "serve", "serve_forever", "launch"), "start"),
    **dict.fromkeys(("is_running", "is_ready", "ready"), "models, with the status of each"),
    **dict.fromkeys(("load_model", "load"), "load_model of a client"),
    **dict.fromkeys(("unload_model", "unload"), "unload_model of a client"),
    **dict.fromkeys(
        ("calls", "received", "call_args"), "inferences, or requests, of a FaultServer"
    ),
    **dict.fromkeys(("refuse", "refuse_next"), "refusing, in a `with` block"),
    **dict.fromkeys(("error_next", "raise_next"), "fail_next"),
    **dict.fromkeys(("timeout_next", "hang_next", "slow_next"), "delay_next"),
    **dict.fromkeys(("close_next", "disconnect_next"), "drop_next or reset_next"),
    "reset": "clear",
}

#: What people ask of a recorded request.
RECEIVED_NAMES: Mapping[str, str] = {
    "model_name": "model",
    "model_version": "version",
    "request_id": "id",
    "headers": "parameters, if the server has forwarded_headers",
    "input": "inputs[name]",
    "as_numpy": "inputs[name]",
}

#: Arguments of this package, and what takes them.
_TAKEN_BY: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *("tls", "max_connections", "max_request_size", "max_response_size", "keep_alive"),
            *("grpcio", "workers"),
        ),
        "Client(url, ...)",
    ),
    **dict.fromkeys(("timeout", "headers", "query"), "calls such as infer, and to open_stream"),
    **dict.fromkeys(
        (
            *("version", "outputs", "id", "sequence_id", "sequence_start", "sequence_end"),
            *("priority", "server_timeout", "parameters", "binary"),
        ),
        "infer, and to the requests of a stream",
    ),
    **dict.fromkeys(
        ("request_compression", "response_compression", "shared_memory"), "infer and submit"
    ),
    **dict.fromkeys(("batch_size", "concurrency", "errors", "ordered"), "map"),
    **dict.fromkeys(("response_timeout", "empty_final_response"), "stream"),
    "cast": "model(name, ...)",
    **dict.fromkeys(("config", "files"), "load_model"),
}

#: Methods of the official clients, and what to use here.
CLIENT_NAMES: Mapping[str, str] = {
    "get_server_metadata": "server_metadata",
    "get_model_metadata": "model_metadata",
    "get_model_config": "model_config",
    "get_model_repository_index": "repository_index",
    "get_inference_statistics": "statistics",
    "get_trace_settings": "trace_settings",
    "get_log_settings": "log_settings",
    "get_system_shared_memory_status": "system_shared_memory_status",
    "get_cuda_shared_memory_status": "cuda_shared_memory_status",
    "async_infer": "submit, or AsyncClient",
    "infer_async": "submit, or AsyncClient",
    "stream_infer": "stream",
    "start_stream": "open_stream",
    "async_stream_infer": "stream",
    "stop_stream": "the end of `with client.open_stream() as stream`",
    "generate_request_body": "prepare",
    "parse_response_body": "infer_prepared",
    "register_plugin": "the argument headers",
    "unregister_plugin": "the argument headers",
    "plugin": "the argument headers",
    **dict.fromkeys(("predict", "run", "invoke", "call", "forward", "generate"), "infer"),
    **dict.fromkeys(("models", "list_models", "get_models"), "repository_index"),
    **dict.fromkeys(("health", "ready", "is_ready", "ping"), "is_server_ready"),
    **dict.fromkeys(("live", "is_alive", "is_live"), "is_server_live"),
    **dict.fromkeys(("metadata", "version"), "server_metadata, or model_metadata"),
    **dict.fromkeys(("config", "get_config"), "model_config"),
    **dict.fromkeys(("load", "unload"), "load_model, unload_model"),
    **dict.fromkeys(("batch", "map_async", "imap"), "map"),
    "infer_batch": "infer, or model(name)",
    "infer_sample": "infer, or model(name)",
    "get": "ask",
    "post": "ask",
    "aclose": "close",
    **dict.fromkeys(("url", "timeout", "headers"), "an argument of the client"),
}

#: Methods of the official client's InferResult, and what to use here.
RESULT_NAMES: Mapping[str, str] = {
    "as_numpy": "result[name]",
    "get_output": "result.output(name)",
    "get_response": "result.parameters, result.output(name)",
    "outputs": "dict(result)",
    "request_id": "result.id",
    "is_final_response": "result.final",
    "as_classification": "result.classes(name)",
    "numpy": "result[name]",
    **dict.fromkeys(
        ("to_dict", "dict", "json", "model_dump", "to_rest", "to_json"),
        "dict(result), whose arrays have tolist()",
    ),
}

#: What people ask of a handle on a model.
MODEL_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("predict", "infer_batch", "infer_sample", "run", "forward"), "infer"),
    "async_infer": "submit",
    "inputs": "spec.inputs",
    "outputs": "spec.outputs",
    "metadata": "spec",
    "version": "spec.version",
    **dict.fromkeys(("prepare", "stream"), "a method of the client, which takes the model's name"),
    **dict.fromkeys(("ready", "is_ready"), "client.is_model_ready(name)"),
    **dict.fromkeys(("load", "unload"), "client.load_model(name), client.unload_model(name)"),
    "config": "client.model_config(name)",
    "get_metadata": "spec",
}


#: What people ask of a stream.
STREAM_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("close", "stop", "aclose"), "cancel, or end after the last request"),
    **dict.fromkeys(("done", "done_writing", "half_close"), "end"),
    **dict.fromkeys(
        ("receive", "recv", "read", "get", "next", "result", "responses"),
        "iteration: for response in stream",
    ),
    **dict.fromkeys(("write", "infer", "send_request", "async_stream_infer"), "send"),
}

#: What people ask of shared memory.
SHARED_MEMORY_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("free", "unregister", "destroy", "unlink"), "close"),
    **dict.fromkeys(("name", "region", "key"), "regions"),
    **dict.fromkeys(("register", "write", "set", "copy", "tensor", "input"), "put"),
    **dict.fromkeys(("alloc", "allocate", "reserve"), "empty"),
}

#: What people ask of a tensor in shared memory.
SHARED_TENSOR_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("numpy", "as_numpy", "array", "data", "value"), "read()"),
    **dict.fromkeys(("tolist", "astype", "sum", "dtype"), "a method of read(), which is an array"),
    **dict.fromkeys(("set", "copy_from", "fill"), "write(array)"),
    **dict.fromkeys(("free", "close", "unregister"), "close of the shared memory"),
    "name": "as_input(name), or output(name)",
}


def close_name(name: str, names: Iterable[str], likeness: float = 0.6) -> str:
    """Return the one of some names that this one is closest to, or ""."""
    from difflib import get_close_matches  # only errors need it

    by_lower = {each.lower(): each for each in names}
    close = get_close_matches(name.lower()[:100], by_lower, 1, likeness)
    if not close and len(name) > 3 and likeness < 0.8:  # or the only one that it is a part of
        close = [each for each in by_lower if name.lower() in each]
    return by_lower[close[0]] if len(close) == 1 else ""


def meant(name: str, names: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the closest of some names, or ""."""
    close = close_name(name, names)
    return f"; did you mean {close!r}?" if close else ""


def unknown_argument(name: str, known: Iterable[str], value: object = None) -> TypeError:
    """Return the error for a keyword argument that there is not.

    Args:
        value: that it was given, if it may be an input.
    """
    known = sorted(known)
    here, hint = _ARGUMENTS.get(name, ""), ""
    if not here and name not in _TAKEN_BY:
        close = close_name(name, {*known, *_ARGUMENTS}, 0.8)
        here = "" if close in known else _ARGUMENTS.get(close, "")
        hint = "" if here else meant(name, known)
    tensors = "outputs" if "outputs" in known and "timeout" not in known else "inputs"
    if not (here or hint) and (hasattr(value, "__array__") or isinstance(value, (list, tuple))):
        hint = f"; {tensors} are given as a mapping: {{{name!r}: array}}"
    argument = _ARGUMENT.match(here)
    if here and (argument is None or argument[1] in known):
        hint = f"; here it is {here}"
    elif name in _TAKEN_BY:
        hint = f"; it is given to {_TAKEN_BY[name]}"
    elif here and "timeout" in known:
        hint = f"; here it is {here}"
    return TypeError(f"{name!r} is not an argument{hint}; expected {', '.join(known)}")


#: Types of values, and how the annotation of an argument that takes such a value begins.
_TAKEN: Sequence[tuple[type | tuple[type, ...], tuple[str, ...]]] = (
    (bool, ()),  # it says nothing
    (str, ("str",)),
    ((int, float), ("int", "float", "Timeout")),
    ((list, tuple), ("Sequence",)),
    (Mapping, ("Mapping",)),
)
#: How a hint begins that names an argument; `timeout` is one of clients and of their methods.
_ARGUMENT = re.compile(r"(\w+)(?=[,;=]|$)")
_BRACKETS = re.compile(r"\[.*?\]")
#: The annotation of further keyword arguments.
_UNPACKED = re.compile(r"Unpack\[(\w+)\]")


def by_keyword(surplus: Sequence[Any], function: Callable[..., Any]) -> TypeError:
    """Return the error for arguments that a function takes by keyword, given by position."""
    code = function.__code__
    positional = [name for name in code.co_varnames[: code.co_argcount] if name != "self"]
    keywords = keywords_of(function)
    name, value = spoken_name(function), surplus[0]
    if not keywords:
        taken = f"only {' and '.join(positional)}" if positional else "no arguments"
        return TypeError(f"{name}() takes {taken}, but {value!r:.60} came as well; leave it out")
    if name.endswith("Client") and type(value) is int:
        meant = "; a port is part of the url, as in 'http://localhost:8000'"
    else:
        close = next((each for each in keywords if _takes(keywords[each], value)), "")
        meant = f", {close}={value!r:.60}" if close else ""
    return TypeError(
        f"{name}() takes {' and '.join(positional) or 'nothing'} by position, but {value!r:.60} "
        f"came after that; give it by keyword{meant}; expected {', '.join(keywords)}"
    )


def spoken_name(function: Callable[..., Any]) -> str:
    """Return the name by which a function is called: that of its class for `__init__`."""
    return function.__name__ if function.__name__ != "__init__" else function.__qualname__[:-9]


def keywords_of(function: Callable[..., Any]) -> dict[str, str]:
    """Return the arguments that a function takes by keyword only, and their annotations."""
    code = function.__code__
    end = code.co_argcount + code.co_kwonlyargcount
    annotations = function.__annotations__
    named = {name: annotations.get(name, "") for name in code.co_varnames[code.co_argcount : end]}
    for annotation in annotations.values():
        if unpacked := _UNPACKED.match(str(annotation)):
            options = function.__globals__[unpacked[1]].__annotations__
            named |= {name: each.__forward_arg__ for name, each in options.items()}
    return named


def _takes(annotation: str, value: object) -> bool:
    """True if an argument's annotation names the type of a value."""
    annotation = _BRACKETS.sub("", annotation)
    begins = next((words for kind, words in _TAKEN if isinstance(value, kind)), ())
    return any(each.strip() in begins for each in annotation.split("|"))


#: Names of the official client's modules, asked of this package itself.
_CLASSIC = ("InferInput", "InferRequestedOutput", "InferenceServerClient", "InferResult")
#: Modules that are imported on their own.
_MODULES = ("bulk", "errors", "grpc", "http", "messages", "perf", "server", "testing", "utils")
#: Names that people look for in this package, and where these things are.
_ELSEWHERE: Mapping[str, str] = {
    "Server": "tritonclient.server.Server",
    "FunctionModel": "tritonclient.server.FunctionModel",
    "InferRequest": "tritonclient.request",
    **dict.fromkeys(
        ("InferenceRESTClient", "InferenceClient", "ModelClient", "connect", "infer"),
        "tritonclient.Client, or AsyncClient",
    ),
    "InferenceGRPCClient": "tritonclient.Client, with a grpc:// url",
    "RESTConfig": "the arguments of tritonclient.Client",
    "predict": "tritonclient.Client(url).infer",
}


def no_name(name: str, names: Iterable[str]) -> str:
    """Return what is meant by a name that the package does not have, or ""."""
    if name in _CLASSIC:
        new = {"InferInput": "an array", "InferRequestedOutput": "RequestedOutput"}
        return (
            f"; it is in tritonclient.http and tritonclient.grpc; of tritonclient.Client it is "
            f"{new.get(name, 'Client')}"
        )
    if name in _MODULES:
        return f"; import tritonclient.{name}"
    if name in _ELSEWHERE:
        return f"; here it is {_ELSEWHERE[name]}"
    return meant(name, names) if name[:1].isupper() else ""  # modules are asked for so, too


def not_picklable(owner: object, why: str, instead: str) -> TypeError:
    """Return the error for an object that can't be pickled or copied."""
    kind = type(owner).__name__
    article = "an" if kind[0] in "AEIOU" else "a"
    return TypeError(f"{article} {kind} can't be pickled or copied, as {why}; {instead}")


def no_attribute(owner: object, name: str, renamed: Mapping[str, str]) -> AttributeError:
    """Return the error for an attribute that an object does not have.

    Args:
        renamed: names of the official client, and what to use here.
    """
    kind = type(owner).__name__
    hint = ""
    if name in renamed:
        hint = f"; here it is {renamed[name]}"
    elif not name.startswith("_"):  # those are asked for by programs, not by people
        hint = meant(name, [each for each in dir(type(owner)) if each[0] != "_"])
    return AttributeError(f"{kind!r} object has no attribute {name!r}{hint}")
