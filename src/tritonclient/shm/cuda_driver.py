"""The CUDA driver, called by ctypes: its library is there wherever a GPU is, and nowhere else.

The driver's interface is stable: these functions are the same in CUDA 12 and 13. Every function
that works on memory needs a context that is current in the calling thread. Here it is the device's
primary context, which torch, CuPy and the CUDA runtime use as well; it is made current for as long
as a call takes, and whatever was current before is so again afterwards.

Source: CUDA driver API reference.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p
from typing import Any

LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
HANDLE_SIZE = 64

#: A flag of `cuIpcOpenMemHandle`: let devices reach each other's memory when they need to.
LAZY_PEER_ACCESS = 1
_NON_BLOCKING = 1  # a stream that does not wait for the default stream


class IpcHandle(ctypes.Structure):
    """By which another process opens device memory."""

    _fields_ = (("reserved", ctypes.c_ubyte * HANDLE_SIZE),)


_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cuInit": (c_uint,),
    "cuGetErrorName": (c_int, POINTER(c_char_p)),
    "cuGetErrorString": (c_int, POINTER(c_char_p)),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDevicePrimaryCtxRetain": (POINTER(c_void_p), c_int),
    "cuCtxPushCurrent_v2": (c_void_p,),
    "cuCtxPopCurrent_v2": (POINTER(c_void_p),),
    "cuStreamCreate": (POINTER(c_void_p), c_uint),
    "cuStreamSynchronize": (c_void_p,),
    "cuMemAlloc_v2": (POINTER(c_uint64), c_size_t),
    "cuMemFree_v2": (c_uint64,),
    "cuMemcpyHtoDAsync_v2": (c_uint64, c_void_p, c_size_t, c_void_p),
    "cuMemcpyDtoHAsync_v2": (c_void_p, c_uint64, c_size_t, c_void_p),
    "cuMemcpyAsync": (c_uint64, c_uint64, c_size_t, c_void_p),
    "cuIpcGetMemHandle": (POINTER(IpcHandle), c_uint64),
    "cuIpcOpenMemHandle_v2": (POINTER(c_uint64), IpcHandle, c_uint),
    "cuIpcCloseMemHandle": (c_uint64,),
}


class CudaError(RuntimeError):
    """The CUDA driver is not there, or refused a call."""


class Device:
    """A GPU with its context, and a stream of ours."""

    def __init__(self, driver: Driver, number: int) -> None:
        self._driver = driver
        device = c_int()
        self._context = c_void_p()
        self.stream = c_void_p()
        driver.call("cuDeviceGet", byref(device), number)
        driver.call("cuDevicePrimaryCtxRetain", byref(self._context), device)
        with self.current():
            driver.call("cuStreamCreate", byref(self.stream), _NON_BLOCKING)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the context current in this thread."""
        self._driver.call("cuCtxPushCurrent_v2", self._context)
        try:
            yield
        finally:
            self._driver.call("cuCtxPopCurrent_v2", byref(c_void_p()))

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function of the driver for this device."""
        with self.current():
            self._driver.call(name, *arguments)

    def copy(self, name: str, *arguments: Any) -> None:
        """Call a function that copies, and wait until that is done."""
        with self.current():
            self._driver.call(name, *arguments, self.stream)
            self._driver.call("cuStreamSynchronize", self.stream)


class Driver:
    """The driver's library, loaded and initialised.

    Raises:
        CudaError: there is none, or no GPU.
    """

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(LIBRARY)
        except OSError as error:
            raise CudaError(f"no CUDA driver is installed: {error}") from error
        self._functions = {name: self._function(name) for name in _FUNCTIONS}
        self._devices: dict[int, Device] = {}
        self._lock = threading.Lock()
        self.call("cuInit", 0)

    def _function(self, name: str) -> Any:
        try:
            function = getattr(self._library, name)
        except AttributeError as error:
            raise CudaError(f"the CUDA driver is too old: {error}") from error
        function.argtypes = _FUNCTIONS[name]
        function.restype = c_int
        return function

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function of the driver.

        Raises:
            CudaError: it failed.
        """
        code = self._functions[name](*arguments)
        if code:
            known, text = c_char_p(), c_char_p()
            self._functions["cuGetErrorName"](code, byref(known))
            self._functions["cuGetErrorString"](code, byref(text))
            what = (known.value or b"an unknown error").decode(errors="replace")
            why = (text.value or b"no description").decode(errors="replace")
            raise CudaError(f"{name} failed with {what} ({code}): {why}")

    def device(self, number: int) -> Device:
        """A GPU by its number."""
        with self._lock:
            if number not in self._devices:
                self._devices[number] = Device(self, number)
            return self._devices[number]


_driver: tuple[int, Driver] | None = None
_lock = threading.Lock()


def device(number: int) -> Device:
    """A GPU by its number among those that this process sees.

    Raises:
        TypeError: the number is none.
        CudaError: there is no driver, or no such GPU.
    """
    global _driver
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"device is {number!r:.60}, expected the number of a GPU")
    if _driver is not None and _driver[0] != os.getpid():
        raise CudaError("CUDA can't be used in a forked process whose parent used it; spawn it")
    with _lock:
        if _driver is None:
            _driver = os.getpid(), Driver()
        return _driver[1].device(number)
