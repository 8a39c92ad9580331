"""Adds and subtracts over HTTP with inputs and outputs in system shared memory."""

import argparse
import sys

import numpy as np

import tritonclient.http as httpclient
import tritonclient.utils.shared_memory as shm


def show(first, second, sums, differences):
    """Print each sum and difference; end the program when one is wrong."""
    for a, b, total, difference in zip(first[0], second[0], sums[0], differences[0]):
        print(f"{a} + {b} = {total}")
        print(f"{a} - {b} = {difference}")
        if a + b != total or a - b != difference:
            sys.exit("error: incorrect sum or difference")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="show what is sent")
    parser.add_argument(
        "-u",
        "--url",
        type=lambda url: url.split("://")[-1],
        default="localhost:8000",
        help="the server's address",
    )
    arguments = parser.parse_args()
    client = httpclient.InferenceServerClient(arguments.url, verbose=arguments.verbose)
    client.unregister_system_shared_memory()  # what an earlier program may have left

    first = np.arange(16, dtype=np.int32).reshape(1, 16)
    second = np.ones((1, 16), np.int32)
    size = first.nbytes

    # One region for both inputs, one for both outputs; the second tensor lies behind the first.
    input_region = shm.create_shared_memory_region("input_data", "/input_simple", 2 * size)
    output_region = shm.create_shared_memory_region("output_data", "/output_simple", 2 * size)
    try:
        shm.set_shared_memory_region(input_region, [first, second])
        client.register_system_shared_memory("input_data", "/input_simple", 2 * size)
        client.register_system_shared_memory("output_data", "/output_simple", 2 * size)

        inputs = [httpclient.InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
        outputs = [httpclient.InferRequestedOutput(name) for name in ("OUTPUT0", "OUTPUT1")]
        for index, tensor in enumerate(inputs):
            tensor.set_shared_memory("input_data", size, offset=index * size)
        for index, output in enumerate(outputs):
            output.set_shared_memory("output_data", size, offset=index * size)
        client.infer("simple", inputs, outputs=outputs)

        sums, differences = (
            shm.get_contents_as_numpy(output_region, np.int32, [1, 16], offset=index * size).copy()
            for index in range(2)
        )
        show(first, second, sums, differences)
        print(client.get_system_shared_memory_status())
        if len(shm.mapped_shared_memory_regions()) != 2:
            sys.exit("error: expected two regions to be mapped")
    finally:
        client.unregister_system_shared_memory()
        shm.destroy_shared_memory_region(input_region)
        shm.destroy_shared_memory_region(output_region)
    if shm.mapped_shared_memory_regions():
        sys.exit("error: expected no region to be mapped any more")
    print("PASS: system shared memory")


if __name__ == "__main__":
    main()
