"""`ModelInfo`: the interface of a served model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...errors import Internal
from ..config.specification import Specification
from .tensor import Tensor


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The interface of one version of a model.

    Attributes:
        max_batch_size: 0 for a model without a batch dimension.
        inputs: by name, in the order of the configuration.
        outputs: by name, in the order of the configuration.
        decoupled: True if it may send any number of responses to a request.
        labels: class names of each output that has a label file.
        counts_inputs: True if a request needs as many inputs as are required, of any names: as in
            Triton, the model sees which are there. False if it needs each required input.
    """

    name: str
    version: int
    max_batch_size: int
    inputs: Mapping[str, Specification]
    outputs: Mapping[str, Specification]
    decoupled: bool
    labels: Mapping[str, tuple[str, ...]]
    counts_inputs: bool = False

    @property
    def batches(self) -> bool:
        """True if its tensors have a batch dimension."""
        return self.max_batch_size > 0

    def select_outputs(
        self, tensors: Iterable[Tensor], wanted: Sequence[str]
    ) -> tuple[Tensor, ...]:
        """Return the wanted outputs, in the shapes that clients see.

        Raises:
            Internal: the model returned an output of another size.
        """
        return tuple(self._reshape_output(each) for each in tensors if each.name in wanted)

    def _reshape_output(self, tensor: Tensor) -> Tensor:
        expected = self.outputs[tensor.name]
        if expected.reshape is None:
            return tensor
        array = tensor.array
        shape = array.shape[:1] + expected.shape if self.batches else expected.shape
        try:
            return tensor._replace(array=array.reshape(shape))
        except ValueError as error:
            raise Internal(f"output '{tensor.name}' of '{self.name}': {error}", "500") from error
