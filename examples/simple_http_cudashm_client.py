"""Adds and subtracts over HTTP with inputs and outputs in the memory of a GPU."""

import argparse
import sys

import numpy as np

import tritonclient.http as httpclient
import tritonclient.utils.cuda_shared_memory as cudashm

DEVICE = 0


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
    client.unregister_cuda_shared_memory()  # what an earlier program may have left

    first = np.arange(16, dtype=np.int32).reshape(1, 16)
    second = np.ones((1, 16), np.int32)
    size = first.nbytes

    regions = {}
    try:
        for name in ("INPUT0", "INPUT1", "OUTPUT0", "OUTPUT1"):
            regions[name] = cudashm.create_shared_memory_region(name, size, DEVICE)
            handle = cudashm.get_raw_handle(regions[name])
            client.register_cuda_shared_memory(name, handle, DEVICE, size)
        cudashm.set_shared_memory_region(regions["INPUT0"], [first])
        cudashm.set_shared_memory_region(regions["INPUT1"], [second])

        inputs = [httpclient.InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
        outputs = [httpclient.InferRequestedOutput(name) for name in ("OUTPUT0", "OUTPUT1")]
        for tensor in (*inputs, *outputs):
            tensor.set_shared_memory(tensor.name(), size)
        client.infer("simple", inputs, outputs=outputs)

        sums, differences = (
            cudashm.get_contents_as_numpy(regions[name], np.int32, [1, 16])
            for name in ("OUTPUT0", "OUTPUT1")
        )
        show(first, second, sums, differences)
        print(client.get_cuda_shared_memory_status())
        if len(cudashm.allocated_shared_memory_regions()) != 4:
            sys.exit("error: expected four regions to be allocated")
    finally:
        client.unregister_cuda_shared_memory()
        for region in regions.values():
            cudashm.destroy_shared_memory_region(region)
    if cudashm.allocated_shared_memory_regions():
        sys.exit("error: expected no region to be allocated any more")
    print("PASS: cuda shared memory")


if __name__ == "__main__":
    main()
