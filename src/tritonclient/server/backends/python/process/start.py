"""The start of a model's process; executed as a file, before the package can be imported.

The interpreter may be another than the server's. It needs numpy, and finds this package where the
server has it.

It is the model's process itself, or a template: a process that has imported everything and forks
a model's process for each request of the server. A fork takes far less time than an import.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import importlib.util
import json
import os
import pathlib
import select
import signal
import socket
import struct
import sys
import traceback
import warnings
from typing import Any, NamedTuple

#: A number or an exit code, which a template sends to the server.
NUMBER = struct.Struct("<i")
#: In the environment of a model's process: the directory of its version.
MODEL_VARIABLE = "TRITONCLIENT_MODEL_PACKAGE"
#: Most descriptors of a request.
_DESCRIPTORS = 8


class Descriptors(NamedTuple):
    """What the server gives to a model's process.

    Attributes:
        socket: the socket to the server.
        lifeline: the reading end of a pipe whose other end the server holds.
        report: a file with options as JSON text, later with why the process crashed.
        outputs: standard output and standard error, where the server has them.
    """

    socket: int
    lifeline: int
    report: int
    outputs: tuple[int, ...] = ()


def main(text: str) -> None:
    """Run the program of a model's process, or a template.

    Args:
        text: JSON text, written by `launch` or `template`.
    """
    program: dict[str, Any] = json.loads(text)
    sys.path[:] = program["path"] or sys.path[1:]  # without the folder of this file
    find_package(program["package"])
    if "requests" in program:
        # What fails here fails in the model's process too, which can report it.
        with contextlib.suppress(Exception):
            importlib.import_module(program["worker"])
        gc.freeze()
        given = Template(socket.socket(fileno=program["requests"])).serve()
    else:
        given = Descriptors(*program["descriptors"])
    _run(given, program["worker"])


def _run(given: Descriptors, worker: str) -> None:
    """Run a model's process."""
    faulthandler.enable(given.report)
    end_with_server(given.lifeline)
    options = _options(given.report)
    sys.argv = [""]  # as in Triton: what a model parses there is not this program's
    for target, fd in zip(options["outputs"], given.outputs, strict=False):
        if fd != target:
            os.dup2(fd, target)
            os.close(fd)
    try:
        sys.path[:] = options["path"] or sys.path
        if options["directory"]:
            os.chdir(options["directory"])
        module = importlib.import_module(worker)
        module.run(socket.socket(fileno=given.socket))
    except Exception:
        os.write(given.report, traceback.format_exc().encode())
        raise


def _options(report: int) -> dict[str, Any]:
    """Take the options out of the file of the report."""
    text = os.pread(report, os.fstat(report).st_size, 0)
    os.ftruncate(report, 0)
    os.lseek(report, 0, os.SEEK_SET)
    options: dict[str, Any] = json.loads(text)
    return options


def find_package(directory: str) -> None:
    """Import the package `tritonclient` from a directory that is not on `sys.path`."""
    spec = importlib.util.spec_from_file_location(
        "tritonclient",
        os.path.join(directory, "__init__.py"),
        submodule_search_locations=[directory],
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tritonclient"] = module
    spec.loader.exec_module(module)


def end_with_server(lifeline: int) -> None:
    """Let the kernel kill this process and those that it starts when the server ends.

    Args:
        lifeline: the reading end of a pipe whose other end the server holds.
    """
    try:
        import fcntl

        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgid(0))
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
        poll = select.poll()
        poll.register(lifeline, select.POLLIN)
        if poll.poll(0):  # the server has ended before
            os._exit(0)
    except (ImportError, AttributeError):  # not Linux: this ends when it reads from the server
        pass


class Template:
    """Forks a model's process for each request of the server, and reports its end.

    A request is one byte with descriptors; the last one is a socket of this request only, the
    control. The template sends the number of the process there, and later its exit code, negative
    for the number of a signal. It keeps the number of the process in use until the server closes
    the control, and kills a process that still runs then.

    Args:
        requests: the socket of requests. After its end the template ends with the last process.
    """

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._wake, self._woken = os.pipe()
        self._poll = select.poll()
        self._poll.register(requests, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)
        # Processes by control.
        self._running: dict[int, int] = {}
        self._ended: dict[int, int] = {}
        for fd in (self._wake, self._woken):
            os.set_blocking(fd, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)

    def serve(self) -> Descriptors:
        """Serve requests; return in each forked process, with what the server gave to it."""
        accepts = True
        while accepts or self._running or self._ended:
            for fd, _ in self._poll.poll():
                if fd == self._wake:
                    os.read(self._wake, 512)
                    self._report()
                elif fd != self._requests.fileno():
                    self._release(fd)
                else:
                    received = self._receive()
                    if not received:
                        accepts = False
                        self._poll.unregister(fd)
                    elif (given := self._start(received)) is not None:
                        return given
        os._exit(0)

    def _receive(self) -> list[int]:
        """Return the descriptors of a request; none after the last."""
        close = socket.MSG_CMSG_CLOEXEC
        return socket.recv_fds(self._requests, 1, _DESCRIPTORS, close)[1]

    def _start(self, received: list[int]) -> Descriptors | None:
        """Fork a process; return None in this one."""
        *given, control = received
        with warnings.catch_warnings():
            # The threads of a library for linear algebra, which ends them before a fork.
            warnings.simplefilter("ignore", DeprecationWarning)
            process = os.fork()
        if process == 0:
            self._leave(control)
            return Descriptors(given[0], given[1], given[2], tuple(given[3:]))
        for fd in given:
            os.close(fd)
        self._running[control] = process
        self._poll.register(control, select.POLLIN)
        self._send(control, process)
        return None

    def _leave(self, control: int) -> None:
        """Become a process of its own, which has nothing of the template and its siblings."""
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._requests.close()
        for fd in (control, self._wake, self._woken, *self._running, *self._ended):
            os.close(fd)
        # Otherwise all processes would have the same random numbers.
        random = sys.modules.get("numpy.random")
        if random is not None:
            random.seed()

    def _report(self) -> None:
        """Send the exit codes of the processes that have ended."""
        options = os.WEXITED | os.WNOWAIT | os.WNOHANG
        for control, process in list(self._running.items()):
            end = os.waitid(os.P_PID, process, options)
            if end is not None:
                self._ended[control] = self._running.pop(control)
                exited = end.si_code == os.CLD_EXITED
                self._send(control, end.si_status if exited else -end.si_status)

    def _release(self, control: int) -> None:
        """End a process whose control the server has closed."""
        process = self._running.pop(control, 0)
        if process:
            os.kill(process, signal.SIGKILL)
        os.waitpid(process or self._ended.pop(control), 0)
        self._poll.unregister(control)
        os.close(control)

    def _send(self, control: int, number: int) -> None:
        # The server may have closed it already.
        with contextlib.suppress(OSError):
            os.write(control, NUMBER.pack(number))


if __name__ == "__main__":
    main(sys.argv[1])
elif __name__ == "__mp_main__" and MODEL_VARIABLE in os.environ:
    # A process that `multiprocessing` starts for a model, without a fork.
    find_package(str(pathlib.Path(__file__).parents[4]))
    importlib.import_module("tritonclient.server.backends.python.process.spawned").open_package()
