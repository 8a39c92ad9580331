"""The old name of `tritonclient.grpc.model_config_pb2`."""

from tritonclient.classic.renamed import renamed

__getattr__ = renamed(__name__, "tritonclient.grpc.model_config_pb2")
