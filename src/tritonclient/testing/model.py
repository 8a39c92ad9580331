"""`load_model`: a model without a server, called like a function."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..client.model_spec import ModelSpec
from ..client.options import InferOptions
from ..client.requests import TensorLike
from ..client.requests import request as make_request
from ..client.results import InferResult
from ..client.signatures import explains_arguments, explains_call
from ..errors import InferenceServerException
from ..server.core import InferenceServer
from ..server.repository.given import GivenModels
from .local import LocalClient

if TYPE_CHECKING:
    from typing_extensions import Unpack


@explains_arguments
class LocalModel:
    """A model of this process: `model(IN=array)["OUT"]`.

    It is executed on a thread of this process, so breakpoints, coverage and patches reach its
    code. Tests may import `triton_python_backend_utils` while it is open. Close it with `close()`
    or a `with` block, which calls its `finalize`.

    Attributes:
        name: the model's name.
        spec: the model's inputs and outputs, against which a call is checked.
        config: the completed configuration, as the server's clients see it.
    """

    def __init__(self, core: InferenceServer, name: str, version: str, held: ExitStack) -> None:
        self._core = core
        self._held = held
        self._client = LocalClient(core.handle)
        try:
            self._model = self._client.model(name, version)
            self.config: dict[str, Any] = self._client.model_config(name, version)
        except BaseException:
            self.close()
            raise
        self.name = name
        self.spec: ModelSpec = self._model.spec

    def __call__(self, /, *only: TensorLike, **inputs: TensorLike) -> InferResult:
        """Run the model; inputs are given by name, and an only one also without."""
        return self._model(*only, **inputs)

    def infer(
        self,
        inputs: Mapping[str, TensorLike],
        *,
        outputs: Iterable[str] | None = None,
        **options: Unpack[InferOptions],
    ) -> InferResult:
        """Run the model; takes the arguments of `Client.infer` that concern the request.

        Raises:
            TypeError, ValueError: an input or output is not the model's.
            InferenceServerException: the model failed; the message has its traceback.
        """
        names = None if outputs is None else list(outputs)
        return self._model.infer(inputs, outputs=names, **options)

    def stream(
        self,
        inputs: Mapping[str, TensorLike],
        *,
        outputs: Iterable[str] | None = None,
        **options: Any,
    ) -> Iterator[InferResult]:
        """Yield the responses of a decoupled model as it sends them; takes what `infer` takes.

        Closing the iterator cancels the request.
        """
        names = None if outputs is None else list(outputs)
        checked = self.spec.check(inputs, names)
        request = make_request(
            self.name, checked, version=self.spec.version, outputs=names, **options
        )
        for item in self._core.stream(request):
            if isinstance(item, InferenceServerException):
                raise item
            yield InferResult(item)

    def close(self) -> None:
        """Finalize the model; idempotent."""
        self._client.close()
        self._held.close()

    def __enter__(self) -> LocalModel:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<LocalModel {self.spec}>"


@explains_call
def load_model(
    path: str | os.PathLike[str], *, version: str = "", with_models: Iterable[str] = ()
) -> LocalModel:
    """Load a model into this process and return it; no port is opened.

    Args:
        path: the directory of a model, such as "repository/model", one of its versions, or a
            Python or ONNX file.
        version: one of its versions; "" for the highest.
        with_models: names of further models of the same repository that this one calls. Those of
            an ensemble are loaded in any case.

    Raises:
        ValueError: there is no model; the message says what is expected.
        ServerError: the model cannot be loaded; the message has the cause.
    """
    place = Path(path).absolute()
    if not place.exists():
        raise ValueError(f"'{path}' does not exist; expected the directory or the file of a model")
    folder = place.parent if place.is_file() else place
    if folder.name.isdecimal() and (place.is_dir() or place.stem == "model"):
        version = version or folder.name
        place = folder.parent
    with ExitStack() as stack:
        repository, name = place.parent, place.name
        if place.is_file():
            name = place.stem
            given = GivenModels({name: place})
            stack.callback(given.close)
            repository = given.directory
        core = InferenceServer(
            [repository],
            control_mode="explicit",
            load_models=[name, *with_models],
            in_process=True,
        )
        stack.callback(core.close)
        return LocalModel(core, name, version, stack.pop_all())
