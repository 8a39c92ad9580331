"""Kinds of values that the commands take."""

from __future__ import annotations

import argparse
import re
from typing import NoReturn

from ..client.suggestions import meant

#: The address that only clients on this machine can connect to.
LOCAL = "127.0.0.1"


class Parser(argparse.ArgumentParser):
    """A parser whose errors name the command or flag that was probably meant."""

    def error(self, message: str) -> NoReturn:
        """Print a message and end with status 2."""
        choice = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        unknown = re.match(r"unrecognized arguments: (--[^= ]+)", message)
        if choice:
            message += meant(choice[1], re.findall(r"[^', ]+", choice[2]))
        elif unknown:
            message += meant(unknown[1], self._option_string_actions)
        super().error(message)


def pattern(text: str) -> str:
    """A regular expression."""
    try:
        re.compile(text.removeprefix("(?-i)"))
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a regular expression: {error}") from None
    return text


def positive(text: str) -> int:
    """A whole number from 1."""
    return _number(text, 1, None)


def unsigned(text: str) -> int:
    """A whole number from 0."""
    return _number(text, 0, None)


def port(text: str) -> int:
    """A TCP port, or 0."""
    return _number(text, 0, 65535)


def cache_size(text: str) -> int:
    """Return the bytes in `local,size=BYTES`, as tritonserver's --cache-config has them."""
    name, _, setting = text.partition(",")
    if name != "local":
        raise argparse.ArgumentTypeError(
            f"{text!r} names the cache {name!r}; this server has the cache 'local' only: "
            "write local,size=BYTES"
        )
    key, equals, value = setting.partition("=")
    if key != "size" or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not local,size=BYTES")
    return _number(value, 0, None)


def _number(text: str, low: int, high: int | None) -> int:
    try:
        number = int(text)
    except ValueError:
        number = low - 1
    if number < low or (high is not None and number > high):
        limits = f"from {low}" if high is None else f"from {low} to {high}"
        raise argparse.ArgumentTypeError(f"{text!r} is not a number {limits}")
    return number


def switch(group: argparse._ArgumentGroup, flag: str, default: bool | None, meaning: str) -> None:
    """A flag that takes true or false, as tritonserver's do; alone it means true."""
    word = {True: " (default: true)", False: " (default: false)", None: ""}[default]
    group.add_argument(
        flag,
        type=_boolean,
        nargs="?",
        const=True,
        default=default,
        metavar="BOOL",
        help=meaning + word,
    )


def _boolean(text: str) -> bool:
    values = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}
    try:
        return values[text.lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"invalid boolean {text!r}") from None


def server_url(text: str, scheme: str = "http") -> str:
    """A server's URL; host:port gets a scheme: gRPC's for port 8001, which is Triton's for it."""
    if not text:
        raise argparse.ArgumentTypeError("'' is not a URL; expected one such as localhost:8000")
    if "://" in text or text.lower().startswith(("unix:", "http+unix:", "grpc+unix:")):
        return text
    slip = re.match(r"(https?|grpcs?)(:/|//)(?!/)", text, re.IGNORECASE)
    if slip:
        url = f"{slip[1]}://{text[slip.end() :]}"
        raise argparse.ArgumentTypeError(f"{text!r} is not a URL; did you mean {url!r}?")
    if re.search(r":8001(/|$)", text):
        scheme = "grpc"
    return f"{scheme}://{text}"


def grpc_url(text: str) -> str:
    """The same for what speaks gRPC only: host:port is gRPC."""
    return server_url(text, "grpc")
