"""`ResponseCache` and `CachingScheduler`: responses kept for models with `response_cache`.

As in Triton, a hit gets its response without an execution, and only successful responses are kept.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence

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
        key = _key(job, self._load)
        outputs = self._cache.get(key)
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


def _key(job: Job, load: int) -> bytes:
    """Return a key of the loaded model version, the requested outputs and the inputs."""
    digest = hashlib.sha256()
    head = (load, job.model.name, job.model.version, sorted(job.options.outputs))
    digest.update(repr(head).encode())
    for each in sorted(job.inputs, key=lambda tensor: tensor.name):
        data = datatypes.pack(each.array, each.datatype)
        digest.update(repr((each.name, each.datatype, each.shape, len(data))).encode())
        digest.update(data)
    return digest.digest()
