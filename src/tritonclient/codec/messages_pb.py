"""The protocol's protobuf classes, made at run time from a descriptor set.

No generated code is checked in: generated modules are tied to the version of protobuf that made
them, while a descriptor set can be read by any. It goes into a pool of its own, so that a program
may also have the official client's modules, whose messages have the same names.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.descriptor_pool import DescriptorPool


@cache
def message(name: str) -> Any:
    """The class of the message `inference.<name>`.

    Raises:
        ImportError: protobuf is not installed.
        KeyError: there is no such message.
    """
    from google.protobuf import message_factory

    descriptor = _pool().FindMessageTypeByName(f"inference.{name}")
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    # protobuf before 4.22, of which its types know nothing
    factory: Any = message_factory.MessageFactory()
    return factory.GetPrototype(descriptor)


@cache
def _pool() -> DescriptorPool:
    from google.protobuf import descriptor_pb2, descriptor_pool

    data = resources.files(__package__ or "").joinpath("messages.desc").read_bytes()
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        pool.Add(file)
    return pool
