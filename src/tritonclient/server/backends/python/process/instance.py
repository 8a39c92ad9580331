"""`ProcessInstance`: an instance in a process of its own, which is started again after it ends."""

from __future__ import annotations

import logging
import threading

from .....errors import Internal
from ....jobs.host import Host
from ....loop import ServerLoop
from ...base import RemoteInstance
from ...execution import Execution
from ..instance import InstanceSource
from .channel import Message
from .dispatcher import Dispatcher
from .launch import ModelProcess
from .loading import load_error, load_values, unhealthy_at_load

_log = logging.getLogger(__name__)

#: Seconds before the second restart in a row; each further one waits twice as long.
_FIRST_DELAY = 0.25
_LONGEST_DELAY = 30.0
#: Nanoseconds that the batches in a process may take together, at most; but it has at least one.
_AHEAD = 1_000_000
_MOST_IN_WORK = 16
#: Seconds that a model has for `finalize`, as in Triton.
_FINALIZE_TIMEOUT = 30.0
#: Seconds that its process has to end after that.
_END_TIMEOUT = 5.0


class ProcessInstance(RemoteInstance):
    """An instance in a process of its own.

    After the process ends it is started again: at once the first time, later with a delay that
    grows until the model has executed a batch again. The batch that it executed fails, and so do
    requests during a delay; batches that it had not begun are executed by the next process.

    Args:
        host: the server, for models that execute other models.
        loop: reads what the process sends.
        python: the interpreter; "" for that of this process.
        process: the first process; None to start one.

    Raises:
        ServerError: the model cannot be loaded.
        ValueError: its file has no model.
    """

    def __init__(
        self,
        source: InstanceSource,
        host: Host,
        loop: ServerLoop,
        python: str = "",
        process: ModelProcess | None = None,
    ) -> None:
        self._source = source
        self._host = host
        self._loop = loop
        self._python = python
        self._state = threading.Condition()
        self._process = process
        self._dispatcher: Dispatcher | None = None  # of a process that is ready
        self._failure: Exception | None = None
        self._closed: Message | None = None
        self._closing = False
        self._interrupted = False
        self._ended = False
        self._room = 1
        self._unbegun: list[Execution] = []  # while no process is ready
        self._handing_over = False  # what is unbegun to a process that is ready
        self._loaded = False
        self._has_is_ready = False
        self._waits = False
        self._restarts = 0
        self._reason = ""
        self._failed_in_a_row = 0
        self._thread = threading.Thread(
            target=self._run, name=f"tritonclient-{source.name}", daemon=True
        )
        self._thread.start()
        with loop.interruptible(self._interrupt), self._state:
            self._state.wait_for(lambda: self._dispatcher or self._failure)
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def _interrupt(self) -> None:
        """End the process while the model is loaded, which fails."""
        with self._state:
            self._interrupted = True
        self._kill()

    def begin(self, execution: Execution) -> None:
        with self._state:
            dispatcher = self._dispatcher
            if self._handing_over or self._is_starting():
                self._unbegun.append(execution)
                return
        if not self._begin(execution, dispatcher):  # the process has just ended
            self.begin(execution)

    def _is_starting(self) -> bool:
        """Return True if a process will be ready without a delay; call this with the lock."""
        return self._dispatcher is None and not (self._waits or self._ended)

    def _begin(self, execution: Execution, dispatcher: Dispatcher | None) -> bool:
        """Begin or fail an execution; False if the process has ended and did not begin it."""
        if dispatcher is None:
            execution.fail(self._unhealthy())
            return True
        try:
            return dispatcher.begin(execution)
        except Exception as error:
            execution.fail(error)
            return True

    def room(self) -> int:
        if self._dispatcher is not None:
            return self._room
        # Requests wait while the process starts, and fail while a delay goes on.
        return int(self._waits)

    def _executed(self, took: int) -> None:
        """Note how many nanoseconds a batch took."""
        self._failed_in_a_row = 0
        self._room = max(1, min(_MOST_IN_WORK, _AHEAD // max(1, took)))

    def _begin_unbegun(self) -> None:
        """Begin what no process has begun, before all that comes meanwhile, or fail it."""
        while True:
            with self._state:
                dispatcher = self._dispatcher
                self._handing_over = bool(self._unbegun) and not self._is_starting()
                if not self._handing_over:
                    break
                execution = self._unbegun.pop(0)
            if not self._begin(execution, dispatcher):
                with self._state:
                    self._unbegun.insert(0, execution)
        self.on_room()

    def _unhealthy(self) -> Internal:
        name = self._source.name
        return Internal(
            f"Failed to process the request(s) for model '{name}', message: Stub process "
            f"'{name}' is not healthy.",
            "500",
        )

    def is_ready(self) -> bool:
        with self._state:
            dispatcher = self._dispatcher
        # As in Triton, a model whose process has ended is ready.
        return dispatcher is None or not self._has_is_ready or dispatcher.is_ready()

    def why_restarted(self) -> str:
        with self._state:
            if not self._reason:
                return ""
            times = "once" if self._restarts == 1 else f"{self._restarts} times"
            restarted = f"; it was started again {times}" if self._restarts else ""
            return f"the process of instance '{self._source.name}' ended: {self._reason}{restarted}"

    def close(self) -> None:
        with self._state:
            self._closing = True
            dispatcher = self._dispatcher
            self._state.notify_all()
        finalized = None
        if dispatcher is not None:
            dispatcher.send({"kind": "close"})
            with self._state:
                self._state.wait_for(
                    lambda: self._closed or self._process is None, _FINALIZE_TIMEOUT
                )
                finalized = self._closed
        if finalized is not None:
            self._thread.join(_END_TIMEOUT)
        self._kill()
        self._thread.join()
        if finalized is not None and (error := load_error(finalized.values)) is not None:
            raise error

    def _kill(self) -> None:
        with self._state:
            if self._process is not None:
                self._process.kill()

    # The thread that starts the process, receives from it and starts it again

    def _run(self) -> None:
        while self._serve():
            if delay := self._delay():
                with self._state:
                    self._waits = True
                self._begin_unbegun()
                with self._state:
                    self._state.wait_for(lambda: self._closing, delay)
                    self._waits = False
            self._restarts += 1
        with self._state:
            self._ended = True
        self._begin_unbegun()

    def _serve(self) -> bool:
        """Start the process and receive from it until it ends; return True to start it again."""
        with self._state:
            if self._closing:
                return False
        process = self._process
        try:
            process = process or ModelProcess(self._python)
        except OSError as error:
            return self._note_end(f"it could not be started: {error}", None)
        problems: list[Exception | None] = [None]

        def lifecycle(message: Message) -> bool:
            kind = message.values["kind"]
            with self._state:
                if kind == "ready":
                    self._dispatcher, self._loaded = dispatcher, True
                    self._has_is_ready = bool(message.values["has_is_ready"])
                    self._room = 1
                    self._handing_over = True
                    self._loop.in_thread(self._begin_unbegun)
                elif kind == "failed":
                    problems[0] = load_error(message.values)
                else:
                    self._closed = message
                self._state.notify_all()
            return False

        dispatcher = Dispatcher(process.channel, self._host, self._loop, lifecycle, self._executed)
        with self._state:
            self._process = process
            if self._closing or self._interrupted:
                process.kill()
        dispatcher.send(load_values(self._source, "instance"))
        wrong = dispatcher.receive()
        if wrong:
            process.kill()
        with self._state:
            self._dispatcher = self._process = None
        unbegun = dispatcher.end(self._unhealthy())
        with self._state:
            self._unbegun[:0] = unbegun
        end = process.end()
        return self._note_end(wrong or end, problems[0])

    def _note_end(self, reason: str, problem: Exception | None) -> bool:
        """Note why the process ended; return True to start it again."""
        with self._state:
            if not self._closing:
                self._reason = reason if problem is None else str(problem)
            if not self._loaded:
                self._failure = problem or unhealthy_at_load(self._source, reason)
            self._state.notify_all()
            return self._failure is None and not self._closing

    def _delay(self) -> float:
        failed = self._failed_in_a_row
        self._failed_in_a_row += 1
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (failed - 1)) if failed else 0.0
        _log.error(
            "the process of instance '%s' ended: %s; it is started again %s",
            self._source.name,
            self._reason,
            f"in {delay:g} s" if delay else "now",
        )
        return delay
