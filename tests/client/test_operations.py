"""Requests are frozen values, though their constructors are compiled when first used."""

from __future__ import annotations

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, field, replace

import pytest

from tritonclient import messages as m
from tritonclient.operations import Request, operation


@operation
class Ask(Request[int]):
    model: str
    version: str = ""
    files: dict[str, bytes] = field(default_factory=dict)


def test_the_constructor_takes_the_fields():
    assert Ask("m") == Ask(model="m", version="", files={})
    assert Ask("m", "1").version == "1"
    assert Ask("m").files is not Ask("m").files
    assert repr(Ask("m", files={"a": b""})) == "Ask(model='m', version='', files={'a': b''})"
    assert list(inspect.signature(Ask).parameters) == ["model", "version", "files"]


@pytest.mark.parametrize("used", [False, True])
def test_wrong_arguments_are_named(used):
    @operation
    class Fresh(Request[int]):
        model: str

    if used:
        Fresh("m")
    with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'model'"):
        Fresh()
    with pytest.raises(TypeError, match="unexpected keyword argument 'modle'"):
        Fresh("m", modle=1)


def test_requests_are_frozen():
    request = m.LoadModel("m")
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'model'"):
        request.model = "other"
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'model'"):
        del request.model
    with pytest.raises(AttributeError):
        request.modle = "m"
    assert not hasattr(request, "__dict__")


@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, replace, *(
        lambda value, protocol=protocol: pickle.loads(pickle.dumps(value, protocol))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    )],
)  # fmt: skip
def test_requests_are_copied(again):
    tensor = m.InferTensor("X", "INT8", (1,), b"1")
    for request in (m.Infer("m", (tensor,), parameters={"a": 1}), m.GetStatistics(), Ask("m")):
        assert again(request) == request
        assert type(again(request)) is type(request)
    assert hash(again(m.GetStatistics("m"))) == hash(m.GetStatistics("m"))
    assert m.GetStatistics("m") != m.GetModelMetadata("m")
