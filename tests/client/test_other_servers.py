"""Servers of the protocol that lack what Triton has: what the errors say."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.support.peers.hostile_peers import Server, answer_all, both_runtimes, http
from tritonclient import (
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    ProtocolError,
    RequestedOutput,
    ServerError,
)

X = np.ones((1, 2), np.float32)
METADATA = {"name": "other", "version": "1", "extensions": ["model_repository"]}
MODEL: dict[str, Any] = {"name": "m", "platform": ""}
OUTPUT = {"name": "Y", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
RESPONSE = {"model_name": "m", "outputs": [OUTPUT]}
READY = [{"name": "m", "version": "", "state": "READY", "reason": ""}]
NO_OPERATION = "does not offer this operation, which may be an extension of Triton's"


class Other:
    """Answers a few paths with JSON, and all others with 404.

    Args:
        paths: by path an object, or an object with a status such as "400 Bad Request".
    """

    def __init__(self, **paths: Any) -> None:
        self._paths = {"/v2": METADATA, "/v2/models/m": MODEL, **paths}

    def __call__(self, head: bytes, body: bytes) -> bytes:
        path = head.split(b" ")[1].decode()
        found = self._paths.get(path, ({"detail": "Not Found"}, "404 Not Found"))
        answer, status = found if isinstance(found, tuple) else (found, "200 OK")
        return http(json.dumps(answer).encode(), status=status)


def refused(runtime: Any, other: Other, action: Callable[[Any], Any]) -> ServerError:
    with Server([answer_all(other)]) as server, runtime(server.url) as client:
        with pytest.raises(ServerError) as caught:
            action(client)
        return caught.value


@both_runtimes
@pytest.mark.parametrize("index", [False, True], ids=["", "index"])
@pytest.mark.parametrize(
    "action",
    [
        lambda c: c.model_config("m"),
        lambda c: c.statistics("m"),
        lambda c: c.trace_settings(),
        lambda c: c.log_settings(),
        lambda c: c.system_shared_memory_status(),
        lambda c: c.load_model("m"),
    ],
)
def test_operations_that_are_not_there(runtime: Any, index: bool, action: Any) -> None:
    other = Other(**{"/v2/repository/index": READY} if index else {})
    error = refused(runtime, other, action)
    assert isinstance(error, NotFound)
    assert NO_OPERATION in error.hint
    assert "no inference server" not in error.hint


@both_runtimes
@pytest.mark.parametrize("text", ["Model stats not found", "Model with name stats does not exist."])
def test_statistics_taken_for_a_model(runtime: Any, text: str) -> None:
    other = Other(**{"/v2/models/stats": ({"error": text}, "404 Not Found")})
    assert NO_OPERATION in refused(runtime, other, lambda c: c.statistics()).hint


@both_runtimes
def test_no_server_at_this_path(runtime: Any) -> None:
    with Server([answer_all(Other())]) as server, runtime(f"{server.url}/base") as client:
        for action in (client.server_metadata, client.log_settings):
            with pytest.raises(NotFound, match="no inference server answers at this path"):
                action()


@both_runtimes
def test_a_version_of_models_without_versions(runtime: Any) -> None:
    text = ({"error": "Model m with version 7 not found"}, "404 Not Found")
    paths = {"/v2/models/m/versions/7/infer": text, "/v2/repository/index": READY}
    error = refused(runtime, Other(**paths), lambda c: c.infer("m", {"X": X}, version="7"))
    assert error.hint == "the server has this model, without versions; leave the version out"


@both_runtimes
def test_states_with_the_name_of_their_enumeration(runtime: Any) -> None:
    index = [{"name": "m", "version": "3", "state": "State.READY", "reason": ""}]
    text = ({"error": "Model m with version 7 not found"}, "404 Not Found")
    paths = {"/v2/models/m/versions/7/infer": text, "/v2/repository/index": index}
    error = refused(runtime, Other(**paths), lambda c: c.infer("m", {"X": X}, version="7"))
    assert "has this model, in version '3'; without a version" in error.hint


@both_runtimes
def test_inputs_that_are_not_told(runtime: Any) -> None:
    with Server([answer_all(Other())]) as server, runtime(server.url) as client:
        handle = client.model("m")
        with pytest.raises(TypeError, match=r"does not say which inputs .*model\(NAME=array\)"):
            handle.spec.only_input((X,))


@both_runtimes
def test_classes_that_were_asked_for(runtime: Any) -> None:
    other = Other(**{"/v2/models/m/infer": RESPONSE})
    with Server([answer_all(other)]) as server, runtime(server.url) as client:
        result = client.infer("m", {"X": X}, outputs=[RequestedOutput("Y", classes=1)])
        with pytest.raises(ProtocolError, match=r"the server ignored classes=.*np\.argsort"):
            result.classes("Y")
        with pytest.raises(ProtocolError, match="ask for one by outputs"):
            client.infer("m", {"X": X}).classes("Y")


@both_runtimes
def test_a_compressed_request_that_is_not_read(runtime: Any) -> None:
    other = Other(**{"/v2/models/m/infer": ({"error": "no JSON"}, "400 Bad Request")})
    error = refused(
        runtime, other, lambda c: c.infer("m", {"X": X}, binary=False, request_compression="gzip")
    )
    assert isinstance(error, InvalidArgument)
    assert "the request was compressed with gzip, which not every server reads" in error.hint
    assert "gzip" not in refused(runtime, other, lambda c: c.infer("m", {"X": X})).hint


@both_runtimes
def test_what_json_has_no_form_for(runtime: Any) -> None:
    """Once the server has refused binary data, errors do not ask for them."""

    def answer(head: bytes, body: bytes) -> bytes:
        if b"inference-header-content-length" in head.lower():
            return http(b'{"error": "no binary data"}', status="400 Bad Request")
        return Other(**{"/v2/models/m/infer": RESPONSE})(head, body)

    with Server([answer_all(answer)]) as server, runtime(server.url) as client:
        assert client.infer("m", {"X": X})["Y"].tolist() == [[1, 2]]
        for value in (np.array([np.nan]), np.array([b"\xff"], object)):
            words = r"the server's port for gRPC may take it: Client\('grpc://...'\)"
            with pytest.raises(ValueError, match=words) as caught:
                client.infer("m", {"X": value})
            assert "binary data" not in str(caught.value)


@both_runtimes
def test_an_answer_that_cannot_be_read_but_is_of_such_a_server(runtime: Any) -> None:
    wrong = {"model_name": "m", "outputs": [{**OUTPUT, "data": [1, 2, 3]}]}
    other = Other(**{"/v2/models/m/infer": wrong})
    with Server([answer_all(other)]) as server, runtime(server.url) as client:
        with pytest.raises(ProtocolError, match="3 elements, expected 2") as caught:
            client.infer("m", {"X": X})
        assert "is this the url" not in str(caught.value)


@both_runtimes
def test_the_deadline_of_both_forms(runtime: Any) -> None:
    """The seconds are those of the call, not what was left for the request as JSON."""

    def answer(head: bytes, body: bytes) -> bytes:
        if head.startswith(b"GET /v2 "):
            return Other()(head, body)
        if b"inference-header-content-length" in head.lower():
            return http(b'{"error": "no binary data"}', status="400 Bad Request")
        server.ending.wait()
        return b""

    with Server([answer_all(answer)]) as server, runtime(server.url) as client:
        with pytest.raises(DeadlineExceeded, match=r"the deadline of 0\.5 s passed while waiting"):
            client.infer("m", {"X": X}, timeout=0.5)
