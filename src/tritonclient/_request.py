"""The classic name of the module of requests as plugins see them."""

from .classic.plugins import Request

__all__ = ["Request"]
