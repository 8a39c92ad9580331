"""Tensors in shared memory: one region with all inputs, one with a place for the outputs of each
request in flight. Their names are this run's alone, and they alone are unregistered.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ... import Client
from ...datatypes import byte_size, element_count
from ...errors import InferenceServerException
from ...messages import Infer, InferTensor, RequestedOutput
from ..exits import SetupError
from ..load.plan import Plan
from ..options.settings import Settings
from .model import ModelInfo

_ALIGNMENT = 64


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


class SharedTensors:
    """The regions of a run, registered with the server.

    Attributes:
        plan: the plan with requests that refer to them.
    """

    def __init__(
        self, client: Client, settings: Settings, model: ModelInfo, plan: Plan, places: int
    ) -> None:
        self._client = client
        self._cuda = settings.shared_memory == "cuda"
        name = f"perf_{os.getpid()}_{secrets.token_hex(6)}"
        self._names = [f"{name}_input", f"{name}_output"]
        self._regions: list[Any] = []
        self._registered: list[str] = []
        inputs, total = self._place_inputs(plan)
        outputs, each = self._place_outputs(model, settings)
        try:
            self._regions.append(self._create(max(total, 1)))
            self._regions.append(self._create(max(each * places, 1)))
            for request in plan.requests:
                for tensor in request.inputs:
                    self._write(inputs[id(tensor.data)], tensor.data)
            for region_name, region in zip(self._names, self._regions, strict=True):
                self._register(region_name, region)
        except (InferenceServerException, OSError, NotImplementedError, RuntimeError) as error:
            self.close()
            raise SetupError(f"error: failed to set up shared memory: {error}") from None
        made = [
            [self._request(request, inputs, outputs, place * each) for request in plan.requests]
            for place in range(places)
        ]
        self.plan = replace(
            plan,
            place_requests=made,
            place_wires=[[plan.target.encode(request) for request in row] for row in made],
            shared_outputs=None
            if self._cuda
            else (self._regions[1].key, each, {n: (o, s) for n, o, s in outputs}),
        )

    def _place_inputs(self, plan: Plan) -> tuple[dict[int, int], int]:
        """Where each input lies, by the identity of its data, and the size of all."""
        offsets: dict[int, int] = {}
        total = 0
        for request in plan.requests:
            for tensor in request.inputs:
                if id(tensor.data) not in offsets:
                    offsets[id(tensor.data)] = total
                    total += _aligned(len(tensor.data or b""))
        return offsets, total

    def _place_outputs(
        self, model: ModelInfo, settings: Settings
    ) -> tuple[list[tuple[str, int, int]], int]:
        """Name, offset and size of each output in a place, and the size of a place."""
        outputs = []
        offset = 0
        for tensor in model.outputs.values():
            size = None
            if -1 not in tensor.shape:
                size = byte_size(tensor.datatype, element_count(tensor.shape))
            if size is None:
                size = settings.output_shared_memory_size
            size *= settings.batch_size
            outputs.append((tensor.name, offset, size))
            offset += _aligned(max(size, 1))
        return outputs, offset

    def _create(self, size: int) -> Any:
        if self._cuda:
            from ...shm import cuda

            return cuda.create_region(size)
        from ...shm import system

        return system.create_region(size)

    def _write(self, offset: int, data: Any) -> None:
        if self._cuda:
            self._regions[0].write(data, offset)
        else:
            self._regions[0].view(offset, len(data))[:] = data

    def _register(self, name: str, region: Any) -> None:
        if self._cuda:
            self._client.register_cuda_shared_memory(name, region.raw_handle, 0, region.byte_size)
        else:
            self._client.register_system_shared_memory(name, region.key, region.byte_size)
        self._registered.append(name)

    def _request(
        self,
        request: Infer,
        inputs: dict[int, int],
        outputs: list[tuple[str, int, int]],
        base: int,
    ) -> Infer:
        """A request that refers to the regions in place of carrying tensors."""
        return replace(
            request,
            inputs=tuple(
                InferTensor(
                    each.name,
                    each.datatype,
                    each.shape,
                    None,
                    _parameters(self._names[0], inputs[id(each.data)], len(each.data or b"")),
                )
                for each in request.inputs
            ),
            outputs=tuple(
                RequestedOutput(name, 0, True, _parameters(self._names[1], base + offset, size))
                for name, offset, size in outputs
            ),
        )

    def close(self) -> None:
        """Unregister the regions and let go of them."""
        unregister = (
            self._client.unregister_cuda_shared_memory
            if self._cuda
            else self._client.unregister_system_shared_memory
        )
        for name in self._registered:
            with suppress(InferenceServerException):
                unregister(name)
        self._registered = []
        for region in self._regions:
            region.close()
        self._regions = []


def _parameters(region: str, offset: int, size: int) -> dict[str, bool | int | float | str]:
    found: dict[str, bool | int | float | str] = {
        "shared_memory_region": region,
        "shared_memory_byte_size": size,
    }
    if offset:
        found["shared_memory_offset"] = offset
    return found
