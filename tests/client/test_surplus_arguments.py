"""Arguments given by position that are taken by keyword, and unknown ones of shorthands."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import numpy as np
import pytest

import tritonclient
from tests.client.test_closed import act, both, settled
from tests.client.test_mistakes import make
from tritonclient import AsyncClient, Client, testing
from tritonclient.server import Server
from tritonclient.testing import FaultServer, LocalAsyncClient, LocalClient, LocalModel

A = np.ones((1, 16), np.int32)
PAIR = {"INPUT0": A, "INPUT1": A}
NOBODY = "http://127.0.0.1:9"


@both
@pytest.mark.parametrize(
    ("action", "words"),
    [
        (
            lambda c: c.infer("simple", PAIR, "1"),
            "infer() takes model and inputs by position, but '1' came after that; "
            "give it by keyword, version='1'; expected version, outputs, timeout",
        ),
        (lambda c: c.infer("simple", PAIR, ["OUTPUT0"], 5), "keyword, outputs=['OUTPUT0']; exp"),
        (lambda c: c.infer("simple", PAIR, 5.0), "infer() takes * keyword, timeout=5.0; expected"),
        (lambda c: c.infer("simple", PAIR, None), "but None * by keyword; expected version, outp"),
        (lambda c: c.infer("simple", PAIR, True), "but True * by keyword; expected version, outp"),
        (lambda c: c.submit("simple", PAIR, ""), "submit() takes * give it by keyword, version=''"),
        (lambda c: c.prepare("simple", PAIR, "1"), "prepare() takes * by keyword, version='1'"),
        (lambda c: c.stream("simple", PAIR, "1"), "stream() takes * by keyword, version='1'"),
        (lambda c: c.map("simple", [PAIR], 32), "map() takes model and items * batch_size=32"),
        (lambda c: c.model("simple", "", 5), "model() takes name and version * timeout=5"),
        (lambda c: c.model("simple", "", {"a": "b"}), "* give it by keyword, headers={'a': 'b'}"),
        (
            lambda c: c.load_model("m", {"name": "m"}),
            "* by keyword, config={'name': 'm'}",
        ),
        (lambda c: c.load_model("m", "{}"), "load_model() takes model by * config='{}'"),
        (lambda c: c.wait_until_ready("m", "", 5), "wait_until_ready() takes * timeout=5"),
        (lambda c: type(c)(NOBODY, 8000), "Client() takes url * part of the url, as in 'http://"),
        (lambda c: type(c)(NOBODY, {"a": "b"}), "Client() takes url * headers={'a': 'b'}"),
        (lambda c: type(c)(NOBODY, True), "Client() takes url * by keyword; expected timeout"),
        (lambda c: c.model_metadata("m", ver="1"), "did you mean 'version'?; expected headers, m"),
        (lambda c: c.load_model("m", cofnig={}), "'cofnig' * mean 'config'?; expected config, fi"),
        (lambda c: c.is_model_ready("m", x=1), "'x' * expected headers, model, query, timeout"),
        (lambda c: c.is_server_live(x=1), "'x' is not an argument; expected headers, query, time"),
        (lambda c: c.ask(None, x=1), "'x' is not * expected headers, query, request, timeout"),
    ],
)
def test_clients(kind: Any, action: Any, words: str) -> None:
    check(lambda: make(kind, NOBODY, action), words)


@pytest.mark.server
@both
@pytest.mark.parametrize("name", ["infer", "submit", "map"])
def test_handles(embedded: Server, kind: Any, name: str) -> None:
    async def use(client: Any) -> None:
        method = getattr(await settled(client.model("simple")), name)
        with pytest.raises(TypeError, match=rf"{name}\(\) takes .* outputs=\['OUTPUT0'\]"):
            await settled(method(PAIR, ["OUTPUT0"]))

    act(kind, embedded.http_url, use)


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda: tritonclient.request("m", PAIR, "1"), "request() takes model and * version='1'"),
        (lambda: Server("models", 8000), "Server() takes model_repository * http_port=8000; exp"),
        (lambda: Server("models", {"m": "m.onnx"}), "keyword, models={'m': 'm.onnx'}; expected"),
        (lambda: Server("models", "0.0.0.0"), "give it by keyword, host='0.0.0.0'; expected"),
    ],
)
def test_others(action: Any, words: str) -> None:
    check(action, words)


def check(action: Any, words: str) -> None:
    """Expect a TypeError that holds words in their order, those between asterisks."""
    with pytest.raises(TypeError) as caught:
        action()
    text, begin = str(caught.value), 0
    for each in words.split("*"):
        assert each.strip() in text[begin:], text
        begin = text.index(each.strip(), begin)


CLASSES = [
    *(Client, AsyncClient, tritonclient.Model, tritonclient.AsyncModel),
    *(tritonclient.InferStream, tritonclient.AsyncInferStream),
    *(tritonclient.SharedMemory, tritonclient.AsyncSharedMemory, tritonclient.SharedTensor),
    *(Server, FaultServer, LocalModel, LocalClient, LocalAsyncClient),
]
METHODS = [
    (kind, name)
    for kind in CLASSES
    for name, method in inspect.getmembers(kind, inspect.isfunction)
    if name[0] != "_" and name != "refusing"
]
FUNCTIONS = [(testing, "load_model"), (testing, "infer_result")]


def refusal(function: Any, *arguments: Any, **keywords: Any) -> str:
    """Return the TypeError of a call that is refused before the function uses what it is given."""

    async def call() -> None:
        with pytest.raises(TypeError) as caught:
            await settled(function(*arguments, **keywords))
        texts.append(str(caught.value))

    texts: list[str] = []
    asyncio.run(call())
    return texts[0]


@pytest.mark.parametrize(("owner", "name"), [*METHODS, *FUNCTIONS])
def test_every_public_method(owner: Any, name: str) -> None:
    """Arguments after those that are taken by position are named, and those that are expected."""
    function = getattr(owner, name)
    parameters = inspect.signature(function).parameters.values()
    positional = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    by_name = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]
    text = refusal(function, *positional, 1.25)
    assert text.startswith(f"{name}() takes "), text
    assert "1.25 came " in text
    assert all(each in text for each in [*positional, *by_name] if each != "self"), text
    if "timeout" in text.partition("expected")[2] and "seconds" not in positional:
        assert "give it by keyword" in text


@pytest.mark.parametrize(("owner", "name"), [*METHODS, *FUNCTIONS])
def test_arguments_that_are_missing(owner: Any, name: str) -> None:
    function = getattr(owner, name)
    parameters = list(inspect.signature(function).parameters.values())
    needed = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty]
    if len(needed) > 1:
        text = refusal(function, None)
        assert text.startswith(f"{name}() was called without {needed[1].name}, expected "), text
        assert all(each.name in text for each in needed[1:])


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda c: c.model_metadata("m", model="m"), "model_metadata() got model twice, by posit"),
        (lambda c: c.model_metadata(model_name="m"), "model_name' * here it is model, the first"),
        (lambda c: c.open_stream(timout=1), "'timout' is not * did you mean 'timeout'?; expected"),
        (lambda c: c.shared_memory(size=1), "'size' is not * did you mean 'byte_size'?"),
        (lambda c: c.shared_memory(1, 0), "takes byte_size by position, but 0 * device=0; exp"),
        (lambda c: c.close(True), "close() takes no arguments, but True came as well; leave it o"),
        (lambda c: c.is_server_live(5), "takes nothing by * timeout=5; expected timeout, headers"),
        (lambda c: c.model_config("m", "1", {"a": "b"}), "takes model and version * headers={'a"),
        (lambda c: c.unload_model("m", True), "takes model by * expected unload_dependents, time"),
        (lambda c: c.repository_index(True), "takes nothing by position * expected ready, time"),
        (lambda c: c.ask("simple", 5), "ask() takes request by position * timeout=5; expected"),
        (lambda c: c.register_system_shared_memory("r"), "without key, expected str and byte_size"),
    ],
)
@both
def test_rarer_methods(kind: Any, action: Any, words: str) -> None:
    check(lambda: make(kind, NOBODY, action), words)


@pytest.mark.parametrize("kind", CLASSES)
def test_signatures_stay(kind: Any) -> None:
    """What tools see of methods is what is written in the source."""
    for name, method in inspect.getmembers(kind, inspect.isfunction):
        source = inspect.unwrap(method)
        assert inspect.signature(method) == inspect.signature(source)
        assert inspect.iscoroutinefunction(method) is inspect.iscoroutinefunction(source), name
        assert method.__doc__ is source.__doc__


def test_methods_that_are_called_often_are_not_wrapped() -> None:
    for kind in (Client, AsyncClient, tritonclient.Model, tritonclient.AsyncModel):
        for name in {"infer", "infer_prepared", "prepare", "send", "submit"} & set(dir(kind)):
            method = getattr(kind, name)
            assert inspect.unwrap(method) is method, name


def test_errors_of_the_method_itself_stay() -> None:
    """A TypeError from within a method is no wrong call of it."""
    with pytest.raises(TypeError, match="settings is list, expected a mapping") as caught:
        make(Client, NOBODY, lambda client: client.update_trace_settings([1]))
    assert caught.value.__cause__ is None
