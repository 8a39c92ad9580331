"""Kinds of values that the commands take."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from typing import NoReturn

from ..client.suggestions import close_name

#: The address that only clients on this machine can connect to.
LOCAL = "127.0.0.1"


#: Names of commands and flags of common habit, and what they are here.
_HABITS = {
    **dict.fromkeys(("start", "run", "launch", "up"), "serve"),
    **dict.fromkeys(("predict", "call", "test", "batch"), "infer"),
    **dict.fromkeys(("list", "ls", "ps", "index", "stats", "status", "metadata"), "models"),
    **dict.fromkeys(("ping", "ready", "live", "check"), "health"),
    "help": "--help",
    "version": "--version",
    "perf": "bench, or perf_analyzer",
    **dict.fromkeys(("--port", "-p"), "--http-port and --grpc-port"),
    **dict.fromkeys(("--host", "--bind", "--ip"), "--http-address and --grpc-address"),
    "--address": "--http-address and --grpc-address",
    "--reload": "--watch",
    "--debug": "--log-verbose 1, or --in-process for breakpoints",
    **dict.fromkeys(("--log-level", "--verbose", "-v"), "--log-verbose 1"),
    **dict.fromkeys(("--workers", "--threads"), "instance_group in a model's config.pbtxt"),
    "--name": "NAME=PATH as the model",
    **dict.fromkeys(("--models", "--model", "-m", "--model-path"), "the model's path alone"),
    **dict.fromkeys(
        ("--certfile", "--cert", "--ssl-certfile", "--tls-cert"),
        "--http-certificate, and --grpc-server-cert for gRPC",
    ),
    **dict.fromkeys(
        ("--keyfile", "--key", "--ssl-keyfile", "--tls-key"),
        "--http-key, and --grpc-server-key for gRPC",
    ),
    **dict.fromkeys(("--server", "--endpoint", "--base-url"), "-u"),
    **dict.fromkeys(("--token", "--api-key", "--auth"), "-H 'authorization: Bearer ...'"),
    **dict.fromkeys(("--insecure", "-k", "--no-verify"), "--ca-file, with the server's authority"),
    **dict.fromkeys(("--column", "--columns", "--field", "--feature"), "--map INPUT=COLUMNS"),
    **dict.fromkeys(("--parallel", "--jobs", "-j"), "--concurrency"),
    **dict.fromkeys(("--retries", "--retry", "--max-retries"), "--patience, in seconds"),
    "--model-version": "--version",
    "--format": "--json",
    **dict.fromkeys(("-o", "--output-format"), "--json"),
}


class Parser(argparse.ArgumentParser):
    """A parser whose errors name the command or flag that was probably meant."""

    def error(self, message: str) -> NoReturn:
        """Print a message and end with status 2."""
        choice = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        unknown = re.match(r"unrecognized arguments: (-[^= ]+)", message)
        if choice:
            message += _meant(choice[1], re.findall(r"[^', ]+", choice[2]))
        elif unknown:
            message += _meant(unknown[1], self._option_string_actions) or "; see --help"
        elif message.startswith("unrecognized arguments: "):
            named = [each.metavar or each.dest for each in self._actions if not each.option_strings]
            message += f"; expected {' '.join(map(str, named)) or 'flags only'}"
        elif message.endswith("are required: COMMAND"):
            message = f"expected a command: {', '.join(self.commands)}"
        super().error(message)

    @property
    def commands(self) -> list[str]:
        """The names of the subcommands."""
        choices = (each.choices for each in self._actions if each.metavar == "COMMAND")
        return [name for each in choices for name in each or ()]


def _meant(name: str, names: Iterable[str]) -> str:
    """Return what a name of a command or flag stands for here, or a close one, or ""."""
    names = list(names)
    here = _HABITS.get(name, "")
    flags = re.findall(r"--[a-z-]+|-[a-zA-Z]\b", here)
    if here and (
        here in names or all(each in names for each in flags) or name in ("help", "version")
    ):
        return f"; here it is {here}"
    # The dashes that all flags have make no two of them alike.
    by_word = {each.lstrip("-"): each for each in names if each.lstrip("-") or each == name}
    close = close_name(name.lstrip("-"), by_word)
    return f"; did you mean {by_word[close]!r}?" if close else ""


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


def model_name(text: str) -> str:
    """The name of a model, and not the address of a server."""
    if "://" in text or re.fullmatch(r"(localhost|[\d.]+):\d+", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is the address of a server, expected the name of a model; an address is "
            f"given by its flag: -u {text}"
        )
    return text


def grpc_url(text: str) -> str:
    """The same for what speaks gRPC only: host:port is gRPC."""
    return server_url(text, "grpc")
