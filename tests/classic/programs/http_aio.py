"""The client for coroutines."""

import asyncio
import sys

import numpy as np

import tritonclient.http.aio as httpclient
from tritonclient.http.aio.auth import BasicAuth
from tritonclient.utils import InferenceServerException


def inputs(n, binary=True):
    made = [httpclient.InferInput(f"INPUT{i}", [1, 16], "INT32") for i in range(2)]
    for tensor in made:
        tensor.set_data_from_numpy(np.full((1, 16), n, dtype=np.int32), binary_data=binary)
    return made


async def main():
    async with httpclient.InferenceServerClient(
        sys.argv[1], conn_limit=4, conn_timeout=30
    ) as client:
        print(await client.is_server_live(), await client.is_server_ready())
        print(await client.is_model_ready("simple"), await client.is_model_ready("nope", "1"))
        print(await client.get_server_metadata())
        print(await client.get_model_metadata("versioned", "1"))
        print((await client.get_model_config("digits"))["max_batch_size"])
        print(sorted(await client.get_inference_statistics("simple")))
        print(sorted(entry["name"] for entry in await client.get_model_repository_index()))
        print(await client.get_trace_settings(), await client.get_log_settings())
        print(await client.update_trace_settings(settings={"trace_rate": "1000"}))
        print(await client.update_log_settings({"log_info": True}))
        print(await client.load_model("simple_string"))
        print(await client.get_system_shared_memory_status())
        print(await client.get_cuda_shared_memory_status())

        results = await asyncio.gather(
            *(client.infer("simple", inputs(n), request_id=str(n)) for n in range(20))
        )
        for result in results:
            print(result.get_response()["id"], result.as_numpy("OUTPUT0")[0, 0])
        outputs = [httpclient.InferRequestedOutput("OUTPUT1", binary_data=False)]
        result = await client.infer(
            "simple",
            inputs(3, binary=False),
            outputs=outputs,
            headers={"x-number": 1},
            query_params={"a": 1},
            request_compression_algorithm="gzip",
            response_compression_algorithm="gzip",
            parameters={"mine": 1},
        )
        print(result.as_numpy("OUTPUT1"), result.get_response())

        for call in (
            client.infer("nope", inputs(0)),
            client.infer("simple", inputs(0)[:1]),
            client.get_model_config("nope"),
            client.load_model("nope"),
        ):
            try:
                await call
            except InferenceServerException as error:
                print(error, error.status())

        body, length = client.generate_request_body(inputs(0, binary=False))
        print(length, len(body) > 0)
        client.register_plugin(BasicAuth("user", "password"))
        print(await client.is_server_live(), client.plugin() is not None)
        client.unregister_plugin()

    client = httpclient.InferenceServerClient(url=sys.argv[1])
    print(await client.is_server_live())
    await client.close()


asyncio.run(main())
