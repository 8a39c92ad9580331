"""The old name of `tritonclient.grpc`."""

from tritonclient.classic.renamed import renamed

__getattr__ = renamed(__name__, "tritonclient.grpc")
