"""The old name of `tritonclient.utils`."""

from tritonclient.classic.renamed import renamed

__getattr__ = renamed(__name__, "tritonclient.utils")
