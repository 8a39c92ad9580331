"""Models that are functions, given to `Server(models=...)`."""

from __future__ import annotations

import asyncio
import functools
import re
import sys
import threading
import typing
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any, TypedDict

import numpy as np
import numpy.typing as npt
import pytest

import tritonclient as tc
from tritonclient.server import FunctionModel, Server
from tritonclient.server.backends.function.tensor_types import tensor_type

Floats = npt.NDArray[np.float32]
ONES = np.ones(3, np.float32)


class Sums(TypedDict):
    SUM: Floats
    COUNT: np.int64


def typed(X: Floats, scale: Annotated[np.float64, (1,)] = 2.0) -> Sums:  # type: ignore[assignment]
    return {"SUM": X.sum() * np.float32(scale), "COUNT": X.size}  # type: ignore[typeddict-item]


def counted(X: Floats) -> Iterator[dict[str, Any]]:
    for number in range(int(X[0])):
        yield {"Y": X + number}


async def counted_later(X: Floats) -> AsyncIterator[dict[str, Any]]:
    for number in range(int(X[0])):
        await asyncio.sleep(0)
        yield {"Y": X + number}


@pytest.fixture(params=["http", "grpc"])
def call(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Serve one model and call it; over each protocol."""
    servers: list[Any] = []

    def infer(model: Any, **arrays: Any) -> Any:
        server = Server(models={"m": model}).start()
        client = tc.Client(server.http_url if request.param == "http" else server.grpc_url)
        servers.extend([client.close, server.stop])
        return client.infer("m", arrays, id="7", parameters={"user": "me"})

    yield infer
    for each in servers:
        each()


def test_a_lambda_takes_any_shape(call: Callable[..., Any]) -> None:
    for array in (ONES, np.ones((2, 3, 4), np.float32)):
        assert call(lambda X: {"Y": 2 * X}, X=array)["Y"].tolist() == (2 * array).tolist()


def test_types_come_from_annotations(call: Callable[..., Any]) -> None:
    result = call(typed, X=ONES)
    assert result["SUM"].tolist() == [6]
    assert result["SUM"].dtype == np.float32
    assert result["COUNT"].tolist() == [3]
    assert call(typed, X=ONES, scale=np.array([3.0]))["SUM"].tolist() == [9]
    with pytest.raises(tc.ServerError, match=r"Expected \[1\], got \[2\]"):
        call(typed, X=ONES, scale=np.array([3.0, 4.0]))


def test_types_may_be_given(call: Callable[..., Any]) -> None:
    model = FunctionModel(np.negative, inputs={"X": ("INT8", [-1, 2])}, outputs={"Y": np.int8})
    assert call(model, X=np.array([[1, 2]], np.int8))["Y"].tolist() == [[-1, -2]]
    anything = FunctionModel(
        lambda **arrays: {"Y": arrays["b"]}, inputs={"b": bool}, outputs={"Y": "BOOL"}
    )
    assert call(anything, b=np.array([True]))["Y"].tolist() == [True]


@pytest.mark.skipif(not hasattr(typing, "TypeAliasType"), reason="Python 3.12 has `type`")
def test_types_may_have_aliases() -> None:
    element = typing.TypeVar("element", bound=np.generic)
    pixels = typing.TypeAliasType("pixels", Annotated[npt.NDArray[np.uint8], (2, 2)])
    grid = typing.TypeAliasType("grid", npt.NDArray[element], type_params=(element,))
    assert tensor_type(pixels, "X") == tensor_type(("UINT8", (2, 2)), "X")
    assert tensor_type(grid[np.int8], "X") == tensor_type("INT8", "X")


def test_texts_and_parts_of_the_request(call: Callable[..., Any]) -> None:
    def model(T: str, *, parameters: dict[str, Any], request_id: str) -> dict[str, Any]:
        return {"T": [t.decode() + "!" for t in T], "P": [f"{request_id} {parameters}"]}  # type: ignore[attr-defined]

    result = call(model, T=np.array(["a", "é"], object))
    assert result["T"].tolist() == [b"a!", "é!".encode()]
    assert result["P"].tolist() == [b"7 {'user': 'me'}"]


def test_errors_name_the_cause(call: Callable[..., Any]) -> None:
    def fails(X: Floats) -> dict[str, Any]:
        raise ZeroDivisionError("no zeros")

    def busy(X: Floats) -> dict[str, Any]:
        raise tc.Unavailable("busy", "503")

    failing = FunctionModel(fails, outputs={"Y": "FP32"})
    with pytest.raises(tc.ServerError, match=r"'m', message: ZeroDivisionError: no zeros \(test_"):
        call(failing, X=ONES)
    with pytest.raises(tc.Unavailable, match="busy"):
        call(FunctionModel(busy, outputs={"Y": "FP32"}), X=ONES)
    leaves = FunctionModel(lambda X: sys.exit(3), outputs={"Y": "FP32"})
    with pytest.raises(tc.ServerError, match="SystemExit: 3"):
        call(leaves, X=ONES)

    def interrupts(X: Floats) -> dict[str, Any]:
        raise KeyboardInterrupt("here")

    with pytest.raises(tc.ServerError, match="KeyboardInterrupt: here"):
        call(FunctionModel(interrupts, outputs={"Y": "FP32"}), X=ONES)
    unexpected = FunctionModel(lambda X: pytest.fail("not this"), outputs={"Y": "FP32"})
    with pytest.raises(tc.ServerError, match="Failed: not this"):
        call(unexpected, X=ONES)
    wrong = FunctionModel(lambda X: {"Z": X}, outputs={"Y": "FP32"})
    with pytest.raises(tc.ServerError, match="'Z', which is not one of 'Y'"):
        call(wrong, X=ONES)
    whole = FunctionModel(lambda X: {"Y": X > 0.5}, outputs={"Y": "INT64"})
    assert call(whole, X=ONES)["Y"].dtype == np.int64
    lossy = FunctionModel(lambda X: {"Y": X}, outputs={"Y": "INT64"})
    with pytest.raises(tc.ServerError, match="'Y' is FP32, but the model declares INT64"):
        call(lossy, X=ONES)


@pytest.mark.parametrize("function", [counted, counted_later])
def test_generators_are_decoupled_models(function: Callable[..., Any]) -> None:
    model = FunctionModel(function, outputs={"Y": "FP32"})
    with Server(models={"m": model}) as server, tc.Client(server.grpc_url) as client:
        request = tc.request("m", {"X": np.array([3], np.float32)})
        with client.stream([request]) as responses:
            assert [each["Y"].tolist() for each in responses] == [[3], [4], [5]]


def test_calls_of_a_coroutine_function_overlap() -> None:
    arrived = threading.Semaphore(0)
    go = asyncio.Event()

    async def waits(X: Floats) -> dict[str, Any]:
        if X[0] == 4:
            go.set()
        arrived.release()
        await go.wait()
        return {"Y": X}

    model = FunctionModel(waits, outputs={"Y": "FP32"})
    with Server(models={"m": model}) as server, tc.Client(server.http_url) as client:
        futures = [client.submit("m", {"X": np.full(1, n, np.float32)}) for n in range(4)]
        for _ in futures:
            assert arrived.acquire(timeout=60)  # all wait at the same time
        client.infer("m", {"X": np.full(1, 4, np.float32)})
        assert [each.result()["Y"][0] for each in futures] == [0, 1, 2, 3]


def test_waiting_requests_are_joined_to_a_batch() -> None:
    sizes = []
    first, go = threading.Event(), threading.Event()

    def model(X: Annotated[Floats, (2,)]) -> dict[str, Any]:
        sizes.append(len(X))
        first.set()
        assert go.wait(60)
        return {"Y": X.sum(axis=1)}

    batched = FunctionModel(model, outputs={"Y": ("FP32", [1])}, max_batch_size=8)
    with Server(models={"m": batched}) as server, tc.Client(server.http_url) as client:
        array = np.ones((2, 2), np.float32)
        futures = [client.submit("m", {"X": array})]
        assert first.wait(60)
        futures += [client.submit("m", {"X": array}) for _ in range(3)]
        queue = server._core._repository.get("m")._scheduler._waiting  # type: ignore[union-attr]
        while len(queue) < 3:
            pass
        go.set()
        assert [each.result()["Y"].tolist() for each in futures] == [[2, 2]] * 4
    assert sizes == [2, 6]


def test_a_partial_and_an_object_are_functions() -> None:
    class Adds:
        def __init__(self, number: int) -> None:
            self.number = number

        async def __call__(self, X: Floats) -> dict[str, Any]:
            return {"Y": X + self.number}

    models = {"object": Adds(2), "partial": functools.partial(typed, scale=4.0)}
    with Server(models=models) as server, tc.Client(server.http_url) as client:
        assert client.infer("object", {"X": ONES})["Y"].tolist() == [3, 3, 3]
        assert client.infer("partial", {"X": ONES})["SUM"].tolist() == [12]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (3, "model 'm' is int, expected the path"),
        (lambda **arrays: {}, r"takes any arguments .* give inputs="),
        (np.negative, "has no signature to read inputs from; give inputs="),
    ],
)
def test_what_is_no_model_is_refused(model: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Server(models={"m": model}).start()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": {"Z": "FP32"}}, "inputs has 'Z', but the function takes X"),
        ({"inputs": {}}, "takes 'X', which inputs does not have"),
        ({"inputs": {"X": "float33"}}, "type of 'X' is 'float33', expected a datatype"),
        ({"inputs": ["X"]}, "inputs is list, expected a mapping"),
        ({"outputs": {"Y": ("FP32", [0])}}, "type of 'Y' is"),
        ({"max_batch_size": -1}, "max_batch_size is -1, expected a whole number from 0"),
        ({"instances": 0}, "instances is 0, expected a whole number from 1"),
        ({"max_batch_size": 2**31}, "expected a whole number from 0 below 2"),
        ({"outputs": {"Y": None}}, "type of 'Y' is None, expected a datatype"),
        ({"outputs": {1: "FP32"}}, "outputs has the key 1, expected a name"),
        ({"outputs": {"": "FP32"}}, "outputs has the key '', expected a name"),
        ({"batched": True}, "'batched' is not an argument; expected function, inputs"),
    ],
)
def test_wrong_arguments_are_named(options: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        FunctionModel(lambda X: {"Y": X}, **options)


def test_unknown_outputs_that_cannot_be_found_are_to_be_declared() -> None:
    def fails(X: Floats) -> dict[str, Any]:
        raise ZeroDivisionError("no zeros")

    with pytest.raises(tc.ServerError, match=r"no zeros .*declare them: FunctionModel\("):
        Server(models={"m": fails}).start()
    with pytest.raises(tc.ServerError, match=r"no output.*declare them: FunctionModel\("):
        Server(models={"m": counted}).start()


def tokens(prompt, size: int):  # type: ignore[no-untyped-def]
    yield {"token": prompt.item().decode()}


def test_inputs_without_a_type_are_named_where_the_call_with_zeros_fails() -> None:
    words = (
        "'prompt' without a type is FP32; an annotation such as `prompt: str` makes it BYTES; or "
        'declare them: FunctionModel(function, inputs={"prompt": "BYTES"}, outputs={"Y": "FP32"})'
    )
    with pytest.raises(tc.ServerError, match=re.escape(words)):
        Server(models={"m": tokens}).start()


async def later(X: Floats) -> Floats:
    return X


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (lambda X: None, "returned NoneType, expected a dictionary * does it lack a `return`?"),
        (lambda X: X, "returned ndarray, expected * name its only output: FunctionModel(function"),
        (lambda X: later(X), "returned coroutine, expected * with async def and await"),
        (lambda X: {1: X}, "the function returned the name 1 of an output, expected str"),
        (lambda X: {"": X}, "the function returned the name '' of an output, expected str"),
        (lambda X: {"Y": None}, "output 'Y': element 0 is NoneType, expected a number, * nan stan"),
        (lambda X: {"Y": [1.5, None]}, "output 'Y': element 0 is float, expected"),
        (lambda X: {"Y": {"a": X}}, "element 0 is dict, * or each as an output of its own"),
        (lambda X: {"Y": map(abs, X)}, "element 0 is map, * list(...) makes a list of it"),
        (lambda X: {"Y": later(X)}, "element 0 is coroutine, * await it"),
        (lambda X: {"Y": object()}, "element 0 is object, expected a number, str or bytes"),
        (lambda X: {"Y": [[1], [1, 2]]}, "output 'Y': list is not a rectangular array"),
        (lambda X: {"Y": np.ma.array(X, mask=True)}, "elements are masked; array.filled(value)"),
        (lambda X: {"Y": X.astype(complex)}, "output 'Y': dtype complex128 has no v2 datatype"),
    ],
)
@pytest.mark.filterwarnings("ignore:coroutine 'later' was never awaited")
@pytest.mark.parametrize("declared", [None, {"Y": "FP32", "Z": "FP32"}], ids=["found", "declared"])
def test_what_is_no_output(
    call: Callable[..., Any], returned: Any, words: str, declared: Any
) -> None:
    text = error_of(call, FunctionModel(returned, outputs=declared))
    if declared and "expected str" not in words and "returned" not in words:
        text = error_of(call, FunctionModel(lambda X: {"Z": X, **returned(X)}, outputs=declared))
    for each in words.split("*"):
        assert each.strip() in text, text
    assert "declare them" not in text


def error_of(call: Callable[..., Any], model: FunctionModel, X: Any = ONES) -> str:
    with pytest.raises(tc.ServerError) as caught:
        call(model, X=X)
    return str(caught.value)


@pytest.mark.parametrize(
    ("function", "options", "words"),
    [
        (lambda X: {"Y": X}, {"outputs": {"Y": ("FP32", [4])}}, "shape [3], expected [4], as the"),
        (lambda X: {"Y": X[None]}, {"outputs": {"Y": ("FP32", [3])}}, "[1, 3], expected [3]"),
        (lambda X: {"Y": X}, {"outputs": {"Y": "FP32", "Z": "FP32"}}, "no output 'Z'; expected 'Y"),
        (
            lambda X: {"Y": X[:1]},
            {"max_batch_size": 4, "inputs": {"X": ("FP32", [1])}, "outputs": {"Y": ("FP32", [1])}},
            "output 'Y' has shape [1, 1], expected [3, 1], whose first dimension is the batch",
        ),
        (
            lambda X: {"Y": X.sum()},
            {"max_batch_size": 4, "inputs": {"X": ("FP32", [1])}},
            "output 'Y' has shape [1], expected 3 rows, whose first dimension is the batch",
        ),
    ],
)
def test_shapes_of_outputs(
    call: Callable[..., Any], function: Any, options: Any, words: str
) -> None:
    model = FunctionModel(function, **options)
    text = error_of(call, model, ONES[:, None] if model.max_batch_size else ONES)
    assert words in text
    assert ".py, line" not in text  # it concerns the function as a whole


def test_annotations_without_a_datatype(call: Callable[..., Any]) -> None:
    """They say no more than none; an input may be None where it may be left out."""

    def bare(X: np.ndarray, Z: npt.NDArray[Any]) -> np.ndarray:  # type: ignore[type-arg]
        return {"Y": X + Z}  # type: ignore[return-value]

    def without(X: Floats, Z: npt.NDArray[np.int8] | None = None) -> dict[str, Any]:
        return {"Y": X if Z is None else Z}

    assert call(bare, X=ONES, Z=ONES)["Y"].tolist() == [2, 2, 2]
    assert call(without, X=ONES)["Y"].tolist() == ONES.tolist()
    assert FunctionModel(without).inputs["Z"].datatype == "INT8"


class Machine:
    def run(self, X: Floats) -> dict[str, Any]:
        return {"Y": X}


def wrongly(annotation: Any) -> Any:
    def function(X: Any) -> dict[str, Any]:
        return {"Y": X}

    function.__annotations__["X"] = annotation
    return function


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (Machine, "function is the class Machine, expected a function; an object of it is one if"),
        (Machine.run, "takes self, so it is a method without its object; give the method of an"),
        (FunctionModel(lambda X: {"Y": X}), "function is a FunctionModel already"),
        (wrongly("FP32"), "names what is not there (name 'FP32'"),
        (wrongly("np.float33"), "can't be evaluated (AttributeError: module 'numpy' has no"),
        (wrongly("np.float32[3]"), "can't be evaluated (TypeError: "),
        (wrongly(list), "the type of 'X' is <class 'list'>, expected a datatype such as 'FP32'"),
        (wrongly(dict), "the type of 'X' is <class 'dict'>, expected a datatype"),
        (wrongly(list[float]), "the type of 'X' is list[float], expected a datatype"),
        (wrongly(Machine), "Machine'>, expected a datatype"),
    ],
)
def test_functions_that_are_no_models(function: Any, words: str) -> None:
    with pytest.raises(TypeError) as caught:
        FunctionModel(function)
    assert words in str(caught.value)


def test_a_function_can_be_unloaded_and_loaded() -> None:
    models = {"m": lambda X: {"Y": X}}
    server = Server(models=models, model_control_mode="explicit")
    with server, tc.Client(server.http_url) as client:
        assert client.is_model_ready("m")
        client.unload_model("m")
        assert not client.is_model_ready("m")
        client.load_model("m")
        assert client.infer("m", {"X": ONES})["Y"].tolist() == [1, 1, 1]


def test_an_annotation_that_equals_no_type() -> None:
    def length(texts: np.dtype(object)):  # type: ignore[valid-type,no-untyped-def]
        return {"N": np.array([len(text) for text in texts])}

    model = FunctionModel(length, outputs={"N": "INT64"})
    assert model.inputs["texts"].datatype == "BYTES"
