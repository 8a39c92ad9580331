"""Hypothesis strategies for every message of the protocol, in the form in which it is decoded."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping

import numpy as np
from hypothesis import strategies as st

from tritonclient import messages as m
from tritonclient.datatypes import DATATYPES, NUMPY, pack_bytes

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
NAMES = TEXT.filter(lambda name: name and not name.startswith("file:"))
#: "stats" is where the statistics of all models are, so no model of that name can be asked for.
MODELS = NAMES.filter(lambda name: name not in ("stats", "versions"))
INTEGERS = st.integers(0, 2**63 - 1)
PARAMETERS = st.dictionaries(
    NAMES.map(lambda name: "p" + name),
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXT,
    max_size=3,
).filter(lambda d: all(not isinstance(v, float) or math.isfinite(v) for v in d.values()))
SHARED = st.fixed_dictionaries(
    {"shared_memory_region": NAMES, "shared_memory_byte_size": INTEGERS},
    optional={"shared_memory_offset": INTEGERS},
)
SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
OBJECTS = st.dictionaries(TEXT, JSON, max_size=4)


def record(kind):
    """Any value of a record, by the types of its fields."""
    return st.builds(kind, **{n: _value(hint) for n, hint in typing.get_type_hints(kind).items()})


def _value(kind):
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if hasattr(kind, "_fields") or dataclasses.is_dataclass(kind):
        return record(kind)
    if origin is tuple:
        return st.lists(_value(arguments[0]), max_size=3).map(tuple)
    if origin in (dict, Mapping):
        return st.dictionaries(TEXT, _value(arguments[1]), max_size=3)
    if isinstance(kind, types.UnionType):
        return st.one_of(*map(_value, arguments))
    return {int: INTEGERS, str: TEXT, bool: st.booleans(), float: st.floats(allow_nan=False)}[kind]


def wire_data(datatype, shape, *, as_json=False):
    """The wire bytes of a tensor."""
    count = math.prod(shape)
    if datatype == "BYTES":
        element = st.text(st.characters(codec="utf-8"), max_size=9).map(str.encode)
        elements = st.lists(
            element if as_json else st.binary(max_size=9), min_size=count, max_size=count
        )
        return elements.map(_pack_elements)
    if datatype == "BOOL":
        return st.lists(st.booleans(), min_size=count, max_size=count).map(bytes)
    size = count * NUMPY[datatype].itemsize
    data = st.binary(min_size=size, max_size=size)
    if as_json and datatype.startswith("FP"):
        return data.filter(lambda d: bool(np.isfinite(np.frombuffer(d, NUMPY[datatype])).all()))
    return data


def _pack_elements(elements):
    array = np.empty(len(elements), object)
    array[:] = elements
    return bytes(pack_bytes(array))


@st.composite
def tensors(draw):
    """A tensor of any datatype: binary, as JSON, or in shared memory."""
    how = draw(st.sampled_from(["binary", "json", "shared"]))
    datatype = draw(
        st.sampled_from(sorted(DATATYPES - {"FP16", "BF16"} if how == "json" else DATATYPES))
    )
    shape = draw(SHAPES)
    name = draw(TEXT)
    if how == "shared":
        return m.InferTensor(name, datatype, shape, None, draw(SHARED), False)
    data = draw(wire_data(datatype, shape, as_json=how == "json"))
    return m.InferTensor(name, datatype, shape, data, draw(PARAMETERS), how == "binary")


REQUESTED = st.builds(
    m.RequestedOutput, TEXT, st.integers(0, 1000), st.booleans(), PARAMETERS
) | st.builds(m.RequestedOutput, TEXT, st.just(0), st.just(False), SHARED)


@st.composite
def infers(draw):
    outputs = tuple(draw(st.lists(REQUESTED, max_size=3)))
    return m.Infer(
        draw(MODELS),
        tuple(draw(st.lists(tensors(), max_size=3))),
        draw(TEXT),
        outputs,
        draw(TEXT),
        draw(PARAMETERS),
        # Only says something, and is only sent, when no outputs are named.
        bool(outputs) or draw(st.booleans()),
    )


ANSWERS_OF_INFER = st.builds(
    m.InferResponse,
    TEXT,
    TEXT,
    TEXT,
    PARAMETERS,
    st.lists(tensors(), max_size=3).map(tuple),
)

_TRACE = st.dictionaries(TEXT, st.none() | TEXT | st.lists(TEXT, max_size=3).map(tuple), max_size=4)
_LOG = st.dictionaries(TEXT, st.booleans() | INTEGERS | TEXT, max_size=4)
_CONFIG = st.none() | TEXT
_FILES = st.dictionaries(NAMES, st.binary(max_size=50), max_size=3)

#: How each request is made.
REQUESTS = {
    m.IsServerLive: st.builds(m.IsServerLive),
    m.IsServerReady: st.builds(m.IsServerReady),
    m.IsModelReady: st.builds(m.IsModelReady, MODELS, TEXT),
    m.GetServerMetadata: st.builds(m.GetServerMetadata),
    m.GetModelMetadata: st.builds(m.GetModelMetadata, MODELS, TEXT),
    m.GetModelConfig: st.builds(m.GetModelConfig, MODELS, TEXT),
    m.GetStatistics: st.builds(m.GetStatistics, MODELS, TEXT) | st.just(m.GetStatistics()),
    m.GetRepositoryIndex: st.builds(m.GetRepositoryIndex, st.booleans()),
    m.LoadModel: st.builds(m.LoadModel, MODELS, _CONFIG, _FILES),
    m.UnloadModel: st.builds(m.UnloadModel, MODELS, st.booleans()),
    m.GetTraceSettings: st.builds(m.GetTraceSettings, MODELS | st.just("")),
    m.UpdateTraceSettings: st.builds(m.UpdateTraceSettings, _TRACE, MODELS | st.just("")),
    m.GetLogSettings: st.builds(m.GetLogSettings),
    m.UpdateLogSettings: st.builds(m.UpdateLogSettings, _LOG),
    m.GetSystemSharedMemoryStatus: st.builds(m.GetSystemSharedMemoryStatus, TEXT),
    m.RegisterSystemSharedMemory: st.builds(
        m.RegisterSystemSharedMemory, NAMES, TEXT, INTEGERS, INTEGERS
    ),
    m.UnregisterSystemSharedMemory: st.builds(m.UnregisterSystemSharedMemory, TEXT),
    m.GetCudaSharedMemoryStatus: st.builds(m.GetCudaSharedMemoryStatus, TEXT),
    m.RegisterCudaSharedMemory: st.builds(
        m.RegisterCudaSharedMemory, NAMES, st.binary(min_size=64, max_size=64), INTEGERS, INTEGERS
    ),
    m.UnregisterCudaSharedMemory: st.builds(m.UnregisterCudaSharedMemory, TEXT),
    m.Infer: infers(),
}


def answers(kind):
    """Answers to requests of a class."""
    (base,) = kind.__orig_bases__
    (answer,) = typing.get_args(base)
    if answer is m.InferResponse:
        return ANSWERS_OF_INFER
    if answer is type(None):
        return st.none()
    if typing.get_origin(answer) is dict:
        return OBJECTS
    return st.booleans() if answer is bool else _value(answer)
