"""The tree of errors: what each is besides, how it reads, and that it survives pickling."""

from __future__ import annotations

import copy
import pickle

import pytest

import tritonclient
from tritonclient import errors
from tritonclient.errors import (
    Cancelled,
    ConnectionFailed,
    DeadlineExceeded,
    InferenceServerException,
    NotFound,
    ProtocolError,
    ServerError,
)


def tree(kind=InferenceServerException):
    yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


EVERY = pytest.mark.parametrize("kind", list(tree()), ids=lambda kind: kind.__name__)


@EVERY
def test_pickle_and_copy(kind):
    error = kind("words", "404", {"more": 1}, endpoint="http://a", model="m", request_id="7")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is kind
        assert (twin.message(), twin.status(), twin.debug_details()) == (
            "words",
            "404",
            {"more": 1},
        )
        assert (twin.endpoint, twin.model, twin.request_id) == ("http://a", "m", "7")
        assert str(twin) == str(error)


@EVERY
def test_words_are_no_numbers(kind):
    error = kind("words", "404", "more")
    assert error.args == ("words", "404", "more")
    assert getattr(error, "errno", None) is None
    if issubclass(kind, OSError):
        assert error.strerror is error.filename is None
        error.errno = 111
        assert pickle.loads(pickle.dumps(error)).errno == copy.copy(error).errno == 111


@EVERY
def test_only_words_are_needed(kind):
    error = kind("words")
    assert (error.message(), error.status(), error.debug_details()) == ("words", None, None)
    assert (error.endpoint, error.model, error.request_id) == ("", "", "")
    assert str(error) == "words"
    assert error.__doc__


def test_children():
    children = {kind.__name__ for kind in ServerError.__subclasses__()}
    names = """InvalidArgument Unauthenticated PermissionDenied NotFound AlreadyExists
        ResourceExhausted FailedPrecondition Aborted OutOfRange Unimplemented Internal Unavailable
        DataLoss Unknown"""
    assert children == set(names.split())
    for name in children:
        assert name in errors.__doc__
        assert getattr(tritonclient, name) is getattr(errors, name)


def test_builtin_relatives():
    assert issubclass(ConnectionFailed, ConnectionError)
    assert issubclass(DeadlineExceeded, TimeoutError)
    for kind in (Cancelled, ProtocolError, ServerError):
        assert issubclass(kind, InferenceServerException)
        assert not issubclass(kind, OSError)


@pytest.mark.parametrize("kind", [ConnectionFailed, DeadlineExceeded, Cancelled, ProtocolError])
def test_own_words_say_where(kind):
    error = kind("words", endpoint="http://a", model="m", request_id="7")
    assert str(error) == "words (endpoint http://a, model m, request id 7)"
    assert str(kind("words", model="m")) == "words (model m)"


def test_the_servers_words_are_left_alone():
    error = NotFound("no such model", "404", endpoint="http://a", model="m")
    assert str(error) == "[404] no such model"
    assert str(InferenceServerException(None)) == ""


def test_an_error_can_be_raised_and_caught():
    with pytest.raises(ConnectionError, match="words"):
        raise ConnectionFailed("words")
    with pytest.raises(TimeoutError, match="words"):
        raise DeadlineExceeded("words")


def test_arguments_are_those_that_were_given():
    assert InferenceServerException("words").args == ("words",)
    assert repr(NotFound("words", "404")) == "NotFound('words', '404')"
    assert NotFound("words", None, "more").args == ("words", None, "more")
    assert InferenceServerException(None).args == (None,)


def test_an_error_without_words():
    assert str(InferenceServerException(None)) == ""
    assert str(InferenceServerException(None, "404")) == "[404] "
