"""Import `model.py` files, each isolated from those of other models."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .... import errors
from ...jobs.host import Host
from ..base import RAISED
from .packages import ModelPackage
from .pb_utils import module as pb_utils


class LoadedModel:
    """The class of a `model.py`, in a package of its own until `close`.

    Args:
        path: the model's file.
        host: the server, for models that execute other models.
        package: the name of its package; by default one that no other has.

    Attributes:
        utils: the module that the model imports as `triton_python_backend_utils`.
    """

    def __init__(self, path: Path, host: Host, package: str = "") -> None:
        self.path = path
        home = path.parent
        self.utils: Any = pb_utils.of_model(host, str(home))
        name = self.utils.__name__
        self._package = ModelPackage(home, {name: self.utils}, {name: pb_utils}, package)

    def python_class(self) -> Any:
        """Return `TritonPythonModel` of a new module."""
        with model_errors():
            module = self._package.load(self.path)
        if not hasattr(module, "TritonPythonModel"):
            raise errors.ServerError(
                f"Internal: AttributeError: module '{self.path.parent.name}.{self.path.stem}' has "
                "no attribute 'TritonPythonModel'",
                "400",
            )
        return module.TritonPythonModel

    def close(self) -> None:
        """Forget the modules of the model."""
        self._package.close()
        pb_utils.close(self.utils)

    @contextlib.contextmanager
    def loading(self) -> Iterator[None]:
        """Give libraries that are imported meanwhile this model's `triton_python_backend_utils`.

        An error closes the model.
        """
        name = self.utils.__name__
        if sys.modules.get(name) is pb_utils:
            sys.modules[name] = self.utils
        try:
            yield
        except BaseException:
            self.close()
            raise
        finally:
            self._package.forget_plain_names()
            if sys.modules.get(name) is self.utils:
                self._package.share()


@contextlib.contextmanager
def model_errors() -> Iterator[None]:
    """Raise errors of the model's code outside of `execute` as ServerError."""
    try:
        yield
    except errors.ServerError:
        raise
    except RAISED as error:
        raise errors.ServerError(f"Internal: {describe_error(error)}", "400") from error


#: The folder whose frames are left out of the tracebacks that clients see.
_OWN_FOLDER = f"{Path(__file__).parent}{os.sep}"


def describe_error(error: BaseException) -> str:
    """Return an error's text and its traceback in the model's code, innermost frame first."""
    places = [
        f"  {frame.filename}({frame.lineno}): {frame.name}\n"
        for frame in reversed(traceback.extract_tb(error.__traceback__))
        if not frame.filename.startswith((_OWN_FOLDER, contextlib.__file__, "<frozen importlib"))
    ]
    text, why = _text_of(error)
    at = f"\n\nAt:\n{''.join(places)}" if places else ""
    return f"{type(error).__name__}: {text}{at}{why}"


def _text_of(error: BaseException) -> tuple[str, str]:
    """Return the text of an error in Triton's way, and why it has none."""
    try:
        text = str(error) or "<EMPTY MESSAGE>"
    except RAISED as another:
        why = f"\nMESSAGE UNAVAILABLE DUE TO EXCEPTION: {type(another).__name__}"
        if type(another) is not type(error):  # its text could fail in the same way for ever
            why = f"\nMESSAGE UNAVAILABLE DUE TO EXCEPTION: {describe_error(another)}"
        return "<MESSAGE UNAVAILABLE DUE TO ANOTHER EXCEPTION>", why
    # Half a pair of surrogates, as in names of files that are not UTF-8, cannot be sent.
    return text.encode(errors="backslashreplace").decode(), ""
