"""A secret, and a search for it in all that is printed, logged, warned of, raised and shown."""

from __future__ import annotations

import base64
import logging
import pickle
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tritonclient import InferenceServerException

SECRET = "canary-7f3a9c"
#: Headers that carry it, as programs write them.
HEADERS = {"authorization": f"Bearer {SECRET}", "x-api-key": SECRET, "cookie": f"a={SECRET}"}
_FORMS = (
    SECRET,
    base64.b64encode(SECRET.encode()).decode().rstrip("="),
    base64.b64encode(f"user:{SECRET}".encode()).decode().rstrip("="),
    SECRET.encode().hex(),
)


def check_text(text: object, where: str) -> None:
    """Fail if a text, or the repr of anything else, holds the secret in some form."""
    shown = text if isinstance(text, str) else repr(text)
    for form in _FORMS:
        at = shown.find(form)
        assert at < 0, f"{where} shows the secret: {shown[max(0, at - 300) : at + 50]!r}"


def check_error(error: BaseException) -> None:
    """Fail if an error, or one that led to it, holds the secret anywhere."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or each in seen:
            continue
        seen.append(each)
        waiting += [each.__cause__, each.__context__]
        _check_one(each)
    check_text("".join(traceback.format_exception(error)), "the traceback")


def _check_one(error: BaseException) -> None:
    kind = type(error).__name__
    for text in (str(error), repr(error), error.args, vars(error)):
        check_text(text, kind)
    for name in dir(error):
        if not name.startswith("__"):
            value = getattr(error, name, None)
            if not callable(value):
                check_text(value, f"{name} of {kind}")
    if isinstance(error, InferenceServerException):
        for value in (error.message(), error.status(), error.debug_details()):
            check_text(value, kind)
        check_text(pickle.dumps(error).decode("latin-1"), f"the pickle of {kind}")


@contextmanager
def no_secrets(
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """Search all that is printed and logged inside, and each of the package's errors."""
    errors: list[InferenceServerException] = []
    make = InferenceServerException.__init__

    def noted(self: InferenceServerException, *arguments: Any, **named: Any) -> None:
        make(self, *arguments, **named)
        errors.append(self)

    monkeypatch.setattr(InferenceServerException, "__init__", noted)
    caplog.set_level(logging.DEBUG)
    yield
    check_text(caplog.text, "the log")
    for record in caplog.records:
        check_text(record.args, "the log")
    for text in capfd.readouterr():
        check_text(text, "what is printed")
    for error in errors:
        check_error(error)
    # They may hold streams, whose ends are errors too: not while `__init__` is put back.
    errors.clear()
