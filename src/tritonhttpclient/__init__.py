"""The old name of `tritonclient.http`."""

from tritonclient.classic.renamed import renamed

__getattr__ = renamed(__name__, "tritonclient.http")
