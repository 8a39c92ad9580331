"""Hypothesis strategies for protobuf messages, by their descriptors, and for broken ones."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.support.strategies import TEXT, wire_data
from tritonclient.codec import messages_pb
from tritonclient.datatypes import DATATYPES

_BITS = {"int32": (-(2**31), 2**31 - 1), "uint32": (0, 2**32 - 1)}
_BITS |= {"int64": (-(2**63), 2**63 - 1), "uint64": (0, 2**64 - 1)}
_SCALARS = {
    "bool": st.booleans(),
    "string": TEXT,
    "bytes": st.binary(max_size=9),
    # The JSON form has only finite numbers.
    "float": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    **{name: st.integers(*bits) | st.integers(0, 3) for name, bits in _BITS.items()},
}
_NAMES = "double float int64 uint64 int32 fixed64 fixed32 bool string group message bytes uint32"


@st.composite
def messages(draw, kind, *, depth=4):
    """Any message of a class."""
    message = kind()
    for field in kind.DESCRIPTOR.fields:
        if draw(st.booleans()):
            _fill(draw, message, field, depth)
    return message


def _fill(draw, message, field, depth):
    member = getattr(message, field.name)
    if hasattr(member, "keys"):
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        for each in draw(st.lists(_scalar(key), max_size=2, unique=True)):
            if value.message_type is None:
                member[each] = draw(_scalar(value))
            else:
                member[each].CopyFrom(draw(_nested(value, depth)))
    elif hasattr(member, "append"):
        items = _scalar(field) if field.message_type is None else _nested(field, depth)
        member.extend(draw(st.lists(items, max_size=3)))
    elif field.message_type is None:
        setattr(message, field.name, draw(_scalar(field)))
    else:
        member.CopyFrom(draw(_nested(field, depth)))


def _scalar(field):
    if field.enum_type is not None:
        return st.sampled_from(sorted(field.enum_type.values_by_number))
    return _SCALARS[_NAMES.split()[field.type - 1]]


def _nested(field, depth):
    kind = messages_pb.message(field.message_type.full_name)
    return messages(kind, depth=depth - 1) if depth else st.just(kind())


# Inference

_CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def elements(datatype):
    """Elements of typed contents that fit a datatype."""
    if datatype.startswith(("INT", "UINT")):
        bits = int(datatype.removeprefix("U").removeprefix("INT"))
        unsigned = datatype.startswith("U")
        return (
            st.integers(0, 2**bits - 1)
            if unsigned
            else st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        )
    if datatype.startswith("FP"):
        # A NaN may come back with other bits.
        return st.floats(width=int(datatype.removeprefix("FP")), allow_nan=False)
    return _SCALARS[{"BOOL": "bool", "BYTES": "bytes"}[datatype]]


@st.composite
def answers(draw):
    """A message ModelInferResponse that is right, with raw or typed outputs or both."""
    kind = messages_pb.message("ModelInferResponse")
    message = kind(model_name=draw(TEXT), model_version=draw(TEXT), id=draw(TEXT))
    _set_parameters(draw, message)
    for _ in range(draw(st.integers(0, 3))):
        typed = draw(st.booleans())
        datatype = draw(st.sampled_from(sorted(_CONTENTS if typed else DATATYPES)))
        shape = draw(st.lists(st.integers(0, 4), max_size=3))
        output = message.outputs.add(name=draw(TEXT), datatype=datatype, shape=shape)
        _set_parameters(draw, output)
        if not typed:
            message.raw_output_contents.append(draw(wire_data(datatype, shape)))
            continue
        count = 1
        for size in shape:
            count *= size
        values = draw(st.lists(elements(datatype), min_size=count, max_size=count))
        output.contents.SetInParent()
        getattr(output.contents, _CONTENTS[datatype]).extend(values)
    return message


def _set_parameters(draw, message):
    parameter = messages_pb.message("InferParameter")
    for name in draw(st.lists(TEXT, max_size=2, unique=True)):
        if name != "shared_memory_region":
            message.parameters[name].CopyFrom(draw(messages(parameter)))


@st.composite
def broken(draw, message):
    """Bytes of a message with some of them changed, taken out, put in or cut off."""
    data = bytearray(message.SerializeToString())
    for _ in range(draw(st.integers(1, 3))):
        position = draw(st.integers(0, len(data)))
        how = draw(st.sampled_from(["change", "insert", "delete", "cut"]))
        if how == "insert":
            data[position:position] = draw(st.binary(min_size=1, max_size=3))
        elif how == "delete":
            del data[position : position + draw(st.integers(1, 3))]
        elif how == "cut":
            del data[position:]
        elif position < len(data):
            data[position] = draw(st.integers(0, 255))
    return bytes(data)


@st.composite
def torn(draw, message):
    """Bytes of messages of one class, one behind the other, which is how protobuf merges."""
    others = draw(st.lists(messages(type(message)), max_size=2))
    parts = [each.SerializeToString() for each in others]
    parts.insert(draw(st.integers(0, len(parts))), message.SerializeToString())
    return b"".join(parts)
