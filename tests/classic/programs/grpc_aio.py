"""The awaiting client and its streams."""

import asyncio
import sys

import numpy as np

import tritonclient.grpc.aio as grpcclient
from tritonclient.utils import InferenceServerException


def pair(n):
    inputs = [grpcclient.InferInput(f"INPUT{i}", [1, 16], "INT32") for i in range(2)]
    return [tensor.set_data_from_numpy(np.full((1, 16), n, dtype=np.int32)) for tensor in inputs]


def slow(milliseconds):
    names = (("INPUT0", 7), ("DELAY_MS", milliseconds))
    return [
        grpcclient.InferInput(name, [1], "INT32").set_data_from_numpy(np.array([n], np.int32))
        for name, n in names
    ]


async def attempt(awaitable):
    try:
        print(await awaitable)
    except InferenceServerException as error:
        print(error, error.status(), error.debug_details())


async def each(*requests):
    for request in requests:
        yield request


async def main(url):
    async with grpcclient.InferenceServerClient(url=url) as client:
        print(await client.is_server_live(), await client.is_server_ready(client_timeout=10.0))
        print(await client.is_model_ready("simple"), await client.is_model_ready("nope"))
        print(await client.get_model_metadata("simple"))
        print(await client.get_model_metadata("simple", as_json=True))
        print((await client.get_model_config("digits")).config.max_batch_size)
        print(len((await client.get_model_repository_index()).models) > 3)
        print(sorted((await client.get_log_settings()).settings))
        print(await client.get_system_shared_memory_status())
        await attempt(client.get_model_config("nope"))
        await attempt(client.infer("nope", pair(1)))
        await attempt(client.infer("simple", pair(1), model_version=1))
        await attempt(client.infer("slow_identity", slow(500), client_timeout=0.1))

        results = await asyncio.gather(
            *[client.infer("simple", pair(n), request_id=str(n)) for n in range(20)]
        )
        for result in results:
            print(result.get_response().id, result.as_numpy("OUTPUT0")[0, 0])

        task = asyncio.ensure_future(client.infer("slow_identity", slow(500)))
        await asyncio.sleep(0.1)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            print("cancelled")

        # Streams.
        requests = [
            {"model_name": "simple", "inputs": pair(n), "request_id": str(n)} for n in range(5)
        ]
        requests.append({"model_name": "nope", "inputs": pair(1)})
        responses = client.stream_infer(each(*requests), stream_timeout=60)
        async for result, error in responses:
            if error is None:
                print(result.get_response().id, result.as_numpy("OUTPUT0")[0, 0])
            else:
                print(result, error, error.status())
        print(responses.cancel())

        inputs = [
            grpcclient.InferInput("IN", [2], "INT32").set_data_from_numpy(np.int32([4, 5])),
            grpcclient.InferInput("DELAY", [2], "UINT32").set_data_from_numpy(np.uint32([1, 1])),
            grpcclient.InferInput("WAIT", [1], "UINT32").set_data_from_numpy(np.uint32([1])),
        ]
        request = {"model_name": "repeat_int32", "inputs": inputs}
        async for result, error in client.stream_infer(each(request)):
            print(result.as_numpy("OUT"), error)

        responses = client.stream_infer(each({"model_name": "slow_identity", "inputs": slow(500)}))
        await asyncio.sleep(0.1)
        print(responses.cancel())
        try:
            async for pair_of in responses:
                print(pair_of)
        except asyncio.CancelledError:
            print("cancelled")


async def aloud(url):
    async with grpcclient.InferenceServerClient(url, verbose=True) as client:
        await client.is_model_ready("simple", headers={"a": "b"})
        await client.infer("simple", pair(1), request_id="7")
        async for result, error in client.stream_infer(
            each({"model_name": "simple", "inputs": pair(1)}), headers={"c": "d"}
        ):
            print(result.get_response().id, error)


asyncio.run(main(sys.argv[1]))
asyncio.run(aloud(sys.argv[1]))
