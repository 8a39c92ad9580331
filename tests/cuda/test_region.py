"""Regions of GPU memory: copies, bounds, other processes, and how long memory lives."""

from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cuda.conftest import why_no_gpu
from tritonclient.shm import cuda_driver
from tritonclient.shm.cuda import attach_region, check_handle, create_region
from tritonclient.shm.cuda_driver import CudaError
from tritonclient.shm.dlpack import CUDA, borrow

with_fixtures = settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def region(driver):
    with create_region(4096) as region:
        yield region


def test_a_real_gpu_is_there():
    """All tests that take `driver` run on it as well."""
    if reason := why_no_gpu():
        pytest.skip(reason)


# Copies


def test_bytes_there_and_back(region):
    region.write(b"abcdef", 10)
    assert bytes(region.read(10, 6)) == b"abcdef"
    region.write(bytearray(b"XY"), 12)
    region.write(np.uint8([90]).data, 15)
    assert bytes(region.read(10, 6)) == b"abXYeZ"
    assert len(region.read()) == 4096
    assert len(region.read(4000)) == 96


def test_what_is_read_is_ours(region):
    region.write(b"abc")
    data = region.read(0, 3)
    data[0] = 0
    region.write(b"xyz")
    assert bytes(data) == b"\0bc"
    assert bytes(region.read(0, 3)) == b"xyz"


def test_nothing_to_copy(region):
    region.write(b"", 4096)
    assert bytes(region.read(4096)) == bytes(region.read(5, 0)) == b""
    assert region.write_tensor(np.zeros((0, 3)), 4096) == 0


@with_fixtures
@given(offset=st.integers(-10, 80), size=st.integers(0, 80))
def test_bounds(driver, offset, size):
    with create_region(64) as region:
        if 0 <= offset <= 64 - size:
            region.write(bytes(size), offset)
            assert bytes(region.read(offset, size)) == bytes(size)
            assert region.write_tensor(np.ones(size, np.uint8), offset) == size
            assert region.tensor("UINT8", [size], offset).shape == (size,)
            return
        for act in (
            lambda: region.write(bytes(size), offset),
            lambda: region.read(offset, size),
            lambda: region.write_tensor(np.ones(size, np.uint8), offset),
        ):
            with pytest.raises(ValueError, match="outside of the region of 64 bytes"):
                act()
        with pytest.raises(ValueError, match="does not fit into 64 bytes"):
            region.tensor("UINT8", [size], offset)


def test_copies_wait_until_they_are_done(fake):
    with create_region(64) as region:
        before = fake.ask("fake_synchronized")
        region.write(b"abc")
        region.read(0, 3)
        region.write_tensor(np.zeros(3))
        assert fake.ask("fake_synchronized") == before + 3


@pytest.mark.parametrize("make", [np.asarray, np.float32, lambda a: a.astype("i1")])
def test_tensors_of_the_cpu(region, make):
    array = make(np.arange(6).reshape(2, 3))
    assert region.write_tensor(array, 8) == array.nbytes
    assert bytes(region.read(8, array.nbytes)) == array.tobytes()


def test_read_only_tensors(region):
    array = np.arange(3)
    array.flags.writeable = False
    if np.lib.NumpyVersion(np.__version__) < "2.1.0":
        pytest.skip("this numpy can't export what is read-only")
    region.write_tensor(array)
    assert bytes(region.read(0, 24)) == array.tobytes()


def test_tensors_that_are_not_contiguous(region):
    with pytest.raises(ValueError, match="DLPack tensor is not contiguous"):
        region.write_tensor(np.zeros((4, 4)).T)


def test_what_is_no_tensor(region):
    with pytest.raises(TypeError, match="list does not speak DLPack"):
        region.write_tensor([1, 2])


class Producer:
    """A tensor on a GPU whose library has streams."""

    def __init__(self, tensor):
        self.tensor = tensor
        self.streams = []

    def __dlpack_device__(self):
        return self.tensor.__dlpack_device__()

    def __dlpack__(self, *, stream=None, **options):
        self.streams.append(stream)
        return self.tensor.__dlpack__(stream=stream, **options)


def test_tensors_of_the_gpu(region):
    with create_region(64) as other:
        other.write(np.arange(8).tobytes())
        producer = Producer(other.tensor("INT64", [2, 3], 8))
        assert region.write_tensor(producer, 16) == 48
        assert np.frombuffer(region.read(16, 48), np.int64).tolist() == [1, 2, 3, 4, 5, 6]
        assert producer.streams == [region._memory.device.stream.value]
        assert producer.streams[0] not in (None, 0, 1, 2)


def test_bare_capsules(region):
    region.write(np.arange(4).tobytes())
    capsule = region.tensor("INT64", [2]).__dlpack__()
    region.write_tensor(capsule, 16)
    assert np.frombuffer(region.read(16, 16), np.int64).tolist() == [0, 1]


def test_tensors_of_other_devices(region):
    class Elsewhere(Producer):
        def __dlpack_device__(self):
            return (4, 0)

        def __dlpack__(self, **options):
            capsule = self.tensor.__dlpack__()
            pointer = ctypes.pythonapi.PyCapsule_GetPointer
            pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
            ctypes.c_int32.from_address(pointer(capsule, b"dltensor") + 8).value = 4
            return capsule

    with pytest.raises(ValueError, match="DLPack device type 4 is not supported"):
        region.write_tensor(Elsewhere(region.tensor("INT8", [1])))


@pytest.mark.parametrize("datatype", ["BOOL", "BF16", "FP16", "UINT64"])
def test_tensors_to_take_over(region, datatype):
    kind = {"BOOL": "?", "BF16": ml_dtypes.bfloat16, "FP16": "f2", "UINT64": "u8"}[datatype]
    array = np.array([1, 0, 3, 1, 1, 0]).astype(kind)
    region.write(array.tobytes(), 32)
    tensor = region.tensor(datatype, [2, 3], 32)
    assert tensor.__dlpack_device__() == (CUDA, 0)
    taken = borrow(tensor)
    assert (taken.datatype, taken.shape, taken.contiguous) == (datatype, (2, 3), True)
    assert taken.address == region.address + 32
    assert taken.byte_size == array.nbytes
    copy = np.frombuffer(region.read(32, array.nbytes), kind)
    assert copy.tolist() == array.tolist()


def test_bytes_have_no_dlpack_form(region):
    with pytest.raises(ValueError, match="'BYTES' has no DLPack form"):
        region.tensor("BYTES", [1])


# How long memory lives


def test_memory_is_freed_when_its_region_is_closed(fake):
    before = fake.ask("fake_live_blocks")
    region = create_region(64)
    assert fake.ask("fake_live_blocks") == before + 1
    assert repr(region) == "<CudaRegion of 64 bytes on device 0>"
    region.close()
    region.close()
    assert fake.ask("fake_live_blocks") == before
    assert region.closed
    assert repr(region).endswith(", closed>")


def test_memory_is_freed_when_its_region_is_dropped(fake):
    before = fake.ask("fake_live_blocks")
    create_region(64)
    gc.collect()
    assert fake.ask("fake_live_blocks") == before


def test_memory_lives_as_long_as_tensors_of_it(fake):
    before = fake.ask("fake_live_blocks")
    region = create_region(64)
    tensor = region.tensor("INT8", [64])
    capsule = tensor.__dlpack__()
    region.close()
    del tensor, region
    assert fake.ask("fake_live_blocks") == before + 1
    del capsule
    assert fake.ask("fake_live_blocks") == before


def test_what_a_closed_region_can_not(driver):
    region = create_region(64)
    region.close()
    for act in (
        region.raw_handle,
        region.read,
        lambda: region.write(b"a"),
        lambda: region.write_tensor(np.zeros(1)),
        lambda: region.tensor("INT8", [1]),
        lambda: region.address,
    ):
        with pytest.raises(ValueError, match="the CUDA shared memory region is closed"):
            act()


def test_threads(driver):
    def work(number):
        for _ in range(20):
            with create_region(64) as region:
                region.write(bytes([number]) * 64)
                assert set(region.read()) == {number}

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))


# Errors


def test_sizes_that_are_none(driver):
    with pytest.raises(ValueError, match="byte_size is 0, expected 1 to"):
        create_region(0)


@pytest.mark.parametrize("device", ["0", 1.0, None, True])
def test_devices_that_are_none(driver, device):
    with pytest.raises(TypeError, match="expected the number of a GPU"):
        create_region(64, device)


def test_unknown_devices(driver):
    for number in (-1, 64):
        with pytest.raises(
            CudaError, match=r"cuDeviceGet failed with CUDA_ERROR_INVALID_DEVICE \(101"
        ):
            create_region(64, number)


def test_more_memory_than_there_is(driver):
    with pytest.raises(CudaError, match=r"cuMemAlloc_v2 failed with CUDA_ERROR_OUT_OF_MEMORY"):
        create_region(1 << 45)


def test_without_a_driver(monkeypatch):
    monkeypatch.setattr(cuda_driver, "LIBRARY", "libcuda-that-is-not-there.so.1")
    monkeypatch.setattr(cuda_driver, "_driver", None)
    with pytest.raises(CudaError, match="no CUDA driver is installed: libcuda-that-is-not-there"):
        create_region(64)


def test_without_a_gpu(fake, monkeypatch):
    monkeypatch.setenv("FAKE_CUDA_DEVICES", "0")
    with pytest.raises(CudaError, match=r"cuInit failed with CUDA_ERROR_NO_DEVICE \(100\)"):
        create_region(64)


def test_a_driver_that_is_too_old(monkeypatch):
    monkeypatch.setattr(cuda_driver, "LIBRARY", "libc.so.6")
    monkeypatch.setattr(cuda_driver, "_driver", None)
    with pytest.raises(CudaError, match=r"the CUDA driver is too old: .*cuInit"):
        create_region(64)


def test_several_devices(fake):
    with create_region(64, 0) as one, create_region(64, 1) as other:
        one.write(b"abc")
        assert other.write_tensor(one.tensor("INT8", [3])) == 3
        assert bytes(other.read(0, 3)) == b"abc"
        assert other.tensor("INT8", [1]).__dlpack_device__() == (CUDA, 1)
        assert (one.device_id, other.device_id) == (0, 1)


# Processes

ATTACH = """
import sys
from tritonclient.shm import cuda_driver
cuda_driver.LIBRARY = sys.argv[1]
from tritonclient.shm.cuda import attach_region
region = attach_region(bytes.fromhex(sys.argv[2]), 64)
"""


def run(driver, code, *arguments):
    command = [sys.executable, "-W", "error", "-c", code, driver.library, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_another_process_opens_it(driver):
    with create_region(64) as region:
        region.write(b"abc")
        handle = region.raw_handle()
        assert len(handle) == 64
        code = ATTACH + "print(bytes(region.read(0, 3)).decode()); region.write(b'xyz')"
        done = run(driver, code, handle.hex())
        assert (done.stderr, done.stdout.strip()) == ("", "abc")
        assert bytes(region.read(0, 3)) == b"xyz"


def test_what_another_process_can_not(driver):
    with create_region(64) as region:
        done = run(driver, ATTACH + "region.raw_handle()", region.raw_handle().hex())
    assert "cuIpcGetMemHandle failed with" in done.stderr


def test_handles_that_are_none(driver):
    for handle in (b"", bytes(63), b"A" * 88, "text of no use"):
        with pytest.raises(ValueError, match="is no CUDA IPC handle of 64 bytes"):
            attach_region(handle, 64)
    with pytest.raises(CudaError, match="cuIpcOpenMemHandle_v2 failed with"):
        attach_region(bytes(64), 64)


def test_handles_as_base64():
    assert check_handle(b"A" * 86 + b"==") == bytes(64)
    assert check_handle(bytes(range(64))) == bytes(range(64))


def test_the_process_that_made_it_does_not_open_it(driver):
    with create_region(64) as region:
        with pytest.raises(CudaError, match="cuIpcOpenMemHandle_v2 failed with"):
            attach_region(region.raw_handle(), 64)


def test_forked_processes_are_told(driver):
    code = """
import os, sys
from tritonclient.shm import cuda_driver
cuda_driver.LIBRARY = sys.argv[1]
from tritonclient.shm.cuda import create_region
region = create_region(64)
if not os.fork():
    region.close()
    try:
        create_region(64)
    except cuda_driver.CudaError as error:
        print(error, flush=True)
        os._exit(0)
    os._exit(1)
assert os.wait()[1] == 0
region.write(b"abc")
assert bytes(region.read(0, 3)) == b"abc"
"""
    done = run(driver, code)
    assert (done.returncode, done.stderr) == (0, "")
    assert "CUDA can't be used in a forked process" in done.stdout


def test_the_end_of_a_program(driver):
    """Regions and tensors that are there until the very end are no trouble."""
    code = """
import sys
from tritonclient.shm import cuda_driver
cuda_driver.LIBRARY = sys.argv[1]
from tritonclient.shm.cuda import create_region
region = create_region(64)
capsule = region.tensor("INT8", [64]).__dlpack__()
"""
    done = run(driver, code)
    assert (done.returncode, done.stderr) == (0, "")
