"""The gRPC codec in both directions, and against answers and requests that are anything at all."""

from __future__ import annotations

import subprocess
import sys

import grpc
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.support import pb_strategies, strategies
from tests.support.rpc_meaning import ANSWERS, INFERS
from tritonclient import errors
from tritonclient import messages as m
from tritonclient.codec import messages_pb, procedures, rest, rpc, rpc_infer
from tritonclient.codec.messages_pb import message, to_dict

EVERY = pytest.mark.parametrize("kind", list(strategies.REQUESTS), ids=lambda k: k.__name__)
ROUND = settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
TEXT = strategies.TEXT

#: Over gRPC a trace setting is some texts, of which only the level has several, and an empty
#: level is none; a log setting has 32 bits; and nothing to update is a question.
TRACE = st.dictionaries(TEXT.filter(lambda name: name != "trace_level"), TEXT, max_size=3)
LEVELS = st.fixed_dictionaries({}, optional={"trace_level": st.lists(TEXT, min_size=1).map(tuple)})
#: The names that a server knows take one kind of value each, which is tested elsewhere.
LOG_NAME = TEXT.filter(lambda name: not name.startswith("log_"))
LOG = st.dictionaries(LOG_NAME, st.booleans() | st.integers(0, 2**32 - 1) | TEXT, max_size=4)
_UNSET = st.dictionaries(TEXT, st.none() | TEXT, min_size=1, max_size=3)
REQUESTS = strategies.REQUESTS | {
    m.UpdateTraceSettings: st.builds(
        lambda settings, levels, model: m.UpdateTraceSettings(
            {k: v for k, v in settings.items() if k != "trace_level"} | levels, model
        ),
        _UNSET,
        LEVELS,
        TEXT,
    ).filter(lambda request: request.settings),
    m.UpdateLogSettings: st.builds(m.UpdateLogSettings, LOG.filter(bool)),
    m.Infer: INFERS,
}
CONFIGS = pb_strategies.messages(message("ModelConfig")).map(to_dict)


def answers(kind):
    """Answers to requests of a class that gRPC can carry."""
    if kind is m.Infer:
        return ANSWERS
    if kind is m.GetModelConfig:
        return CONFIGS
    if kind in (m.GetTraceSettings, m.UpdateTraceSettings):
        levels = LEVELS.map(lambda given: {name: list(each) for name, each in given.items()})
        return st.builds(lambda settings, levels: settings | levels, TRACE, levels)
    if kind in (m.GetLogSettings, m.UpdateLogSettings):
        return LOG
    given = strategies.answers(kind)
    if kind in (m.GetSystemSharedMemoryStatus, m.GetCudaSharedMemoryStatus):
        # A map by name, which has no order of its own.
        return given.map(lambda regions: tuple(sorted({r.name: r for r in regions}.values())))
    return given


def joined(parts):
    return b"".join(parts)


def test_every_request_is_tried():
    assert set(REQUESTS) == {row.request for row in procedures.RPCS}


def test_every_procedure_has_a_row():
    (service,) = messages_pb.file("grpc_service.proto").services_by_name.values()
    assert service.full_name == rpc.SERVICE
    methods = {method.name: method for method in service.methods}
    streamed = {"ModelStreamInfer"}
    assert {row.method for row in procedures.RPCS} | streamed == set(methods)
    for row in procedures.RPCS:
        assert methods[row.method].input_type.name == f"{row.method}Request"
        assert methods[row.method].output_type.name == f"{row.method}Response"


@EVERY
@ROUND
@given(data=st.data())
def test_request_round_trip(kind, data):
    request = data.draw(REQUESTS[kind])
    encoded = rpc.encode_request(request)
    message(f"{encoded.method}Request").FromString(joined(encoded.message))
    assert rpc.decode_request(encoded.method, memoryview(joined(encoded.message))) == request


@EVERY
@ROUND
@given(data=st.data())
def test_answer_round_trip(kind, data):
    request = data.draw(REQUESTS[kind])
    answer = data.draw(answers(kind))
    encoded = joined(rpc.encode_response(request, answer))
    assert rpc.decode_response(request, memoryview(encoded)) == answer


@pytest.mark.parametrize(
    "kind", [k for k in REQUESTS if k is not m.Infer], ids=lambda k: k.__name__
)
@ROUND
@given(data=st.data())
def test_answers_are_those_of_http(kind, data):
    request = data.draw(REQUESTS[kind])
    answer = data.draw(answers(kind))
    response = rest.encode_response(request, answer)
    response = response._replace(body=(joined(response.body),))
    encoded = joined(rpc.encode_response(request, answer))
    assert rest.decode_response(request, response) == rpc.decode_response(request, encoded)


# What the wire looks like


def written(request):
    encoded = rpc.encode_request(request)
    return message(f"{encoded.method}Request").FromString(joined(encoded.message))


def test_load_in_full():
    found = written(m.LoadModel("m", "{}", {"1/model.onnx": b"\0\xff", "file:config": b""}))
    assert (found.repository_name, found.model_name) == ("", "m")
    assert {
        name: (value.WhichOneof("parameter_choice"), value.bytes_param or value.string_param)
        for name, value in found.parameters.items()
    } == {
        "config": ("string_param", "{}"),
        "file:1/model.onnx": ("bytes_param", b"\0\xff"),
        "file:config": ("bytes_param", ""),
    }


def test_unload_in_full():
    for dependents in (False, True):
        (parameter,) = written(m.UnloadModel("m", dependents)).parameters.items()
        assert parameter[0] == "unload_dependents"
        assert parameter[1].WhichOneof("parameter_choice") == "bool_param"
        assert parameter[1].bool_param is dependents


def test_settings_in_full():
    given = {"trace_level": ("A", "B"), "trace_rate": "5", "trace_count": None}
    found = written(m.UpdateTraceSettings(given, "m"))
    assert found.model_name == "m"
    assert {name: list(each.value) for name, each in found.settings.items()} == {
        "trace_level": ["A", "B"],
        "trace_rate": ["5"],
        "trace_count": [],
    }
    found = written(m.UpdateLogSettings({"a": True, "b": 0, "c": ""}))
    kinds = {name: each.WhichOneof("parameter_choice") for name, each in found.settings.items()}
    assert kinds == {"a": "bool_param", "b": "uint32_param", "c": "string_param"}


def test_cuda_memory_in_full():
    found = written(m.RegisterCudaSharedMemory("r", b"h" * 64, 1, 2))
    assert (found.name, found.raw_handle) == ("r", b"h" * 64)
    assert (found.device_id, found.byte_size) == (1, 2)


@pytest.mark.parametrize(
    ("request_", "error", "text"),
    [
        (m.GetModelMetadata(""), ValueError, "model is '', expected a name"),
        (m.GetModelMetadata(5), TypeError, "model is 5, expected str"),
        (m.IsModelReady("m", 1), TypeError, "version is 1, expected str"),
        (m.RegisterSystemSharedMemory("", "k", 1), ValueError, "name is '', expected a name"),
        (m.RegisterSystemSharedMemory("n", "k", -1), ValueError, "byte_size"),
        (m.RegisterSystemSharedMemory("n", 5, 1), ValueError, "key"),
        (m.UpdateTraceSettings({"trace_rate": 5}), TypeError, "'trace_rate' is 5, expected text"),
        (m.UpdateTraceSettings({"trace_level": [5]}), TypeError, "'trace_level' is"),
        (m.UpdateLogSettings({"log_info": None}), TypeError, "'log_info' is None, expected bool"),
        (m.UpdateLogSettings({"log_verbose_level": -1}), ValueError, "'log_verbose_level' is -1"),
        (m.UpdateLogSettings({"log_verbose_level": 2**32}), ValueError, "32 bits"),
        (m.GetModelMetadata("\ud800"), ValueError, "name"),
    ],
)
def test_requests_without_a_form(request_, error, text):
    with pytest.raises(error, match=text):
        rpc.encode_request(request_)


def test_reads_may_be_asked_twice():
    repeatable = {row.request for row in procedures.RPCS if row.reads}
    assert {kind for kind in REQUESTS if kind.__name__.startswith(("Is", "Get"))} == repeatable
    assert rpc.idempotent(m.IsServerLive())
    assert not rpc.idempotent(m.Infer("m", ()))
    assert not rpc.idempotent(m.UpdateLogSettings({}))


# Anything


@EVERY
@ROUND
@given(data=st.data())
def test_any_answer(kind, data):
    request = data.draw(REQUESTS[kind])
    (row,) = [row for row in procedures.RPCS if row.request is kind]
    right = pb_strategies.messages(message(f"{row.method}Response"))
    given = data.draw(right.flatmap(pb_strategies.broken) | st.binary(max_size=40))
    try:
        rpc.decode_response(request, memoryview(given))
    except errors.ProtocolError as error:
        assert kind.__name__ in str(error)
        assert given.startswith(error.debug_details())  # the beginning, if it is long


@EVERY
@ROUND
@given(data=st.data())
def test_any_request(kind, data):
    (row,) = [row for row in procedures.RPCS if row.request is kind]
    right = pb_strategies.messages(message(f"{row.method}Request"))
    whole = right.map(lambda message: message.SerializeToString())
    given = data.draw(whole | right.flatmap(pb_strategies.broken) | st.binary(max_size=40))
    try:
        found = rpc.decode_request(row.method, memoryview(given))
    except errors.ServerError as error:
        assert rpc.code_of(error) in (3, 12, 13)  # Triton's own choices
    else:
        assert isinstance(found, m.Request)


@pytest.mark.parametrize(
    "row",
    [row for row in procedures.RPCS if row.request is not m.Infer],
    ids=lambda row: row.method,
)
@ROUND
@given(data=st.data())
def test_right_answers_are_read(row, data):
    kind = message(f"{row.method}Response")
    given = data.draw(pb_strategies.messages(kind))
    # What no server says: no configuration, and a setting without a value.
    assume(row.response_field != "config" or given.HasField("config"))
    assume(
        row.response_field != "settings" or all(to_dict(each) for each in given.settings.values())
    )
    request = data.draw(REQUESTS[row.request])
    answer = rpc.decode_response(request, given.SerializeToString())
    again = joined(rpc.encode_response(request, answer))
    assert rpc.decode_response(request, again) == answer


def test_unknown_procedures():
    for method in ("Nope", "", "modelInfer", "ModelInferRequest"):
        with pytest.raises(errors.Unimplemented) as caught:
            rpc.decode_request(method, b"")
        assert rpc.code_of(caught.value) == 12


def test_requests_of_a_stream():
    request = m.Infer("m", (), id="7")
    data = joined(rpc_infer.encode_request(request))
    assert rpc.decode_request("ModelStreamInfer", data) == request


# Errors

CODES = [
    *("CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND"),
    *("ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION"),
    *("ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"),
    "UNAUTHENTICATED",
]


@pytest.mark.parametrize(("code", "name"), list(enumerate(CODES, 1)))
def test_error_round_trip(code, name):
    (theirs,) = [each for each in grpc.StatusCode if each.value[0] == code]
    error = rpc.error_of(code, "words", {"more": 1})
    assert error.status() == f"StatusCode.{name}" == str(theirs)
    assert type(error).__name__.upper() == name.replace("_", "")
    assert (error.message(), error.debug_details()) == ("words", {"more": 1})
    assert rpc.code_of(error) == code
    assert rpc.code_of(type(error)("words", "404")) == code  # the class decides


def test_codes_that_are_not_assigned():
    for code in (0, 17, -1, 2**31):
        error = rpc.error_of(code, "words")
        assert type(error) is errors.Unknown
        assert error.status() == "StatusCode.UNKNOWN"
    for kind in (errors.InferenceServerException, errors.ProtocolError, errors.ServerError):
        assert rpc.code_of(kind("words")) == 2


# Without protobuf

WITHOUT = """
import sys
sys.modules["google.protobuf"] = None
from tritonclient import messages as m
from tritonclient.codec import rpc
request = m.Infer("m", (m.InferTensor("X", "INT8", (1,), b"x"),), id="7")
encoded = rpc.encode_request(request)
assert rpc.decode_request("ModelInfer", b"".join(encoded.message)) == request
answer = m.InferResponse("m", "1", "7", {}, request.inputs)
assert rpc.decode_response(request, b"".join(rpc.encode_response(request, answer))) == answer
for use in (
    lambda: rpc.encode_request(m.IsServerLive()),
    lambda: rpc.decode_response(m.IsServerLive(), b""),
    lambda: rpc.decode_request("ServerLive", b""),
    lambda: rpc.encode_response(m.IsServerLive(), True),
):
    try:
        use()
    except ImportError as error:
        assert str(error).startswith("gRPC needs protobuf ("), error
        assert str(error).endswith("pip install hpack protobuf"), error
    else:
        raise AssertionError
"""


def test_inference_needs_no_protobuf_and_the_others_name_the_extra():
    subprocess.run([sys.executable, "-W", "error", "-c", WITHOUT], check=True)


@pytest.mark.parametrize("method", sorted({rpc_.method for rpc_ in rpc.RPCS} | {"ModelInfer"}))
@pytest.mark.parametrize(
    "message_", [b"\x0a", b"\x0a\x02\xff\xfe", b"\x2a\x04\x0a\x02\xff\xfe", b"\xff" * 20, b"\x00"]
)
def test_no_words_of_python_are_an_answer(method, message_):
    try:
        rpc.decode_request(method, message_)
    except errors.InferenceServerException as error:
        text = error.message() or ""
        strange = ("codec", "Error", "Wire format", "Request'", "object")
        assert not [each for each in strange if each in text], text
