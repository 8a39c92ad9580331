"""The package of a model in processes that `multiprocessing` starts for it without a fork.

They unpickle functions and classes of the model, which name the modules of its package.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..packages import ModelPackage
from ..pb_utils import module as pb_utils
from .start import MODEL_VARIABLE


def announce(home: Path) -> None:
    """Name the package for the processes that this one starts: the directory of a version."""
    os.environ[MODEL_VARIABLE] = str(home)


def open_package() -> None:
    """Open the package that the process which started this one announced."""
    home = Path(os.environ[MODEL_VARIABLE])
    modules = {"triton_python_backend_utils": pb_utils}
    ModelPackage(home, own=modules, shared=modules, name=home.name).start()
