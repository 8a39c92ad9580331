"""Triton's C API by ctypes: a server in this process, and requests to it.

Source: Triton's public header `tritonserver.h`, of which the functions here are a part.
"""

from __future__ import annotations

import ctypes
import json
import os
import time
from collections.abc import Callable
from typing import Any

from ...codec import rpc_infer
from ...datatypes import element_count
from ...messages import Infer, InferResponse, InferTensor
from ..exits import SetupError

_P = ctypes.c_void_p
_ALLOCATE = ctypes.CFUNCTYPE(
    _P, _P, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int64, _P,
    ctypes.POINTER(_P), ctypes.POINTER(_P), ctypes.POINTER(ctypes.c_int),
    ctypes.POINTER(ctypes.c_int64),
)  # fmt: skip
_RELEASE = ctypes.CFUNCTYPE(_P, _P, _P, _P, ctypes.c_size_t, ctypes.c_int, ctypes.c_int64)
_RESPONSE = ctypes.CFUNCTYPE(None, _P, ctypes.c_uint32, _P)
_DONE = ctypes.CFUNCTYPE(None, _P, ctypes.c_uint32, _P)
_FINAL = 1
_START, _END = 1, 2
_PATIENCE = 120.0

#: Called with a response (its message, or its error) and whether it is the last.
Responded = Callable[["bytes | None", str, bool], None]


class Server:
    """A Triton in this process.

    Raises:
        SetupError: the library is not there, or does not start.
    """

    def __init__(self, directory: str, repository: str) -> None:
        path = os.path.join(directory, "lib", "libtritonserver.so")
        try:
            self._library = library = ctypes.CDLL(path)
            self._libc = ctypes.CDLL(None)
        except OSError as error:
            raise SetupError(
                f"error: the library can't be loaded: {error}; --triton-server-directory is "
                f"{directory!r}, expected a folder with lib/libtritonserver.so"
            ) from None
        for name in ("TRITONSERVER_ErrorMessage", "TRITONSERVER_DataTypeString"):
            getattr(library, name).restype = ctypes.c_char_p
        library.TRITONSERVER_InferenceResponseError.restype = _P
        self._libc.malloc.restype = _P
        self._libc.malloc.argtypes = [ctypes.c_size_t]
        self._libc.free.argtypes = [_P]
        # Kept, as Triton calls them as long as it lives.
        self._callbacks = (
            _ALLOCATE(self._allocate),
            _RELEASE(self._release),
            _RESPONSE(self._responded),
            _DONE(self._done),
        )
        self._waiting: dict[int, tuple[Responded, Any]] = {}
        self._number = 0
        self._server = _P()
        self._start(directory, repository)
        self._allocator = _P()
        self._call(
            "ResponseAllocatorNew", ctypes.byref(self._allocator), *self._callbacks[:2], None
        )

    def _call(self, name: str, *arguments: Any) -> None:
        function = getattr(self._library, f"TRITONSERVER_{name}")
        function.restype = _P
        error = function(*arguments)
        if error:
            raise SetupError(f"error: {self._text(error)}")

    def _text(self, error: int) -> str:
        """An error's text; the error is deleted unless it belongs to a response."""
        text: bytes = self._library.TRITONSERVER_ErrorMessage(_P(error))
        return text.decode("utf-8", "replace")

    def _start(self, directory: str, repository: str) -> None:
        options = _P()
        self._call("ServerOptionsNew", ctypes.byref(options))
        for name, value in (
            ("SetModelRepositoryPath", repository.encode()),
            ("SetBackendDirectory", os.path.join(directory, "backends").encode()),
            ("SetStrictModelConfig", ctypes.c_bool(True)),
            ("SetMetrics", ctypes.c_bool(False)),
            ("SetLogInfo", ctypes.c_bool(False)),
            ("SetLogWarn", ctypes.c_bool(False)),
        ):
            self._call(f"ServerOptions{name}", options, value)
        self._call("ServerNew", ctypes.byref(self._server), options)
        self._call("ServerOptionsDelete", options)
        ready = ctypes.c_bool(False)
        until = time.monotonic() + _PATIENCE
        while not ready.value:
            self._call("ServerIsReady", self._server, ctypes.byref(ready))
            if time.monotonic() > until:
                raise SetupError("error: the server in this process did not become ready")
            time.sleep(0.02)

    def stop(self) -> None:
        """End the server."""
        self._call("ServerDelete", self._server)

    # What it says of models

    def describe(self, what: str, name: str, version: str) -> Any:
        """JSON of a model: its "Metadata", "Config" or "Statistics"."""
        message = _P()
        number = ctypes.c_int64(int(version) if version else -1)
        more = (ctypes.c_uint32(1),) if what == "Config" else ()
        self._call(
            f"ServerModel{what}", self._server, name.encode(), number, *more, ctypes.byref(message)
        )
        base, size = ctypes.c_char_p(), ctypes.c_size_t()
        self._call("MessageSerializeToJson", message, ctypes.byref(base), ctypes.byref(size))
        value = json.loads(ctypes.string_at(base, size.value))
        self._call("MessageDelete", message)
        return value

    # Requests

    def send(self, request: Infer, responded: Responded) -> None:
        """Begin a request.

        Raises:
            SetupError: the server refuses it.
        """
        made = _P()
        version = ctypes.c_int64(int(request.version) if request.version else -1)
        self._call(
            "InferenceRequestNew", ctypes.byref(made), self._server, request.model.encode(), version
        )
        self._number += 1
        token = self._number
        try:
            self._fill(made, request)
            self._call("InferenceRequestSetReleaseCallback", made, self._callbacks[3], None)
            self._call(
                "InferenceRequestSetResponseCallback", made, self._allocator, None,
                self._callbacks[2], _P(token),
            )  # fmt: skip
            # The request is kept with its tensors until the last response.
            self._waiting[token] = (responded, request)
            self._call("ServerInferAsync", self._server, made, None)
        except SetupError:
            self._waiting.pop(token, None)
            self._call("InferenceRequestDelete", made)
            raise

    def _fill(self, made: Any, request: Infer) -> None:
        for tensor in request.inputs:
            name, data = tensor.name.encode(), bytes(tensor.data or b"")
            kind = self._library.TRITONSERVER_StringToDataType(tensor.datatype.encode())
            shape = (ctypes.c_int64 * len(tensor.shape))(*tensor.shape)
            self._call("InferenceRequestAddInput", made, name, kind, shape,
                       ctypes.c_uint64(len(tensor.shape)))  # fmt: skip
            self._call("InferenceRequestAppendInputData", made, name, ctypes.c_char_p(data),
                       ctypes.c_size_t(len(data)), 0, ctypes.c_int64(0))  # fmt: skip
        flags = 0
        for name_text, value in request.parameters.items():
            name = name_text.encode()
            if name_text == "sequence_id":
                self._call("InferenceRequestSetCorrelationId", made, ctypes.c_uint64(int(value)))
            elif name_text in ("sequence_start", "sequence_end"):
                flags |= (_START if name_text == "sequence_start" else _END) if value else 0
            elif name_text.startswith("triton_"):
                continue
            elif isinstance(value, bool):
                self._call("InferenceRequestSetBoolParameter", made, name, ctypes.c_bool(value))
            elif isinstance(value, int):
                self._call("InferenceRequestSetIntParameter", made, name, ctypes.c_int64(value))
            else:
                self._call("InferenceRequestSetStringParameter", made, name, str(value).encode())
        if flags:
            self._call("InferenceRequestSetFlags", made, ctypes.c_uint32(flags))

    # What Triton calls, from its own threads

    def _allocate(self, allocator: Any, name: Any, size: int, kind: int, id: int, userp: Any,
                  buffer: Any, buffer_userp: Any, actual: Any, actual_id: Any) -> None:  # fmt: skip
        buffer[0] = self._libc.malloc(size) if size else None
        actual[0] = 0  # memory of the processor
        actual_id[0] = 0

    def _release(self, allocator: Any, buffer: Any, userp: Any, size: int, kind: int,
                 id: int) -> None:  # fmt: skip
        if buffer:
            self._libc.free(buffer)

    def _done(self, request: Any, flags: int, userp: Any) -> None:
        self._library.TRITONSERVER_InferenceRequestDelete(_P(request))

    def _responded(self, response: Any, flags: int, token: Any) -> None:
        final = bool(flags & _FINAL)
        waiting = self._waiting.pop(token, None) if final else self._waiting.get(token)
        message: bytes | None = None
        text = ""
        if response:
            error = self._library.TRITONSERVER_InferenceResponseError(_P(response))
            if error:
                text = self._text(error)
            else:
                message = self._message(response)
            self._library.TRITONSERVER_InferenceResponseDelete(_P(response))
        if waiting is not None:
            waiting[0](message, text, final)

    def _message(self, response: Any) -> bytes:
        """A response as the message of gRPC, as all that reads answers knows that."""
        count = ctypes.c_uint32()
        self._call("InferenceResponseOutputCount", _P(response), ctypes.byref(count))
        outputs = []
        for index in range(count.value):
            name, kind, shape = ctypes.c_char_p(), ctypes.c_int(), ctypes.POINTER(ctypes.c_int64)()
            dims, base, size = ctypes.c_uint64(), _P(), ctypes.c_size_t()
            memory, memory_id, userp = ctypes.c_int(), ctypes.c_int64(), _P()
            self._call(
                "InferenceResponseOutput", _P(response), ctypes.c_uint32(index),
                *map(ctypes.byref, (name, kind, shape, dims, base, size, memory, memory_id, userp)),
            )  # fmt: skip
            datatype = self._library.TRITONSERVER_DataTypeString(kind).decode()
            sizes = tuple(shape[: dims.value])
            data = ctypes.string_at(base, size.value) if size.value and base.value else b""
            assert element_count(sizes) >= 0
            outputs.append(InferTensor((name.value or b"").decode(), datatype, sizes, data))
        return b"".join(rpc_infer.encode_response(InferResponse(outputs=tuple(outputs))))
