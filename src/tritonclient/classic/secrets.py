"""Masking of secrets in the headers and URLs that `verbose` prints.

`verbose=True` masks them. A collection of names instead of True, such as
`verbose=["authorization"]`, shows the values of these as well.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

#: False, True, or the names of secret headers and query parameters to show.
Verbose: TypeAlias = "bool | Collection[str]"

_MASK = "***"
#: Names of secrets; "WWW-Authenticate" is a question.
_SECRET = re.compile(r"auth(?!enticate)|cookie|token|secret|key|passw|credential", re.IGNORECASE)
_PARAMETER = re.compile("([?&])([^=&]*)=([^&]*)")


def masked(headers: Mapping[Any, Any], verbose: Verbose) -> dict[Any, Any]:
    """Return headers as `verbose` shows them."""
    return {name: _MASK if _is_secret(name, verbose) else value for name, value in headers.items()}


def masked_target(target: str, verbose: Verbose) -> str:
    """Return a path with its query as `verbose` shows it."""

    def replaced(match: re.Match[str]) -> str:
        mark, name, value = match.groups()
        return f"{mark}{name}={_MASK if _is_secret(name, verbose) else value}"

    return _PARAMETER.sub(replaced, target)


def _is_secret(name: Any, verbose: Verbose) -> bool:
    text = name.decode("latin-1") if isinstance(name, bytes) else str(name)
    if _SECRET.search(text) is None:
        return False
    named = [verbose] if isinstance(verbose, str) else verbose
    if isinstance(named, Collection):
        return text.lower() not in [each.lower() for each in named]
    return True
