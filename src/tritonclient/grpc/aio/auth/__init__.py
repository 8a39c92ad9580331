"""Ready-made plugins that say who asks."""

from ....classic.plugins import BasicAuth

__all__ = ["BasicAuth"]
