"""The cases to measure, with their clients and budgets."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .workloads import MIB


class Kind(Enum):
    """How a case is run, and what its budget limits."""

    BLOCKING = "one request after the other"
    PREPARED = "the same, with a request that is built once"
    THREADS = "`width` threads, each one request after the other"
    ASYNCIO = "`width` tasks on one event loop, each one request after the other"
    SERIALISE = "a BYTES tensor to wire bytes, no server"
    DESERIALISE = "wire bytes to a BYTES tensor, no server"
    IMPORT = "importing the client in a process that has imported numpy"
    PEAK_BLOCKING = "peak memory of a request, beyond its tensors"
    PEAK_ASYNCIO = "the same on an event loop"
    IN_FLIGHT = "memory per request while `width` requests wait for their responses"

    @property
    def is_memory(self) -> bool:
        return self in (Kind.PEAK_BLOCKING, Kind.PEAK_ASYNCIO, Kind.IN_FLIGHT)

    @property
    def is_absolute(self) -> bool:
        """True if a budget is a number of seconds or bytes, not a ratio to the official client."""
        return self.is_memory or self is Kind.IMPORT


@dataclass(frozen=True, slots=True)
class Case:
    """A thing to measure.

    Attributes:
        budgets: the clients that take part beside the official one, by the names of `sides`, each
            with its budget: at most this multiple of the official client's CPU, at most so many
            seconds for IMPORT, bytes for memory. None where there is no budget.
        workload: what is sent or packed; "" where the kind implies it.
        width: threads, or requests in flight.
    """

    name: str
    title: str
    kind: Kind
    budgets: dict[str, float | None]
    workload: str = ""
    width: int = 1
    protocol: str = "http"


def _all(*names: str) -> dict[str, float | None]:
    return dict.fromkeys(names)


def _both(
    name: str,
    title: str,
    kind: Kind,
    http: dict[str, float | None],
    grpc: dict[str, float | None],
    *,
    workload: str = "",
    width: int = 1,
) -> tuple[Case, Case]:
    """Return a case over HTTP and over gRPC."""
    return (
        Case(f"http-{name}", f"HTTP, {title}", kind, http, workload, width, "http"),
        Case(f"grpc-{name}", f"gRPC, {title}", kind, grpc, workload, width, "grpc"),
    )


_PAIRS = (
    _both(
        "blocking",
        "128 bytes, blocking",
        Kind.BLOCKING,
        {"ours": 0.40, "classic": 0.50, **_all("httpx", "socket")},
        {"ours": 0.22, "classic": 0.30, **_all("grpcio", "socket")},
        workload="small",
    ),
    _both(
        "asyncio-1",
        "128 bytes, asyncio",
        Kind.ASYNCIO,
        {"ours": 0.30, **_all("classic", "httpx", "aiohttp")},
        {"ours": 0.30, **_all("classic", "grpclib", "socket")},
        workload="small",
    ),
    _both(
        "asyncio-16",
        "128 bytes, asyncio, 16 in flight",
        Kind.ASYNCIO,
        {"ours": 0.30, **_all("classic", "httpx", "aiohttp")},
        {"ours": 0.30, **_all("classic", "grpcio", "grpclib", "socket")},
        workload="small",
        width=16,
    ),
    _both(
        "large-16",
        "16 MiB each way, blocking",
        Kind.BLOCKING,
        {"ours": 0.35, **_all("classic", "httpx", "socket")},
        {"ours": 0.25, **_all("classic", "grpcio")},
        workload="16 MiB",
    ),
    _both(
        "large-16-asyncio",
        "16 MiB each way, asyncio",
        Kind.ASYNCIO,
        _all("ours", "classic", "aiohttp"),
        _all("ours", "grpclib"),
        workload="16 MiB",
    ),
    _both(
        "large-64",
        "64 MiB each way, blocking",
        Kind.BLOCKING,
        _all("ours"),
        _all("ours"),
        workload="64 MiB",
    ),
    _both(
        "prepared",
        "128 bytes, blocking, request built once",
        Kind.PREPARED,
        _all("ours", "classic"),
        _all("ours"),
        workload="small",
    ),
    _both(
        "threads-4",
        "128 bytes, 4 threads",
        Kind.THREADS,
        _all("ours", "classic"),
        _all("ours", "classic"),
        workload="small",
        width=4,
    ),
    _both(
        "threads-16",
        "128 bytes, 16 threads",
        Kind.THREADS,
        _all("ours"),
        _all("ours"),
        workload="small",
        width=16,
    ),
    _both(
        "bytes",
        "10,000 BYTES each way, blocking",
        Kind.BLOCKING,
        _all("ours", "classic"),
        _all("ours"),
        workload="texts",
    ),
    _both(
        "import",
        "import the client, numpy being there",
        Kind.IMPORT,
        {"ours": 0.025, "classic": 0.025},
        {"classic": 0.025},
    ),
    _both(
        "memory-64",
        "64 MiB each way, blocking: peak beyond the two tensors",
        Kind.PEAK_BLOCKING,
        {"ours": 4 * MIB, "classic": None},
        {"ours": 4 * MIB},
        workload="64 MiB",
    ),
    _both(
        "memory-64-asyncio",
        "64 MiB each way, asyncio: peak beyond the two tensors",
        Kind.PEAK_ASYNCIO,
        {"ours": 4 * MIB},
        {"ours": 4 * MIB},
        workload="64 MiB",
    ),
    _both(
        "memory-in-flight",
        "128 bytes, asyncio, 200 in flight: per request",
        Kind.IN_FLIGHT,
        {"ours": 64 * 1024},
        {"ours": 64 * 1024},
        width=200,
    ),
)

CASES = (
    *(case for pair in _PAIRS for case in pair),
    *(
        Case(f"{kind.name.lower()}{suffix}", title, kind, {"ours": budget}, workload)
        for suffix, workload, words, budget in (
            ("", "varied", "", 1 / 3),
            ("-equal", "equal", " of equal length", 1 / 13),
        )
        for kind in (Kind.SERIALISE, Kind.DESERIALISE)
        for title in (f"{kind.name.lower()} 100,000 BYTES{words}",)
    ),
)


def find(name: str) -> Case:
    """Return the case of this name."""
    (case,) = (case for case in CASES if case.name == name)
    return case
