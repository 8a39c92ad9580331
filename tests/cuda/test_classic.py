"""The classic `tritonclient.utils.cuda_shared_memory`: what existing programs do with it."""

from __future__ import annotations

import base64

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tritonclient.utils.cuda_shared_memory as cudashm
from tests.cuda.conftest import Driver
from tritonclient.datatypes import NUMPY
from tritonclient.shm.dlpack import borrow
from tritonclient.utils import SharedMemoryTensor, serialize_byte_tensor, triton_to_np_dtype
from tritonclient.utils.cuda_shared_memory import CudaSharedMemoryException

NOT_SET = "unable to set values in cuda shared memory"
TOO_SMALL = (
    "The size of the shared memory region is insufficient to provide numpy array with requested "
    "size"
)


def texts(*items):
    array = np.empty(len(items), object)
    array[:] = items
    return array


@pytest.fixture
def region(driver):
    region = cudashm.create_shared_memory_region("name", 128, 0)
    yield region
    if region in cudashm.allocated_shared_memory_regions():
        cudashm.destroy_shared_memory_region(region)
    assert cudashm.allocated_shared_memory_regions() == []


# Making and giving up


def test_life_of_a_region(fake: Driver):
    before = fake.ask("fake_live_blocks")
    region = cudashm.create_shared_memory_region(triton_shm_name="name", byte_size=64, device_id=1)
    assert isinstance(region, cudashm.CudaSharedMemoryRegion)
    assert cudashm.allocated_shared_memory_regions() == [region]
    assert cudashm.allocated_shared_memory_regions() is cudashm.allocated_shm_regions
    assert fake.ask("fake_live_blocks") == before + 1
    cudashm.destroy_shared_memory_region(region)
    assert cudashm.allocated_shared_memory_regions() == []
    assert fake.ask("fake_live_blocks") == before  # though the handle is still there
    with pytest.raises(ValueError, match="is destroyed already"):
        cudashm.destroy_shared_memory_region(region)


def test_handle(region):
    handle = cudashm.get_raw_handle(region)
    assert isinstance(handle, bytes)
    assert len(base64.b64decode(handle, validate=True)) == 64


@pytest.mark.parametrize(("size", "device"), [(0, 0), (-1, 0), (64, 64), (64, "0"), (1 << 45, 0)])
def test_what_can_not_be_made(driver, size, device):
    with pytest.raises(CudaSharedMemoryException) as caught:
        cudashm.create_shared_memory_region("name", size, device)
    assert str(caught.value) == "unable to create cuda shared memory handle"
    assert caught.value.__cause__ is not None
    assert cudashm.allocated_shared_memory_regions() == []


# Contents


@pytest.mark.parametrize("datatype", sorted(NUMPY))
@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (2, 3)])
def test_there_and_back(region, datatype, shape):
    kind = triton_to_np_dtype(datatype)
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(kind)
    cudashm.set_shared_memory_region(region, [array], offset=8)
    read = cudashm.get_contents_as_numpy(region, kind, shape, offset=8)
    assert (read.dtype, read.shape) == (kind, shape)
    assert read.tolist() == array.tolist()
    read[...] = 1  # it is a copy of our own


def test_arrays_one_behind_the_other(region):
    arrays = (
        np.uint8([1, 2, 3, 4]),
        np.arange(4, dtype=">i4")[::2],
        np.float32([[1, 2], [3, 4]]).T,
    )
    cudashm.set_shared_memory_region(region, arrays)
    assert cudashm.get_contents_as_numpy(region, np.uint8, [4]).tolist() == [1, 2, 3, 4]
    assert cudashm.get_contents_as_numpy(region, np.int32, [2], 4).tolist() == [0, 2]
    assert cudashm.get_contents_as_numpy(region, np.float32, [4], 12).tolist() == [1, 3, 2, 4]


@pytest.mark.parametrize("kind", [np.object_, np.bytes_])
def test_bytes(region, kind):
    array = texts(b"abc", b"", b"\0\0")
    cudashm.set_shared_memory_region(region, [serialize_byte_tensor(array)])
    assert cudashm.get_contents_as_numpy(region, kind, [3, 1]).ravel().tolist() == array.tolist()
    assert cudashm.get_contents_as_numpy(region, kind, [0]).shape == (0,)
    cudashm.set_shared_memory_region(region, [serialize_byte_tensor(texts())])


@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(offset=st.integers(-8, 140), count=st.integers(0, 40))
def test_bounds(region, offset, count):
    array = np.arange(count, dtype=np.int32)
    if 0 <= offset <= 128 - 4 * count:
        cudashm.set_shared_memory_region(region, [array], offset)
        read = cudashm.get_contents_as_numpy(region, np.int32, [count], offset)
        assert read.tolist() == array.tolist()
        cudashm.set_shared_memory_region_from_dlpack(region, [array], offset)
        cudashm.as_shared_memory_tensor(region, "INT32", [count], offset)
        return
    with pytest.raises(CudaSharedMemoryException, match=NOT_SET):
        cudashm.set_shared_memory_region(region, [array], offset)
    for kind in (np.int32, np.object_):
        with pytest.raises(CudaSharedMemoryException, match=TOO_SMALL):
            cudashm.get_contents_as_numpy(region, kind, [count], offset)
    with pytest.raises(CudaSharedMemoryException, match="outside of the region of 128 bytes"):
        cudashm.set_shared_memory_region_from_dlpack(region, [array], offset)
    with pytest.raises(CudaSharedMemoryException, match="no tensor of INT32"):
        cudashm.as_shared_memory_tensor(region, "INT32", [count], offset)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.zeros(2), "input_values must be specified as a numpy array"),
        (None, "input_values must be specified as a numpy array"),
        ([[1]], "input_values must be specified as a list/tuple of numpy arrays"),
        ([texts(b"a", b"b")], NOT_SET),
        ([np.zeros(16), np.zeros(1, np.uint8)], NOT_SET),
    ],
)
def test_values_that_can_not_be_set(region, values, text):
    cudashm.set_shared_memory_region(region, [np.full(128, 7, np.uint8)])
    with pytest.raises(CudaSharedMemoryException) as caught:
        cudashm.set_shared_memory_region(region, values)
    assert str(caught.value) == text
    assert set(cudashm.get_contents_as_numpy(region, np.uint8, [128])) == {7}


def test_bytes_that_are_none(region):
    cudashm.set_shared_memory_region(region, [np.full(128, 255, np.uint8)])
    with pytest.raises(CudaSharedMemoryException, match="failed to read cuda shared memory"):
        cudashm.get_contents_as_numpy(region, np.object_, [1])


def test_what_a_destroyed_region_can_not(region):
    cudashm.destroy_shared_memory_region(region)
    for act, text in (
        (lambda: cudashm.get_raw_handle(region), "unable to get the handle"),
        (lambda: cudashm.set_shared_memory_region(region, [np.zeros(1)]), NOT_SET),
        (lambda: cudashm.get_contents_as_numpy(region, np.int8, [1]), "failed to read cuda"),
        (lambda: cudashm.as_shared_memory_tensor(region, "INT8", [1]), "no tensor of INT8"),
        (
            lambda: cudashm.set_shared_memory_region_from_dlpack(region, [np.zeros(1)]),
            "region is closed",
        ),
    ):
        with pytest.raises(CudaSharedMemoryException, match=text):
            act()


# Other libraries


def test_tensors_of_other_libraries(region):
    other = cudashm.create_shared_memory_region("other", 64, 0)
    cudashm.set_shared_memory_region(other, [np.arange(8)])
    on_gpu = cudashm.as_shared_memory_tensor(other, "INT64", [2, 2], 16)
    on_cpu = np.float32([[1, 2, 3]])
    cudashm.set_shared_memory_region_from_dlpack(region, [on_gpu, on_cpu, np.bool_([True, False])])
    assert cudashm.get_contents_as_numpy(region, np.int64, [4]).tolist() == [2, 3, 4, 5]
    assert cudashm.get_contents_as_numpy(region, np.float32, [3], 32).tolist() == [1, 2, 3]
    assert cudashm.get_contents_as_numpy(region, bool, [2], 44).tolist() == [True, False]
    cudashm.destroy_shared_memory_region(other)
    with pytest.raises(CudaSharedMemoryException, match="region is closed"):
        cudashm.set_shared_memory_region_from_dlpack(other, [on_cpu])


def test_tensors_that_do_not_fit(region):
    for value, text in (
        (np.zeros((2, 2)).T, "DLPack tensor is not contiguous. Only contiguous DLPack tensors"),
        ([1], "list does not speak DLPack"),
        (np.zeros(17), "136 bytes at offset 0 lie outside of the region of 128 bytes"),
    ):
        with pytest.raises(CudaSharedMemoryException, match=text):
            cudashm.set_shared_memory_region_from_dlpack(region, [value])


def test_a_tensor_of_the_region(region):
    array = np.array([1, 2, 3], ml_dtypes.bfloat16)
    cudashm.set_shared_memory_region(region, [array])
    tensor = cudashm.as_shared_memory_tensor(region, "BF16", [3])
    assert isinstance(tensor, SharedMemoryTensor)
    assert tensor.__dlpack_device__() == (2, 0)
    taken = borrow(tensor)
    assert (taken.datatype, taken.shape) == ("BF16", (3,))
    with pytest.raises(CudaSharedMemoryException, match="no tensor of BYTES"):
        cudashm.as_shared_memory_tensor(region, "BYTES", [3])
