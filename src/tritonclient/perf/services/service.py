"""What the program needs to know of a service, whatever kind it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ...messages import ModelStatistics
from ..data.dataset import Dataset
from ..data.model import ModelInfo
from ..load.plan import Plan
from ..options.settings import Settings

#: Statistics of models by name and version.
Statistics = Mapping[tuple[str, str], ModelStatistics]


class Service(Protocol):
    """A kind of service.

    Attributes:
        kind: as the settings block writes it.
        library: whose times the report tells: "HTTP", "gRPC" or "" for none.
        model: the model under test.
        start_worker: what starts a worker where the server is inside it; None elsewhere.
    """

    kind: str
    library: str
    model: ModelInfo

    @property
    def start_worker(self) -> Any:
        """See above."""
        ...

    def plan(self, data: Dataset, settings: Settings) -> Plan:
        """What workers send."""
        ...

    def share(self, plan: Plan, places: int) -> Plan:
        """The plan with tensors in shared memory, for so many requests in flight."""
        ...

    def statistics(self) -> Statistics | None:
        """The server's statistics by now; None when it has none."""
        ...

    def describe(self, plan: Plan) -> str:
        """The first request, for people to read."""
        ...

    def close(self) -> None:
        """Put back what was changed on the server, and close connections."""
        ...
