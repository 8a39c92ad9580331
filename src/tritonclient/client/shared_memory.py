"""Tensors that do not travel: the memory that a client shares with its server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy.typing as npt

from .flows import Flow
from .placement import BasePlacement
from .requests import TensorLike
from .shared_tensor import SharedTensor
from .signatures import explains_arguments

if TYPE_CHECKING:
    from typing_extensions import Self


@explains_arguments
class SharedMemory(BasePlacement):
    """Memory that a `Client` shares with its server, for tensors that do not travel.

        with client.shared_memory() as memory:
            result = client.infer("simple", {"INPUT0": a, "INPUT1": b}, shared_memory=memory)
            result["OUTPUT0"]

    Inputs are copied into it. Outputs are placed in it if the model's metadata or `output` give
    their sizes; other outputs are sent. Arrays of a result are views of it and stay valid.
    `put` and `empty` create tensors for inputs and outputs of many calls.

    Threads may share it. It grows when there is no room; leaving `with` unregisters and frees it.
    If the server rejects it, for instance on another machine, tensors are sent with a warning.
    """

    def __init__(
        self,
        run: Callable[[Flow[Any]], Any],
        url: str,
        timeout: float | None,
        byte_size: int,
        device: int | None,
        mode: int,
    ) -> None:
        super().__init__(url, timeout, byte_size, device, mode)
        self._run = run

    def put(self, value: TensorLike) -> SharedTensor:
        """A tensor with these elements, which can be given for an input."""
        tensor: SharedTensor = self._run(self._put(value))
        return tensor

    def empty(
        self, shape: Sequence[int], datatype: npt.DTypeLike, byte_size: int | None = None
    ) -> SharedTensor:
        """A tensor whose elements are yet to be set, by `write` or by a model.

        Args:
            datatype: one of the protocol's, or a numpy dtype.
            byte_size: bytes to keep room for; needed for BYTES, whose sizes vary.
        """
        tensor: SharedTensor = self._run(self._empty(shape, datatype, byte_size))
        return tensor

    def close(self) -> None:
        """Unregister and free it. Arrays that are views of it stay valid."""
        self._run(self._close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    if not TYPE_CHECKING:  # type checkers find this mistake themselves

        async def __aenter__(self) -> NoReturn:
            raise TypeError("this shared memory is of a blocking client: use `with`")

        async def __aexit__(self, *exc_info: object) -> None:
            """Do nothing: there is no such context."""


@explains_arguments
class AsyncSharedMemory(BasePlacement):
    """Memory that an `AsyncClient` shares with its server; see `SharedMemory`."""

    def __init__(
        self,
        run: Callable[[Flow[Any]], Any],
        url: str,
        timeout: float | None,
        byte_size: int,
        device: int | None,
        mode: int,
    ) -> None:
        super().__init__(url, timeout, byte_size, device, mode)
        self._run = run

    async def put(self, value: TensorLike) -> SharedTensor:
        """A tensor with these elements; see `SharedMemory.put`."""
        tensor: SharedTensor = await self._run(self._put(value))
        return tensor

    async def empty(
        self, shape: Sequence[int], datatype: npt.DTypeLike, byte_size: int | None = None
    ) -> SharedTensor:
        """A tensor whose elements are yet to be set; see `SharedMemory.empty`."""
        tensor: SharedTensor = await self._run(self._empty(shape, datatype, byte_size))
        return tensor

    async def close(self) -> None:
        """Unregister and free it. Arrays that are views of it stay valid."""
        await self._run(self._close())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    if not TYPE_CHECKING:  # type checkers find this mistake themselves

        def __enter__(self) -> NoReturn:
            raise TypeError("this shared memory is of an AsyncClient: use `async with`")

        def __exit__(self, *exc_info: object) -> None:
            """Do nothing: there is no such context."""
