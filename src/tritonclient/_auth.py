"""The classic name of the module of basic authentication."""

from .classic.plugins import BasicAuth

__all__ = ["BasicAuth"]
