"""`ResponseCache` and `CachingScheduler`: responses kept for models with `response_cache`.

As in Triton, a hit gets its response without an execution, and only successful responses are kept.
A request with the same inputs is a hit if the earlier one asked for the same outputs, or for all.
In Triton 2.51 any is a hit, and gets the outputs of the earlier request instead of its own.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

from ... import datatypes
from ..jobs.job import Job
from ..jobs.response import Response
from ..jobs.tensor import Tensor
from ..telemetry.statistics import Statistics
from .base import Scheduler

#: Numbers of loaded versions.
_LOADS = itertools.count()


class ResponseCache:
    """The outputs of responses by the keys of their requests. Thread-safe.

    Args:
        size: most bytes of tensors; the least recently used responses are dropped first.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._entries: OrderedDict[bytes, tuple[int, tuple[Tensor, ...]]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: bytes) -> tuple[Tensor, ...] | None:
        """Return the outputs of an earlier response, or None."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key][1]

    def put(self, key: bytes, outputs: Sequence[Tensor]) -> None:
        """Keep copies of the outputs, unless they are larger than the whole cache."""
        size = len(key) + sum(_byte_size(each) for each in outputs)
        if size > self._size:
            return
        copies = tuple(_read_only_copy(each) for each in outputs)
        with self._lock:
            replaced, _ = self._entries.pop(key, (0, ()))
            self._used += size - replaced
            self._entries[key] = size, copies
            while self._used > self._size:
                _, (dropped, _) = self._entries.popitem(last=False)
                self._used -= dropped


def _byte_size(tensor: Tensor) -> int:
    if tensor.datatype == "BYTES":
        return sum(4 + len(each) for each in tensor.array.ravel().tolist())
    return int(tensor.array.nbytes)


def _read_only_copy(tensor: Tensor) -> Tensor:
    array = tensor.array.copy()
    array.flags.writeable = False
    return tensor._replace(array=array)


class CachingScheduler:
    """A scheduler in front of another one; it responds to requests that the cache knows.

    Args:
        scheduler: takes the other requests.
    """

    def __init__(self, scheduler: Scheduler, cache: ResponseCache, statistics: Statistics) -> None:
        self._scheduler = scheduler
        self._cache = cache
        self._statistics = statistics
        # A model that is loaded again may respond otherwise.
        self._load = next(_LOADS)

    @property
    def ahead(self) -> bool:
        """That of the other scheduler."""
        return self._scheduler.ahead

    def put(self, job: Job) -> None:
        """Respond to a job from the cache, or pass it on; see `Scheduler`."""
        begin = time.monotonic_ns()
        key, key_of_all = _keys(job, self._load)
        outputs = self._cache.get(key)
        if outputs is None and key_of_all != key:
            outputs = self._cache.get(key_of_all)  # the job selects those that it wants
        taken = time.monotonic_ns() - begin
        if outputs is not None:
            self._statistics.cache_hit(job.decoding + taken, taken)
            job.send(outputs, final=True)
            return

        def keep(response: Response) -> None:
            if response.error is None and response.outputs is not None:
                begin = time.monotonic_ns()
                self._cache.put(key, response.outputs)
                self._statistics.cache_miss(taken + time.monotonic_ns() - begin)

        job.observe(keep)
        self._scheduler.put(job)

    def next_batch(self, instance: int) -> list[Job]:
        """Return the next jobs of the other scheduler."""
        return self._scheduler.next_batch(instance)

    def take(self, instance: int) -> tuple[list[Job], float]:
        """Return the next jobs of the other scheduler."""
        return self._scheduler.take(instance)

    def reschedule(self, job: Job) -> None:
        """Give a job to the other scheduler again."""
        self._scheduler.reschedule(job)

    def close(self) -> None:
        """Accept no more jobs."""
        self._scheduler.close()


def _keys(job: Job, load: int) -> tuple[bytes, bytes]:
    """Return keys of the loaded model version and the inputs: with the outputs, and with all."""
    digest = hashlib.sha256()
    digest.update(repr((load, job.model.name, job.model.version)).encode())
    for each in sorted(job.inputs, key=lambda tensor: tensor.name):
        data = datatypes.pack(each.array, each.datatype)
        digest.update(repr((each.name, each.datatype, each.shape, len(data))).encode())
        digest.update(data)
    return _with(digest, job.options.outputs), _with(digest, job.model.outputs)


def _with(digest: Any, outputs: Iterable[str]) -> bytes:
    """Return the key of what a digest holds and these outputs."""
    whole = digest.copy()
    whole.update(repr(sorted(outputs)).encode())
    return whole.digest()  # type: ignore[no-any-return]
