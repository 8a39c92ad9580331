"""A program whose signal handler raises at random moments of its calls; `test_interrupted_calls`.

interrupted.py KIND URL COUNT: KIND is a key of `KINDS`. At the end the client must still be able to
make as many calls at once as it has connections.
"""

from __future__ import annotations

import random
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

import tritonclient
import tritonclient.http

CONNECTIONS = 4
INPUTS = {"IN": np.arange(3)}


class Alarm(BaseException):
    """Raised by the handler; like KeyboardInterrupt, it is no Exception."""


def ring(*arguments: object) -> None:
    raise Alarm


def blocking(url: str) -> tuple[Callable[[], object], Callable[[], object]]:
    client = tritonclient.Client(url, max_connections=CONNECTIONS, timeout=10)

    def call() -> None:
        client.infer("echo", INPUTS)

    def check() -> None:
        with tritonclient.Client(url) as other:
            other.infer("echo", INPUTS)
        barrier = threading.Barrier(CONNECTIONS)
        failures: list[BaseException] = []

        def work() -> None:
            barrier.wait(20)
            try:
                for _ in range(20):
                    call()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        if failures:
            raise failures[0]
        client.close()

    return call, check


def classic(url: str) -> tuple[Callable[[], object], Callable[[], object]]:
    client = tritonclient.http.InferenceServerClient(url.split("//")[1], network_timeout=10)

    def call() -> None:
        tensor = tritonclient.http.InferInput("IN", [3], "INT64")
        tensor.set_data_from_numpy(INPUTS["IN"])
        client.infer("echo", [tensor])

    return call, lambda: (call(), client.close())


KINDS: dict[str, Any] = {"blocking": blocking, "classic": classic}


def main(kind: str, url: str, count: int) -> int:
    signal.signal(signal.SIGALRM, ring)
    call, check = KINDS[kind](url)
    call()
    rung = 0
    for _ in range(count):
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 1e-3))
                for _ in range(20):
                    call()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except Alarm:
            rung += 1
    check()
    print(rung)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
