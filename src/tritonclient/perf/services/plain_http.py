"""What services over plain HTTP have in common: no model metadata, no statistics."""

from __future__ import annotations

from abc import abstractmethod

from ..data.dataset import Dataset
from ..data.model import ModelInfo
from ..exits import SetupError
from ..load.connection import Target, Wire, make_target
from ..load.plan import Plan
from ..options.settings import Settings
from .addresses import tls_of, url_of
from .service import Statistics


class PlainHttp:
    """A service of which only the URL and the requests are known."""

    kind = ""
    library = "HTTP"
    start_worker = None
    #: How answers are read, see `Target`.
    answers = "http"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = url_of(settings)
        self._tls = tls_of(settings)
        self.model = ModelInfo(settings.model_name, settings.model_version)

    def plan(self, data: Dataset, settings: Settings) -> Plan:
        """What workers send."""
        try:
            target = make_target(
                self._url, "http", self._tls, settings.headers, "none", kind=self.answers
            )
            wires = self.wires(target, data)
        except (ValueError, TypeError) as error:
            raise SetupError(f"error: the request can't be made: {error}") from None
        return Plan(
            target=target,
            wires=wires,
            timeout=int(settings.timeout * 1e9),
            seed=settings.seed,
            payloads=[step.payload for step in data.steps],
        )

    def share(self, plan: Plan, places: int) -> Plan:
        """Nothing: these services have no shared memory."""
        raise SetupError(f"--shared-memory can't be used with {self.kind}")

    @abstractmethod
    def wires(self, target: Target, data: Dataset) -> list[Wire]:
        """The requests."""

    def statistics(self) -> Statistics | None:
        """None: there are none."""
        return None

    def describe(self, plan: Plan) -> str:
        """The first request, for people to read."""
        wire = plan.wires[0]
        text = (wire.head + b"".join(map(bytes, wire.body)))[:2000].decode("utf-8", "replace")
        return f"HTTP request to {self._url}, {wire.size} bytes\n{text}"

    def close(self) -> None:
        """Nothing: nothing was changed."""
