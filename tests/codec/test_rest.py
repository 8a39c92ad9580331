"""The REST codec in both directions, and against answers and requests that are anything at all."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import strategies
from tritonclient import errors
from tritonclient import messages as m
from tritonclient.client.results import InferResult
from tritonclient.codec import rest, rest_json, routes
from tritonclient.datatypes import DATATYPES, NUMPY

EVERY = pytest.mark.parametrize("kind", list(strategies.REQUESTS), ids=lambda k: k.__name__)
ROUND = settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))


def lowered(headers):
    return {name.lower(): value for name, value in headers.items()}


def over_the_wire(message):
    """As it arrives: header names in lower case, the body in one piece."""
    return message._replace(headers=lowered(message.headers), body=(b"".join(message.body),))


def test_every_request_is_tried():
    assert set(strategies.REQUESTS) == {route.request for route in routes.ROUTES}


@EVERY
@ROUND
@given(data=st.data())
def test_request_round_trip(kind, data):
    request = data.draw(strategies.REQUESTS[kind])
    if hasattr(request, "version"):  # a server knows only paths with a number there
        request = replace(request, version=data.draw(st.sampled_from(["", "1", "03"])))
    assert rest.decode_request(over_the_wire(rest.encode_request(request))) == request


@EVERY
@ROUND
@given(data=st.data())
def test_answer_round_trip(kind, data):
    request = data.draw(strategies.REQUESTS[kind])
    answer = data.draw(strategies.answers(kind))
    response = over_the_wire(rest.encode_response(request, answer))
    assert rest.decode_response(request, response) == answer


@settings(deadline=None, max_examples=30)
@given(strategies.infers())
def test_infer_body_is_not_copied(request):
    encoded = rest.encode_request(request)
    carried = [t.data for t in request.inputs if t.binary and t.data is not None]
    assert all(a is b for a, b in zip(encoded.body[1:], carried, strict=True))


# What the wire looks like


def test_infer_in_full():
    request = m.Infer(
        "a model",
        (
            m.InferTensor("X", "INT32", (2,), b"\1\0\0\0\2\0\0\0"),
            m.InferTensor("Y", "BYTES", (1,), b"\2\0\0\0hi", binary=False),
        ),
        version="3",
        outputs=(m.RequestedOutput("Z", classes=2), m.RequestedOutput("W", binary=False)),
        id="7",
        parameters={"priority": 1},
    )
    encoded = rest.encode_request(request)
    assert (encoded.method, encoded.path) == ("POST", "/v2/models/a%20model/versions/3/infer")
    assert json.loads(encoded.body[0]) == {
        "id": "7",
        "inputs": [
            {"name": "X", "datatype": "INT32", "shape": [2], "parameters": {"binary_data_size": 8}},
            {"name": "Y", "datatype": "BYTES", "shape": [1], "data": ["hi"]},
        ],
        "outputs": [
            {"name": "Z", "parameters": {"classification": 2, "binary_data": True}},
            {"name": "W", "parameters": {"binary_data": False}},
        ],
        "parameters": {"priority": 1},
    }
    assert encoded.headers["Inference-Header-Content-Length"] == str(len(encoded.body[0]))
    assert encoded.body[1:] == (b"\1\0\0\0\2\0\0\0",)


def test_classification_next_to_other_parameters():
    request = m.Infer("m", (), outputs=(m.RequestedOutput("Z", 3, parameters={"other": 1}),))
    (output,) = json.loads(rest.encode_request(request).body[0])["outputs"]
    assert output["parameters"] == {"classification": 3, "binary_data": True, "other": 1}


@pytest.mark.parametrize("name", ["a/b", "..", "a b", "a?b", "a%2Fb", "\u00e4", "a\r\nb", "#"])
def test_names_stay_in_their_place(name):
    path = rest.encode_request(m.IsModelReady(name, name)).path
    assert path.count("/") == 6
    assert set("?# \r\n").isdisjoint(path)
    path = rest.encode_request(m.IsModelReady(name, "03")).path
    found = rest.decode_request(rest.HttpRequest("GET", path, {}, ()))
    assert found == m.IsModelReady(name, "03")


@pytest.mark.parametrize("version", ["-1", "1.5", "x", "+1", " 1", "1x", "\u0661"])
def test_versions_in_paths_are_numbers(version):
    path = rest.encode_request(m.IsModelReady("a", version)).path
    with pytest.raises(errors.NotFound, match="Not Found"):
        rest.decode_request(rest.HttpRequest("GET", path, {}, ()))


def test_no_json_form():
    tensor = m.InferTensor("X", "BF16", (1,), b"\0\0", binary=False)
    with pytest.raises(ValueError, match="'X': BF16 has no JSON form"):
        rest.encode_request(m.Infer("m", (tensor,)))


def test_fp16_as_json_for_servers_that_take_it():
    tensor = m.InferTensor("X", "FP16", (2,), b"\0\x3c\0\x38", binary=False)
    (body,) = rest.encode_request(m.Infer("m", (tensor,))).body
    assert json.loads(body)["inputs"][0]["data"] == [1.0, 0.5]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64"])
def test_no_json_form_of_values(datatype, value):
    data = np.array([value], NUMPY[datatype]).tobytes()
    tensor = m.InferTensor("X", datatype, (1,), data, binary=False)
    with pytest.raises(ValueError, match="'X': NaN and infinities have no JSON form"):
        rest.encode_request(m.Infer("m", (tensor,)))


def test_no_json_form_of_bytes():
    tensor = m.InferTensor("X", "BYTES", (1,), b"\1\0\0\0\xff", binary=False)
    with pytest.raises(ValueError, match=r"'X'.*not UTF-8"):
        rest.encode_request(m.Infer("m", (tensor,)))


# Answers that are anything

KEYS = """name datatype shape data parameters outputs binary_data_size model_name id model_stats
    state versions inputs platform extensions inference_stats success count ns response_stats"""
LIKELY_KEYS = st.sampled_from(KEYS.split())
LIKELY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(sorted(DATATYPES))
    | strategies.TEXT,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(LIKELY_KEYS | strategies.TEXT, inner, max_size=5)
    ),
    max_leaves=25,
)


@st.composite
def strange_tensors(draw):
    """The JSON of a tensor that is nearly right."""
    tensor = {
        "name": draw(strategies.TEXT),
        "datatype": draw(st.sampled_from(sorted(DATATYPES)) | strategies.TEXT),
        "shape": draw(st.lists(st.integers(-1, 5) | st.integers(-(2**70), 2**70), max_size=4)),
        "parameters": {"binary_data_size": draw(st.integers(-5, 60) | LIKELY)},
        "data": draw(LIKELY),
    }
    for key in draw(st.sets(st.sampled_from(sorted(tensor)), max_size=2)):
        del tensor[key]
    return tensor


STRANGE = st.builds(
    lambda outputs, more, tail, delta: (
        json.dumps({"outputs": outputs, **more}).encode(),
        tail,
        delta,
    ),
    st.lists(strange_tensors(), max_size=2),
    st.dictionaries(LIKELY_KEYS.filter(lambda k: k != "outputs"), LIKELY, max_size=2),
    st.binary(max_size=60),
    st.sampled_from([0, 0, 0, 0, 1, -1, -(10**9), 10**30]),
)


def read_all(result):
    for name in result:
        try:
            result[name]
        except ValueError as error:
            assert "shared memory" in str(error)


@settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
@given(STRANGE)
def test_strange_infer_answers(strange):
    head, tail, delta = strange
    headers = {"inference-header-content-length": str(len(head) + delta)}
    try:
        response = rest.HttpResponse(200, headers, (memoryview(head + tail),))
        read_all(InferResult(rest.decode_response(m.Infer("m", ()), response)))
    except errors.ProtocolError:
        pass


@EVERY
@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
@given(value=LIKELY, garbage=st.binary(max_size=40), status=st.integers(200, 600), data=st.data())
def test_any_answer(kind, value, garbage, status, data):
    request = data.draw(strategies.REQUESTS[kind])
    bodies = [json.dumps(value).encode(), garbage, json.dumps({"error": value}).encode()]
    for body in bodies:
        for code in (200, status):
            try:
                rest.decode_response(request, rest.HttpResponse(code, {}, (memoryview(body),)))
            except errors.ProtocolError:
                assert 200 <= code < 300
            except errors.InferenceServerException as error:
                assert not 200 <= code < 300
                assert error.status() == str(code)
                assert error.message()


@pytest.mark.parametrize("row", ['"bc"', '{"b":1,"c":2}', "null"])
def test_values_beside_lists(row):
    output = f'{{"name":"X","datatype":"BYTES","shape":[3],"data":[["a"],{row}]}}'
    body = f'{{"model_name":"m","outputs":[{output}]}}'.encode()
    with pytest.raises(errors.ProtocolError, match="beside lists"):
        rest.decode_response(m.Infer("m", ()), rest.HttpResponse(200, {}, (body,)))


@EVERY
def test_deeply_nested_answer(kind):
    deep = b"[" * 200_000
    request = _example(kind)
    answer = rest.HttpResponse(200, {}, (memoryview(deep),))
    if rest._ROUTE_OF[kind].kind is not None or kind is m.Infer:
        with pytest.raises(errors.ProtocolError):
            rest.decode_response(request, answer)
    with pytest.raises(errors.InferenceServerException):
        rest.decode_response(request, answer._replace(status=401))


def _example(kind):
    import dataclasses

    given = {"model": "m", "name": "n", "key": "k", "settings": {}, "inputs": (), "raw_handle": b""}
    needed = [f for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING]
    needed = [f.name for f in needed if f.default_factory is dataclasses.MISSING]
    return kind(**{name: given.get(name, 0) for name in needed})


def test_nulls_stand_for_what_is_left_out():
    # That is how KServe's servers write their answers.
    answer = (
        b'{"model_name":"m","model_version":null,"id":null,"parameters":null,"outputs":'
        b'[{"name":"X","datatype":"INT32","shape":[1],"parameters":null,"data":[3]}]}'
    )
    response = rest.HttpResponse(200, {}, (memoryview(answer),))
    decoded = rest.decode_response(m.Infer("m", ()), response)
    assert (decoded.model_version, decoded.id, dict(decoded.parameters)) == ("", "", {})
    assert InferResult(decoded)["X"].tolist() == [3]


@pytest.mark.parametrize(
    "parameters",
    ['"binary_data_size": 5', '"binary_data_size": 0'],
)
def test_bytes_for_no_elements(parameters):
    tensor = f'{{"name":"X","datatype":"BYTES","shape":[0],"parameters":{{{parameters}}}}}'
    head = f'{{"outputs":[{tensor}]}}'.encode()
    size = int(parameters[-1])
    headers = {"inference-header-content-length": str(len(head))}
    response = rest.HttpResponse(200, headers, (memoryview(head + b"\1\0\0\0x"[:size]),))

    def read():
        return InferResult(rest.decode_response(m.Infer("m", ()), response))["X"]

    if size:
        with pytest.raises(errors.ProtocolError):
            read()
    else:
        assert read().shape == (0,)


def test_many_dimensions_take_no_time():
    shape = [2**62] * 200_000
    body = json.dumps({"outputs": [{"name": "X", "datatype": "FP32", "shape": shape}]}).encode()
    with pytest.raises(errors.ProtocolError, match="shape of tensor 'X'") as caught:
        rest.decode_response(m.Infer("m", ()), rest.HttpResponse(200, {}, (memoryview(body),)))
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("datatype", "values"),
    [
        ("INT8", [128]),
        ("UINT8", [-1]),
        ("INT64", [2**63]),
        ("INT32", [1.5]),
        ("INT32", ["1"]),
        ("INT32", [True]),
        ("BOOL", [1]),
        ("FP16", ["1.5"]),
        ("BF16", [None]),
        ("FP32", [True]),
        ("FP32", ["nan"]),
        ("FP64", [10**400]),
        ("BYTES", [1]),
        ("BYTES", [None]),
        ("BYTES", [["a", "b"]]),
        ("BYTES", [{}]),
        ("INT32", []),
        ("INT32", [1, 2]),
    ],
)
def test_json_data_that_does_not_fit(datatype, values):
    tensor = {"name": "X", "datatype": datatype, "shape": [1], "data": values}
    body = memoryview(json.dumps({"outputs": [tensor]}).encode())
    with pytest.raises(errors.ProtocolError, match="'X'"):
        rest.decode_response(m.Infer("m", ()), rest.HttpResponse(200, {}, (body,)))


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64"])
def test_null_among_json_floats_is_nan(datatype):
    """So do servers write NaN whose JSON library is strict, such as KServe's."""
    tensor = {"name": "X", "datatype": datatype, "shape": [2, 1], "data": [[None], [1]]}
    body = memoryview(json.dumps({"outputs": [tensor]}).encode())
    response = rest.decode_response(m.Infer("m", ()), rest.HttpResponse(200, {}, (body,)))
    (output,) = response.outputs
    np.testing.assert_array_equal(np.frombuffer(output.data, NUMPY[datatype]), [np.nan, 1])


@pytest.mark.parametrize("datatype", ["FP16", "BF16", "FP32"])
def test_json_floats_too_large_are_infinite(datatype):
    tensor = {"name": "X", "datatype": datatype, "shape": [2, 1], "data": [[1e300], [-2]]}
    body = memoryview(json.dumps({"outputs": [tensor]}).encode())
    answer = rest.decode_response(m.Infer("m", ()), rest.HttpResponse(200, {}, (body,)))
    assert InferResult(answer)["X"].astype(float).tolist() == [[np.inf], [-2]]


# Errors


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":"words"}', "words"),
        (b'{"detail":"words"}', "words"),
        (b'{"message":"words"}', "words"),
        (b'{"error":"words","detail":"other"}', "words"),
        (b'{"error":{"code":1}}', '{"error":{"code":1}}'),
        (b'{"error":""}', '{"error":""}'),
        (b"", "client received an empty response from the server."),
        (b"<html>page</html>", "<html>page</html>"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"x" * 2000, "x" * 500 + "..."),
        (b"[" * 100000, "[" * 500 + "..."),
    ],
)
def test_error_text(body, message):
    with pytest.raises(errors.Unavailable) as caught:
        rest.decode_response(m.GetServerMetadata(), rest.HttpResponse(503, {}, (memoryview(body),)))
    assert caught.value.message() == message
    assert caught.value.status() == "503"


@pytest.mark.parametrize("status", sorted(rest._STATUS_ERRORS))
def test_error_round_trip(status):
    kind = rest._STATUS_ERRORS[status]
    response = rest.encode_error(kind("words", str(status)))
    assert response.status == status
    with pytest.raises(kind, match="words") as caught:
        rest.decode_response(m.GetServerMetadata(), over_the_wire(response))
    assert type(caught.value) is kind
    assert rest._STATUS_ERRORS[rest.encode_error(kind("words")).status] is kind


def test_health():
    for request in (m.IsServerLive(), m.IsServerReady(), m.IsModelReady("m")):
        for status, expected in ((200, True), (400, False), (404, False), (503, False)):
            answer = rest.HttpResponse(status, {}, (memoryview(b""),))
            assert rest.decode_response(request, answer) is expected
        with pytest.raises(errors.Unauthenticated):
            rest.decode_response(request, rest.HttpResponse(401, {}, (memoryview(b""),)))


# Requests that are anything

PARTS = "v2 models versions m %ff .. ready infer stats 1 region status"
PATHS = st.sampled_from(
    [rest.encode_request(_example(route.request)).path for route in routes.ROUTES]
) | st.lists(
    st.sampled_from(PARTS.split()),
    max_size=6,
).map(lambda parts: "/" + "/".join(parts))


@settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(["GET", "POST", "PUT"]),
    PATHS,
    st.dictionaries(
        st.sampled_from(["inference-header-content-length", "content-type"]),
        st.sampled_from(["0", "2", "-1", "x", "9" * 30, "\u0663"]),
    ),
    st.binary(max_size=40)
    | LIKELY.map(lambda value: json.dumps(value).encode())
    | st.lists(strange_tensors(), max_size=2).map(
        lambda tensors: json.dumps({"inputs": tensors, "outputs": tensors}).encode()
    ),
)
def test_any_request(method, path, headers, body):
    try:
        request = rest.decode_request(rest.HttpRequest(method, path, headers, (body,)))
    except errors.ServerError as error:
        assert error.status() in ("400", "404", "405", "500")  # Triton's own choices
    else:
        assert isinstance(request, m.Request)


def test_unknown_paths_and_methods():
    with pytest.raises(errors.NotFound):
        rest.decode_request(rest.HttpRequest("GET", "/v3", {}, ()))
    with pytest.raises(errors.Unimplemented):
        rest.decode_request(rest.HttpRequest("PUT", "/v2", {}, ()))


@pytest.mark.parametrize(
    ("text", "position"),
    [
        (b'"\\ud800"', 1),
        (b'"\\udc00"', 1),
        (b'["a", "\\uD83Dx\\uDE00"]', 7),
        (b'"\\ud83d\\ud83d\\ude00"', 1),
        (b'"\\udc00\\ud800"', 1),
    ],
)
def test_half_of_a_surrogate_pair_is_refused(text, position):
    with pytest.raises(json.JSONDecodeError, match="surrogate pair in string is invalid") as found:
        rest_json.loads(text)
    assert found.value.pos == position


@pytest.mark.parametrize("text", ["\U0001f600", "a\\ud800", "\\", "\U0001f600\U0001f600", "\xe4"])
def test_whole_pairs_are_read(text):
    for escaped in (True, False):
        assert rest_json.loads(json.dumps([text], ensure_ascii=escaped).encode()) == [text]


#: What exceptions of Python say, which is no answer.
PYTHON = ("object", "codec", "Error", "argument", "NoneType", "attribute", "recursion", "padding")
STRANGE = [None, True, 1, -1, 1.5, 10**30, "x", [], {}, [None], {"a": None}, "\u20ac" * 3]
BODIES = {
    "/v2/repository/index": ["ready"],
    "/v2/repository/models/a/load": ["parameters", "parameters.config", "parameters.file:1/x"],
    "/v2/repository/models/a/unload": ["parameters", "parameters.unload_dependents"],
    "/v2/trace/setting": ["trace_level", "trace_rate"],
    "/v2/logging": ["log_info"],
    "/v2/systemsharedmemory/region/a/register": ["key", "byte_size", "offset"],
    "/v2/cudasharedmemory/region/a/register": ["raw_handle", "raw_handle.b64", "device_id"],
    "/v2/models/a/infer": ["inputs", "outputs", "parameters", "id"],
}


def strange_bodies(members):
    yield from (
        b"{",
        b"[" * 100_000,
        b"\xff",
        b'"\xff"',
        *(json.dumps(v).encode() for v in STRANGE),
    )
    for member in members:
        for value in STRANGE:
            for name in reversed(member.split(".", 1)):
                value = {name: value}
            yield json.dumps(value).encode()


@pytest.mark.parametrize("path", BODIES)
def test_no_words_of_python_are_an_answer(path):
    for body in strange_bodies(BODIES[path]):
        try:
            rest.decode_request(rest.HttpRequest("POST", path, {}, (body,)))
        except errors.InferenceServerException as error:
            text = (error.message() or "").replace("an object", "").replace("non-object", "")
            text = text.replace("object member", "")
            assert not [each for each in PYTHON if each in text], (body[:80], text)


@pytest.mark.parametrize("value", [1, None, True, {}, "\ud800"])
def test_texts_that_are_none(value):
    tensor = {"name": "X", "datatype": "BYTES", "shape": [1], "data": [value]}
    body = json.dumps({"inputs": [tensor]}).encode()
    with pytest.raises(errors.Internal, match=r"JSON non-string as string|surrogate pair"):
        rest.decode_request(rest.HttpRequest("POST", "/v2/models/a/infer", {}, (body,)))


def test_an_input_that_is_no_object_has_no_data():
    for inputs in ([1], [None], [{"name": "X"}]):
        body = json.dumps({"inputs": inputs}).encode()
        with pytest.raises(errors.InvalidArgument, match="But no field is set"):
            rest.decode_request(rest.HttpRequest("POST", "/v2/models/a/infer", {}, (body,)))
