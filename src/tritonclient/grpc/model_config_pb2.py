"""The messages of a model's configuration, under the name by which programs know them.

They need protobuf, which is imported together with this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..extras import optional_import

with optional_import("protobuf", "tritonclient.grpc.model_config_pb2", "grpc"):
    from ..codec.messages_pb import public_names

    _names = public_names("model_config.proto")

globals().update(_names, __all__=[*_names])

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
