"""Answers to inference over HTTP, and answers yet to come."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ..classic.lazy_names import lazy_names
from ..codec import rest
from ..codec.rest_infer import HEAD_LENGTH
from ..datatypes import Array, Buffer, element_count, unpack, unpack_bytes
from ..engine.coding import CODINGS, decompress
from ..errors import ProtocolError
from ..messages import Infer, InferResponse, InferTensor
from ..transport.settings import response_limits
from ..utils import raise_error, triton_to_np_dtype

if TYPE_CHECKING:
    from concurrent.futures import Future

_head_length = HEAD_LENGTH.lower()
_ANY = Infer("", ())


class InferResult:
    """A model's answer.

    Args:
        response: something with `get(header)` and `read()`, which give the response's headers and
            body.
        verbose: print the response's JSON.

    Raises:
        InferenceServerException: it is not a response of the protocol.
    """

    # The outputs of a response that breaks the protocol, see `_take_loosely`.
    _loose: Mapping[str, Array] = MappingProxyType({})

    def __init__(self, response: Any, verbose: bool) -> None:
        body = response.read()
        if isinstance(body, str):
            body = body.encode()
        body = _decoded(body, response.get("Content-Encoding"))
        length = response.get(HEAD_LENGTH)
        self._read({} if length is None else {_head_length: str(length)}, body)
        if verbose:
            print(self._head())

    @classmethod
    def from_response_body(
        cls,
        response_body: Buffer,
        verbose: bool = False,
        header_length: int | None = None,
        content_encoding: str | None = None,
        *,
        max_response_size: int | None = None,
    ) -> InferResult:
        """The response in a body that was received by other means.

        Args:
            response_body: the whole body.
            verbose: print the response's JSON.
            header_length: the header Inference-Header-Content-Length, if there was one.
            content_encoding: the header Content-Encoding, if there was one.
            max_response_size: largest body to accept after decompression, in bytes; None for
                256 MiB.

        Raises:
            InferenceServerException: it is not a response of the protocol.
        """
        body = _decoded(response_body, content_encoding, max_response_size)
        return cls(_Body(body, {HEAD_LENGTH: header_length}), verbose)

    @classmethod
    def _of(cls, response: InferResponse, headers: Mapping[str, str], body: Buffer) -> InferResult:
        result: InferResult = object.__new__(cls)
        result._take(response, headers, body)
        return result

    @classmethod
    def _loosely(cls, headers: Mapping[str, str], body: Buffer) -> InferResult | None:
        """Return the readable part of an invalid response, or None."""
        result: InferResult = object.__new__(cls)
        return result if result._take_loosely(headers, body) else None

    def __getstate__(self) -> dict[str, Any]:
        # Its tensors are views of its body.
        body = bytes(self._body)
        return {**self.__dict__, "_headers": dict(self._headers), "_body": body, "_tensors": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._read(self._headers, self._body)

    def _read(self, headers: Mapping[str, str], body: Buffer) -> None:
        try:
            response = rest.decode_response(_ANY, rest.HttpResponse(200, headers, (body,)))
            self._take(response, headers, body)
        except ProtocolError:
            if not self._take_loosely(headers, body):
                raise

    def _take(self, response: InferResponse, headers: Mapping[str, str], body: Buffer) -> None:
        self._headers = headers
        self._body = body
        # The first of a name counts.
        self._tensors = {tensor.name: tensor for tensor in reversed(response.outputs)}
        self._response: dict[str, Any] | None = None
        for tensor in response.outputs:
            if not tensor.binary and tensor.datatype == "BYTES" and tensor.data is not None:
                try:
                    _texts(tensor)  # raises at once for invalid texts
                except UnicodeDecodeError as error:
                    _refuse(self._head(), error)

    def _take_loosely(self, headers: Mapping[str, str], body: Buffer) -> bool:
        """Read the outputs of a JSON response as numpy does; return True if all can be read.

        Servers other than Triton write 1.0 for an integer, null for a float that is no number, and
        names of datatypes of their own. Programs know these as numpy makes arrays of them.
        """
        self._headers, self._body, self._response = headers, body, None
        self._tensors = {}
        loose: dict[str, Array] = {}
        self._loose = loose
        if _head_length in headers:
            return False
        try:
            for output in self.get_response()["outputs"]:
                loose.setdefault(output["name"], _loose_array(output))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return False
        return True

    def as_numpy(self, name: str) -> Array | None:
        """An output as an array, or None when there is no output of that name.

        Arrays are views of the response's memory and may be written to. BYTES come as arrays of
        `bytes`, or of `str` when they were sent as JSON; BF16 as `ml_dtypes.bfloat16` where that
        package is installed, otherwise as float32.

        Raises:
            InferenceServerException: the output was written to shared memory.
        """
        tensor = self._tensors.get(name)
        if tensor is None:
            return self._loose.get(name)
        if tensor.data is None:
            raise_error(f"output '{name}' has no data here: it is in shared memory")
        if tensor.datatype == "BYTES" and not tensor.binary:
            return _texts(tensor)
        try:
            return unpack(tensor.data, tensor.datatype, tensor.shape)
        except ValueError as error:
            raise ProtocolError(f"output '{name}' can't be read: {error}") from error

    def get_output(self, name: str) -> dict[str, Any] | None:
        """Return an output as JSON of the response, or None if there is no such output."""
        outputs: list[dict[str, Any]] = self.get_response().get("outputs", [])
        return next((output for output in outputs if output["name"] == name), None)

    def get_response(self) -> dict[str, Any]:
        """The response's JSON."""
        if self._response is None:
            self._response = json.loads(self._head().decode("utf-8", "surrogateescape"))
        return self._response or {}

    @property
    def _result(self) -> dict[str, Any]:
        # Programs look there.
        return self.get_response()

    def _head(self) -> bytes:
        length = self._headers.get(_head_length)
        return bytes(memoryview(self._body)[: None if length is None else int(length)])


class _Body:
    """A body, and the headers that matter, as `InferResult` takes them."""

    def __init__(self, body: Buffer, headers: Mapping[str, Any]) -> None:
        self._body = body
        self.get = headers.get

    def read(self) -> Buffer:
        return self._body


def _decoded(body: Buffer, coding: str | None, max_response_size: int | None = None) -> Buffer:
    # What else there may be is left as it is, as it always was.
    if coding not in CODINGS:
        return body
    return decompress(body, coding, response_limits(max_response_size)[1])


def _loose_array(output: Mapping[str, Any]) -> Array:
    data = output["data"]
    if not isinstance(data, list):
        raise TypeError("no list")
    with np.errstate(over="ignore"):  # too large a float is an infinity
        array: Array = np.array(data, triton_to_np_dtype(output["datatype"]))
    if array.dtype.kind in "iub" and not np.array_equal(array, np.array(data)):
        raise ValueError("what can't be converted without a loss is an error")
    return array.reshape(output["shape"])


def _texts(tensor: InferTensor) -> Array:
    assert tensor.data is not None
    items = unpack_bytes(tensor.data, element_count(tensor.shape))
    texts: Array = np.empty(items.size, object)
    try:
        texts[:] = [item.decode() for item in items]
        return texts.reshape(tensor.shape)
    except UnicodeDecodeError:
        raise
    except ValueError as error:  # a shape without elements that is too large for numpy
        raise ProtocolError(f"output '{tensor.name}' can't be read: {error}") from error


def _refuse(head: bytes, error: UnicodeDecodeError) -> NoReturn:
    """Refuse texts that are none; name the place in the JSON if its bytes are wrong."""
    try:
        head.decode()
    except UnicodeDecodeError as first:
        error = first
    raise_error(
        "Failed to encode using UTF-8. Please use binary_data=True, if you want to pass a byte "
        f"array. UnicodeError: {error}"
    )


class InferAsyncRequest:
    """An inference under way.

    Args:
        greenlet: the `concurrent.futures.Future` of the response; it has this name for the sake of
            programs that give it by name.
        verbose: print the response's JSON.
    """

    def __init__(self, greenlet: Future[InferResult], verbose: bool = False) -> None:
        self._future = greenlet
        self._verbose = verbose

    def get_result(self, block: bool = True, timeout: float | None = None) -> InferResult:
        """The response.

        Args:
            block: wait for it; False to fail at once when it is not there yet.
            timeout: how many seconds to wait at most; None for as long as it takes. A later try
                may succeed.

        Raises:
            InferenceServerException: it is not there in time, or the inference failed.
        """
        from concurrent.futures import wait  # only those who use it pay for it

        if not wait([self._future], timeout if block else 0).done:
            raise_error("failed to obtain inference response")
        result = self._future.result()
        if self._verbose:
            print(result._head())
        return result


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = lazy_names(__name__)
