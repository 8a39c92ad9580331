"""Mistakes with the classic clients that they find out themselves: argument, expected, given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tritonclient.grpc
import tritonclient.http
from tests.classic.runtimes import (
    AsyncRunner,
    Blocking,
    GrpcAsyncRunner,
    GrpcBlocking,
    bare,
    grpc_pair,
    pair,
)
from tritonclient.grpc import aio

A = np.ones((1, 16), np.int32)
F = np.ones(4, np.float32)
RUNTIMES = [Blocking, AsyncRunner, GrpcBlocking, GrpcAsyncRunner]
PROTOCOLS = [tritonclient.http, tritonclient.grpc]


async def call_back(result: Any, error: Any) -> None:
    """Do nothing, as nobody awaits it."""


def infer(**given: Any) -> Any:
    """Return a call of `simple` with these arguments in place of its own."""

    def call(client: Any, module: Any) -> Any:
        tensors = pair(A, A) if module is tritonclient.http else grpc_pair(A, A)
        return client.infer(**{"model_name": "simple", "inputs": tensors, **given})

    return call


def with_output(*arguments: Any) -> Any:
    return lambda c, module: infer(outputs=[module.InferRequestedOutput(*arguments)])(c, module)


CALLS = {
    "one input": (
        lambda c, m: c.infer("simple", m.InferInput("INPUT0", [4], "FP32")),
        "'InferInput' object is not iterable",
    ),
    "no inputs": (infer(inputs=None), "'NoneType' object is not iterable"),
    "inputs a dict": (infer(inputs={"INPUT0": A}), "inputs is dict, expected a list of InferInput"),
    "inputs a text": (infer(inputs="INPUT0"), "inputs is str, expected a list of InferInput"),
    "arrays": (infer(inputs=[A, A]), "inputs holds ndarray, expected InferInput objects"),
    "arrays from a generator": (
        lambda c, m: c.infer("simple", (array for array in [A])),
        "inputs holds ndarray",
    ),
    "outputs as inputs": (
        lambda c, m: c.infer("simple", [m.InferRequestedOutput("OUTPUT0")]),
        "inputs holds InferRequestedOutput, expected InferInput objects",
    ),
    "names": (
        infer(outputs=["OUTPUT0"]),
        "outputs holds str, expected InferRequestedOutput objects; "
        "InferRequestedOutput('OUTPUT0') asks for it",
    ),
    "outputs a text": (infer(outputs="OUTPUT0"), "outputs is str, expected a list"),
    "outputs a dict": (infer(outputs={"OUTPUT0": 1}), "outputs is dict, expected a list"),
    "output without name": (with_output(None), "name of an output is None, expected str"),
    "parameters a list": (infer(parameters=[1]), "parameters is list, expected a mapping"),
    "headers a text": (infer(headers="a: b"), "headers is str, expected a mapping"),
    "files a path": (
        lambda c, m: c.load_model("simple", config="{}", files="model.onnx"),
        "files is str, expected a mapping of paths to contents",
    ),
    "files of texts": (
        lambda c, m: c.load_model("simple", config="{}", files={"file:1/model.py": "text"}),
        "file 'file:1/model.py' is str, expected bytes",
    ),
    "log settings": (
        lambda c, m: c.update_log_settings("verbose"),
        "settings is str, expected a mapping",
    ),
    "trace settings": (
        lambda c, m: c.update_trace_settings(settings="OFF"),
        "settings is str, expected a mapping",
    ),
}


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(("call", "words"), CALLS.values(), ids=CALLS)
def test_calls(embedded, runtime, call, words):
    http = runtime in (Blocking, AsyncRunner)
    module = tritonclient.http if http else tritonclient.grpc
    with runtime(embedded.http_url if http else embedded.grpc_url) as client:
        with pytest.raises(TypeError) as caught:
            call(client, module)
    assert words in str(caught.value)


@pytest.mark.parametrize("module", PROTOCOLS)
@pytest.mark.parametrize("shape", [4, None, "4", [None], [[4]]])
def test_shapes(module, shape):
    with pytest.raises(TypeError) as caught:
        tensor = module.InferInput("INPUT0", shape, "FP32").set_shared_memory("region", 16)
        tensor._tensor()
    assert f"shape is {shape!r}, expected a list of whole numbers" in str(caught.value)


@pytest.mark.parametrize("module", PROTOCOLS)
def test_an_input_without_name(module):
    tensor = module.InferInput(None, [4], "FP32").set_data_from_numpy(F)
    with pytest.raises(TypeError, match="name of an input is None, expected str"):
        tensor._tensor()


@pytest.mark.parametrize("module", PROTOCOLS)
def test_masked_elements(module):
    tensor = module.InferInput("INPUT0", [4], "FP32")
    tensor.set_data_from_numpy(np.ma.masked_array(F, mask=False))
    with pytest.warns(UserWarning, match=r"1 masked elements, .* array\.filled\(value\)"):
        tensor.set_data_from_numpy(np.ma.masked_array(F, mask=[0, 1, 0, 0]))


@pytest.mark.parametrize(
    ("callback", "words"),
    [
        (None, "callback is None, expected a function that takes `result` and `error`"),
        (call_back, "callback is an async function, which nobody would await here"),
    ],
)
def test_callbacks(embedded, callback, words):
    with tritonclient.grpc.InferenceServerClient(bare(embedded.grpc_url)) as client:
        for call in (
            lambda: client.async_infer("simple", grpc_pair(A, A), callback),
            lambda: client.start_stream(callback),
        ):
            with pytest.raises(TypeError) as caught:
                call()
            assert words in str(caught.value)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_plugins(embedded, runtime):
    http = runtime in (Blocking, AsyncRunner)
    with runtime(embedded.http_url if http else embedded.grpc_url) as client:
        with pytest.raises(TypeError, match="plugin is 'x', expected a function that takes a req"):
            client.register_plugin("x")


def test_requests_of_a_stream_that_is_not_asynchronous():
    client = aio.InferenceServerClient("127.0.0.1:1")
    with pytest.raises(TypeError, match="inputs_iterator is list, expected an asynchronous"):
        client.stream_infer([])
