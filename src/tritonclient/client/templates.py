"""Request templates: encoded calls without their tensors, for further calls of the same form.

Programs call the same model again and again, with arrays of the same datatypes and shapes. Such a
call differs from an earlier one in its data only. All else, from the checks to the encoded heads,
is kept as a template. Without templates a small call takes a third more processor time.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from ..messages import Request
from ..transport.call import Call

C = TypeVar("C", bound="Call[Any]")

#: Templates of one client.
MAX_TEMPLATES = 256
#: Bytes of the heads of one template.
_LARGEST_TEMPLATE = 16 * 1024


class TemplateCache(Generic[C]):
    """The request templates of one client, bounded in number and in size.

    They contain the client's own headers, and live as long as the client.

    Attributes:
        get: returns the template of a key, or None.
    """

    def __init__(self) -> None:
        self._templates: dict[Any, C] = {}
        self.get = self._templates.get  # the dictionary's own, for speed

    def __len__(self) -> int:
        return len(self._templates)

    def store(self, key: Any, call: C, request: Request[Any]) -> None:
        """Keep a call as a template, if it is small.

        Args:
            key: all that the call has in common with those made of the template.
            request: the call's request without tensors.
        """
        template = call.without_data(request)
        if template.head_size <= _LARGEST_TEMPLATE:
            if len(self._templates) >= MAX_TEMPLATES:
                self._templates.clear()
            self._templates[key] = template  # type: ignore[assignment]
