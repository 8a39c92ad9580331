"""Import `model.py` files, each isolated from those of other models."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from .... import errors
from ..base import ModelSource
from .pb_utils import module as pb_utils

#: Held while a model is imported: `sys.path` and `sys.modules` are shared by all models.
_importing = threading.RLock()


#: What the code of a model may raise; as in Triton, it cannot end the server.
RAISED = (Exception, SystemExit)


def model_class(source: ModelSource) -> Any:
    """Return `TritonPythonModel` of a new module; no bytecode is cached beside the file."""
    path = source.path
    module = ModuleType("model")
    module.__file__ = str(path)
    with model_errors():
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    if not hasattr(module, "TritonPythonModel"):
        raise ValueError(f"'{path}' has no class TritonPythonModel")
    return module.TritonPythonModel


@contextlib.contextmanager
def model_import_scope(source: ModelSource) -> Iterator[Any]:
    """Make the model's directory importable; afterwards, forget the modules imported from it.

    Yields the module that the model imports as `triton_python_backend_utils`.
    """
    home = str(source.path.parent)
    utils = pb_utils.of_model(source.host, home)
    with _importing:
        sys.modules[utils.__name__] = utils
        before, writes = set(sys.modules), sys.dont_write_bytecode
        sys.path.insert(0, home)
        sys.dont_write_bytecode = True  # the repository may be part of a source tree
        try:
            yield utils
        finally:
            sys.modules[utils.__name__] = pb_utils
            sys.dont_write_bytecode = writes
            sys.path.remove(home)
            for name in set(sys.modules) - before:
                if str(getattr(sys.modules[name], "__file__", None)).startswith(home + os.sep):
                    del sys.modules[name]


@contextlib.contextmanager
def model_errors() -> Iterator[None]:
    """Raise errors of the model's code outside of `execute` as ServerError."""
    try:
        yield
    except errors.ServerError:
        raise
    except RAISED as error:
        raise errors.ServerError(f"Internal: {describe_error(error)}", "400") from error


#: Files whose frames are left out of the tracebacks that clients see.
_OWN_FILES = {__file__, str(Path(__file__).with_name("backend.py")), contextlib.__file__}


def describe_error(error: BaseException) -> str:
    """Return an error's text and its traceback in the model's code, innermost frame first."""
    places = [
        f"  {frame.filename}({frame.lineno}): {frame.name}\n"
        for frame in reversed(traceback.extract_tb(error.__traceback__))
        if frame.filename not in _OWN_FILES
    ]
    text = "".join(traceback.format_exception_only(type(error), error)).strip()
    # Python names the class with its module; Triton without.
    text = text.removeprefix(f"{type(error).__module__}.")
    return f"{text}\n\nAt:\n{''.join(places)}"
