"""Triton, and any other server of the v2 protocol, over HTTP or gRPC."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ... import Client
from ...errors import InferenceServerException, NotFound, ProtocolError, ServerError, Unimplemented
from ..data.dataset import Dataset
from ..data.model import ModelInfo, check_batch, describe
from ..exits import SetupError
from ..load import requests
from ..load.connection import make_target
from ..load.plan import Plan
from ..load.sequences import rules_for
from ..options.settings import Settings
from .addresses import tls_of, url_of
from .service import Statistics

_TIMEOUT = 10.0


class Triton:
    """A server of the v2 protocol.

    Raises:
        SetupError: it can't be reached, or does not have the model.
    """

    kind = "TRITON"
    start_worker = None

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = url_of(settings)
        self._tls = tls_of(settings)
        tls = self._tls if self._url.startswith(("https", "grpcs")) else None
        self.library = "gRPC" if settings.grpc else "HTTP"
        self._trace: dict[str, Any] | None = None
        self._shared: Any = None
        try:
            self._client = Client(
                self._url, timeout=_TIMEOUT, tls=tls, headers=dict(settings.headers)
            )
        except (ValueError, TypeError, OSError, ImportError) as error:
            raise SetupError(f"error: failed to create the client: {error}") from None
        try:
            self.model = self._model()
            self._has_statistics = self._extension("statistics")
            if settings.trace_level:
                self._set_trace()
        except BaseException:
            self._client.close()
            raise

    def _model(self) -> ModelInfo:
        settings = self._settings
        name, version = settings.model_name, settings.model_version
        try:
            metadata = self._client.model_metadata(name, version)
        except InferenceServerException as error:
            raise SetupError(f"error: failed to get model metadata: {_text(error)}") from None
        config = self._config(name, version)
        model = describe(metadata, config, version, self._config, settings.bls_composing_models)
        check_batch(model, settings.batch_size)
        return model

    def _config(self, name: str, version: str) -> Mapping[str, Any] | None:
        try:
            return self._client.model_config(name, version)
        except (Unimplemented, NotFound, ProtocolError):
            if name == self._settings.model_name:
                return None  # KServe's servers have none
            raise SetupError(f"error: composing model {name!r} is not on the server") from None
        except InferenceServerException as error:
            raise SetupError(f"error: failed to get model config: {_text(error)}") from None

    def _extension(self, name: str) -> bool:
        try:
            return name in self._client.server_metadata().extensions
        except InferenceServerException:
            return False

    # Trace settings

    def _set_trace(self) -> None:
        settings = self._settings
        wanted: dict[str, Any] = {
            "trace_level": (settings.trace_level,),
            "trace_rate": str(settings.trace_rate),
            "trace_count": str(settings.trace_count),
            "log_frequency": str(settings.log_frequency),
        }
        try:
            before = self._client.trace_settings()
            self._client.update_trace_settings(wanted)
        except InferenceServerException as error:
            raise SetupError(f"error: failed to update trace settings: {_text(error)}") from None
        self._trace = {name: _kept(before.get(name)) for name in wanted}

    # Sending

    def plan(self, data: Dataset, settings: Settings) -> Plan:
        """What workers send."""
        kind = "grpc_stream" if settings.streaming else settings.protocol
        compression = (
            settings.grpc_compression_algorithm
            if settings.grpc
            else settings.http_compression_algorithm
        )
        try:
            target = make_target(
                self._url, settings.protocol, self._tls, settings.headers, compression, kind=kind
            )
            made, expected = requests.make(self.model, data, settings)
            wires = [target.encode(request) for request in made]
        except (ValueError, TypeError) as error:
            raise SetupError(f"error: the request can't be made: {error}") from None
        plan = Plan(
            target=target,
            wires=wires,
            requests=made,
            expected=expected,
            sequences=rules_for(settings, data) if self.model.sequence else None,
            decoupled=self.model.decoupled and settings.streaming,
            timeout=int(settings.timeout * 1e9),
            seed=settings.seed,
            output_names=tuple(self.model.outputs),
        )
        return plan

    def share(self, plan: Plan, places: int) -> Plan:
        """The plan with tensors in shared memory, for so many requests in flight."""
        from ..data.shared_memory import SharedTensors

        self._shared = shared = SharedTensors(
            self._client, self._settings, self.model, plan, places
        )
        return shared.plan

    def describe(self, plan: Plan) -> str:
        """The first request, for people to read."""
        request, wire = plan.requests[0], plan.wires[0]
        lines = [f"{self.library} request to {self._url}, {wire.size} bytes"]
        if not self._settings.grpc:
            head = bytes(wire.head).split(b"\r\n\r\n")[0].decode("latin-1")
            lines += [f"  {line}" for line in head.split("\r\n")]
        else:
            lines.append(f"  {plan.target.kind} {request.model} {request.version}".rstrip())
        for name, value in request.parameters.items():
            lines.append(f"  parameter {name} = {value!r}")
        for tensor in request.inputs:
            data = bytes(tensor.data or b"")
            lines.append(
                f"  input {tensor.name} {tensor.datatype}{list(tensor.shape)}, {len(data)} bytes: "
                f"{_values(tensor)}"
            )
        lines.append(f"  {len(plan.wires)} different requests")
        return "\n".join(lines)

    # Statistics

    def statistics(self) -> Statistics | None:
        """The server's statistics by now; None when it has none."""
        if not self._has_statistics:
            return None
        model = self.model
        try:
            found = self._client.statistics("" if model.composing else self._settings.model_name,
                                            "" if model.composing else model.version)  # fmt: skip
        except InferenceServerException:
            return None
        wanted = {self._settings.model_name, *dict(model.composing)}
        return {(each.name, each.version): each for each in found if each.name in wanted}

    def close(self) -> None:
        """Put back what was changed on the server, and close connections."""
        if self._shared is not None:
            self._shared.close()
        if self._trace is not None:
            settings, self._trace = self._trace, None
            with suppress(InferenceServerException):
                self._client.update_trace_settings(settings)
        self._client.close()


def _kept(value: Any) -> Any:
    """A trace setting as it has to be given back."""
    return tuple(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _text(error: InferenceServerException) -> str:
    """Return the words of a server as the official tool prints them, and what to do about them."""
    text = error.message() if isinstance(error, ServerError) else ""
    if not text:
        return str(error)
    return f"{text} ({error.hint})" if error.hint else text


def _values(tensor: Any) -> str:
    from ...datatypes import element_count, unpack

    values = unpack(tensor.data, tensor.datatype, (element_count(tensor.shape),))
    shown = ", ".join(str(each) for each in values[:8])
    return shown + (", ..." if len(values) > 8 else "")
