"""Makes a client for each of many requests; who watches its memory should see no growth."""

import argparse
import sys

import numpy as np

import tritonclient.grpc as grpcclient
import tritonclient.http as httpclient


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="show what is sent")
    parser.add_argument(
        "-u", "--url", type=lambda url: url.split("://")[-1], help="the server's address"
    )
    parser.add_argument(
        "-i", "--protocol", type=str.lower, choices=("http", "grpc"), default="http"
    )
    parser.add_argument("-r", "--repetitions", type=int, default=100, help="how many requests")
    arguments = parser.parse_args()
    grpc = arguments.protocol == "grpc"
    module = grpcclient if grpc else httpclient
    url = arguments.url or ("localhost:8001" if grpc else "localhost:8000")

    array = np.arange(16, dtype=np.int32).reshape(1, 16)
    for _ in range(arguments.repetitions):
        with module.InferenceServerClient(url, verbose=arguments.verbose) as client:
            tensor = module.InferInput("INPUT0", array.shape, "INT32")
            tensor.set_data_from_numpy(array)
            result = client.infer("custom_identity_int32", [tensor])
            if not np.array_equal(result.as_numpy("OUTPUT0"), array):
                sys.exit("error: an incorrect answer")


if __name__ == "__main__":
    main()
