"""The start of a model's process; executed as a file, before the package can be imported.

The interpreter may be another than the server's. It needs numpy, and finds this package where the
server has it.
"""

from __future__ import annotations

import faulthandler
import importlib.util
import json
import os
import sys
import traceback
from typing import Any


def main(text: str) -> None:
    """Run the program of a model's process.

    Args:
        text: JSON text, written by `launch`.
    """
    options: dict[str, Any] = json.loads(text)
    faulthandler.enable(options["report"])
    end_with_server(options["lifeline"])
    sys.path[:] = options["path"] or sys.path[1:]  # without the folder of this file
    try:
        find_package(options["package"])
        import socket

        worker = importlib.import_module(options["worker"])
        worker.run(socket.socket(fileno=options["socket"]))
    except Exception:
        os.write(options["report"], traceback.format_exc().encode())
        raise


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
        import select
        import signal

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


if __name__ == "__main__":
    main(sys.argv[1])
