"""Uses the generated gRPC API as it is: health, metadata, configuration and an inference."""

import argparse
import sys

import grpc

from tritonclient.grpc import service_pb2, service_pb2_grpc

# A model with one image for an input. The official program asks for densenet_onnx.
MODEL, INPUT, OUTPUT, SHAPE = "digits", "IMAGE", "PROBABILITIES", [1, 1, 8, 8]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="show what is sent")
    parser.add_argument("-u", "--url", default="localhost:8001", help="the server's address")
    arguments = parser.parse_args()
    channel = grpc.insecure_channel(arguments.url)
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)

    try:
        for answer in (
            stub.ServerLive(service_pb2.ServerLiveRequest()),
            stub.ServerReady(service_pb2.ServerReadyRequest()),
            stub.ModelReady(service_pb2.ModelReadyRequest(name=MODEL)),
            stub.ServerMetadata(service_pb2.ServerMetadataRequest()),
            stub.ModelMetadata(service_pb2.ModelMetadataRequest(name=MODEL)),
            stub.ModelConfig(service_pb2.ModelConfigRequest(name=MODEL)),
        ):
            print(answer)

        request = service_pb2.ModelInferRequest(model_name=MODEL, id="my request id")
        tensor = service_pb2.ModelInferRequest().InferInputTensor(
            name=INPUT, datatype="FP32", shape=SHAPE
        )
        request.inputs.append(tensor)
        output = service_pb2.ModelInferRequest().InferRequestedOutputTensor(name=OUTPUT)
        request.outputs.append(output)
        request.raw_input_contents.append(b"a" * 4 * 64)
        print(stub.ModelInfer(request))
    except grpc.RpcError as error:
        sys.exit(f"error: {error.details()}")
    print("PASS")


if __name__ == "__main__":
    main()
