"""Mistakes of who comes from KServe's client, works in several processes, or types in a shell."""

from __future__ import annotations

import asyncio
import concurrent.futures
import copy
import multiprocessing
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tritonclient as tc
from tests.client.test_closed import act, both, settled
from tests.client.test_mistakes import make
from tests.conftest import MODELS
from tritonclient import AsyncClient, Client
from tritonclient.server import Server

A = np.ones((1, 16), np.int32)
PAIR = {"INPUT0": A, "INPUT1": A}
TENSOR = {"name": "INPUT0", "shape": [1, 16], "datatype": "INT32", "data": A.tolist()}
URL = "http://127.0.0.1:9"


class KserveInput:
    """Has the methods that inputs of KServe's client have."""

    name = "INPUT0"

    def as_numpy(self) -> np.ndarray:
        return A

    def set_data_from_numpy(self, array: np.ndarray) -> None:
        """Take an array."""


def infer(inputs: Any, **options: Any) -> Callable[[Any], Any]:
    return lambda client: client.infer("simple", inputs, **options)


#: Calls that are refused before anything is sent.
REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "JSON request": (infer({"inputs": [TENSOR]}), "{'INPUT0': array}; Tensor(data, 'INT32') makes"),
    "JSON tensors": (infer([TENSOR]), "tensors in the JSON of the protocol, expected a mapping of"),
    "JSON tensor": (infer({"INPUT0": TENSOR}), "is not an array; Tensor(data, 'INT32') makes one"),
    "JSON text": (
        infer('{"inputs": []}'),
        "is str, expected a mapping *client makes the JSON itse",
    ),
    "KServe's inputs": (infer([KserveInput()]), '{"INPUT0": array}; as_numpy() of KserveInput'),
    "KServe's input": (infer({"X": KserveInput()}), "give what its method as_numpy() returns"),
    "inputs by keyword": (
        lambda c: c.infer("simple", **PAIR),
        "'INPUT0' is not an argument; inputs are given as a mapping: {'INPUT0': array}",
    ),
    "protocol": (lambda c: type(c)(URL, protocol="v2"), "the beginning of the url, http:// or grp"),
    "no url": (lambda c: type(c)(), "url is NoneType, expected str, such as 'http://localhost"),
    "no request": (lambda c: c.ask("simple"), "request is 'simple', expected one of tritonclient."),
    "no settings": (
        lambda c: c.update_log_settings(timeout=5),
        'settings is NoneType, expected a mapping, such as {"log_verbose_level": 1}',
    ),
    **{
        f"trace setting {value!r}": (
            lambda c, value=value: c.update_trace_settings({"trace_rate": value}),
            "trace_rate of settings is *, expected a text or a whole number, a list",
        )
        for value in (1.5, True, [1], {"value": "1"})
    },
    "requests in a mapping": (
        lambda c: c.stream(PAIR),
        "model is dict, expected a model's name or",
    ),
    "datatype": (lambda c: tc.Tensor(A, "INT23"), "is not one of *; did you mean 'INT32'?"),
    "argument of TLS": (lambda c: tc.TLS(ca="x"), "'ca'; TLS takes ca_file, cert_file, key_file,"),  # type: ignore[call-arg]
    "argument of KeepAlive": (
        lambda c: tc.KeepAlive(interval=5),  # type: ignore[call-arg]
        "'interval'; KeepAlive takes time, timeout, without_calls, max_pings",
    ),
}


@both
@pytest.mark.parametrize(("action", "words"), REFUSED.values(), ids=REFUSED)
def test_refused(kind: Any, action: Any, words: str) -> None:
    with pytest.raises(TypeError) as caught:
        try:
            make(kind, URL, action)
        except ValueError as error:  # of the datatype
            raise TypeError(str(error)) from error
    check(caught, words)


@pytest.mark.parametrize("broken", ["config.pbtxt", "config"])
def test_models_that_a_server_can_not_read(tmp_path: Path, broken: str) -> None:
    shutil.copytree(MODELS / "identity_fp32", tmp_path / "identity_fp32")
    config = {"max_batch_sizes": 3} if broken == "config" else None
    with (
        Server(tmp_path, model_control_mode="explicit") as server,
        Client(server.http_url) as client,
    ):
        if config is None:
            (tmp_path / "identity_fp32" / "config.pbtxt").write_text("max_batch_sizes: 3")
        with pytest.raises(tc.ServerError) as caught:
            client.load_model("identity_fp32", config=config)
    check(caught, "the repository has this model, but its configuration or files can't be read")


def check(caught: Any, words: str) -> None:
    """Expect words, those between asterisks, in this order."""
    text, begin = str(caught.value), 0
    for each in words.split("*"):
        assert each.strip() in text[begin:], text
        begin = text.index(each.strip(), begin)


@both
@pytest.mark.parametrize("path", ["/v1", "/v1/models/simple:predict"])
def test_urls_of_the_protocol_before(kind: Any, path: str) -> None:
    with pytest.raises(ValueError, match=f"v1 protocol, and this client speaks v2; use '{URL}'"):
        kind(URL + path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Server", "; here it is tritonclient.server.Server"),
        ("InferRequest", "; here it is tritonclient.request"),
        ("InferenceGRPCClient", "; here it is tritonclient.Client, with a grpc:// url"),
        ("connect", "; here it is tritonclient.Client, or AsyncClient"),
    ],
)
def test_names_of_other_packages(name: str, words: str) -> None:
    with pytest.raises(AttributeError, match=f"no attribute '{name}'{words}"):
        getattr(tc, name)


@pytest.mark.server
@both
def test_handles(embedded: Server, kind: Any) -> None:
    async def use(client: Any) -> None:
        handle = await settled(client.model("simple"))
        for attempt, words in (
            (lambda: handle(PAIR), "use model.infer(inputs), or model(**inputs)"),
            (
                lambda: handle(**PAIR, outputs=["OUTPUT0"]),
                "model.infer({name: array}, outputs=...)",
            ),
            (lambda: handle(**PAIR, timeout=5), "options are given to model.infer("),
            (lambda: handle.infer(**PAIR), "inputs is NoneType, expected a mapping of names to"),
            (lambda: handle.submit(**PAIR), "inputs is NoneType, expected a mapping of names to"),
        ):
            with pytest.raises((TypeError, ValueError)) as caught:
                await settled(attempt())
            check(caught, words)
        result = await settled(handle(**PAIR))
        for name in ("to_dict", "json", "model_dump"):
            with pytest.raises(
                AttributeError, match=f"{name}'; here it is dict.result., whose arr"
            ):
                getattr(result, name)
        for name in ("url", "timeout", "headers"):
            with pytest.raises(AttributeError, match="here it is an argument of the client"):
                getattr(client, name)

    act(kind, embedded.http_url, use)


@pytest.mark.server
@both
def test_answers_are_no_dictionaries(embedded: Server, kind: Any) -> None:
    async def use(client: Any) -> None:
        metadata = await settled(client.model_metadata("simple"))
        for answer, key, words in (
            (
                metadata,
                "inputs",
                "ModelMetadata is not a dictionary, ['inputs'] is .inputs; its att",
            ),
            (metadata.inputs[0], "shape", "TensorMetadata is not *, ['shape'] is .shape; its"),
            (
                await settled(client.server_metadata()),
                "x",
                "dictionary; its attributes are name, v",
            ),
            ((await settled(client.repository_index()))[0], "state", "['state'] is .state"),
            ((await settled(client.statistics("simple")))[0], "name", "['name'] is .name"),
        ):
            with pytest.raises(TypeError) as caught:
                answer[key]
            check(caught, words)
        assert metadata[0] == metadata.name
        assert metadata[:1] == (metadata.name,)
        assert pickle.loads(pickle.dumps(metadata)) == metadata

    act(kind, embedded.http_url, use)


@pytest.mark.server
@both
def test_what_cannot_be_pickled(embedded: Server, kind: Any) -> None:
    async def use(client: Any) -> None:
        stream, memory = client.open_stream(), client.shared_memory()
        for made, words in (
            (client, "it holds connections; make one in each process"),
            (await settled(client.model("simple")), "it holds connections; make one in each"),
            (stream, "it is a call; pass its results, or open one in each process"),
            (memory, "it is memory of this process and its server; make one in each process"),
            (await settled(memory.put(A)), "it lies in shared memory; read() gives an array"),
        ):
            for attempt in (pickle.dumps, copy.deepcopy):
                with pytest.raises(
                    TypeError, match=f"can't be pickled or copied, as {re.escape(words)}"
                ):
                    attempt(made)
        stream.cancel()
        await settled(memory.close())

    act(kind, embedded.grpc_url, use)


@pytest.mark.server
def test_a_method_given_to_other_processes(embedded: Server) -> None:
    context = multiprocessing.get_context("spawn")
    with Client(embedded.http_url) as client:
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
            with pytest.raises(TypeError, match=r"a Client can't be pickled .* in each process"):
                pool.submit(client.infer, "simple", PAIR).result()


def test_with_and_async_with() -> None:
    blocking, awaited = Client("grpc://127.0.0.1:9"), AsyncClient("grpc://127.0.0.1:9")
    stream = awaited.open_stream()
    for made in (awaited.shared_memory(), stream):
        with pytest.raises(TypeError, match="use `async with`"), made:
            """There is no such context."""
    stream.cancel()

    async def enter() -> None:
        async with blocking.shared_memory():  # type: ignore[attr-defined]
            """There is no such context."""

    with pytest.raises(TypeError, match="of a blocking client: use `with`"):
        asyncio.run(enter())
    blocking.close()


def test_a_task_without_an_event_loop() -> None:
    with pytest.raises(RuntimeError, match="submit makes a task of it; call it in a coroutine"):
        AsyncClient(URL).submit("simple", PAIR)


@pytest.mark.server
def test_a_blocking_stream_in_a_coroutine(embedded: Server) -> None:
    async def use() -> None:
        async with client.open_stream():  # type: ignore[attr-defined]
            """There is no such context."""

    with Client(embedded.grpc_url) as client:
        with pytest.raises(TypeError, match="this stream is blocking: use `with`, or AsyncClient"):
            asyncio.run(use())
        assert client.is_server_live()


def test_the_only_name_that_a_word_is_part_of() -> None:
    with pytest.raises(TypeError, match="did you mean 'max_connections'"):
        Client(URL, connections=5)  # type: ignore[arg-type]
