"""What workers are told: what to send (`Plan`), and how to load the server with it (`Load`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ...datatypes import Buffer
from ...messages import Infer
from .connection import Target, Wire
from .schedule import Schedule
from .sequences import SequenceRules


@dataclass(frozen=True)
class Plan:
    """What is sent, the same for all loads of a run.

    Attributes:
        wires: the requests, in the order of the data, encoded.
        requests: the same as values, where answers are read or sequences add to them.
        expected: for each request the outputs that must come back, as wire bytes by name.
        place_requests, place_wires: with shared memory, for each place in flight the requests that
            refer to its part of the regions.
        shared_outputs: where outputs lie in shared memory: key, size of a place, and by name offset
            and size.
        sessions: for each conversation its turns, as (step, pause before it in nanoseconds).
        decoupled: whether requests have any number of responses.
        record: folder for records of all requests; "" for none.
        timeout: nanoseconds that an answer may take; 0 for no limit.
        tokens: whether answers are read for tokens.
        goals: service levels in nanoseconds by metric.
        payloads: bodies of requests that are no tensors.
        output_names: of the model.
        endpoint: where conversations are sent.
        in_process: settings of a server to run in the worker itself.
    """

    target: Target
    wires: list[Wire]
    requests: list[Infer] = field(default_factory=list)
    expected: list[Mapping[str, Buffer]] | None = None
    sequences: SequenceRules | None = None
    decoupled: bool = False
    record: str = ""
    timeout: int = 0
    seed: int = 0
    tokens: bool = False
    goals: tuple[tuple[str, int], ...] = ()
    place_requests: list[list[Infer]] = field(default_factory=list)
    place_wires: list[list[Wire]] = field(default_factory=list)
    shared_outputs: tuple[str, int, Mapping[str, tuple[int, int]]] | None = None
    sessions: tuple[tuple[tuple[int, int], ...], ...] = ()
    payloads: list[Any] = field(default_factory=list)
    output_names: tuple[str, ...] = ()
    endpoint: str = ""
    in_process: Any = None


class Load(NamedTuple):
    """How a worker loads the server.

    Attributes:
        lanes: requests at a time, in a closed loop; connections to begin with in an open one.
        limit: requests to send; 0 for no limit.
        schedule: of an open loop; None for a closed one.
        at: when to begin, in nanoseconds of the monotonic clock.
        cap: most requests in flight in an open loop; 0 for no limit.
        drop: whether what is due then is dropped, or waits.
        ramp: nanoseconds over which a closed loop takes up its requests.
        share: this worker's number and how many workers the load is for.
        growth: of periodic concurrency: (step, end, period).
        place: the worker's first place in shared memory.
    """

    lanes: int
    limit: int = 0
    schedule: Schedule | None = None
    at: int = 0
    cap: int = 0
    drop: bool = False
    ramp: int = 0
    share: tuple[int, int] = (0, 1)
    growth: tuple[int, int, int] | None = None
    place: int = 0
