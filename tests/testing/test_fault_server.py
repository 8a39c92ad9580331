"""`tritonclient.testing.FaultServer` under the clients of both protocols and runtimes."""

from __future__ import annotations

import asyncio
import pickle
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

import tritonclient as tc
from tests.support.waiting import deadlines
from tritonclient import messages as m
from tritonclient.testing import FaultServer, FunctionModel, LocalAsyncClient, LocalClient

ONES = {"X": np.ones(3, np.float32)}
MODELS: dict[str, Any] = {
    "double": FunctionModel(lambda X: {"Y": 2 * X}, outputs={"Y": "FP32"}),
    "other": FunctionModel(lambda X: {"Y": X}, outputs={"Y": "FP32"}),
}


@pytest.fixture(scope="module")
def running() -> Iterator[FaultServer]:
    with FaultServer(models=MODELS) as server:
        yield server


@pytest.fixture
def server(running: FaultServer) -> FaultServer:
    running.clear()
    return running


@pytest.fixture(params=["http", "grpc"])
def client(request: pytest.FixtureRequest, server: FaultServer) -> Iterator[tc.Client]:
    url = server.http_url if request.param == "http" else server.grpc_url
    with tc.Client(url, timeout=60) as client:
        yield client


def works(client: tc.Client) -> bool:
    return bool((client.infer("double", ONES)["Y"] == 2).all())


def test_without_faults_it_serves_and_records(server: FaultServer, client: tc.Client) -> None:
    result = client.infer("double", ONES, id="7", outputs=["Y"], parameters={"user": "me"})
    assert result["Y"].tolist() == [2, 2, 2]
    (got,) = server.inferences
    assert (got.model, got.id, got.outputs, got.parameters) == (
        "double",
        "7",
        ("Y",),
        {"user": "me"},
    )
    assert got.inputs["X"].tolist() == [1, 1, 1]
    client.is_server_ready()
    assert isinstance(server.requests[-1], m.IsServerReady)
    server.clear()
    assert server.inferences == server.requests == []


def test_fail_next(server: FaultServer, client: tc.Client) -> None:
    server.fail_next("double", tc.Unavailable("busy"), times=2)
    server.fail_next("double", tc.InvalidArgument("wrong"))
    assert client.infer("other", ONES)["Y"].tolist() == [1, 1, 1]
    for error, text in [(tc.Unavailable, "busy")] * 2 + [(tc.InvalidArgument, "wrong")]:
        with pytest.raises(error, match=text):
            client.infer("double", ONES)
    assert works(client)
    assert server.pending_faults == []


def test_other_requests_can_fail_too(server: FaultServer, client: tc.Client) -> None:
    server.fail_next("double", tc.NotFound("gone"), request=m.GetModelMetadata)
    assert works(client)
    with pytest.raises(tc.NotFound, match="gone"):
        client.model_metadata("double")


def test_delay_next(server: FaultServer, client: tc.Client) -> None:
    for seconds in deadlines(0.2):
        server.clear()
        server.delay_next("double", 60)
        with pytest.raises(tc.DeadlineExceeded):
            client.infer("double", ONES, timeout=seconds)
        if not server.pending_faults:
            break  # otherwise the machine was so busy that the call did not get there
    assert works(client)
    server.delay_next(None, 0.2)
    begin = time.monotonic()
    assert works(client)
    assert time.monotonic() - begin >= 0.2


@pytest.mark.parametrize("harm", ["drop_next", "reset_next"])
def test_drop_and_reset(server: FaultServer, client: tc.Client, harm: str) -> None:
    assert works(client)  # the connection is there
    getattr(server, harm)("double")
    with pytest.raises(tc.ConnectionFailed):
        client.infer("double", ONES)
    assert works(client)
    assert len(server.inferences) == 3


def test_truncate_next(server: FaultServer, client: tc.Client) -> None:
    assert works(client)
    server.truncate_next("double", size=5)
    with pytest.raises(tc.ConnectionFailed):
        client.infer("double", ONES)
    assert works(client)


def test_drip_next(server: FaultServer, client: tc.Client) -> None:
    assert works(client)
    server.drip_next("double", bytes_per_second=10)
    with pytest.raises(tc.DeadlineExceeded):
        client.infer("double", ONES, timeout=1)


def test_refusing(server: FaultServer, client: tc.Client) -> None:
    assert works(client)
    with server.refusing():
        with pytest.raises(tc.ConnectionFailed):
            client.infer("double", ONES)
        assert not client.is_server_live()
    assert works(client)


def test_streams(server: FaultServer) -> None:
    server.fail_next("double", tc.Unavailable("busy"))
    with tc.Client(server.grpc_url) as client:
        requests = [tc.request("double", ONES, id=str(n)) for n in range(2)]
        with client.stream(requests) as responses:
            with pytest.raises(tc.ServerError, match="busy"):
                next(responses)
            assert next(responses).id == "1"
        server.reset_next("double")
        with client.stream(requests) as responses:
            with pytest.raises(tc.ConnectionFailed):
                list(responses)


def test_stopping_ends_delayed_calls_quietly(capfd: pytest.CaptureFixture[str]) -> None:
    with FaultServer(models=MODELS) as server:
        client = tc.Client(server.http_url)
        server.delay_next("double", 600)
        future = client.submit("double", ONES, timeout=600)
        while not server.inferences:
            pass
    with pytest.raises(tc.InferenceServerException):
        future.result()
    client.close()
    assert capfd.readouterr().err == ""


def test_asyncio(server: FaultServer) -> None:
    async def calls(url: str) -> None:
        async with tc.AsyncClient(url) as client:
            server.reset_next("double")
            with pytest.raises(tc.ConnectionFailed):
                await client.infer("double", ONES)
            assert (await client.infer("double", ONES))["Y"].tolist() == [2, 2, 2]

    for url in (server.http_url, server.grpc_url):
        asyncio.run(calls(url))


def test_without_sockets(server: FaultServer) -> None:
    with FaultServer(models=MODELS, http_port=None, grpc_port=None) as quiet:
        with quiet.local_client() as client:
            for _ in range(3):  # the second call looks like the first
                assert works(client)
            assert client.model("double")(X=[1, 2])["Y"].tolist() == [2, 4]
            assert client.submit("double", ONES).result()["Y"].tolist() == [2, 2, 2]
            quiet.fail_next("double", tc.Unavailable("busy"))
            with pytest.raises(tc.Unavailable) as caught:
                client.infer("double", ONES)
            assert caught.value.endpoint == "http://in-process"
            assert client.model_config("double")["name"] == "double"
            assert not client.is_model_ready("nope")
            with pytest.raises(ValueError, match=r"streams need gRPC, and a local .*grpc_url"):
                client.stream([])
            quiet.drop_next("double")
            with pytest.raises(RuntimeError, match=r"only the connection .* or fail_next"):
                client.infer("double", ONES)

        async def calls() -> None:
            async with quiet.local_async_client() as client:
                assert (await client.infer("double", ONES))["Y"].tolist() == [2, 2, 2]
                quiet.delay_next("double", 0.2)
                with pytest.raises(tc.DeadlineExceeded):
                    await client.infer("double", ONES, timeout=0.1)

        asyncio.run(calls())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: s.fail_next("a", ValueError("x")), TypeError, "error is ValueError"),
        (lambda s: s.fail_next("a", tc.NotFound("x"), times=0), ValueError, "times is 0"),
        (lambda s: s.delay_next("a", -1), ValueError, "seconds is -1"),
        (lambda s: s.truncate_next("a", size=0), ValueError, "size is 0"),
        (lambda s: s.drip_next("a", bytes_per_second=0), ValueError, "bytes_per_second is 0"),
        (lambda s: s.drop_next("a", request=int), TypeError, "request is <class 'int'>"),
        (lambda s: s.fail_next("duble", tc.NotFound("x")), ValueError, "did you mean 'double'"),
        (lambda s: s.drop_next("nope"), ValueError, "the models are double, other"),
        (lambda s: s.fail_next("double", tc.ConnectionFailed("x")), TypeError, "drop_next"),
        (lambda s: s.fail_next("double", tc.ProtocolError("x")), TypeError, "no server sends"),
        (lambda s: FaultServer(models={}, host="0.0.0.0"), TypeError, "takes no host"),
        (lambda s: FaultServer(models={}).inferences, RuntimeError, "not running; call start()"),
        (lambda s: s.start(), RuntimeError, r"running already; stop\(\) ends it"),
        (lambda s: s.fail_next("double"), TypeError, "without error, expected Inference"),
        (
            lambda s: s.fail_next("double", tc.NotFound),
            TypeError,
            r'tritonclient.NotFound\("busy"\)',
        ),
        (lambda s: s.fail_next("double", ONES, 3), TypeError, "give it by keyword, times=3"),
        (
            lambda s: s.fail_next("double", ONES, count=3),
            TypeError,
            "'count' is not an argument; exp",
        ),
        (
            lambda s: s.fail_next(["double"], tc.NotFound("x")),
            TypeError,
            "name of a model, or None",
        ),
        (
            lambda s: s.drop_next("double", times=True),
            ValueError,
            "times is True, expected a whole",
        ),
        (lambda s: s.drop_next("double", request="infer"), TypeError, "such as messages.IsServer"),
        (lambda s: s.delay_next("double", float("nan")), ValueError, "seconds is nan, expected"),
        (lambda s: s.delay_next("double", float("inf")), ValueError, "seconds is inf, expected"),
        (lambda s: s.delay_next("double", timedelta(1)), ValueError, "seconds is datetime.timede"),
        (lambda s: s.drip_next("double", bytes_per_second="1k"), ValueError, "a number greater th"),
        (lambda s: s.drip_next("double", bytes_per_second=True), ValueError, "is True, expected a"),
        (lambda s: s.truncate_next("double", size=1.5), ValueError, "a number of bytes from 1"),
        (lambda s: FaultServer(models={}, grpc_port="1"), TypeError, "grpc_port is '1', expected"),
        (lambda s: FaultServer(models={}, http_port=-1), ValueError, "http_port is -1, expected"),
        (lambda s: s.local_client(url="http://a"), TypeError, "'url' is not an argument: a local"),
        (lambda s: s.local_client(timout=5), TypeError, "did you mean 'timeout'"),
        (lambda s: LocalClient(), TypeError, "without handle, expected Handle"),
        (lambda s: LocalClient(None), TypeError, "handle is None, expected a function that answ"),
        (lambda s: LocalAsyncClient(s), TypeError, "such as server.handle; its method handle is"),
        (lambda s: pickle.dumps(s), TypeError, "runs in this process; give http_url to other"),
    ],
)
def test_mistakes_are_named(
    server: FaultServer, call: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call(server)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("url", "here it is http_url or grpc_url"),
        ("port", "here it is http_port or grpc_port"),
        ("client", r"here it is tritonclient.Client\(server.http_url\)"),
        ("refuse_next", "here it is refusing, in a `with` block"),
        ("error_next", "here it is fail_next"),
        ("delay", "did you mean 'delay_next'"),
        ("inference", "did you mean 'inferences'"),
        ("close", "here it is stop"),
    ],
)
def test_names_that_it_does_not_have(server: FaultServer, name: str, words: str) -> None:
    with pytest.raises(AttributeError, match=f"'FaultServer' .* '{name}'; {words}"):
        getattr(server, name)


def test_names_that_a_record_does_not_have(server: FaultServer, client: tc.Client) -> None:
    assert works(client)
    for name, words in (("model_name", "model"), ("headers", "parameters, if the server")):
        with pytest.raises(AttributeError, match=f"{name}'; here it is {words}"):
            getattr(server.inferences[0], name)


def test_numbers_of_numpy(server: FaultServer, client: tc.Client) -> None:
    server.fail_next("double", tc.Unavailable("busy"), times=np.int64(2))  # type: ignore[arg-type]
    server.delay_next("double", np.float32(0.01))  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(tc.Unavailable):
            client.infer("double", ONES)
    assert works(client)


async def later(request: Any) -> None:
    """Return nothing."""


@pytest.mark.parametrize(
    ("handle", "words"),
    [
        (lambda request: None, "handle returned NoneType for IsServerReady, expected bool"),
        (lambda request: {"Y": 1}, "handle returned dict for IsServerReady, expected bool"),
        (later, "handle returned coroutine for .* it must be a plain function"),
    ],
)
def test_what_is_no_response(handle: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        LocalClient(handle).is_server_ready()


def test_responses_of_a_function() -> None:
    answers: dict[type, Any] = {
        m.Infer: infer_response(),
        m.IsServerReady: True,
        m.GetModelConfig: {"name": "m"},
        m.GetRepositoryIndex: (m.ModelIndex("m", "1", "READY", ""),),
        m.LoadModel: None,
    }
    client = LocalClient(lambda request: answers[type(request)])
    assert client.infer("m", ONES)["Y"].tolist() == [1]
    assert client.is_server_ready()
    assert client.model_config("m") == {"name": "m"}
    assert client.repository_index()[0].name == "m"
    client.load_model("m")


def infer_response() -> m.InferResponse:
    return m.InferResponse("m", "1", "", {}, (m.InferTensor("Y", "INT8", (1,), b"\1"),))
