"""What both clients have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..transport.call import Options
from ..transport.settings import Settings, check_timeout
from .binary_tensors import BinaryTensors
from .flows import Flow
from .infer_calls import InferArguments, InferCalls
from .options import CLIENT_DEFAULT, Timeout, check_pool, plain_seconds
from .suggestions import CLIENT_NAMES, no_attribute, not_picklable


class BaseClient:
    """A client without its calls."""

    _transport: Any

    def _set_up(self, settings: Settings, timeout: float | None, binary: bool | None) -> None:
        self._url = settings.endpoint.url
        self._timeout = plain_seconds(timeout)
        self._protocol = settings.endpoint.protocol
        self._calls = InferCalls(self._transport.prepare, BinaryTensors(binary, self._protocol))
        self._hints: dict[Any, str] = {}  # of errors that the server was asked about

    def _seconds(self, timeout: Timeout, name: str = "timeout") -> float | None:
        """Return the timeout of a call as a number, once it is checked."""
        if timeout is CLIENT_DEFAULT:
            return self._timeout
        seconds = plain_seconds(timeout)
        check_timeout(seconds, name)
        return seconds

    def _placed(
        self, arguments: InferArguments, timeout: Timeout
    ) -> tuple[Flow[Any], Options] | None:
        """The flow of an inference that uses shared memory, and the options to carry it with."""
        options = arguments[-1]
        memory = options.pop("shared_memory", None)
        if memory is None:
            return None
        check_pool(memory)
        if not self._calls.binary.sent:
            options.setdefault("binary", False)
        return memory.inference(self._url, *arguments, self._seconds(timeout))

    if not TYPE_CHECKING:  # a type checker would take it that there is any name

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(self, name, CLIENT_NAMES)

    def __reduce__(self) -> Any:
        raise not_picklable(self, "it holds connections", "make one in each process")
