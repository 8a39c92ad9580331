"""The guard process that stands between a test session and its Triton.

The session holds the guard's standard input open, and when something comes from there, or it
closes, for whatever reason, the server's processes are ended and the shared memory they left is
removed.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

STOP_DEADLINE = 15.0  # seconds that the server may take to end by itself


def guard(prefix: str, command: Sequence[str]) -> int:
    """Run the server until it exits or standard input speaks or closes; leave nothing of it behind.

    The server logs to standard error; standard output gets one line, its process id.
    """
    server = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True
    )
    sys.stdout.write(f"{server.pid}\n")
    sys.stdout.flush()
    exited = os.pidfd_open(server.pid)
    try:
        select.select([sys.stdin, exited], [], [])
    finally:
        # The stubs of the Python backend are in its process group.
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            server.wait(STOP_DEADLINE)
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        for region in Path("/dev/shm").glob(f"{prefix}*"):
            region.unlink(missing_ok=True)
    return server.returncode


if __name__ == "__main__":
    sys.exit(guard(sys.argv[1], sys.argv[2:]))
