"""The protocol's protobuf classes, made at run time from a descriptor set.

No generated code is checked in: generated modules are tied to the version of protobuf that made
them, while a descriptor set can be read by any. It goes into a pool of its own, so that a program
may also have the official client's modules, whose messages have the same names.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FileDescriptor
    from google.protobuf.descriptor_pool import DescriptorPool

#: The modules in which programs find the messages of a file; pickles name them.
_MODULES = {
    "grpc_service.proto": "tritonclient.grpc.service_pb2",
    "model_config.proto": "tritonclient.grpc.model_config_pb2",
}
#: The pool, when it is made.
_made: list[DescriptorPool] = []


@cache
def message(name: str) -> Any:
    """The class of a message, by its full name or by its name in the package `inference`.

    Nested messages and enums are attributes of their message's class.

    Raises:
        ImportError: protobuf is not installed.
        KeyError: there is no such message.
    """
    return _class(_pool().FindMessageTypeByName(_full(name)))


@cache
def enum(name: str) -> Any:
    """The wrapper of an enum, named likewise: `enum("DataType").Name(11)` is "TYPE_FP32".

    Raises:
        ImportError: protobuf is not installed.
        KeyError: there is no such enum.
    """
    from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

    return EnumTypeWrapper(_pool().FindEnumTypeByName(_full(name)))


def file(name: str) -> FileDescriptor:
    """The descriptor of one of the files in `proto/`, such as "grpc_service.proto".

    Raises:
        ImportError: protobuf is not installed.
        KeyError: there is no such file.
    """
    return _pool().FindFileByName(name)


def public_names(name: str) -> dict[str, Any]:
    """All that a generated module of a file would have: messages, enums, their values, DESCRIPTOR.

    Raises:
        ImportError: protobuf is not installed.
        KeyError: there is no such file.
    """
    descriptor = file(name)
    names: dict[str, Any] = {"DESCRIPTOR": descriptor}
    for each in descriptor.message_types_by_name.values():
        names[each.name] = message(each.full_name)
    for kind in descriptor.enum_types_by_name.values():
        names[kind.name] = enum(kind.full_name)
        names |= {value.name: value.number for value in kind.values}
    return names


def _full(name: str) -> str:
    return name if name.startswith(("inference.", "grpc.")) else f"inference.{name}"


def _class(descriptor: Descriptor) -> Any:
    from google.protobuf import message_factory

    if hasattr(message_factory, "GetMessageClass"):
        kind: Any = message_factory.GetMessageClass(descriptor)
    else:  # protobuf before 4.22, of which its types know nothing
        factory: Any = message_factory.MessageFactory()
        kind = factory.GetPrototype(descriptor)
    kind.__module__ = _MODULES.get(descriptor.file.name)
    for nested in descriptor.nested_types:
        if not hasattr(kind, nested.name):  # protobuf in pure Python leaves them out
            setattr(kind, nested.name, message(nested.full_name))
    return kind


def _pool() -> DescriptorPool:
    if not _made:
        # Several threads may come here. All must use one pool: two would have two classes of each
        # message, which cannot be mixed.
        _made.append(_new_pool())
    return _made[0]


def _new_pool() -> DescriptorPool:
    from importlib import resources  # which takes longer to import than this package's codec

    from google.protobuf import descriptor_pb2, descriptor_pool

    data = resources.files(__package__ or "").joinpath("messages.desc").read_bytes()
    pool = descriptor_pool.DescriptorPool()
    for each in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        pool.Add(each)
    return pool


def to_dict(message: Any) -> dict[str, Any]:
    """The JSON form of a message as Triton writes it.

    Unlike protobuf's own JSON form this has the fields' own names, in the order in which they are
    declared, numbers for 64-bit integers, and scalars and lists even when they are empty.
    """
    value: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        member = getattr(message, field.name)
        # By their methods: in threads that load models at the same time, `isinstance` with an
        # abstract class and protobuf's own types has ended the interpreter (Python 3.11).
        if hasattr(member, "keys"):
            # Sorted, as protobuf keeps no order of its own in maps.
            value[field.name] = {
                str(key): to_dict(item) if hasattr(item, "DESCRIPTOR") else item
                for key, item in sorted(member.items())
            }
        elif hasattr(member, "extend"):
            value[field.name] = [scalar(field, item) for item in member]
        elif field.message_type is not None or field.containing_oneof is not None:
            if message.HasField(field.name):
                value[field.name] = scalar(field, member)
        else:
            value[field.name] = scalar(field, member)
    return value


def scalar(field: Any, value: Any) -> Any:
    """The JSON form of one value of a field: an object, the name of an enum's value, or itself."""
    if field.message_type is not None:
        return to_dict(value)
    if field.enum_type is not None:
        # A number without a name stays a number, as in protobuf's own JSON form.
        named = field.enum_type.values_by_number.get(value)
        return value if named is None else named.name
    return value
