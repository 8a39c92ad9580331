"""Uses the same inputs and outputs with shared memory, without it, and with it again."""

import argparse
import sys

import numpy as np

import tritonclient.grpc as grpcclient
import tritonclient.http as httpclient
import tritonclient.utils.shared_memory as shm

FIRST = np.arange(16, dtype=np.int32).reshape(1, 16)
SECOND = np.ones((1, 16), np.int32)
SIZE = FIRST.nbytes


def show(first, second, sums, differences):
    """Print each sum and difference; end the program when one is wrong."""
    for a, b, total, difference in zip(first[0], second[0], sums[0], differences[0]):
        print(f"{a} + {b} = {total}")
        print(f"{a} - {b} = {difference}")
        if a + b != total or a - b != difference:
            sys.exit("error: incorrect sum or difference")


def infer_with_memory(client, inputs, outputs):
    print("======== SHARED_MEMORY ========")
    regions = {}
    try:
        for name in ("input_data", "output_data"):
            regions[name] = shm.create_shared_memory_region(name, f"/{name}_reuse", 2 * SIZE)
            client.register_system_shared_memory(name, f"/{name}_reuse", 2 * SIZE)
        shm.set_shared_memory_region(regions["input_data"], [FIRST, SECOND])
        for index in range(2):
            inputs[index].set_shared_memory("input_data", SIZE, offset=index * SIZE)
            outputs[index].set_shared_memory("output_data", SIZE, offset=index * SIZE)
        client.infer("simple", inputs, outputs=outputs)
        results = (
            shm.get_contents_as_numpy(regions["output_data"], np.int32, [1, 16], i * SIZE).copy()
            for i in range(2)
        )
        show(FIRST, SECOND, *results)
    finally:
        client.unregister_system_shared_memory()
        for region in regions.values():
            shm.destroy_shared_memory_region(region)


def infer_without_memory(client, inputs, outputs):
    print("======== NO_SHARED_MEMORY ========")
    inputs[0].set_data_from_numpy(FIRST)
    inputs[1].set_data_from_numpy(SECOND)
    for output in outputs:
        output.unset_shared_memory()
    result = client.infer("simple", inputs, outputs=outputs)
    show(FIRST, SECOND, result.as_numpy("OUTPUT0"), result.as_numpy("OUTPUT1"))


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
    parser.add_argument(
        "-i", "--protocol", type=str.lower, choices=("http", "grpc"), default="http"
    )
    arguments = parser.parse_args()
    module = grpcclient if arguments.protocol == "grpc" else httpclient
    client = module.InferenceServerClient(arguments.url, verbose=arguments.verbose)
    client.unregister_system_shared_memory()

    inputs = [module.InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
    outputs = [module.InferRequestedOutput(name) for name in ("OUTPUT0", "OUTPUT1")]
    infer_with_memory(client, inputs, outputs)
    infer_without_memory(client, inputs, outputs)
    infer_with_memory(client, inputs, outputs)
    print("======== END ========")


if __name__ == "__main__":
    main()
