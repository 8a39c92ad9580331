"""Calls that are made from remembered ones are those that would have been made anew."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from tritonclient import RequestedOutput
from tritonclient.client.infer_calls import InferCalls
from tritonclient.client.templates import MAX_TEMPLATES
from tritonclient.engine.http1 import Http1
from tritonclient.transport.endpoint import parse_url
from tritonclient.transport.http_call import HttpCall, HttpSettings

SETTINGS = HttpSettings(parse_url("http://h"))
A = np.arange(4, dtype=np.int32)


class Calls(InferCalls):
    """Counts the calls that are made in full."""

    def __init__(self, settings=SETTINGS):
        self.made = 0
        super().__init__(lambda request, options: self._count(HttpCall(request, settings, options)))

    def _count(self, call):
        self.made += 1
        return call


def sent(call):
    engine = Http1()
    call.start(engine, None)
    return b"".join(engine.data_to_send())


def make(calls, inputs, model="m", version="", outputs=None, **options):
    return calls.build(model, inputs, version, outputs, options)


ARGUMENTS = [
    {"inputs": {"X": A}},
    {"inputs": {"X": A[:2]}},
    {"inputs": {"X": A.reshape(2, 2)}},
    {"inputs": {"X": A.astype(np.uint32)}},
    {"inputs": {"X": A.astype(np.float32)}},
    {"inputs": {"Y": A}},
    {"inputs": {"X": A, "Y": A}},
    {"inputs": {"Y": A, "X": A}},
    {"inputs": {"X": A}, "model": "n"},
    {"inputs": {"X": A}, "version": "1"},
    {"inputs": {"X": A}, "outputs": ["O"]},
    {"inputs": {"X": A}, "outputs": ("O", "P")},
    {"inputs": {"X": A}, "outputs": []},
    {"inputs": {"X": A}, "outputs": [RequestedOutput("O")]},
    {"inputs": {"X": A}, "outputs": [RequestedOutput("O", classes=2)]},
    {"inputs": {"X": A}, "id": "7"},
    {"inputs": {"X": A}, "binary": False},
    {"inputs": {"X": A}, "headers": {"a": "b"}},
    {"inputs": {"X": A[::2]}},
    {"inputs": {"X": A.astype(">i4")}},
    {"inputs": {"X": np.array(["a", "bc"])}},
    {"inputs": {"X": [1, 2]}},
    {"inputs": {"X": np.float32(1)}},
    {"inputs": {"X": A[:0]}},
    {"inputs": {}},
]


def test_calls_are_the_same_whatever_was_remembered():
    calls = Calls()
    for _ in range(3):
        for arguments in ARGUMENTS:
            assert sent(make(calls, **arguments)) == sent(make(Calls(), **arguments))


def test_a_call_that_looks_like_an_earlier_one_brings_its_own_data():
    calls = Calls()
    first, second = make(calls, {"X": A}), make(calls, {"X": A + 1})
    assert calls.made == 1
    assert sent(first).endswith(A.tobytes())
    assert sent(second).endswith((A + 1).tobytes())
    assert second.request.model == "m"
    assert not second.idempotent


@pytest.mark.parametrize("size", [4, 10_000])
def test_what_arrays_hold_when_a_lasting_call_is_sent_counts(size):
    """Also where a call that looks the same was made before, whose small arrays were copied."""
    calls = Calls()
    array = np.zeros(size, np.int32)
    for _ in range(2):
        make(calls, {"X": array})
    lasting = calls.build_prepared("m", {"X": array}, "", None, {})
    array += 1
    assert sent(lasting).endswith(np.ones(size, np.int32).tobytes())


@pytest.mark.parametrize("size", [4, 10_000])
@pytest.mark.parametrize("change", [np.transpose, lambda a: a[:, ::-1], lambda a: a.astype(">i4")])
def test_arrays_that_lie_otherwise_in_memory(size, change):
    """They look like those whose memory is what is sent."""
    calls = Calls()
    square = np.arange(size, dtype=np.int32).reshape(2, -1)
    array = change(square)
    make(calls, {"X": np.ascontiguousarray(array)})
    assert sent(make(calls, {"X": array})) == sent(make(Calls(), {"X": array.astype("<i4")}))


def test_data_is_not_kept():
    calls = Calls()
    array = np.zeros(100, np.float32)
    gone = weakref.ref(array)
    make(calls, {"X": array})
    make(calls, {"X": array})
    del array
    gc.collect()
    assert gone() is None


def test_mistakes_are_found_every_time():
    calls = Calls()
    make(calls, {"X": A}, outputs=["O"])
    for _ in range(2):
        for wrong in (
            {"inputs": {"X": A}, "model": ""},
            {"inputs": {"X": A}, "outputs": "O"},
            {"inputs": {1: A}},
            {"inputs": {"X": np.zeros(2, complex)}},
            {"inputs": {"X": A}, "version": 1},
        ):
            with pytest.raises((TypeError, ValueError)):
                make(calls, **wrong)
        with pytest.raises(TypeError, match="colour"):
            make(calls, {"X": A}, colour="blue")


def test_the_size_limit_holds_for_remembered_calls():
    calls = Calls(HttpSettings(parse_url("http://h"), max_request_size=300))
    for _ in range(2):
        make(calls, {"X": A})
        with pytest.raises(ValueError, match="max_request_size"):
            make(calls, {"X": np.zeros(200, np.int32)})


def test_no_more_is_remembered_than_the_limit():
    calls = Calls()
    for number in range(3 * MAX_TEMPLATES):
        make(calls, {f"X{number}": A})
        assert len(calls._templates) <= MAX_TEMPLATES
