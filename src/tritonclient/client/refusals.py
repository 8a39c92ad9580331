"""What to do about a failed call: the hints that the modern clients add to errors.

A hint stands behind the server's own text, which stays whole. Where the names of models or tensors
help, the server is asked for them: once, and within the time that the call has left.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Mapping
from time import monotonic
from typing import Any

from ..errors import InferenceServerException, NotFound, ServerError, Unknown
from ..messages import (
    GetModelMetadata,
    GetRepositoryIndex,
    GetServerMetadata,
    LoadModel,
    ModelIndex,
    Request,
    TensorMetadata,
)
from .cures import MAX_TEXT, NO_OPERATION, hint_of_text
from .model_spec import list_tensors
from .suggestions import meant

#: Seconds that a question may take when the call has no deadline, or much time left.
_MAX_SECONDS = 5.0
_MAX_REMEMBERED = 64
_MAX_NAMES = 8

_UNKNOWN_MODEL = re.compile(
    r"unknown model|model .*(not found|not exist|not find)|no available versions|no such model|"
    r"failed to poll from model repository|not loaded|"
    r"requested model .* is not available|^Not Found$|^Method Not Allowed$",
    re.IGNORECASE | re.DOTALL,
)
_NOT_POLLED = re.compile("failed to poll from model repository")
_MODEL = re.compile(r"\bmodel:? '([^']+)'")
_UNKNOWN_TENSOR = re.compile(r"unexpected inference (input|output) '([^']*)'")
_MISSING_INPUT = re.compile(r"expected \d+ inputs? but got \d+|missing input", re.IGNORECASE)
#: What web frameworks say of a path that they do not have; some read "stats" as a model's name.
_NO_ROUTE = re.compile(r"(Not Found|Method Not Allowed|Model (with name )?stats .*)$", re.DOTALL)
_NO_ENDPOINT = (
    "no inference server answers at this path; the url is the server's root, without /v2, and "
    "with the prefix of a proxy"
)

Explanation = Generator[tuple[Request[Any], float], Any, None]


def explain(
    error: InferenceServerException, seconds: float | None, remembered: dict[Any, str]
) -> Explanation:
    """Set an error's hint.

    Args:
        seconds: what the call has left; None for no limit.
        remembered: hints of earlier errors, so that the server is not asked again and again.
    """
    error.hint = hint_of_text(error)
    if error.hint or not isinstance(error, ServerError):
        return
    text = str(error.message())[:MAX_TEXT]
    model = error.model or _named_model(text)
    if not model and not _NO_ROUTE.match(text):
        return
    key = (model, text[:200])
    if key in remembered:
        error.hint = remembered[key]
        return
    seconds = _MAX_SECONDS if seconds is None else min(seconds, _MAX_SECONDS)
    question = _question(model, text)
    if question is None or seconds <= 0:
        return
    error.hint = yield from _answer(question, model, text, seconds)
    if len(remembered) >= _MAX_REMEMBERED:
        remembered.clear()
    remembered[key] = error.hint


def of_loading(error: InferenceServerException, request: object) -> str:
    """Return what to do about a model that a server does not load from files of a client, or "".

    Triton says no more of a configuration that it can't read than of a model that is not there.
    """
    if not isinstance(request, LoadModel) or not request.files:
        return ""
    if not _NOT_POLLED.search(str(error.message())[:MAX_TEXT]):
        return ""
    return (
        "the server can't read config or files: config is JSON with the fields of Triton's "
        "ModelConfig, files are named such as '1/model.py'; the server's log says why"
    )


def _named_model(text: str) -> str:
    """Return the model that an error of a stream speaks of; streams do not say it otherwise."""
    found = _MODEL.search(text)
    return found[1] if found else ""


def _answer(
    question: Request[Any], model: str, text: str, seconds: float
) -> Generator[tuple[Request[Any], float], Any, str]:
    """Ask the server, and return what its answer means for a refusal."""
    end = monotonic() + seconds
    try:
        response = yield question, seconds
    except InferenceServerException:  # it lacks this, or can't be asked now
        response = None
    if isinstance(question, GetModelMetadata):
        return "" if response is None else _of_tensors(text, response)
    index: Iterable[ModelIndex] | None = None
    if isinstance(question, GetRepositoryIndex):
        index = response
    known = index is not None and any(each.name == model for each in index)
    if known and _NOT_POLLED.search(text):
        return (
            "the repository has this model, but its configuration or files can't be read; the "
            "server's log says why"
        )
    if index is not None and (hint := of_models(model, index)):
        return hint
    if not _NO_ROUTE.match(text):
        return "" if index is None else _of_versions(model, index)
    if response is None and isinstance(question, GetRepositoryIndex):
        try:
            response = yield GetServerMetadata(), max(end - monotonic(), 1e-6)
        except InferenceServerException:
            response = None
    if response is None:
        return _NO_ENDPOINT
    if index is not None:
        return f"{_of_versions(model, index)}; or {NO_OPERATION}"
    return f"{NO_OPERATION}; or it has no model {model!r}" if model else NO_OPERATION


def _question(model: str, text: str) -> Request[Any] | None:
    """Return what to ask the server for a hint."""
    if _UNKNOWN_TENSOR.search(text) or _MISSING_INPUT.search(text):
        return GetModelMetadata(model)
    if model and _UNKNOWN_MODEL.search(text):
        return GetRepositoryIndex()
    return GetServerMetadata() if _NO_ROUTE.match(text) else None


def of_models(model: str, index: Iterable[ModelIndex]) -> str:
    """Return which model was meant, or why it is not there."""
    known = {each.name: each for each in index}
    found = known.get(model)
    if found is not None:
        if _is_ready(found):
            return ""
        why = f": {found.reason}" if found.reason else ""
        state = found.state or "not loaded"
        return f"the repository has it, but it is {state}{why}; client.load_model({model!r})"
    close = meant(model, known)
    return f"the server has no model {model!r}{close or _names(known)}"


def _of_versions(model: str, index: Iterable[ModelIndex]) -> str:
    """Return which versions of a model there are."""
    ready = [each.version for each in index if each.name == model and _is_ready(each)]
    versions = " and ".join(map(repr, filter(None, ready[:_MAX_NAMES])))
    if not versions:
        return "the server has this model, without versions; leave the version out"
    return f"the server has this model, in version {versions}; without a version the server chooses"


def _is_ready(model: ModelIndex) -> bool:
    return model.state.rpartition(".")[2] == "READY"  # MLServer writes "State.READY" over gRPC


def is_of_unknown_model(error: ServerError) -> bool:
    """True if a server says that it does not know a model."""
    return isinstance(error, NotFound) or (
        isinstance(error, Unknown) and bool(_UNKNOWN_MODEL.search(str(error.message())[:MAX_TEXT]))
    )


def _names(known: Mapping[str, Any]) -> str:
    if not known:
        return "; its repository is empty"
    names = ", ".join(map(repr, sorted(known)[:_MAX_NAMES]))
    more = len(known) - _MAX_NAMES
    return f"; its models are {names}{f' and {more} others' if more > 0 else ''}"


def _of_tensors(text: str, metadata: Any) -> str:
    found = _UNKNOWN_TENSOR.search(text)
    kind = found[1] if found else "input"
    described: Iterable[TensorMetadata] = getattr(metadata, f"{kind}s")
    tensors = {tensor.name: tensor for tensor in described}
    hint = meant(found[2], tensors).removeprefix("; ") if found else ""
    return f"{hint}{' ' if hint else ''}its {kind}s are {list_tensors(tensors)}"
