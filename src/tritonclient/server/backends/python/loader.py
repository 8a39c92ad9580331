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
from ..base import Source
from .pb_utils import module as pb_utils

#: `sys.path` and `sys.modules` are shared, so one model is imported at a time.
_importing = threading.RLock()


#: What a model's code may raise; Triton's models can't end the server either.
RAISED = (Exception, SystemExit)


def model_class(source: Source) -> Any:
    """The class in a new module made from the model's file; nothing is cached beside it."""
    path = source.path
    module = ModuleType("model")
    module.__file__ = str(path)
    with model_errors():
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    if not hasattr(module, "TritonPythonModel"):
        raise ValueError(f"'{path}' has no class TritonPythonModel")
    return module.TritonPythonModel


@contextlib.contextmanager
def model_import_scope(source: Source) -> Iterator[Any]:
    """Make the model's directory importable, and forget afterwards what came from there.

    Gives what the model imports as `triton_python_backend_utils`.
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
    """Turn whatever a model's code raises outside of `execute` into the reason of its failure."""
    try:
        yield
    except errors.ServerError:
        raise
    except RAISED as error:
        raise errors.ServerError(f"Internal: {describe_error(error)}", "400") from error


#: Files whose frames are not part of the model.
_OWN_FILES = {__file__, str(Path(__file__).with_name("backend.py")), contextlib.__file__}


def describe_error(error: BaseException) -> str:
    """An error and where it came from in the model's own code, innermost first."""
    places = [
        f"  {frame.filename}({frame.lineno}): {frame.name}\n"
        for frame in reversed(traceback.extract_tb(error.__traceback__))
        if frame.filename not in _OWN_FILES
    ]
    text = "".join(traceback.format_exception_only(type(error), error)).strip()
    # A class of a module is named with it; Triton gives the bare name.
    text = text.removeprefix(f"{type(error).__module__}.")
    return f"{text}\n\nAt:\n{''.join(places)}"
