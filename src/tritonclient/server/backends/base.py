"""`Backend`, instances and `ModelSource`: what every backend provides and receives."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ..config.reading import ModelConfig
from ..jobs.host import Host
from ..jobs.job import Job
from ..telemetry.statistics import Stopwatch
from .execution import Execution, Result

if TYPE_CHECKING:
    from ..loop import ServerLoop
    from .function.model import FunctionModel


#: What the code of a model may raise; as in Triton, it cannot end the server. It never runs on the
#: main thread, so KeyboardInterrupt is the model's own, and so are classes such as that of
#: `pytest.fail`, which are no `Exception`.
RAISED = BaseException


class Instance(Protocol):
    """One instance of a model: a `LocalInstance` or a `RemoteInstance`."""

    def begin(self, execution: Execution) -> None:
        """Execute a batch, or begin it without waiting for its results; it may fail at once."""

    def close(self) -> None:
        """Release what the instance holds; it executes no more."""

    def is_ready(self) -> bool:
        """Return False if the model says that it is not ready; called on any thread."""
        return True

    def why_restarted(self) -> str:
        """Return why the instance was started again last; "" if it was not."""
        return ""


class LocalInstance(Instance):
    """An instance that executes one batch at a time, on the thread that made it."""

    def begin(self, execution: Execution) -> None:
        """Execute a batch and end it."""
        try:
            results = self.execute(execution.jobs, execution.watch)
        except Exception as error:
            execution.fail(error)
        else:
            execution.finish(results)

    @abstractmethod
    def execute(self, jobs: Sequence[Job], watch: Stopwatch) -> Sequence[Result]:
        """Return a result for each job; an exception fails all of them.

        Args:
            watch: takes a lap when the inputs are ready and another when the outputs are.
        """


class RemoteInstance(Instance):
    """An instance that executes batches elsewhere, in the order in which they begin.

    Attributes:
        on_room: called when `room` may have grown; set by whatever begins batches.
    """

    on_room: Callable[[], None] = staticmethod(lambda: None)

    @abstractmethod
    def begin(self, execution: Execution) -> None:
        """Begin a batch without waiting for its results, or fail it; on any thread."""

    @abstractmethod
    def room(self) -> int:
        """Return how many batches may be in work.

        More than one is worth it if they take less time than a message about the next.
        """


#: Whether Python models are executed in this process unless the server is asked: only where there
#: are no processes that share sockets with others, such as on Windows.
IN_PROCESS = os.name != "posix"

InstanceFactory: TypeAlias = Callable[[], Instance]


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A version of a model to be loaded.

    Attributes:
        directory: the model's directory, which holds a directory per version.
        config: the completed configuration; a backend may complete it further.
        host: the server, for models that execute other models.
        loop: reads what the processes of models send.
        function: the function that the backend "function" executes; None for other models.
        in_process: True to execute Python models in this process; False for a process per instance.
        python: the interpreter of those processes; "" for that of this process.
    """

    name: str
    version: int
    directory: Path
    config: ModelConfig
    host: Host
    loop: ServerLoop
    function: FunctionModel | None = None
    in_process: bool = IN_PROCESS
    python: str = ""

    @property
    def path(self) -> Path:
        """The model's file."""
        return self.directory / str(self.version) / str(self.config.default_model_filename)


class Backend(Protocol):
    """Makes the instances of one version of a model."""

    def close(self) -> None:
        """Release what loading needed; called when the instances are made, or the load failed."""
        return

    def complete(self, source: ModelSource) -> None:
        """Fill in the parts of the configuration that can be read from the model."""

    def instances(self, source: ModelSource, config: dict[str, Any]) -> list[InstanceFactory]:
        """Return a factory for each instance that the configuration asks for.

        Args:
            config: the completed configuration in its JSON form.
        """
        ...
