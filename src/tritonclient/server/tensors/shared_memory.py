"""Registered regions of system shared memory, for inputs and outputs."""

from __future__ import annotations

import mmap
import os
import threading
from dataclasses import dataclass

from ...codec.parameter_checks import unsigned
from ...datatypes import Array, Buffer
from ...errors import AlreadyExists, Internal, InvalidArgument, NotFound
from ...messages import (
    InferTensor,
    RegisterSystemSharedMemory,
    RequestedOutput,
    SystemSharedMemoryRegion,
)
from ...shm.posix import map_object, open_object

_REGION = "shared_memory_region"
_NO_DATA = (
    "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', "
    "'shared_memory_region' in 'parameters'. But no field is set"
)


@dataclass(frozen=True, slots=True)
class _Mapped:
    region: SystemSharedMemoryRegion
    memory: Array


class Regions:
    """The regions that clients registered. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._regions: dict[str, _Mapped] = {}

    # Administration

    def status(self, name: str) -> tuple[SystemSharedMemoryRegion, ...]:
        """Return one region, or all for the name ""."""
        with self._lock:
            if not name:
                return tuple(each.region for _, each in sorted(self._regions.items()))
            if name not in self._regions:
                raise NotFound(f"Unable to find system shared memory region: '{name}'", "404")
            return (self._regions[name].region,)

    def register(self, request: RegisterSystemSharedMemory) -> None:
        """Map a POSIX shared memory object."""
        with self._lock:
            if request.name in self._regions:
                raise AlreadyExists(
                    f"shared memory region '{request.name}' already in manager", "400"
                )
            region = SystemSharedMemoryRegion(
                request.name, request.key, request.offset, request.byte_size
            )
            self._regions[request.name] = _Mapped(region, _map(region))

    def unregister(self, name: str) -> None:
        """Unmap one region, or all for the name ""; an unknown name is ignored."""
        with self._lock:
            for each in [name] if name else list(self._regions):
                self._regions.pop(each, None)  # the last view of the memory unmaps it

    # Tensors

    def input_data(self, tensor: InferTensor) -> Buffer:
        """Return the bytes of an input, from the request or from shared memory."""
        if _REGION not in tensor.parameters:
            if tensor.data is None:
                raise InvalidArgument(_NO_DATA, "400")
            return tensor.data
        return self._view(tensor)

    def takes(self, output: RequestedOutput) -> bool:
        """Return True if an output goes to shared memory.

        Raises:
            InvalidArgument: another form is requested as well.
        """
        if _REGION not in output.parameters:
            return False
        for other, asked in (("binary_data", output.binary), ("classification", output.classes)):
            if asked:
                raise InvalidArgument(f"Output can't set both '{_REGION}' and '{other}'", "400")
        return True

    def write_output(self, output: RequestedOutput, data: Buffer) -> None:
        """Write the bytes of an output to the region that the request names."""
        view = self._view(output)
        if len(view) < len(data):
            raise Internal(
                f"shared memory size specified with the request for output '{output.name}' "
                f"({len(view)} bytes) should be at least {len(data)} bytes to hold the results",
                "500",
            )
        view[: len(data)] = data

    def _view(self, tensor: InferTensor | RequestedOutput) -> memoryview:
        name = str(tensor.parameters[_REGION])
        offset, size = (
            unsigned(member, tensor.parameters.get(member, 0))
            for member in ("shared_memory_offset", "shared_memory_byte_size")
        )
        with self._lock:
            mapped = self._regions.get(name)
            if mapped is None:
                raise NotFound(f"Unable to find shared memory region: '{name}'", "404")
            if offset >= mapped.region.byte_size:
                raise InvalidArgument(f"Invalid offset for shared memory region: '{name}'", "400")
            if offset + size > mapped.region.byte_size:
                raise InvalidArgument(
                    f"Invalid offset + byte size for shared memory region: '{name}'", "400"
                )
            return mapped.memory[offset : offset + size].data


def _map(region: SystemSharedMemoryRegion) -> Array:
    try:
        descriptor = open_object(region.key)
    except NotImplementedError as error:
        raise InvalidArgument("system shared memory is not supported on this platform") from error
    except (OSError, ValueError) as error:
        raise Internal(f"Unable to open shared memory region: '{region.key}'", "500") from error
    try:
        misplaced = region.offset < 0 or region.offset % mmap.ALLOCATIONGRANULARITY
        if region.byte_size < 1 or misplaced:
            raise InvalidArgument(
                f"failed to register shared memory region '{region.name}': "
                "unable to process address space: Invalid argument",
                "400",
            )
        if region.offset + region.byte_size > os.fstat(descriptor).st_size:
            raise InvalidArgument(
                f"failed to register shared memory region '{region.name}': invalid args", "400"
            )
        return map_object(descriptor, region.byte_size, region.offset)
    finally:
        os.close(descriptor)
