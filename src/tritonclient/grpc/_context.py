"""A call that is not waited for."""

from __future__ import annotations

from typing import Any

from ..errors import DeadlineExceeded
from ._errors import get_cancelled_error
from ._infer_result import InferResult


class CallContext:
    """A call under way, which `InferenceServerClient.async_infer` gives.

    Args:
        grpc_future: the `concurrent.futures.Future` of the result; it has this name for the sake of
            programs that give it by name.
    """

    def __init__(self, grpc_future: Any) -> None:
        self._future = grpc_future

    def cancel(self) -> None:
        """Cancel the call, also on the server; no effect after its end."""
        self._future.cancel()

    def done(self) -> bool:
        """True if the call has ended, with a result or an error."""
        return bool(self._future.done())

    def result(self, timeout: float | None = None) -> InferResult:
        """The result, which the callback is given as well.

        Args:
            timeout: how many seconds to wait for it; None for as long as it takes. A later try may
                succeed.

        Raises:
            InferenceServerException: the call failed, or was cancelled, or is not over in time.
        """
        from concurrent.futures import wait  # only those who use it pay for it

        if not wait([self._future], timeout).done:
            raise DeadlineExceeded("the inference response was not there in time")
        if self._future.cancelled():
            raise get_cancelled_error()
        result: InferResult = self._future.result()
        return result
