"""One gRPC call of a client: messages out, messages in, one outcome.

Source: gRPC over HTTP/2 (the `PROTOCOL-HTTP2` document), responses.
"""

from __future__ import annotations

from ..errors import InferenceServerException, ProtocolError
from .header_block import Fields
from .message_stream import MessageStream
from .rpc_outcome import EXCERPT, Outcome, is_grpc, not_grpc

MAX_INTERIM_HEADS = 20


class RpcStream(MessageStream):
    """One call of a client.

    Attributes:
        fields: the response's first header block, once it has come.
    """

    fields: Fields | None = None
    _excerpt: bytearray | None = None
    _interim = 0

    def headers_received(self, fields: Fields, *, end: bool) -> None:
        """Read a header block."""
        if fields.fault:
            raise ProtocolError(fields.fault)
        if self.fields is not None:
            if not end:
                raise ProtocolError("the answer has headers between its messages")
            if fields.http_status is not None:
                raise ProtocolError("the answer has a second status")
            self.finish(self._outcome(fields))
        elif fields.http_status is None:
            raise ProtocolError("the answer has no status")
        elif fields.http_status < 200:
            if end:
                raise ProtocolError("the answer ends with an interim status")
            self._interim += 1
            if self._interim > MAX_INTERIM_HEADS:
                raise ProtocolError(f"unexpected interim answer {fields.http_status}")
        else:
            self.fields = fields
            if end:
                self.finish(self._outcome(fields))
            elif not is_grpc(fields):
                self._excerpt = bytearray()

    @property
    def coding(self) -> str:
        """The coding of compressed messages."""
        return (
            "identity"
            if self.fields is None
            else self.fields.headers.get("grpc-encoding", "identity")
        )

    def data_received(self, data: memoryview) -> None:
        """Read bytes of the body.

        Raises:
            MessageTooLarge: a message begins that exceeds the limit.
        """
        if self.fields is None:
            raise ProtocolError("the answer's data come before its headers")
        if self._excerpt is None:
            super().data_received(data)
            return
        self.coming -= len(data)
        self._excerpt += data
        if len(self._excerpt) >= EXCERPT:
            self.finish(not_grpc(self.fields, bytes(self._excerpt)))

    def ended_without_trailers(self) -> None:
        """The peer ended the stream with data; proxies do so when there are no messages."""
        if self.fields is None:
            raise ProtocolError("the answer ends before its headers")
        self.finish(self._outcome(self.fields))

    def _outcome(self, trailers: Fields) -> Outcome | InferenceServerException:
        first = self.fields or trailers
        if trailers.code is None:
            return not_grpc(first, bytes(self._excerpt or b""))
        if not trailers.code and (self._message is not None or self._prefix):
            return ProtocolError("the answer ends inside a message")
        return Outcome(
            trailers.code, trailers.message, trailers.details(), first.headers, trailers.headers
        )
