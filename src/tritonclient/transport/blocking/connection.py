"""Connection on a blocking socket, which carries one call at a time."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from ...datatypes import Buffer
from ...errors import ConnectionFailed, DeadlineExceeded, InferenceServerException
from ..call import Call, Engine, gather
from ..deadline import RECEIVING, SENDING, WAITING, late
from ..errors import lost, lost_while_sending
from ..polling import IN, OUT
from .decompressing import decompress
from .sockets import Stream, drop_first


class Place:
    """One of the places of a pool's connections; free when nothing refers to it any more."""

    __slots__ = ("__weakref__",)


class Connection:
    """A connected socket and the engine that reads from it; it carries HTTP/1.1.

    Attributes:
        engine: the state machine of the protocol.
        stream: the socket.
        reused: whether it has carried a call before.
        heard: the time of its last response, by the monotonic clock.
        place: its place in the pool.
    """

    __slots__ = (
        "__weakref__",
        "_ended",
        "_incomplete",
        "_sent",
        "engine",
        "heard",
        "place",
        "reused",
        "stream",
    )

    engine: Any  # an `Engine`; subclasses know more of theirs

    def __init__(self, stream: Stream, engine: Engine, place: Place) -> None:
        self.stream = stream
        self.engine = engine
        self.place = place
        self.reused = False
        self.heard = 0.0
        self._ended = False  # whether the peer has ended the connection in order
        self._incomplete = False  # whether sending broke off, perhaps inside a frame
        self._sent = 0  # bytes of the current call

    # What calls do

    def exchange(self, call: Call[Any], timeout: float | None, deadline: float) -> Any:
        """Send a call and return its response.

        Args:
            timeout: seconds, for the server.
            deadline: by the monotonic clock.

        Raises:
            InferenceServerException: see `errors`.
        """
        engine = self.engine
        call.start(engine, timeout)
        self._sent = 0
        try:
            buffers = engine.data_to_send()
            news = self._send(buffers if len(buffers) == 1 else gather(buffers), deadline)
            while engine.response is None:
                # What came while we were sending may let us send more.
                if not (news and engine.pending and self.flush(deadline)):
                    self.receive(deadline)
                news = True
        except ConnectionFailed as error:
            error._unacknowledged = self._request_unsent(error)
            raise
        except DeadlineExceeded:
            if monotonic() < deadline:
                raise  # nothing was received for too long
            phase = SENDING if self._sending() else RECEIVING if engine.response_begun else WAITING
            raise late(phase) from None
        response = engine.response
        compressed = call.compressed(response)
        if compressed is not None:
            decompress(compressed, deadline)
        return call.finish(response)

    def _request_unsent(self, error: ConnectionFailed) -> bool:
        """Return True if the peer's kernel acknowledged no byte of the request.

        Acknowledgements may be lost with a reset. An orderly end (FIN) carries the last one, so
        that the count is valid only after that. A broken pipe tells of a reset after an end.
        """
        if not self._sent:
            return True
        if not (self._ended or isinstance(error.__cause__, BrokenPipeError)):
            return False
        unacknowledged = self.stream.unacknowledged_bytes()
        return unacknowledged is not None and unacknowledged >= self._sent

    def reusable_after(self, call: Call[Any], error: BaseException) -> bool:
        """True if the connection can carry further calls after this error of a call."""
        return call.connection_reusable_after(error)

    # Sending

    def _sending(self) -> bool:
        """True if a part of the call was not sent yet."""
        return self._incomplete

    def flush(self, deadline: float) -> bool:
        """Send what the engine has to send; True if it had anything."""
        buffers = self.engine.data_to_send()
        if not buffers:
            return False
        self._send(gather(buffers), deadline)
        return True

    def _send(self, buffers: list[Buffer], deadline: float) -> bool:
        """Send buffers; True if something may have been received meanwhile."""
        self._incomplete, news = True, False
        while buffers:
            try:
                sent = self.stream.send_some(buffers)
            except BlockingIOError:
                news = True
                if self._wait_to_send(deadline) & ~OUT and self._responded_early():
                    return news
            except OSError as error:
                # The server may have answered, "too large" for instance, before it hung up.
                self._read_final_response(error)
                return True
            else:
                self._sent += sent
                if len(buffers) == 1 and sent == len(buffers[0]):
                    break
                buffers = drop_first(buffers, sent)
        self._incomplete = False
        return news

    def _wait_to_send(self, deadline: float) -> int:
        """Wait until the peer reads, or has sent something; return the events of `polling`.

        Raises:
            DeadlineExceeded: neither happened in time.
        """
        return self.stream.wait(IN | OUT, deadline)

    def _responded_early(self) -> bool:
        try:
            count = self.stream.receive_now(self.engine.get_buffer())
        except BlockingIOError:
            return False
        except InferenceServerException:  # our own errors are OSErrors as well
            raise
        except OSError as error:
            raise self._lost(error) from error
        self._feed(count)
        if self.engine.response is None:
            return False
        # The rest of the request can't be sent any more.
        self.engine.mark_unusable()
        return True

    def _read_final_response(self, error: OSError) -> None:
        """Read what came before sending failed: it may be the response."""
        try:
            while self.engine.response is None:
                self._feed(self.stream.receive_now(self.engine.get_buffer()))
        except OSError:  # ConnectionFailed among them
            raise lost_while_sending(error) from error
        self.engine.mark_unusable()

    # Receiving

    def receive(self, deadline: float) -> None:
        """Receive something and feed it to the engine, which raises if that was the end."""
        engine = self.engine
        buffer = engine.get_buffer()
        whole = engine.length_known
        try:
            count = self._receive(buffer, deadline, whole)
        except InferenceServerException:  # our own errors are OSErrors as well
            raise
        except OSError as error:
            raise self._lost(error) from error
        if count:
            engine.buffer_updated(count)
        else:
            self._ended = True
            engine.eof_received()

    def _receive(self, buffer: memoryview, deadline: float, whole: bool) -> int:
        return self.stream.receive(buffer, deadline, whole)

    def wait(self, events: int, until: float, flush: Callable[[], object]) -> int:
        """Wait for events of `polling`, and return those that are ready.

        Args:
            flush: sends what the engine has to send meanwhile.

        Raises:
            ConnectionFailed: the server is found dead.
            DeadlineExceeded: no event happened in time.
        """
        return self.stream.wait(events, until)

    def _feed(self, count: int) -> None:
        if count:
            self.engine.buffer_updated(count)
        else:
            self._ended = True
            self.engine.eof_received()

    def _lost(self, error: OSError) -> InferenceServerException:
        return lost(error)

    # What the pool asks

    def is_stale(self) -> bool:
        """True if the idle connection can't be used any more, as far as is known now."""
        return bool(self.stream.has_input()) and self._read_unasked()

    def _read_unasked(self) -> bool:
        """Read what came to the idle connection; True if it can't be used any more."""
        try:
            # A server may send unasked, over HTTP/2 for instance, where it pings.
            while self.engine.reusable:
                count = self.stream.receive_now(self.engine.get_buffer())
                if not count:
                    return True
                self._feed(count)
        except BlockingIOError:
            pass
        except (OSError, InferenceServerException):
            return True
        return not self.engine.reusable

    def close(self) -> None:
        """Close the socket."""
        self.stream.close()

    def __del__(self) -> None:
        if hasattr(self, "stream"):
            self.stream.close()  # if a call has lost it to an exception

    def abort(self) -> None:
        """End the connection under the call that uses it, in whatever thread."""
        self.stream.shut_down()
