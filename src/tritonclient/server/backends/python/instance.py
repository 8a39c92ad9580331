"""`PythonInstance`: a `TritonPythonModel` object, executed where this is."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Coroutine, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .... import errors
from ...jobs.host import Host
from ...jobs.job import Job
from ...jobs.response import Response
from ...telemetry.statistics import Stopwatch
from ..base import RAISED, LocalInstance
from ..execution import RESCHEDULED, Result
from .loader import LoadedModel, describe_error, model_errors
from .pb_utils import module as pb_utils
from .pb_utils.request import InferenceRequest
from .pb_utils.response import parameters_of, result

if TYPE_CHECKING:
    from .event_loop import InstanceLoop

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InstanceSource:
    """What an instance is made from.

    Attributes:
        name: the name of the instance.
        model: the name of the model.
        directory: the model's directory.
        path: the model's file.
        config: the completed configuration in its JSON form.
        package: the name of the package of its modules; by default one that no other has.
    """

    name: str
    model: str
    version: int
    directory: Path
    path: Path
    config: dict[str, Any]
    package: str = ""


class PythonInstance(LocalInstance):
    """An instance in this process.

    Args:
        host: the server, for models that execute other models.
    """

    def __init__(self, source: InstanceSource, host: Host) -> None:
        self._name = source.name
        self._decoupled = pb_utils.using_decoupled_model_transaction_policy(source.config)
        arguments = {
            "model_config": json.dumps(source.config, separators=(",", ":")),
            "model_instance_kind": "CPU",
            "model_instance_name": source.name,
            "model_instance_device_id": "0",
            "model_repository": str(source.directory),
            "model_version": str(source.version),
            "model_name": source.model,
        }
        self._loop: InstanceLoop | None = None
        self._loaded = LoadedModel(source.path, host, source.package)
        self._request = self._loaded.utils.InferenceRequest
        with self._loaded.loading(), model_errors():
            self._model = self._loaded.python_class()()
            if hasattr(self._model, "initialize"):
                self._model.initialize(arguments)
        self._request.may_call = True

    def execute(self, jobs: Sequence[Job], watch: Stopwatch) -> list[Result]:
        requests = [self._request.of(job) for job in jobs]
        watch.lap()
        if not hasattr(self._model, "execute"):
            raise self._failure(
                f"Python model {self._loaded.path} does not implement `execute` method."
            )
        try:
            responses = self._model.execute(requests)
            if isinstance(responses, Coroutine):
                responses = self._await(responses, jobs)
        except RAISED as error:
            raise self._failure(describe_error(error)) from error
        watch.lap()
        return self._results(requests, responses)

    def _await(self, coroutine: Coroutine[Any, Any, Any], jobs: Sequence[Job]) -> Any:
        """Return the result of a coroutine; that of a decoupled model is not waited for.

        So batches of a decoupled model overlap. If its coroutine raises, the requests that still
        wait for responses fail.
        """
        if not self._decoupled:
            return self._event_loop().result(coroutine)

        def failed(error: BaseException) -> None:
            failure = self._failure(describe_error(error))
            _log.error("%s", failure.message())
            for job in jobs:
                job.send(error=failure, final=True)

        self._event_loop().start(coroutine, failed)
        return None

    def _event_loop(self) -> InstanceLoop:
        if self._loop is None:
            # asyncio is imported for models that need it only.
            from .event_loop import InstanceLoop

            self._loop = InstanceLoop(self._name)
        return self._loop

    def _results(self, requests: list[InferenceRequest], responses: Any) -> list[Result]:
        again = [request.is_rescheduled() for request in requests]
        if self._decoupled:
            if responses is not None:
                raise self._failure(
                    f"Python model '{self._name}' is using the decoupled mode and the execute "
                    "function must return None."
                )
            return [RESCHEDULED if each else None for each in again]
        asked = [request.uses_sender() for request in requests]
        if responses is None and all(asked):
            return [None] * len(requests)
        if not isinstance(responses, list):
            raise self._failure(
                f"Expected a list in the execute return, found type '{type(responses)}'."
            )
        if len(responses) != len(requests):
            raise self._failure(
                "Number of InferenceResponse objects do not match the number of InferenceRequest "
                f"objects. InferenceRequest(s) size is:{len(requests)}, and InferenceResponse(s) "
                f"size is:{len(responses)}\n"
            )
        return [self._result(*each) for each in zip(responses, asked, again, strict=True)]

    def _result(self, response: Any, uses_sender: bool, again: bool) -> Result:
        if response is None and again:
            return RESCHEDULED
        if response is None and uses_sender:
            return None
        if not isinstance(response, pb_utils.InferenceResponse):
            raise self._failure(
                "Expected an 'InferenceResponse' object in the execute function return list, "
                f"found type '{type(response)}'."
            )
        if again:
            raise self._failure(
                "a request that is rescheduled needs None in the list that execute returns"
            )
        try:
            outcome, parameters = result(response), parameters_of(response)
        except Exception as error:  # of `str()` of an object, for instance
            raise self._failure(describe_error(error)) from error
        if isinstance(outcome, errors.InferenceServerException):
            return Response(error=outcome)
        return Response(tuple(outcome), parameters=parameters) if parameters else outcome

    def _failure(self, text: str) -> errors.Internal:
        return errors.Internal(
            f"Failed to process the request(s) for model '{self._name}', message: {text}", "500"
        )

    @property
    def has_is_ready(self) -> bool:
        """True if the model has the method `is_ready`."""
        return hasattr(self._model, "is_ready")

    def is_ready(self) -> bool:
        """Ask the model's `is_ready`, if it has one; what it raises means that it is not ready."""
        if not self.has_is_ready:
            return True
        try:
            ready = self._model.is_ready()
            return bool(self._event_loop().result(ready) if isinstance(ready, Coroutine) else ready)
        except RAISED as error:
            _log.error("is_ready of '%s' failed: %s", self._name, describe_error(error))
            return False

    def close(self) -> None:
        loop: AbstractContextManager[object] = (
            contextlib.closing(self._loop) if self._loop else contextlib.nullcontext()
        )
        with contextlib.closing(self._loaded), loop, model_errors():
            self._request.may_call = False
            if hasattr(self._model, "finalize"):
                self._model.finalize()
