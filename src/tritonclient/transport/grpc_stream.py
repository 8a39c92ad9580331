"""Streams of inferences over gRPC: what to send again when the server refuses a stream."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from ..datatypes import Buffer
from ..engine.http2 import Http2
from ..engine.message_stream import frame_message
from ..engine.rpc_outcome import Outcome
from ..engine.rpc_stream import RpcStream
from ..errors import Cancelled, InferenceServerException
from .call import Options, log_debug
from .grpc_call import GrpcSettings, check_options, stream_data_offset, timeout_block
from .retry import counts, may_resend

#: Bytes of sent messages that are kept to be sent again.
_MAX_REPLAYED = 256 * 1024


class StreamReplay:
    """Opens a stream of inferences, and opens it again after the server refused it.

    All messages are sent again then. So a copy of them is kept until the first response, unless
    they are too large.
    """

    def __init__(self, settings: GrpcSettings, options: Options, timeout: float | None) -> None:
        check_options(options)
        self._coding = options.request_compression
        block = settings.block("ModelStreamInfer", self._coding, settings.metadata(options))
        self._block = block + timeout_block(timeout)
        self._sent: bytearray | None = bytearray()
        self._ends = False
        self._retries = 0

    def begin(
        self, engine: Http2, result: Outcome | InferenceServerException | None = None
    ) -> RpcStream:
        """Begin the stream on an engine; after a refusal, with all messages that were sent.

        Args:
            result: the refusal, or None the first time.
        """
        if isinstance(result, InferenceServerException):
            log_debug("a stream was refused; beginning it again")
            self._retries += counts(result)
        stream = engine.start(self._block, end=False, single=False, data_offset=stream_data_offset)
        if self._sent or self._ends:
            engine.send(stream, [bytes(self._sent or b"")], end=self._ends)
        return stream

    def frame(self, message: Sequence[Buffer]) -> list[Buffer]:
        """Return a message as it is sent on the stream."""
        return frame_message(message, self._coding)

    def sent(self, framed: Sequence[Buffer]) -> None:
        """Keep a copy of a message that is being sent."""
        if self._sent is not None:
            if len(self._sent) + sum(map(len, framed)) <= _MAX_REPLAYED:
                self._sent += b"".join(framed)
            else:
                self._sent = None

    def end(self) -> None:
        """Note that no more messages will be sent."""
        self._ends = True

    def discard(self) -> None:
        """Drop the copies: the server has begun the stream."""
        self._sent = None

    def refused(self, result: Outcome | InferenceServerException | None) -> bool:
        """True if a stream that ended with this result should be begun again."""
        if self._sent is None or not isinstance(result, InferenceServerException):
            return False
        return may_resend(result, retries=self._retries)


def kept(error: InferenceServerException | None) -> InferenceServerException:
    """Return the error that a cancelled stream keeps.

    Args:
        error: what it is cancelled for. The traceback of one that is raised refers to the stream,
            which would be a circle; so a twin of it is kept.
    """
    if error is None:
        return Cancelled("the stream was cancelled")
    twin = copy.copy(error)
    twin.__cause__ = error.__cause__
    return twin
