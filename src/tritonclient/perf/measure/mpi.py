"""Several models measured at once, a rank of Open MPI each: all go on until all are stable."""

from __future__ import annotations

import ctypes
import ctypes.util
from typing import Any

from ..exits import SetupError


class Ranks:
    """This process among those that mpiexec has started.

    Raises:
        SetupError: there is no Open MPI.
    """

    def __init__(self) -> None:
        self._mpi = _library()
        self._world = self._symbol("ompi_mpi_comm_world")
        self._int = self._symbol("ompi_mpi_int")
        self._and = self._symbol("ompi_mpi_op_land")
        if self._mpi.MPI_Init(None, None):
            raise SetupError("--enable-mpi: MPI could not be initialised")

    def _symbol(self, name: str) -> Any:
        try:
            return ctypes.byref(ctypes.c_char.in_dll(self._mpi, name))
        except ValueError:
            raise SetupError(
                "--enable-mpi needs Open MPI, but the MPI library that was found is another one"
            ) from None

    def barrier(self) -> None:
        """Wait for all ranks."""
        self._mpi.MPI_Barrier(self._world)

    def all(self, mine: bool) -> bool:
        """True if it is so on all ranks."""
        given, found = ctypes.c_int(mine), ctypes.c_int(0)
        self._mpi.MPI_Allreduce(
            ctypes.byref(given), ctypes.byref(found), 1, self._int, self._and, self._world
        )
        return bool(found.value)

    def close(self) -> None:
        """Take leave of the others."""
        self._mpi.MPI_Finalize()


def _library() -> Any:
    names = ("libmpi.so", "libmpi.so.40", "libmpi.so.12", ctypes.util.find_library("mpi"))
    for name in names:
        if name is None:
            continue
        try:
            # Its plug-ins look for its symbols in the whole program.
            return ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
    raise SetupError(
        "Unable to load MPI library. If you are trying to run with MPI / multiple models, check "
        "that 'libmpi.so' (Open MPI) is on `LD_LIBRARY_PATH` environment variable path."
    )
