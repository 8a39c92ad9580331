"""Uses the generated gRPC API as it is: health, metadata, configuration and an inference."""

import argparse
import sys
from math import prod

import grpc
import numpy as np

from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import triton_to_np_dtype


def make_request(metadata):
    """A request whose inputs hold the letter a, which says nothing to any model."""
    request = service_pb2.ModelInferRequest(model_name=metadata.name, id="my request id")
    for tensor in metadata.inputs:
        shape = [max(size, 1) for size in tensor.shape]  # -1 stands for any size
        request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=shape)
        size = prod(shape) * np.dtype(triton_to_np_dtype(tensor.datatype)).itemsize
        request.raw_input_contents.append(b"a" * size)
    for tensor in metadata.outputs:
        request.outputs.add(name=tensor.name)
    return request


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="show what is sent")
    parser.add_argument(
        "-u",
        "--url",
        type=lambda url: url.split("://")[-1],
        default="localhost:8001",
        help="the server's address",
    )
    # The official program always asks for densenet_onnx.
    parser.add_argument("-m", "--model-name", default="digits", help="a model that takes numbers")
    arguments = parser.parse_args()
    channel = grpc.insecure_channel(arguments.url)
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)

    try:
        print(stub.ServerLive(service_pb2.ServerLiveRequest()))
        print(stub.ServerReady(service_pb2.ServerReadyRequest()))
        print(stub.ModelReady(service_pb2.ModelReadyRequest(name=arguments.model_name)))
        print(stub.ServerMetadata(service_pb2.ServerMetadataRequest()))
        metadata = stub.ModelMetadata(service_pb2.ModelMetadataRequest(name=arguments.model_name))
        print(metadata)
        print(stub.ModelConfig(service_pb2.ModelConfigRequest(name=arguments.model_name)))

        request = make_request(metadata)
        if arguments.verbose:
            print(request)
        print(stub.ModelInfer(request))
    except grpc.RpcError as error:
        sys.exit(f"error: {error.details()}")
    print("PASS")


if __name__ == "__main__":
    main()
