"""Arguments given by position that are taken by keyword, and unknown ones of shorthands."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import tritonclient
from tests.client.test_closed import act, both, settled
from tests.client.test_mistakes import make
from tritonclient import AsyncClient, Client
from tritonclient.server import Server

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


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_methods_that_catch_surplus_arguments(kind: type) -> None:
    """A method that takes arguments by keyword only, and is called often, catches surplus ones."""
    silent = {"ask", "send", "infer_prepared", "open_stream", "repository_index", "shared_memory"}
    silent |= {"unload_model"}
    for name, method in inspect.getmembers(kind, inspect.isfunction):
        parameters = inspect.signature(method).parameters.values()
        if name[0] != "_" and any(each.kind is each.KEYWORD_ONLY for each in parameters):
            surplus = any(each.kind is each.VAR_POSITIONAL for each in parameters)
            assert surplus is (name not in silent), name
