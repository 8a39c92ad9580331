"""Headers of requests that become request parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from ...messages import Infer
from ...operations import RESERVED_PARAMETERS, RESERVED_PREFIX

#: The prefix of a pattern that distinguishes upper and lower case.
EXACT = "(?-i)"


class HeaderForwarding:
    """Adds the headers that match a pattern to the parameters of a request.

    Args:
        pattern: a regular expression that is searched in the names of headers, as in Triton in
            any case unless it begins with "(?-i)"; "" to forward nothing.

    Raises:
        ValueError: it is not a regular expression.
    """

    def __init__(self, pattern: str) -> None:
        if not isinstance(pattern, str):
            raise TypeError(
                f"forwarded_headers is {pattern!r:.80}, expected str, a regular expression such as "
                "'authorization|x-user'"
            )
        try:
            # Python has no flag in a pattern that ends another one.
            exact = pattern.startswith(EXACT)
            text, flags = pattern.removeprefix(EXACT), 0 if exact else re.IGNORECASE
            self._pattern = re.compile(text, flags) if pattern else None
        except re.error as error:
            raise ValueError(
                f"forwarded_headers is {pattern!r}, which is not a regular expression: {error}"
            ) from error

    def __bool__(self) -> bool:
        return self._pattern is not None

    def apply(self, request: Infer, headers: Iterable[tuple[str, str | bytes]]) -> Infer:
        """Return the request with the headers that match; they replace its own parameters."""
        if self._pattern is None:
            return request
        found = {
            name: value if isinstance(value, str) else value.decode("latin-1")
            for name, value in headers
            if self._pattern.search(name) and not _is_reserved(name)
        }
        if not found:
            return request
        return replace(request, parameters={**request.parameters, **found})


def _is_reserved(name: str) -> bool:
    """Return True for a name that means something as a parameter, which a header must not set."""
    return name in RESERVED_PARAMETERS or name.startswith(RESERVED_PREFIX)
