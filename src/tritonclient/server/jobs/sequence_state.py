"""`SequenceState`: the implicit state of one sequence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .tensor import Tensor


class SequenceState:
    """Outputs of a request of a sequence that are inputs of the next one.

    Args:
        initial: the inputs of the first request, by the names of the outputs that replace them.
    """

    def __init__(self, initial: Mapping[str, Tensor]) -> None:
        self._initial = initial
        self._current = dict(initial)

    @property
    def outputs(self) -> Iterable[str]:
        """The names of the outputs to keep."""
        return self._initial.keys()

    def inputs(self) -> list[Tensor]:
        """Return the inputs of the next request."""
        return list(self._current.values())

    def reset(self) -> None:
        """Return to the inputs of the first request."""
        self._current = dict(self._initial)

    def keep(self, outputs: Iterable[Tensor]) -> None:
        """Keep those outputs of a request that are state."""
        for each in outputs:
            if each.name in self._current:
                # A view would keep the outputs of a whole batch.
                array = each.array if each.array.base is None else each.array.copy()
                self._current[each.name] = self._initial[each.name]._replace(array=array)
