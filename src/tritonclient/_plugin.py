"""The classic name of the module of plugins."""

from typing import TYPE_CHECKING

from .classic.lazy_names import lazy_names
from .classic.plugins import InferenceServerClientPlugin

__all__ = ["InferenceServerClientPlugin"]


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = lazy_names(__name__)
