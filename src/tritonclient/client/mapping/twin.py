"""The `AsyncClient` that carries the requests of a blocking client's `map`."""

from __future__ import annotations

from ...transport.endpoint import Security
from ...transport.settings import Grpcio, Settings
from ..aio import AsyncClient
from ..binary_tensors import BinaryTensors
from ..transports import aio_transport


class Twin(AsyncClient):
    """An `AsyncClient` with the settings of a blocking client.

    Args:
        binary: what the blocking client knows of the forms of tensors that the server takes.
    """

    def __init__(
        self,
        settings: Settings,
        tls: Security,
        max_connections: int,
        grpcio: Grpcio | None,
        timeout: float | None,
        binary: BinaryTensors,
    ) -> None:
        self._transport = aio_transport(settings, tls, max_connections, grpcio)
        self._set_up(settings, timeout, None)
        self._calls.binary = binary
