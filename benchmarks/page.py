"""RESULTS.md: the tables, and how to read them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence

from .table import Row, memory_table, time_table

_READING = """\
Every client has a process of its own, which stays for the whole run. The clients of a case take
turns in windows of 50 ms, in a new random order each round. All client processes are pinned to one
processor, the server to the others. What else the machine does meets all clients alike.

- **CPU**: seconds of CPU, user and system, that the client's process spends per request, all its
  threads included; the median window. The server's CPU is not in it. This is the number that
  budgets limit: unlike latency it does not depend on the speed of the model and the server.
- **ratio**: CPU divided by the official client's in the same round; the median of all rounds.
- **middle half**: half of the rounds gave a ratio within these limits. Smaller differences mean
  nothing.
- **median, p99**: of the time from a request's beginning until its outputs are numpy arrays.
- **latency ratio**: median latency divided by the official client's in the same round; the median
  of all rounds.
- **budget**: what the project demands of itself; `-` where it demands nothing.

The clients:

- **official**: NVIDIA's Python client. It builds its inputs for every request, as in its examples;
  "request built once" reuses them on all sides. It says that threads must not share a client, so
  each thread has its own. Threads share one client of ours.
- **ours**: `Client` and `AsyncClient`.
- **classic**: the same calls as for the official client, of the same names in this package.
- **grpcio**: ours with `Grpcio()`: carried by the library that the official client uses.
- **httpx, aiohttp, grpclib**: they send a request that is encoded beforehand, and leave the
  response as it is. They show what the transport alone costs in other libraries.
- **socket**: a loop that sends these bytes over a blocking socket and receives the response, and
  looks for nothing but its end. A Python client can hardly cost less.

Serialise and deserialise need no server. They are the official client's `serialize_byte_tensor` and
`deserialize_bytes_tensor` against `pack_bytes` and `unpack_bytes`. Import is `from
tritonclient.http import InferenceServerClient` (over gRPC `tritonclient.grpc`) against `from
tritonclient import Client`, each in a new process that has imported numpy. The budget limits its
seconds.
"""

_READING_LATENCY = """\
Small blocking calls, and perf_analyzer with a concurrency of 1, in turns on one server:
"""

_READING_MEMORY = """\
The peak of the resident memory of a new client process, started anew (`/proc/self/clear_refs`) when
the input exists and all modules are loaded, less that beginning and less the answer. Nothing of the
tensors may be in what is left: a client that copies one of them once shows 64 MiB. In flight: 200
requests wait at a server that is kept from answering; connections included, divided by 200. Of
the rounds the largest counts.
"""


def page(rows: Sequence[Row], facts: Mapping[str, str], latencies: Sequence[str]) -> str:
    """Return RESULTS.md; `latencies` are the lines of `perf_analyzer`."""
    listed = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    beside = "\n".join(["## Latency beside the C++ client", "", _READING_LATENCY, *latencies, ""])
    return f"""\
# Speed and memory beside the official client

Written by `make bench`, {datetime.date.today().isoformat()}.

{listed}

## Time

{time_table(rows)}

{_READING}
## Memory

{memory_table(rows)}

{_READING_MEMORY}
{beside if latencies else ""}"""
