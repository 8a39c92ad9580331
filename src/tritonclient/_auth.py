"""The classic name of the module of basic authentication."""

from typing import TYPE_CHECKING

from .classic.lazy_names import lazy_names
from .classic.plugins import BasicAuth

__all__ = ["BasicAuth"]


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = lazy_names(__name__)
