"""The classic name of the module of what clients that take a plugin have in common."""

from typing import TYPE_CHECKING

from .classic.lazy_names import lazy_names
from .classic.plugins import InferenceServerClientBase

__all__ = ["InferenceServerClientBase"]


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = lazy_names(__name__)
