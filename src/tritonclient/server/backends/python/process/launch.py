"""`ModelProcess`: the process of an instance, its start and its end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import tritonclient

from . import start
from .channel import Channel

_WORKER = f"{__package__}.worker"
#: Seconds that a process has to end after it has closed its end of the socket.
_END_TIMEOUT = 5.0
_REPORT_SIZE = 1 << 16

#: Descriptors whose end is the end of a process.
_lifelines: set[int] = set()


def _close_lifelines() -> None:
    """Leave the processes to the server that this process was forked from."""
    for each in _lifelines:
        os.close(each)
    _lifelines.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_lifelines)


class ModelProcess:
    """A running process.

    Attributes:
        channel: carries messages to it and from it.

    Args:
        python: the interpreter; "" for that of this process.

    Raises:
        OSError: the process cannot be started.
    """

    def __init__(self, python: str) -> None:
        ours, theirs = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        # Where the process says why it crashed.
        self._report = tempfile.TemporaryFile()  # noqa: SIM115  # until `end`
        passed = (theirs.fileno(), lifeline, self._report.fileno())
        options = {
            "socket": passed[0],
            "lifeline": passed[1],
            "report": passed[2],
            "package": str(Path(tritonclient.__file__).parent),
            "worker": _WORKER,
            "path": None if python else sys.path,
        }
        warnings = [f"-W{each}" for each in sys.warnoptions]
        try:
            self._process = subprocess.Popen(
                [python or sys.executable, *warnings, start.__file__, json.dumps(options)],
                stdin=subprocess.DEVNULL,
                pass_fds=passed,
                # Signals of a terminal are for the server, which then ends its processes.
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            os.close(self._lifeline)
            self._report.close()
            raise
        finally:
            theirs.close()
            os.close(lifeline)
        _lifelines.add(self._lifeline)
        self.channel = Channel(ours, waits=False)
        self._end = ""

    def kill(self) -> None:
        """End the process, and those that it has started, at once."""
        if self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> str:
        """Wait for the end of the process and release what belongs to it; return how it ended.

        A process that has not ended after 5 seconds is killed.
        """
        if not self._end:
            self._end = self._release()
        return self._end

    def _release(self) -> str:
        self.channel.close()
        self._await_end()
        self.kill()  # what it has started and left
        code = self._process.wait()
        if self._lifeline in _lifelines:
            _lifelines.remove(self._lifeline)
            os.close(self._lifeline)
        report = os.pread(self._report.fileno(), _REPORT_SIZE, 0).decode(errors="replace")
        self._report.close()
        return describe_end(code, report)

    def _await_end(self) -> None:
        """Wait until the process has ended; its number is not free before `wait`."""
        if not hasattr(os, "pidfd_open"):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_TIMEOUT)
            return
        try:
            fd = os.pidfd_open(self._process.pid)
        except OSError:
            return
        try:
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            poll.poll(_END_TIMEOUT * 1000)
        finally:
            os.close(fd)


def describe_end(code: int, report: str) -> str:
    """Return how a process ended, such as "it was killed by SIGSEGV at model.py(5): execute".

    Args:
        code: the exit code; negative for the number of a signal.
        report: what `faulthandler` or the program wrote about it.
    """
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
