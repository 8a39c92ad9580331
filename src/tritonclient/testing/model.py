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
from ..client.request_checks import check_texts
from ..client.requests import TensorLike
from ..client.requests import request as make_request
from ..client.results import InferResult
from ..client.signatures import explains_arguments, explains_call
from ..client.suggestions import MODEL_NAMES, meant, no_attribute, not_picklable
from ..errors import InferenceServerException
from ..server.backends.function.model import FunctionModel
from ..server.core import InferenceServer
from ..server.repository.given import GivenModels
from ..server.repository.layout import repository_problem
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
        self._closed = False
        self._client = LocalClient(core.handle)
        try:
            self._model = self._client.model(name, version)
            self.config: dict[str, Any] = self._client.model_config(name, version)
        except BaseException:
            self.close()
            raise
        self.name = name
        self.spec: ModelSpec = self._model.spec

    if not TYPE_CHECKING:  # a type checker would take it that there is any name

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(self, name, {**MODEL_NAMES, "submit": "infer", "map": "infer"})

    def __reduce__(self) -> Any:
        raise not_picklable(self, "it runs in this process", "load it in each process")

    def __call__(self, /, *only: TensorLike, **inputs: TensorLike) -> InferResult:
        """Run the model; inputs are given by name, and an only one also without."""
        self._check_open()
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
        self._check_open()
        names = outputs if outputs is None or isinstance(outputs, str) else list(outputs)
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
        self._check_open()
        names = outputs if outputs is None or isinstance(outputs, str) else list(outputs)
        checked = self.spec.check(inputs, names)
        request = make_request(
            self.name, checked, version=self.spec.version, outputs=names, **options
        )
        for item in self._core.stream(request):
            if isinstance(item, InferenceServerException):
                raise item
            yield InferResult(item)

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError(
                f"the model {self.name!r} is closed; load it again, or call it before close() and "
                "inside of its `with` block"
            )

    def close(self) -> None:
        """Finalize the model; idempotent."""
        self._closed = True
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
    _check_arguments(path, version, with_models)
    place = Path(path).absolute()
    if not place.exists():
        raise ValueError(f"'{path}' does not exist; expected the directory or the file of a model")
    if place.name == "config.pbtxt":
        raise ValueError(f"'{path}' configures a model; give its directory: '{place.parent}'")
    if place.is_dir() and (problem := repository_problem(place)):
        raise ValueError(problem)
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
        _check_names(with_models, repository)
        core = InferenceServer(
            [repository],
            control_mode="explicit",
            load_models=[name, *with_models],
            in_process=True,
        )
        stack.callback(core.close)
        return LocalModel(core, name, version, stack.pop_all())


def _check_arguments(path: Any, version: Any, with_models: Any) -> None:
    if callable(path) or isinstance(path, FunctionModel):
        raise TypeError(
            f"path is {path!r:.60}, expected the directory or the file of a model; a function is "
            'served by FaultServer(models={"name": function})'
        )
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise TypeError(f"path is {path!r:.60}, expected the directory or the file of a model")
    check_texts(version=version)
    if isinstance(with_models, str) or not isinstance(with_models, Iterable):
        raise TypeError(f"with_models is {with_models!r:.60}, expected a list of names of models")


def _check_names(names: Iterable[str], repository: Path) -> None:
    """Raise ValueError for a name that no directory of a repository has."""
    there = [each.name for each in repository.iterdir() if each.is_dir()]
    for name in names:
        if name not in there:
            raise ValueError(
                f"with_models has {name!r}, which is not in '{repository}'{meant(str(name), there)}"
            )
