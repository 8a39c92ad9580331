"""The classic name of the module of what clients that take a plugin have in common."""

from .classic.plugins import InferenceServerClientBase

__all__ = ["InferenceServerClientBase"]
