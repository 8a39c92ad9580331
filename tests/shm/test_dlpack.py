"""DLPack, on the CPU: what numpy gives us and takes from us."""

from __future__ import annotations

import ctypes
import gc
import threading
import weakref

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tests.support.strategies import SHAPES
from tritonclient.datatypes import NUMPY
from tritonclient.shm import dlpack
from tritonclient.shm.dlpack import (
    CPU,
    CUDA,
    SharedMemoryTensor,
    borrow,
    device_of,
    is_contiguous,
)

EVERY = pytest.mark.parametrize("datatype", sorted(NUMPY))


class Memory:
    """Memory of the CPU that tells when it goes."""

    def __init__(self, size=4096):
        self.bytes = np.zeros(size, np.uint8)
        self.address = self.bytes.ctypes.data

    def tensor(self, datatype, shape, offset=0, device=-1):
        return SharedMemoryTensor(
            datatype, shape, self.address, offset, self.bytes.size, device, owner=self
        )


def still_exported():
    gc.collect()
    return [each for each in gc.get_objects() if isinstance(each, dlpack._Memory)]


@pytest.fixture
def memory():
    yield Memory()
    assert not still_exported()


# Giving


@pytest.mark.parametrize("datatype", sorted(set(NUMPY) - {"BF16"}))  # which numpy lacks
@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 3), (2, 0, 3)])
def test_numpy_takes_our_tensors(memory, datatype, shape):
    tensor = memory.tensor(datatype, shape, 64)
    assert device_of(tensor) == (CPU, 0)
    array = np.from_dlpack(tensor)
    assert (array.dtype, array.shape) == (NUMPY[datatype], shape)
    assert not array.size or array.ctypes.data == memory.address + 64
    memory.bytes[64] = 1
    assert not array.size or array.ravel()[0] != 0


def test_numpy_refuses_what_it_lacks(memory):
    with pytest.raises((BufferError, RuntimeError), match="Unsupported dtype"):
        np.from_dlpack(memory.tensor("BF16", [2]))


@EVERY
@pytest.mark.parametrize("version", [None, (0, 8), (1, 0), (1, 1)])
def test_what_we_give_is_what_we_take(memory, datatype, version):
    tensor = memory.tensor(datatype, [2, 3], 8)
    capsule = tensor.__dlpack__(max_version=version)
    versioned = version is not None and version >= (1, 0)
    assert ("dltensor_versioned" in repr(capsule)) == versioned
    for taken in (borrow(capsule), borrow(tensor)):
        assert (taken.address, taken.datatype) == (memory.address + 8, datatype)
        assert (taken.device_type, taken.device_id, taken.shape) == (CPU, 0, (2, 3))
        assert taken.byte_size == 6 * NUMPY[datatype].itemsize
        assert taken.contiguous


def test_memory_lives_as_long_as_arrays_of_it():
    memory = Memory()
    gone = weakref.ref(memory)
    tensor = memory.tensor("INT8", [16])
    array = np.from_dlpack(tensor)
    del memory, tensor
    gc.collect()
    assert gone() is not None
    part = array[3:]
    del array
    assert gone() is not None
    del part
    assert gone() is None


def test_memory_lives_as_long_as_an_unused_capsule():
    memory = Memory()
    gone = weakref.ref(memory)
    capsules = [memory.tensor("INT8", [16]).__dlpack__(max_version=v) for v in (None, (1, 0))]
    del memory
    while capsules:
        assert gone() is not None
        capsules.pop()
    assert gone() is None


def test_a_capsule_that_was_used(memory):
    capsule = memory.tensor("INT8", [16]).__dlpack__()

    class Holder:
        def __dlpack__(self, **_):
            return capsule

        def __dlpack_device__(self):
            return CPU, 0

    array = np.from_dlpack(Holder())
    with pytest.raises(TypeError, match="is no DLPack tensor, or one that was used already"):
        borrow(capsule)
    del array


def test_given_back_on_another_thread(memory):
    holder = [np.from_dlpack(memory.tensor("INT8", [16])) for _ in range(50)]
    thread = threading.Thread(target=holder.clear)
    thread.start()
    thread.join(30)
    assert not still_exported()


def test_on_a_gpu(memory):
    tensor = memory.tensor("FP32", [4], 16, device=3)
    assert device_of(tensor) == (CUDA, 3)
    for stream in (None, -1, 1, 2, 12345):
        taken = borrow(tensor.__dlpack__(stream=stream))
        assert (taken.device_type, taken.device_id) == (CUDA, 3)
        assert taken.address == memory.address + 16
    with pytest.raises(ValueError, match="stream 0 is ambiguous"):
        tensor.__dlpack__(stream=0)


def test_copies_are_refused(memory):
    tensor = memory.tensor("FP32", [4])
    tensor.__dlpack__(copy=False, dl_device=(CPU, 0))
    for wish in ({"copy": True}, {"dl_device": (CUDA, 0)}):
        with pytest.raises(BufferError, match="exported where it is"):
            tensor.__dlpack__(**wish)


def test_what_has_no_form(memory):
    for datatype in ("BYTES", "INT33"):
        with pytest.raises(ValueError, match=f"datatype '{datatype}' has no DLPack form"):
            memory.tensor(datatype, [1])


@given(
    datatype=st.sampled_from(sorted(NUMPY)),
    shape=st.lists(st.integers(-1, 5), max_size=3),
    offset=st.integers(-8, 80),
)
def test_bounds(datatype, shape, offset):
    memory = Memory(64)
    size = int(np.prod(shape, dtype=int)) * NUMPY[datatype].itemsize
    if min(shape, default=0) >= 0 and offset >= 0 and offset + size <= 64:
        assert borrow(memory.tensor(datatype, shape, offset)).byte_size == size
    else:
        with pytest.raises(ValueError, match="does not fit into 64 bytes"):
            memory.tensor(datatype, shape, offset)


# Taking


@pytest.mark.parametrize("datatype", sorted(set(NUMPY) - {"BF16"}))
@given(data=st.data())
def test_arrays_of_numpy(datatype, data):
    array = np.zeros(data.draw(SHAPES), NUMPY[datatype])
    taken = borrow(array)
    assert (taken.datatype, taken.shape) == (datatype, array.shape)
    assert taken.byte_size == array.nbytes
    assert taken.contiguous
    assert not array.size or taken.address == array.ctypes.data
    assert (taken.device_type, taken.device_id) == (CPU, 0)


@given(npst.arrays(np.int16, npst.array_shapes(max_side=4)), st.data())
def test_contiguous_is_what_numpy_calls_so(array, data):
    axes = data.draw(st.permutations(range(array.ndim)))
    steps = [data.draw(st.sampled_from([1, 2, -1])) for _ in range(array.ndim)]
    view = array.transpose(axes)[tuple(slice(None, None, step) for step in steps)]
    strides = [stride // 2 for stride in view.strides]
    assert is_contiguous(view.shape, strides) == view.flags.c_contiguous
    assert borrow(view).contiguous == view.flags.c_contiguous
    assert borrow(view).address == view.ctypes.data


def test_strides_that_do_not_matter():
    assert is_contiguous((1, 3), (999, 1))
    assert is_contiguous((3, 1), (1, -5))
    assert is_contiguous((0, 3), (1, 1))
    assert is_contiguous((2, 3), None)
    assert not is_contiguous((3,), (0,))


def test_what_the_protocol_has_no_name_for():
    taken = borrow(np.zeros(3, np.complex64))
    assert (taken.datatype, taken.byte_size) == (None, 24)


def test_a_producer_of_before_version_1():
    class Old:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, stream=None):
            assert stream is None
            return self.array.__dlpack__()

    array = np.arange(3)
    assert borrow(Old(array)).address == array.ctypes.data


def test_what_is_no_producer():
    for value in ([1], b"abc", ctypes.c_int(1)):
        with pytest.raises(TypeError, match=f"{type(value).__name__} does not speak DLPack"):
            borrow(value)


def test_bfloat16_has_its_code(memory):
    memory.bytes[:4] = np.array([1, 2], ml_dtypes.bfloat16).view(np.uint8)
    assert borrow(memory.tensor("BF16", [2])).datatype == "BF16"
