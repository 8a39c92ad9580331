"""Uses the generated gRPC API, with texts in the messages' typed contents."""

import argparse
import sys

import grpc

from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import deserialize_bytes_tensor


def make_request():
    request = service_pb2.ModelInferRequest(model_name="simple_string")
    for name, values in (("INPUT0", (str(n).encode() for n in range(16))), ("INPUT1", [b"1"] * 16)):
        tensor = request.inputs.add(name=name, datatype="BYTES", shape=[1, 16])
        tensor.contents.bytes_contents.extend(values)
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
        [int(item) for item in deserialize_bytes_tensor(data)]
        for data in response.raw_output_contents
    )
    for number, total, difference in zip(range(16), sums, differences):
        print(f"{number} + 1 = {total}")
        print(f"{number} - 1 = {difference}")
        if number + 1 != total or number - 1 != difference:
            sys.exit("error: incorrect sum or difference")
    print("PASS: explicit string")


if __name__ == "__main__":
    main()
