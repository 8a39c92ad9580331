"""`Template`: a process that forks the processes of models, as seen by the server.

A fork takes a hundredth of the time of an interpreter that imports numpy. There is one template
for each interpreter, as long as a server runs that needs it. A template that has ended is replaced.
Only Linux has them: elsewhere libraries of the system do not work in a forked process.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from weakref import WeakSet

import tritonclient

from . import start

AVAILABLE = sys.platform == "linux"
_WORKER = f"{__package__}.worker"
#: Seconds that a template has to end when no server needs it.
_END_TIMEOUT = 5.0
#: A variable that changes too often for a template of each value.
_VOLATILE = "PYTEST_CURRENT_TEST"

#: Descriptors whose end is the end of a process.
lifelines: set[int] = set()


def close_lifeline(fd: int) -> None:
    """Close a descriptor of `lifelines`, unless that is done."""
    if fd in lifelines:
        lifelines.remove(fd)
        os.close(fd)


def program(python: str, **options: Any) -> list[str]:
    """Return the command line of `start`.

    Args:
        python: the interpreter; "" for that of this process.
        options: its options, beside those that are always the same.
    """
    text = json.dumps(
        {
            "package": str(Path(tritonclient.__file__).parent),
            "worker": _WORKER,
            "path": None if python else sys.path,
            **options,
        }
    )
    warnings = [f"-W{each}" for each in sys.warnoptions]
    return [python or sys.executable, *warnings, start.__file__, text]


class Forked:
    """A process that a template has forked.

    Attributes:
        pid: its number, which is in use until `release`.
    """

    def __init__(self, pid: int, control: int) -> None:
        self.pid = pid
        self._control = control

    def await_end(self, timeout: float) -> None:
        """Wait until the process has ended, at most `timeout` seconds."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.poll(timeout * 1000)

    def release(self) -> int | None:
        """Wait for the end and return the exit code, negative for the number of a signal.

        None if it is not known, because the template has ended.
        """
        try:
            return _number(self._control)
        except ChildProcessError:
            return None
        finally:
            close_lifeline(self._control)


class Template:
    """A process that forks others.

    Args:
        python: the interpreter; "" for that of this process.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, python: str) -> None:
        self._settings = _settings()
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = subprocess.Popen(
                    program(python, requests=theirs.fileno()),
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    # Signals of a terminal are for the server, which then ends its processes.
                    start_new_session=True,
                )
        except BaseException:
            ours.close()
            raise
        self._lock = threading.Lock()
        self._requests = ours.detach()
        lifelines.add(self._requests)

    def runs(self) -> bool:
        """Return True until it has ended."""
        return self._process.poll() is None

    def fits(self) -> bool:
        """Return True if it runs, with the settings that a new one would have."""
        return self.runs() and self._settings == _settings()

    def fork(self, descriptors: Sequence[int]) -> Forked:
        """Fork a process.

        Args:
            descriptors: `start.Descriptors` as one list.

        Raises:
            ChildProcessError: the template has ended.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            control = ours.detach()
            lifelines.add(control)
            self._send([*descriptors, theirs.fileno()])
        try:
            return Forked(_number(control), control)
        except BaseException:
            close_lifeline(control)
            raise

    def _send(self, descriptors: Sequence[int]) -> None:
        # What fails here, as it has ended, fails again when its answer is read.
        with (
            self._lock,
            contextlib.suppress(OSError),
            socket.socket(fileno=os.dup(self._requests)) as requests,
        ):
            socket.send_fds(requests, [b"\0"], descriptors)

    def refuse(self) -> None:
        """Let it end when the last of its processes has ended."""
        with self._lock:
            close_lifeline(self._requests)
            self._requests = -1

    def forget(self) -> None:
        """Leave it to the server that this process was forked from."""
        self._lock = threading.Lock()
        self._requests = -1

    def wait(self) -> int:
        """Wait for the end; return the exit code. One that has not ended after 5 s is killed."""
        try:
            return self._process.wait(_END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _number(control: int) -> int:
    """Return the next number from a control."""
    try:
        data = os.read(control, start.NUMBER.size)
    except OSError:
        data = b""
    if len(data) < start.NUMBER.size:
        raise ChildProcessError("the process that forks the processes of models has ended")
    return int(start.NUMBER.unpack(data)[0])


def _settings() -> tuple[list[str], dict[str, str]]:
    """Return what an interpreter and its libraries read when they start."""
    environment = dict(os.environ)
    environment.pop(_VOLATILE, None)
    return list(sys.warnoptions), environment


class Templates:
    """The templates of this process by interpreter. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders: WeakSet[object] = WeakSet()
        self._templates: dict[str, Template] = {}
        # Those that were replaced.
        self._old: list[Template] = []

    def hold(self, holder: object) -> None:
        """Keep templates until each holder has released them, or is gone."""
        with self._lock:
            self._holders.add(holder)

    def release(self, holder: object) -> None:
        """Let the templates end, unless there is another holder."""
        with self._lock:
            if holder not in self._holders:
                return
            self._holders.discard(holder)
            if self._holders:
                return
        self.close()

    def fork(self, python: str, descriptors: Sequence[int]) -> Forked:
        """Fork a process from the template of an interpreter; start one if there is none.

        Raises:
            OSError: no template can be started, or it has ended at once.
        """
        template, is_new = self._get(python)
        with contextlib.suppress(ChildProcessError):
            return template.fork(descriptors)
        if not is_new:
            template, _ = self._get(python, ended=template)
            with contextlib.suppress(ChildProcessError):
                return template.fork(descriptors)
        raise OSError(
            f"the interpreter '{python or sys.executable}' ended with exit code {template.wait()} "
            "before it could start a model's process"
        )

    def _get(self, python: str, ended: Template | None = None) -> tuple[Template, bool]:
        with self._lock:
            template = self._templates.get(python)
            if template is not None and template is not ended and template.fits():
                return template, False
            if template is not None:
                template.refuse()
                self._old.append(template)
            self._old = [each for each in self._old if each.runs()]
            self._templates[python] = template = Template(python)
            return template, True

    def close(self) -> None:
        """End all templates; each waits for its last process."""
        with self._lock:
            templates = [*self._old, *self._templates.values()]
            self._old, self._templates = [], {}
        for each in templates:
            each.refuse()
        for each in templates:
            each.wait()

    def forget(self) -> None:
        """Leave everything to the server that this process was forked from."""
        self._lock = threading.Lock()
        self._holders = WeakSet()
        self._old += self._templates.values()
        self._templates = {}
        for each in self._old:
            each.forget()


TEMPLATES = Templates()


def _forget() -> None:
    for each in lifelines:
        os.close(each)
    lifelines.clear()
    TEMPLATES.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
