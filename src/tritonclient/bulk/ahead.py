"""Reading ahead: files are decoded while requests are in flight."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T], most: int = 2) -> Generator[T, None, None]:
    """Yield the items of an iterator that a thread reads.

    Args:
        most: items that wait to be taken.
    """
    # The items, and at the end what they ended with: None, or an error.
    read: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(most)
    stop = threading.Event()

    def work() -> None:
        end: BaseException | None = None
        try:
            for item in items:
                read.put((item,))
                if stop.is_set():
                    break
        except BaseException as error:
            end = error
        read.put(end)

    thread = threading.Thread(target=work, name="tritonclient-read", daemon=True)
    thread.start()
    try:
        while isinstance(found := read.get(), tuple):
            yield found[0]
        if found is not None:
            raise found
    finally:
        stop.set()
        while thread.is_alive():
            with suppress(queue.Empty):
                read.get(timeout=0.05)  # the thread may wait for room
