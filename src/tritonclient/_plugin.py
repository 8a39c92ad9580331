"""The classic name of the module of plugins."""

from .classic.plugins import InferenceServerClientPlugin

__all__ = ["InferenceServerClientPlugin"]
