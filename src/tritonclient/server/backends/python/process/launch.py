"""`ModelProcess`: the process of an instance, its start and its end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any, Protocol

from . import template
from .channel import Channel

#: Seconds that a process has to end after it has closed its end of the socket.
_END_TIMEOUT = 5.0
_REPORT_SIZE = 1 << 16


class _Process(Protocol):
    """A process that was started.

    Attributes:
        pid: its number, which is in use until `release`.
    """

    pid: int

    def await_end(self, timeout: float) -> None:
        """Wait until the process has ended, at most `timeout` seconds."""

    def release(self) -> int | None:
        """Wait for the end and return the exit code, negative for the number of a signal.

        None if it is not known.
        """


class ModelProcess:
    """A running process.

    Attributes:
        channel: carries messages to it and from it.
        pid: its number.

    Args:
        python: the interpreter; "" for that of this process.

    Raises:
        OSError: the process cannot be started.
    """

    def __init__(self, python: str) -> None:
        ours, theirs = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        template.lifelines.add(self._lifeline)
        # Where the process says why it crashed.
        self._report = tempfile.TemporaryFile()  # noqa: SIM115  # until `end`
        try:
            options = _options(python)
            os.write(self._report.fileno(), json.dumps(options).encode())
            given = [theirs.fileno(), lifeline, self._report.fileno(), *options["outputs"]]
            start = template.TEMPLATES.fork if template.AVAILABLE else _Started
            self._process: _Process = start(python, given)
        except BaseException:
            ours.close()
            template.close_lifeline(self._lifeline)
            self._report.close()
            raise
        finally:
            theirs.close()
            os.close(lifeline)
        self.pid = self._process.pid
        self.channel = Channel(ours, waits=False)
        self._end = ""
        self._released = False

    def kill(self) -> None:
        """End the process, and those that it has started, at once."""
        if self._released:
            return
        for kill in (os.killpg, os.kill):  # it may not have its group yet
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(self.pid, signal.SIGKILL)

    def end(self) -> str:
        """Wait for the end of the process and release what belongs to it; return how it ended.

        A process that has not ended after 5 seconds is killed.
        """
        if not self._end:
            self._end = self._release()
        return self._end

    def _release(self) -> str:
        self.channel.close()
        self._process.await_end(_END_TIMEOUT)
        self.kill()  # what it has started and left
        self._released = True
        code = self._process.release()
        template.close_lifeline(self._lifeline)
        report = os.pread(self._report.fileno(), _REPORT_SIZE, 0).decode(errors="replace")
        self._report.close()
        return describe_end(code, report)


def _options(python: str) -> dict[str, Any]:
    """Return what a process needs to know before it can receive messages."""
    try:
        directory = os.getcwd()
    except OSError:  # it was removed
        directory = ""
    return {
        "path": None if python else sys.path,
        "directory": directory,
        "outputs": [each for each in (1, 2) if _is_open(each)],
    }


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


class _Started:
    """A process with an interpreter of its own, where there are no templates."""

    def __init__(self, python: str, descriptors: Sequence[int]) -> None:
        self._process = subprocess.Popen(
            template.program(python, descriptors=descriptors[:3]),
            stdin=subprocess.DEVNULL,
            pass_fds=descriptors[:3],
            start_new_session=True,
        )
        self.pid = self._process.pid

    def await_end(self, timeout: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)

    def release(self) -> int:
        return self._process.wait()


def describe_end(code: int | None, report: str) -> str:
    """Return how a process ended, such as "it was killed by SIGSEGV at model.py(5): execute".

    Args:
        code: the exit code; negative for the number of a signal; None if it is not known.
        report: what `faulthandler` or the program wrote about it.
    """
    if code is None:
        return "its exit code is not known, because the process that started it has ended too"
    if code >= 0:
        lines = report.strip().splitlines()
        return f"it exited with code {code}" + (f": {lines[-1]}" if lines else "")
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"it was killed by {name}{_place(report)}"


def _place(report: str) -> str:
    """Return the innermost place of the model's code in a report of `faulthandler`."""
    for line in report.splitlines():
        parts = line.strip().split('"')
        if len(parts) == 3 and parts[0] == "File " and "ctypes" not in parts[1]:
            where = parts[2].removeprefix(", line ").split(" in ")
            if len(where) == 2:
                return f" at {parts[1]}({where[0]}): {where[1]}"
    return ""
