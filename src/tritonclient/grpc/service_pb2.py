"""The messages of the service, under the name by which programs know them.

They need protobuf, which is imported together with this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..extras import optional_import

with optional_import("protobuf", "tritonclient.grpc.service_pb2", "grpc"):
    from ..codec.messages_pb import public_names

    _names = public_names("grpc_service.proto")

from . import model_config_pb2 as model__config__pb2

_names["model__config__pb2"] = model__config__pb2
globals().update(_names, __all__=[*_names])

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
