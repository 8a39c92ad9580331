"""Undocumented parts that programs use: internals, subclasses, bare exceptions."""

import asyncio
import copy
import pickle
import sys
import traceback

import numpy as np

import tritonclient.http as httpclient
import tritonclient.http.aio as aio
from tritonclient._client import InferenceServerClientBase
from tritonclient._plugin import InferenceServerClientPlugin
from tritonclient._request import Request
from tritonclient.http._infer_input import InferInput
from tritonclient.http._infer_result import InferResult
from tritonclient.http._requested_output import InferRequestedOutput
from tritonclient.http._utils import _get_error, _get_query_string, _raise_if_error
from tritonclient.utils import InferenceServerException, raise_error

url = sys.argv[1]


class Image(InferInput):
    def __init__(self, name, array, **options):
        super().__init__(name, array.shape, "INT32")
        self.set_data_from_numpy(array, **options)


class Counting(httpclient.InferenceServerClient):
    count = 0

    def _get(self, **arguments):
        self.count += 1
        return super()._get(**arguments)

    def _post(self, request_uri, request_body, headers, query_params):
        self.count += 10
        print(request_uri, type(request_body).__name__, headers, query_params)
        return super()._post(request_uri, request_body, headers, query_params)


print(issubclass(Counting, InferenceServerClientBase), Request(None).headers)
print(InferenceServerClientPlugin is httpclient.InferenceServerClientPlugin)
array = np.arange(16, dtype=np.int32).reshape(1, 16)
for options in ({}, {"binary_data": False}):
    inputs = [Image("INPUT0", array, **options), Image("INPUT1", array.T.reshape(1, 16), **options)]
    for tensor in (inputs[0], copy.deepcopy(inputs[0]), pickle.loads(pickle.dumps(inputs[0]))):
        print(tensor._get_tensor(), tensor._get_binary_data())
    output = InferRequestedOutput("OUTPUT0")
    print(output._get_tensor(), type(inputs[0]).__mro__[1], type(output))
    with Counting(url) as client:
        print(client.is_server_live(), client.get_server_metadata()["name"], client.count)
        result = client.infer(
            "simple", inputs, outputs=[output], request_compression_algorithm="deflate"
        )
        for one in (result, copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
            print(isinstance(one, InferResult), one._result, one.as_numpy("OUTPUT0"))
        print(client.async_infer("simple", inputs).get_result().as_numpy("OUTPUT1"), client.count)
    try:
        client.is_server_live()
    except RuntimeError as error:
        print(error)

client = httpclient.InferenceServerClient(url)
answer = client._get("v2", None, None)
print(answer.status_code, answer.get("content-type"), answer.read(), answer)
answer = client._post("v2/models/nope/load", "{}", {}, {"a": 1})
print(answer.status_code, _get_error(answer))
print(_get_error(client._get("v2", {}, None)), _raise_if_error(client._get("v2", {}, None)))
print(_get_query_string({"a b": ["c&d", 1], "e": "\u00e4", "f": None}), [_get_query_string({})])


async def main():
    async with aio.InferenceServerClient(url) as client:
        answer = await client._get("v2", None, None)
        print(answer.status, answer.headers["content-type"], await answer.read())
        answer = await client._post("v2/models/nope/infer", "{}", {}, None)
        print(answer.status, await answer.read())


asyncio.run(main())

# Exceptions, as they are printed.
for call in (
    lambda: client.infer("nope", inputs),
    lambda: client.get_model_config("simple", "7"),
    lambda: client.load_model("nope"),
    lambda: client.is_server_live(headers={"transfer-encoding": "x"}),
    lambda: inputs[0].set_data_from_numpy(array[0]),
    lambda: raise_error("mine"),
):
    try:
        call()
    except InferenceServerException as error:
        print(type(error).__name__, type(error).__module__, error.status(), error.message())
        print(*traceback.format_exception_only(error), f"{error}", [str(error)])
for arguments in (("a",), ("a", "b"), ("a", "b", "c")):
    error = InferenceServerException(*arguments)
    print(error, repr(error), error.args, error.status(), error.debug_details())
