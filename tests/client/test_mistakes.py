"""Mistakes that people make, and what they are told: argument, expected, given, next step."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import socket
import ssl
from typing import Any

import numpy as np
import pytest

from tests.support.peers.hostile_peers import Server as Peer
from tests.support.peers.hostile_peers import answer_all, free_port, http, read_request, send, stall
from tritonclient import (
    TLS,
    AsyncClient,
    Client,
    ConnectionFailed,
    DeadlineExceeded,
    Grpcio,
    KeepAlive,
    NotFound,
    ProtocolError,
    RequestedOutput,
    RequestTooLarge,
    ServerError,
    Tensor,
)
from tritonclient.messages import GetServerMetadata

A = np.ones((1, 16), np.int32)
PAIR = {"INPUT0": A, "INPUT1": A}
F = np.ones(4)


class Numbers:
    """Has a method numpy(), as tensors of some frameworks, and nothing else."""

    def numpy(self):
        return A


def then(first: Any, second: Any) -> Any:
    """What a function makes of a result, or of what it is awaited to."""
    if not inspect.isawaitable(first):
        return second(first)

    async def chain():
        result = second(await first)
        return await result if inspect.isawaitable(result) else result

    return chain()


def handle(name: str, call: Any, **options: Any) -> Any:
    return lambda c: then(c.model(name, **options), call)


def make(kind: Any, url: Any, action: Any, **options: Any) -> Any:
    """Let a client of a kind do something."""
    if kind is Client:
        with Client(url, **options) as client:
            return action(client)

    async def run():
        async with AsyncClient(url, **options) as client:
            result = action(client)
            while inspect.isawaitable(result):
                result = await result
            return result

    return asyncio.run(run())


both = pytest.mark.parametrize("kind", [Client, AsyncClient], ids=["blocking", "asyncio"])
protocols = pytest.mark.parametrize("protocol", ["http", "grpc"])


def infer(inputs: Any = PAIR, model: Any = "simple", **options: Any) -> Any:
    return lambda c: c.infer(model, inputs, **options)


def one(value: Any) -> Any:
    return lambda c: c.infer("identity_fp32", {"INPUT0": value})


# By client and protocol: what is done wrong, the error's class, and words of its text.
ARGUMENTS = {
    "no model": (lambda c: c.infer(), TypeError, "model is None, expected str"),
    "model None": (infer(model=None), TypeError, "model is None, expected str"),
    "model ''": (infer(model=""), ValueError, "expected the name of a model"),
    "inputs missing": (
        lambda c: c.infer("simple"),
        TypeError,
        "inputs is NoneType, expected a",
    ),
    "inputs an array": (infer(A), TypeError, 'such as {"INPUT": array}'),
    "inputs a list": (infer([A]), TypeError, "inputs is list, expected a mapping"),
    "model_name": (
        lambda c: c.infer(model_name="simple", inputs=PAIR),
        TypeError,
        "'model_name' is not an argument; here it is model, the first argument",
    ),
    "request_id": (infer(request_id="1"), TypeError, "here it is id;"),
    "client_timeout": (infer(client_timeout=1), TypeError, "here it is timeout, in seconds"),
    "model_version": (infer(model_version="1"), TypeError, "here it is version;"),
    "compression": (
        infer(request_compression_algorithm="gzip"),
        TypeError,
        "here it is request_compression;",
    ),
    "timout": (infer(timout=1), TypeError, "did you mean 'timeout'?; expected"),
    "sequenceid": (infer(sequenceid=1), TypeError, "did you mean 'sequence_id'?"),
    "ask timout": (
        lambda c: c.server_metadata(timout=1),
        TypeError,
        "'timout' is not an argument; did you mean 'timeout'?; expected headers,",
    ),
    "ask client_timeout": (
        lambda c: c.repository_index(client_timeout=1),
        TypeError,
        "here it is timeout, in seconds",
    ),
    "model() timout": (lambda c: c.model("simple", timout=1), TypeError, "did you mean 'timeout'"),
    "model(None)": (lambda c: c.model(None), TypeError, "name is None, expected str"),
    "model('')": (lambda c: c.model(""), ValueError, "expected the name of a model"),
    "wait timout": (
        lambda c: c.wait_until_ready("simple", timout=1),
        TypeError,
        "did you mean 'timeout'",
    ),
    "prepare model_name": (
        lambda c: c.prepare(model_name="simple", inputs=PAIR),
        TypeError,
        "here it is model, the first argument",
    ),
    "submit request_id": (
        lambda c: c.submit("simple", PAIR, request_id="1"),
        TypeError,
        "here it is id;",
    ),
    "timeout in words": (infer(timeout="5"), TypeError, "timeout is '5', expected seconds"),
    "timeout 0": (infer(timeout=0), ValueError, "expected a positive number of seconds"),
    "version 1": (infer(version=1), TypeError, "version is 1, expected str"),
    "id 1": (infer(id=1), TypeError, "id is 1, expected str"),
    "header 1": (infer(headers={"a": 1}), TypeError, "header 'a' is int, expected str"),
    "header None": (infer(headers={"a": None}), TypeError, "'a' is NoneType, expected str"),
    "header with newline": (infer(headers={"a": "b\n"}), ValueError, "remove it with .strip()"),
    "br": (infer(request_compression="br"), ValueError, "expected one of gzip, deflate"),
    "sequence_start": (
        infer(sequence_id=1, sequence_start="yes"),
        TypeError,
        "sequence_start is 'yes', expected True or False",
    ),
    "sequence_end": (infer(sequence_id=1, sequence_end=None), TypeError, "sequence_end is None"),
    "no sequence": (infer(sequence_start=True), ValueError, "need a sequence_id"),
    "priority": (infer(priority=-1), ValueError, "priority is -1, expected a number from 0"),
    "server_timeout": (infer(server_timeout="1"), ValueError, "expected seconds from 0"),
    "parameters": (infer(parameters=[1]), TypeError, "parameters is list, expected a mapping"),
    "shared_memory": (
        infer(shared_memory=True),
        TypeError,
        "shared_memory is True, expected what client.shared_memory() returns",
    ),
    "shared memory's name": (
        lambda c: c.submit("simple", PAIR, shared_memory="region"),
        TypeError,
        "with client.shared_memory() as memory",
    ),
    "outputs a text": (infer(outputs="OUTPUT0"), TypeError, "such as ['OUTPUT']"),
    "outputs a number": (infer(outputs=[3]), TypeError, "expected names or RequestedOutput"),
    "classes": (
        infer(outputs=[RequestedOutput("OUTPUT0", classes=-1)]),
        ValueError,
        "classes of output 'OUTPUT0' is -1, expected a number from 0",
    ),
    "config a list": (
        lambda c: c.load_model("simple", config=[1]),
        TypeError,
        "config is list, expected JSON text or a mapping",
    ),
    "trace settings a text": (
        lambda c: c.update_trace_settings("TIMESTAMPS"),
        TypeError,
        'settings is str, expected a mapping, such as {"trace_level": ["TIMESTAMPS"]}',
    ),
    "send a request": (
        lambda c: c.send(GetServerMetadata()),
        TypeError,
        "call is GetServerMetadata, expected what client.prepare() returns; client.ask(request)",
    ),
    "send a name": (
        lambda c: c.infer_prepared("simple"),
        TypeError,
        "call is str, expected what client.prepare() returns",
    ),
    "input None": (one(None), TypeError, "input 'INPUT0': NoneType None is not an array"),
    "input a dict": (one({"a": 1}), TypeError, "give one of its values"),
    "input a generator": (one(x for x in [1.0]), TypeError, "list(...) makes a list of it"),
    "input a set": (one({1.0}), TypeError, "set {1.0} is not an array; list(...)"),
    "input a map": (one(map(float, [1])), TypeError, "list(...) makes a list of it"),
    "input with numpy()": (one(Numbers()), TypeError, "give what its method numpy() returns"),
    "input an object": (one(object()), TypeError, "expected an array, a list, a number or a text"),
    "input of objects": (
        one(np.array([1.5, 2.5], object)),
        TypeError,
        "ndarray of shape [2] holds objects (float; element 0 is float)",
    ),
    "input with None in it": (one([1.5, None]), TypeError, "None is no number; use nan"),
    "input mixed": (one([1.5, {"a": 1}]), TypeError, "neither all numbers nor all texts"),
    "input ragged": (one([[1.0], [1.0, 2.0]]), ValueError, "is not a rectangular array"),
    "input complex": (one(np.ones(2, "c8")), ValueError, "has no v2 datatype; expected one of"),
    "input's datatype": (
        lambda c: c.infer("simple", {"INPUT0": Tensor(A, "float32")}),
        ValueError,
        "UINT8; did you mean 'FP32'?",
    ),
    "positional, two inputs": (
        handle("simple", lambda model: model(A)),
        TypeError,
        "its inputs are INPUT0 INT32 [-1, 16], INPUT1 INT32 [-1, 16]; "
        "name them: model(INPUT0=..., INPUT1=...)",
    ),
    "positional mapping": (
        handle("identity_fp32", lambda model: model({"INPUT0": F})),
        TypeError,
        "use model.infer(inputs), or model(**inputs)",
    ),
    "handle's array": (
        handle("identity_fp32", lambda model: model.infer(F)),
        TypeError,
        "inputs is ndarray, expected a mapping of names to arrays, such as {'INPUT0': array}",
    ),
    "handle's name": (
        handle("simple", lambda model: model(INPUT_0=A, INPUT1=A)),
        ValueError,
        "INPUT1 INT32 [-1, 16]; did you mean 'INPUT0'?",
    ),
    "handle's missing input": (
        handle("simple", lambda model: model(INPUT0=A)),
        ValueError,
        "input 'INPUT1' of model 'simple' is missing",
    ),
    "handle's output": (
        handle("simple", lambda model: model.infer(PAIR, outputs=["OUTPUT"])),
        ValueError,
        "did you mean 'OUTPUT",
    ),
    "handle's outputs a text": (
        handle("simple", lambda model: model.infer(PAIR, outputs="OUTPUT0")),
        TypeError,
        "expected a sequence of names: ['OUTPUT0']",
    ),
    "handle's float64": (
        handle("identity_fp32", lambda model: model(F)),
        ValueError,
        "input 'INPUT0' of model 'identity_fp32' is FP32 [-1]; got float64 [4]: dtype float64 "
        "does not fit FP32; expected float32; array.astype(np.float32) converts it, or cast=True",
    ),
    "handle's None": (
        handle("identity_fp32", lambda model: model(None)),
        TypeError,
        "got NoneType: NoneType None is not an array",
    ),
    "handle's batch": (
        handle("simple", lambda model: model(INPUT0=A[0], INPUT1=A[0])),
        ValueError,
        "the first dimension is the batch: array[None] adds it",
    ),
    "cast that does not fit": (
        handle("identity_fp32", lambda model: model(np.array([1e300])), cast=True),
        ValueError,
        "1e+300 does not fit FP32",
    ),
    "pickle": (
        lambda c: pickle.dumps(c),
        TypeError,
        "can't be pickled or copied, as it holds connections; make one in each process",
    ),
}

OFFICIAL_NAMES = {
    "get_model_metadata": "here it is model_metadata",
    "get_server_metadata": "here it is server_metadata",
    "get_model_config": "here it is model_config",
    "get_model_repository_index": "here it is repository_index",
    "get_inference_statistics": "here it is statistics",
    "async_infer": "here it is submit, or AsyncClient",
    "start_stream": "here it is open_stream",
    "async_stream_infer": "here it is stream",
    "stream_infer": "here it is stream",
    "register_plugin": "here it is the argument headers",
    "server_meta": "did you mean 'server_metadata'?",
    "infr": "did you mean 'infer'?",
}

#: What servers refuse: its class, the server's own text, which comes first, and the hint.
REFUSED = {
    "model": (
        infer(model="simpel"),
        ServerError,
        "unknown model",
        "(the server has no model 'simpel'; did you mean 'simple'?)",
    ),
    "no such model at all": (
        infer(model="qqq"),
        ServerError,
        "unknown model",
        "the server has no model 'qqq'; its models are 'custom_identity_int32', ",
    ),
    "handle": (lambda c: c.model("simpel"), ServerError, "simpel", "did you mean 'simple'?"),
    "metadata": (
        lambda c: c.model_metadata("echoo"),
        ServerError,
        "echoo",
        "did you mean 'echo'?",
    ),
    "load": (
        lambda c: c.load_model("simpel"),
        ServerError,
        "failed to load 'simpel', failed to poll from model repository",
        "did you mean 'simple'?",
    ),
    "input": (
        infer({"INPUT_0": A, "INPUT1": A}),
        ServerError,
        "INPUT_0",
        "did you mean 'INPUT0'? its inputs are INPUT0 INT32 [-1, 16], INPUT1 INT32 [-1, 16]",
    ),
    "output": (
        infer(outputs=["OUTPUT_0"]),
        ServerError,
        "OUTPUT_0",
        "did you mean 'OUTPUT0'? its outputs are OUTPUT0 INT32 [-1, 16], ",
    ),
    "datatype": (
        lambda c: c.infer("identity_fp32", {"INPUT0": F}),
        ServerError,
        "data-type is 'FP64'",
        "array.astype(np.float32) converts it",
    ),
    "batch dimension": (
        infer({"INPUT0": A[0, :4], "INPUT1": A[0, :4]}),
        ServerError,
        "shape",
        "array[None] adds it",
    ),
    "batch too large": (
        infer({"INPUT0": np.ones((9, 16), np.int32), "INPUT1": np.ones((9, 16), np.int32)}),
        ServerError,
        "batch-size must be <= 8",
        "raise max_batch_size in the model's config.pbtxt",
    ),
    "no shape": (
        infer({"INPUT0": np.int32(1), "INPUT1": np.int32(1)}),
        ServerError,
        "has no shape",
        "such as [[value]]",
    ),
    "decoupled": (
        lambda c: c.infer(
            "repeat_int32",
            {"IN": np.ones(1, "i4"), "DELAY": np.ones(1, "u4"), "WAIT": np.ones(1, "u4")},
        ),
        ServerError,
        "decoupled",
        "client.stream(model, inputs), with a grpc:// url",
    ),
}

CLIENTS = {
    "no scheme": (("localhost:8000", {}), ValueError, "for example http://localhost:8000"),
    "url None": ((None, {}), TypeError, "url is NoneType, expected str"),
    "url a list": ((["http://a"], {}), TypeError, "url is list, expected str"),
    "port": (("http://localhost:99999", {}), ValueError, "ports end at 65535"),
    "port abc": (("http://localhost:abc", {}), ValueError, "a colon and a port number"),
    "password": (("http://a:b@localhost", {}), ValueError, "pass an authorization header instead"),
    "grpc path": (("grpc://localhost/a", {}), ValueError, "use 'grpc://localhost"),
    "/v2": (
        ("http://localhost:8000/v2", {}),
        ValueError,
        "ends in /v2, which the client adds itself; use 'http://localhost:8000'",
    ),
    "/v2/": (("http://localhost:8000/v2/", {}), ValueError, "use 'http://localhost:8000'"),
    "tls on http": (("http://a", {"tls": True}), ValueError, "use https://a:8000"),
    "tls a path": (("https://a", {"tls": "ca.pem"}), TypeError, "tls is str, expected TLS"),
    "tls a missing file": (
        ("https://a", {"tls": TLS(ca_file="/none/ca.pem")}),
        FileNotFoundError,
        "ca_file '/none/ca.pem' of TLS is not a file",
    ),
    "verify": (("https://a", {"verify": False}), TypeError, "here it is tls=TLS("),
    "ssl": (("https://a", {"ssl": True}), TypeError, "here it is an https:// or grpcs:// url"),
    "verbose": (("http://a", {"verbose": True}), TypeError, "logging.getLogger('tritonclient')"),
    "auth": (("http://a", {"auth": ("a", "b")}), TypeError, 'headers={"authorization": ...}'),
    "concurrency": (("http://a", {"concurrency": 4}), TypeError, "here it is max_connections"),
    "timout": (("http://a", {"timout": 4}), TypeError, "did you mean 'timeout'?"),
    "timeout": (("http://a", {"timeout": "4"}), TypeError, "timeout is '4', expected seconds"),
    "headers": (("http://a", {"headers": "a: b"}), TypeError, "headers is str, expected a mapping"),
    "binary": (("http://a", {"binary": "no"}), TypeError, "binary is 'no', expected True, False"),
    "connections": (
        ("http://a", {"max_connections": 0}),
        ValueError,
        "max_connections is 0, expected at least 1",
    ),
    "keep_alive": (
        ("grpc://a", {"keep_alive": 5}),
        TypeError,
        "keep_alive is int, expected KeepAlive",
    ),
    "keep_alive on http": (
        ("http://a", {"keep_alive": KeepAlive(time=1)}),
        ValueError,
        "is not gRPC, which alone has pings",
    ),
    "grpcio's credentials": (
        ("grpc://a", {"grpcio": Grpcio(credentials="x")}),
        TypeError,
        "credentials is str, expected grpc.ChannelCredentials, such as grpc.ssl_channel_cred",
    ),
}


@both
@protocols
@pytest.mark.parametrize(("action", "error", "words"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments(embedded, kind, protocol, action, error, words):
    with pytest.raises(error) as caught:
        make(kind, getattr(embedded, f"{protocol}_url"), action)
    assert words in str(caught.value)


@both
@pytest.mark.parametrize(("name", "words"), OFFICIAL_NAMES.items())
def test_names_of_the_official_client(kind, name, words):
    client = kind("http://127.0.0.1:9")
    with pytest.raises(AttributeError, match=f"object has no attribute '{name}'") as c:
        getattr(client, name)
    assert words in str(c.value)
    assert not hasattr(client, "__array__")


@pytest.mark.parametrize(
    ("ask", "error", "words"),
    [
        (lambda r: r.as_numpy("OUTPUT0"), AttributeError, "here it is result[name]"),
        (lambda r: r.get_output("OUTPUT0"), AttributeError, "here it is result.output(name)"),
        (lambda r: r.get_response(), AttributeError, "here it is"),
        (lambda r: r.model, AttributeError, "did you mean 'model_name'?"),
        (lambda r: r["OUTPUT"], KeyError, "did you mean 'OUTPUT"),
        (lambda r: r["x"], KeyError, "the outputs are 'OUTPUT0', 'OUTPUT1'"),
        (lambda r: r.classes("OUTPUT0"), ProtocolError, "RequestedOutput('OUTPUT0', classes=3)"),
        (lambda r: r.dlpack("OUTPUT0"), ValueError, "result['OUTPUT0'] has it"),
    ],
)
def test_results(embedded, ask, error, words):
    with Client(embedded.http_url) as client:
        result = client.infer("simple", PAIR)
        with pytest.raises(error) as caught:
            ask(result)
    assert words in str(caught.value)
    assert pickle.loads(pickle.dumps(result))["OUTPUT0"].tolist() == [[2] * 16]


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda m: m.predict, "here it is infer"),
        (lambda m: m.inputs, "here it is spec.inputs"),
        (lambda m: m.submitt, "did you mean 'submit'?"),
    ],
)
def test_handles(embedded, ask, words):
    with Client(embedded.http_url) as client:
        model = client.model("simple")
        with pytest.raises(AttributeError) as caught:
            ask(model)
    assert words in str(caught.value)


@both
@protocols
@pytest.mark.parametrize(("action", "error", "own", "hint"), REFUSED.values(), ids=REFUSED)
def test_refused(embedded, kind, protocol, action, error, own, hint):
    """The server's text stays whole and first, and `message()` is nothing but it."""
    with pytest.raises(error) as caught:
        make(kind, getattr(embedded, f"{protocol}_url"), action)
    text, message = str(caught.value), caught.value.message()
    assert own in message
    assert hint in text
    assert caught.value.hint
    assert text == f"[{caught.value.status()}] {message} ({caught.value.hint})"
    assert str(pickle.loads(pickle.dumps(caught.value))) == text


@both
@pytest.mark.parametrize(("made", "error", "words"), CLIENTS.values(), ids=CLIENTS)
def test_clients(kind, made, error, words):
    url, options = made
    with pytest.raises(error) as caught:
        kind(url, **options)
    assert words in str(caught.value)


@both
@protocols
def test_a_model_that_is_not_loaded(kind, protocol, tmp_path, embedded):
    from tritonclient.server import Server

    folder = tmp_path / "repository" / "later" / "1"
    folder.mkdir(parents=True)
    (folder.parent / "config.pbtxt").write_text('name: "later"\nbackend: "none"\n')
    with Server(tmp_path / "repository", model_control_mode="explicit") as server:
        with pytest.raises(ServerError) as caught:
            make(kind, getattr(server, f"{protocol}_url"), infer(model="later"))
    assert "client.load_model('later')" in str(caught.value)


@both
@protocols
def test_loading_on_a_server_that_controls_its_models_itself(kind, protocol):
    from tritonclient.server import Server

    with Server(models={"twice": lambda X: {"Y": 2 * X}}) as server:
        with pytest.raises(ServerError, match="not allowed") as caught:
            make(kind, getattr(server, f"{protocol}_url"), lambda c: c.load_model("twice"))
    assert caught.value.hint == "start the server with --model-control-mode explicit"


@both
@protocols
def test_a_model_that_is_never_ready(embedded, kind, protocol):
    with pytest.raises(DeadlineExceeded, match="did you mean 'simple'") as caught:
        make(
            kind,
            getattr(embedded, f"{protocol}_url"),
            lambda c: c.wait_until_ready("simpel", timeout=3),
        )
    assert "model 'simpel' was not ready after 3 s: the server has no" in str(caught.value)


@both
def test_a_call_of_another_protocol(embedded, kind):
    with Client(embedded.http_url) as other:
        call = other.prepare("simple", PAIR)
    with pytest.raises(TypeError, match="prepared by a client for http, and this one is for grpc"):
        make(kind, embedded.grpc_url, lambda c: c.infer_prepared(call))


@both
@protocols
def test_only_input_without_name_and_cast(embedded, kind, protocol):
    url = getattr(embedded, f"{protocol}_url")
    result = make(kind, url, handle("identity_fp32", lambda model: model(F), cast=True))
    assert result["INPUT0" if "INPUT0" in result else "OUTPUT0"].dtype == np.float32
    counted = make(
        kind,
        url,
        handle("simple", lambda model: model(INPUT0=A.astype("i8"), INPUT1=A), cast=True),
    )
    assert counted["OUTPUT0"].tolist() == [[2] * 16]


@both
@protocols
def test_a_trace_level_as_a_text(embedded, kind, protocol):
    """HTTP servers take a list only."""
    url = getattr(embedded, f"{protocol}_url")
    before = make(kind, url, lambda c: c.trace_settings())
    make(kind, url, lambda c: c.update_trace_settings({"trace_level": "OFF"}))
    assert make(kind, url, lambda c: c.trace_settings()) == before


@both
def test_a_timeout_in_microseconds(embedded, kind):
    with pytest.warns(UserWarning, match=r"timeout is 1e\+06 s, which is 11\.6 days.*microseconds"):
        make(kind, embedded.http_url, infer(timeout=1_000_000))
    with pytest.warns(UserWarning, match="counts seconds"):
        kind("http://127.0.0.1:9", timeout=5e6)


@both
def test_a_keep_alive_in_milliseconds(kind):
    with pytest.warns(UserWarning, match=r"time=30000 s, which is 8\.3 hours.*not milliseconds"):
        kind("grpc://127.0.0.1:9", keep_alive=KeepAlive(30_000))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"options": {"a": 1}}, r"options is a mapping, expected pairs: list\(options.items\(\)\)"),
        ({"options": "a=1"}, "options is 'a=1', expected pairs of a name and a value, such as"),
        ({"options": 5}, "options is 5, expected pairs"),
        ({"options": [("a",)]}, r"options has \('a',\), expected pairs"),
        ({"options": [(1, 2)]}, r"options has \(1, 2\), expected pairs"),
        ({"target": 8001}, "target is 8001, expected str"),
    ],
)
def test_settings_of_grpcio(arguments, words):
    with pytest.raises(TypeError, match=words):
        Grpcio(**arguments)


@both
def test_http_to_a_port_with_tls(kind, authority):
    """Such servers hang up, or send an alert of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with Peer([stall], tls=context) as server, pytest.raises(ConnectionFailed) as caught:
        make(kind, f"http://127.0.0.1:{server.port}", lambda c: c.server_metadata())
    assert "https://" in str(caught.value)


@both
@protocols
@pytest.mark.parametrize("trusted", [False, True], ids=["authority", "name"])
def test_a_certificate_that_is_not_trusted(kind, protocol, trusted, authority, ca_file):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(context)
    options = {"tls": TLS(ca_file=ca_file)} if trusted else {}
    hint = r"tls=TLS\(server_name='...'\)" if trusted else r"tls=TLS\(ca_file='ca.pem'\)"
    with Peer([stall], tls=context) as server, pytest.raises(ConnectionFailed, match=hint):
        url = f"{protocol}s://127.0.0.1:{server.port}"
        make(kind, url, lambda c: c.server_metadata(), **options)


@both
@protocols
def test_nobody_listens(kind, protocol):
    url = f"{protocol}://127.0.0.1:{free_port()}"
    with pytest.raises(ConnectionFailed, match="is the server running there"):
        make(kind, url, lambda c: c.server_metadata())


@both
@protocols
def test_a_name_that_does_not_resolve(kind, protocol):
    with pytest.raises(ConnectionFailed, match="does it resolve on this machine"):
        make(kind, f"{protocol}://no-such-host.invalid", lambda c: c.server_metadata())


@both
def test_a_socket_that_is_not_there(kind, tmp_path):
    with pytest.raises(ConnectionFailed, match="does it listen on this socket"):
        make(kind, f"unix:{tmp_path}/none", lambda c: c.server_metadata())


@both
@protocols
def test_a_server_that_never_answers(kind, protocol):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{protocol}://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(DeadlineExceeded) as caught:
            make(kind, url, lambda c: c.server_metadata(timeout=0.3))
    assert "the deadline of 0.3 s passed while waiting for the answer" in str(caught.value)


@both
@protocols
def test_a_model_that_is_slow(embedded, kind, protocol):
    """The server may be the first to say so; the words are the same."""
    url = getattr(embedded, f"{protocol}_url")
    with pytest.raises(DeadlineExceeded) as caught:
        make(
            kind,
            url,
            lambda c: c.infer(
                "slow_identity",
                {"INPUT0": np.ones(1, "i4"), "DELAY_MS": np.full(1, 5000, "i4")},
                timeout=0.3,
            ),
        )
    assert "the deadline of 0.3 s passed while waiting for the answer" in str(caught.value)


@both
def test_an_answer_that_stops(kind):
    begin = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"
    with Peer([read_request, send(begin), stall]) as server, pytest.raises(DeadlineExceeded) as c:
        make(kind, server.url, lambda client: client.server_metadata(timeout=0.5))
    assert "the deadline of 0.5 s passed while receiving the answer" in str(c.value)


@both
def test_a_page_in_place_of_an_answer(kind):
    page = http(b"<html><body>Welcome to nginx</body></html>")
    with Peer([answer_all(page)]) as server, pytest.raises(ProtocolError) as caught:
        make(kind, server.url, infer())
    assert "it begins with '<html><body>Welcome to nginx" in str(caught.value)


@both
def test_credentials_that_are_missing(kind):
    refusal = http(b"no", status="401 Unauthorized")
    with Peer([answer_all(refusal)]) as server, pytest.raises(ServerError) as caught:
        make(kind, server.url, infer())
    assert 'headers={"authorization": "Bearer ..."}' in str(caught.value)


@both
def test_the_repository_is_asked_at_most_once(kind):
    """Its failure is ignored, and later errors of the same text do not ask again."""
    refusal = http(b'{"error":"Request for unknown model"}', status="404 Not Found")
    alone = r"^\[404\] Request for unknown model$"
    with Peer([answer_all(refusal)] * 8) as server:

        def ask(client):
            async def twice():
                for _ in range(2):
                    with pytest.raises(NotFound, match=alone):
                        await client.infer("simple", PAIR)

            if kind is AsyncClient:
                return twice()
            for _ in range(2):
                with pytest.raises(NotFound, match=alone):
                    client.infer("simple", PAIR)
            return None

        make(kind, server.url, ask)
        assert len(server.requests) == 3


def test_a_request_that_is_too_large(embedded):
    with Client(embedded.http_url, max_request_size=10) as client:
        with pytest.raises(RequestTooLarge, match="exceed max_request_size 10") as caught:
            client.infer("simple", PAIR)
    assert caught.value.limit == 10
    assert caught.value.size > 10
