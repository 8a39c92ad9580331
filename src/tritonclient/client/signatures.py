"""Errors about arguments of a call that a method does not take, or lacks."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from types import CodeType, FrameType
from typing import Any, TypeVar

from .suggestions import by_keyword, keywords_of, spoken_name, unknown_argument

C = TypeVar("C", bound=Callable[..., Any])
K = TypeVar("K", bound=type)


def explains_arguments(owner: K) -> K:
    """Let the public methods of a class explain calls with arguments that they do not take.

    A method that collects surplus arguments checks them itself and stays as it is, so that methods
    that are called often cost nothing more.
    """
    for name, method in list(vars(owner).items()):
        if name[0] == "_" or not inspect.isfunction(method):
            continue
        if not method.__code__.co_flags & inspect.CO_VARARGS:
            setattr(owner, name, explains_call(method))
    return owner


def explains_call(function: C) -> C:
    """Let a function explain a call with arguments that it does not take.

    Python's own error counts positions. Its traceback has no frame of the function, unlike those of
    errors that the function raises itself.
    """
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def wait(*arguments: Any, **keywords: Any) -> Any:
            try:
                coroutine = function(*arguments, **keywords)
            except TypeError:
                explanation = _explanation(function, arguments, keywords)
            else:
                return await coroutine
            raise explanation

        return wait  # type: ignore[return-value]

    @wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        try:
            return function(*arguments, **keywords)
        except TypeError as error:
            if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                raise
            explanation = _explanation(function, arguments, keywords)
        raise explanation

    return call  # type: ignore[return-value]


def _explanation(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    keywords: Mapping[str, Any],
) -> TypeError:
    """Return the error for a call that a function can't be called with."""
    code = function.__code__
    positional = code.co_varnames[: code.co_argcount]
    if len(arguments) > len(positional):
        return by_keyword(arguments[len(positional) :], function)
    by_name = keywords_of(function)
    known = [name for name in (*positional, *by_name) if name != "self"]
    for name, value in keywords.items():
        if name not in known:
            return unknown_argument(name, known, value)
        if name in positional[: len(arguments)]:
            return TypeError(
                f"{spoken_name(function)}() got {name} twice, by position and by keyword; "
                "expected it once"
            )
    required = positional[len(arguments) : len(positional) - len(function.__defaults__ or ())]
    options = function.__kwdefaults__ or {}
    by_keyword_only = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
    required += tuple(name for name in by_keyword_only if name not in options)
    missing = [
        f"{name}, expected {function.__annotations__.get(name, 'a value')}"
        for name in required
        if name not in keywords
    ]
    return TypeError(
        f"{spoken_name(function)}() was called without {' and '.join(missing)}; "
        f"its arguments are {', '.join(known)}"
    )


def check_arguments(
    unknown: Mapping[str, Any], function: Callable[..., Any], surplus: Sequence[Any] = ()
) -> None:
    """Raise TypeError for arguments that a method does not have.

    Args:
        unknown: given by keyword.
        surplus: given by position, after those that it takes so.
    """
    if surplus:
        raise by_keyword(surplus, function)
    if unknown:
        raise unknown_argument(next(iter(unknown)), _names(function.__code__))


def check_passed_on(
    unknown: Mapping[str, Any], function: Callable[..., Any], options: Iterable[str]
) -> None:
    """Raise TypeError for keyword arguments that `ask` does not have.

    Mostly a shorthand has passed them on: the error names the arguments of that, which its frame
    tells.

    Args:
        options: names of the arguments that a shorthand passes on.
    """
    frame: FrameType | None = sys._getframe(2)
    code, names = inspect.unwrap(function).__code__, set[str]()
    while frame and frame.f_globals.get("__name__") in (function.__module__, __name__):
        if frame.f_globals is not globals():
            code, names = frame.f_code, set(options)
        frame = frame.f_back
    raise unknown_argument(next(iter(unknown)), {*_names(code), *names})


def _names(code: CodeType) -> tuple[str, ...]:
    """Return the names of a method's arguments."""
    return code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]


def explains_missing(method: C) -> C:
    """Let a method find out itself that arguments are missing which it takes by position.

    Python's own error would come first, and not speak of the name that they were given instead.
    """
    method.__defaults__ = (None,) * (method.__code__.co_argcount - 1)
    return method
