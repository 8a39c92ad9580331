"""`ConnectionSettings`: what the arguments of the gRPC core mean for a connection."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass

#: The core's number for "no limit".
_NO_LIMIT = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """Settings of connections; times are in seconds. The defaults are those of the gRPC core.

    Attributes:
        keepalive_time: without traffic before a ping.
        keepalive_timeout: for the answer to a ping, before the connection is closed.
        keepalive_without_calls: whether pings are sent, and may be sent, without running calls.
        max_pings_without_data: pings that are sent without traffic; 0 for no limit.
        min_ping_interval: least time between pings of a client without traffic; a ping before that
            is a strike.
        max_ping_strikes: strikes before the connection is closed; 0 for no limit.
        max_age: before a connection is closed with GOAWAY.
        max_age_grace: for running calls after this GOAWAY.
        max_message: largest message, also after decompression, in bytes.
        max_streams: calls of a connection that run at a time.
    """

    keepalive_time: float = 7200.0
    keepalive_timeout: float = 20.0
    keepalive_without_calls: bool = False
    max_pings_without_data: int = 2
    min_ping_interval: float = 300.0
    max_ping_strikes: int = 2
    max_age: float = math.inf
    max_age_grace: float = math.inf
    max_message: int = _NO_LIMIT
    # Each takes about 2 KiB. The core has no limit.
    max_streams: int = 10_000


#: The field for each argument of the core.
_FIELDS = {
    "grpc.keepalive_time_ms": "keepalive_time",
    "grpc.keepalive_timeout_ms": "keepalive_timeout",
    "grpc.keepalive_permit_without_calls": "keepalive_without_calls",
    "grpc.http2.max_pings_without_data": "max_pings_without_data",
    "grpc.http2.min_ping_interval_without_data_ms": "min_ping_interval",
    "grpc.http2.max_ping_strikes": "max_ping_strikes",
    "grpc.max_connection_age_ms": "max_age",
    "grpc.max_connection_age_grace_ms": "max_age_grace",
    "grpc.max_receive_message_length": "max_message",
    "grpc.max_concurrent_streams": "max_streams",
}
#: Arguments that change nothing here: messages are sent whatever their size.
_WITHOUT_EFFECT = {"grpc.max_send_message_length"}
#: Those of which -1 means that there is no limit.
_MAY_BE_UNLIMITED = {"grpc.max_receive_message_length", "grpc.max_send_message_length"}


def settings_from(arguments: Mapping[str, int | str]) -> ConnectionSettings:
    """Return the settings that arguments of the gRPC core ask for.

    Raises:
        TypeError: a value is no whole number.
        ValueError: an argument is unknown here, or a value is below 0.
    """
    fields: dict[str, float] = {}
    for name, value in arguments.items():
        _check(name, value)
        if name in _WITHOUT_EFFECT:
            continue
        number = int(value)
        if name in _MAY_BE_UNLIMITED and number < 0:
            number = _NO_LIMIT
        if name.endswith("_ms"):
            fields[_FIELDS[name]] = math.inf if number >= _NO_LIMIT else number / 1000
        else:
            fields[_FIELDS[name]] = number
    return ConnectionSettings(**fields)  # type: ignore[arg-type]  # by the table above


def _check(name: str, value: int | str) -> None:
    known = [*_FIELDS, *_WITHOUT_EFFECT]
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"
        raise ValueError(f"channel_arguments has {name!r}, which this server does not know{hint}")
    if not isinstance(value, int):
        kind = type(value).__name__
        raise TypeError(f"channel_arguments[{name!r}] is of type {kind}, expected a whole number")
    if value < (-1 if name in _MAY_BE_UNLIMITED else 0):
        raise ValueError(f"channel_arguments[{name!r}] is {value}, expected a number from 0 on")
