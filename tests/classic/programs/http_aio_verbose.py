"""Output of the asyncio client with `verbose`."""

import asyncio
import sys

import numpy as np

import tritonclient.http.aio as httpclient
from tritonclient.utils import InferenceServerException


def plain():
    # Of itself the official one is sent compressed answers. It also keeps what it adds to a dict.
    return {"Accept-Encoding": "identity"}


async def main():
    async with httpclient.InferenceServerClient(sys.argv[1], verbose=True) as client:
        await client.is_server_live(headers={"x-mine": 1}, query_params={"a b": ["c", 2]})
        await client.is_model_ready("nope")
        await client.get_server_metadata()
        await client.get_model_repository_index()
        await client.load_model("simple_string")
        await client.update_log_settings({"log_info": True})
        await client.get_trace_settings("simple")
        await client.unregister_system_shared_memory()
        await client.unregister_cuda_shared_memory("region")
        inputs = [httpclient.InferInput(f"INPUT{n}", (1, 16), "INT32") for n in range(2)]
        for tensor in inputs:
            tensor.set_data_from_numpy(np.ones((1, 16), np.int32))
        outputs = [httpclient.InferRequestedOutput("OUTPUT1")]
        result = await client.infer("simple", inputs, "1", outputs, "7", headers=plain())
        print(result.as_numpy("OUTPUT1"))
        for tensor in inputs:
            tensor.set_data_from_numpy(np.ones((1, 16), np.int32), binary_data=False)
        for model in ("simple", "nope"):
            try:
                await client.infer(model, inputs, headers=plain())
            except InferenceServerException as error:
                print(type(error).__name__, error)


asyncio.run(main())
