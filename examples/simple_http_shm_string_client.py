"""Sends and receives texts over HTTP through system shared memory."""

import argparse
import sys

import numpy as np

import tritonclient.http as httpclient
import tritonclient.utils.shared_memory as shm
from tritonclient.utils import serialize_byte_tensor, serialized_byte_size


def texts(numbers):
    """Numbers as a tensor of texts, and in the form in which memory holds it."""
    array = np.array([[str(number).encode() for number in numbers]], np.object_)
    return array, serialize_byte_tensor(array)


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

    contents = {"INPUT0": texts(range(16))[1], "INPUT1": texts([1] * 16)[1]}
    sizes = {name: serialized_byte_size(data) for name, data in contents.items()}
    # Large enough for sums and differences, each of at most as many digits and a sign.
    sizes["OUTPUT0"] = sizes["OUTPUT1"] = max(sizes.values()) + 16

    regions = {}
    try:
        for name, size in sizes.items():
            key = f"/{name.lower()}_simple_string"
            regions[name] = shm.create_shared_memory_region(name, key, size)
            client.register_system_shared_memory(name, key, size)
        for name, data in contents.items():
            shm.set_shared_memory_region(regions[name], [data])

        inputs = [httpclient.InferInput(name, [1, 16], "BYTES") for name in contents]
        outputs = [httpclient.InferRequestedOutput(name) for name in ("OUTPUT0", "OUTPUT1")]
        for tensor in (*inputs, *outputs):
            tensor.set_shared_memory(tensor.name(), sizes[tensor.name()])
        client.infer("simple_string", inputs, outputs=outputs)

        sums, differences = (
            shm.get_contents_as_numpy(regions[name], np.object_, [1, 16])[0]
            for name in ("OUTPUT0", "OUTPUT1")
        )
        for number, total, difference in zip(range(16), map(int, sums), map(int, differences)):
            print(f"{number} + 1 = {total}")
            print(f"{number} - 1 = {difference}")
            if number + 1 != total or number - 1 != difference:
                sys.exit("error: incorrect sum or difference")
        print(client.get_system_shared_memory_status())
    finally:
        client.unregister_system_shared_memory()
        for region in regions.values():
            shm.destroy_shared_memory_region(region)
    print("PASS: system shared memory")


if __name__ == "__main__":
    main()
