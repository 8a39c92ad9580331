"""The old name of `tritonclient.grpc.service_pb2_grpc`."""

from tritonclient.classic.renamed import renamed

__getattr__ = renamed(__name__, "tritonclient.grpc.service_pb2_grpc")
