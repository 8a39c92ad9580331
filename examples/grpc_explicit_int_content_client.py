"""Uses the generated gRPC API, with numbers in the messages' typed contents."""

import argparse
import sys

import grpc
import numpy as np

from tritonclient.grpc import service_pb2, service_pb2_grpc


def make_request():
    request = service_pb2.ModelInferRequest(model_name="simple")
    for name, values in (("INPUT0", range(16)), ("INPUT1", [1] * 16)):
        tensor = request.inputs.add(name=name, datatype="INT32", shape=[1, 16])
        tensor.contents.int_contents.extend(values)
    for name in ("OUTPUT0", "OUTPUT1"):
        request.outputs.add(name=name)
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
    arguments = parser.parse_args()
    channel = grpc.insecure_channel(arguments.url)
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    request = make_request()
    if arguments.verbose:
        print(request)
    response = stub.ModelInfer(request)
    sums, differences = (
        np.frombuffer(data, np.int32).tolist() for data in response.raw_output_contents
    )
    for number, total, difference in zip(range(16), sums, differences):
        print(f"{number} + 1 = {total}")
        print(f"{number} - 1 = {difference}")
        if number + 1 != total or number - 1 != difference:
            sys.exit("error: incorrect sum or difference")

    # A request has either typed or raw contents.
    request = make_request()
    request.raw_input_contents.append(bytes(64))
    try:
        stub.ModelInfer(request)
    except grpc.RpcError as error:
        if "contents field must not be specified when using raw_input_contents" not in str(
            error.details()
        ):
            sys.exit(f"error: the server refused in other words than expected: {error.details()}")
    else:
        sys.exit("error: a request with both kinds of contents was answered")
    print("PASS: explicit int")


if __name__ == "__main__":
    main()
