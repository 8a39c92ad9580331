"""The classic `tritonclient.utils.shared_memory`: what existing programs do with it."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import shared_memory
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tritonclient.utils.shared_memory as shm
from tritonclient.datatypes import NUMPY
from tritonclient.shm.system import attach_region
from tritonclient.utils import serialize_byte_tensor, triton_to_np_dtype

KEY = "/tritonclient_test_classic"
SHM = Path("/dev/shm")
pytestmark = pytest.mark.skipif(not SHM.is_dir(), reason="there is no /dev/shm to look into")


def exists(key=KEY):
    return (SHM / key.lstrip("/")).exists()


def texts(*items):
    array = np.empty(len(items), object)
    array[:] = items
    return array


@pytest.fixture(autouse=True)
def nothing_is_left():
    assert not exists()
    yield
    assert shm.mapped_shared_memory_regions() == []
    assert not exists()


@pytest.fixture
def region():
    region = shm.create_shared_memory_region("name", KEY, 128)
    yield region
    if region._region is not None:
        shm.destroy_shared_memory_region(region)


def cause(caught):
    return str(caught.value.__cause__)


# Making and giving up


def test_life_of_a_region():
    region = shm.create_shared_memory_region("name", KEY, 64)
    assert isinstance(region, shm.SharedMemoryRegion)
    assert shm.mapped_shared_memory_regions() == [KEY]
    assert exists()
    shm.destroy_shared_memory_region(region)
    assert shm.mapped_shared_memory_regions() == []
    assert not exists()


def test_arguments_by_name():
    region = shm.create_shared_memory_region(
        triton_shm_name="name", shm_key=KEY, byte_size=64, create_only=True, mode=0o666
    )
    assert (SHM / KEY[1:]).stat().st_mode & 0o777 == 0o666
    shm.set_shared_memory_region(shm_handle=region, input_values=[np.ones(1)], offset=8)
    array = shm.get_contents_as_numpy(shm_handle=region, datatype=np.float64, shape=[2], offset=0)
    assert array.tolist() == [0, 1]
    shm.destroy_shared_memory_region(shm_handle=region)


def test_slash_or_not():
    region = shm.create_shared_memory_region("name", KEY, 64)
    other = shm.create_shared_memory_region("name", KEY[1:], 64)
    assert shm.mapped_shared_memory_regions() == [KEY]
    shm.destroy_shared_memory_region(region)
    assert exists()
    shm.destroy_shared_memory_region(other)


@pytest.mark.parametrize("size", [-1, 0, "64", 2**63])
def test_sizes_that_are_none(size):
    with pytest.raises(shm.SharedMemoryException) as caught:
        shm.create_shared_memory_region("name", KEY, size)
    assert str(caught.value) == "unable to create the shared memory region"
    assert caught.value.__cause__ is not None


OTHER_USER = 65534


@pytest.fixture
def squatted():
    """An object by the key that everyone may use, and that another user owns."""
    if os.geteuid() != 0:
        pytest.skip("only root can give an object to another user")
    path = SHM / KEY[1:]
    path.write_bytes(bytes(128))
    path.chmod(0o666)
    os.chown(path, OTHER_USER, OTHER_USER)
    yield
    path.unlink()


def test_objects_of_other_users_are_refused(squatted):
    with pytest.raises(shm.SharedMemoryException) as caught:
        shm.create_shared_memory_region("name", KEY, 128)
    assert isinstance(caught.value.__cause__, PermissionError)
    for words in (KEY, f"user with id {OTHER_USER}", f"(id {os.geteuid()})", "choose another key"):
        assert words in str(caught.value)
    assert shm.mapped_shared_memory_regions() == []
    # Not by accident, it can be done.
    with attach_region(KEY) as region:
        assert region.byte_size == 128


def test_objects_of_other_users_by_their_owner(region, monkeypatch):
    """Without a second user: this process pretends to be another user."""
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    with pytest.raises(shm.SharedMemoryException, match=f"belongs to the user with id {user},"):
        shm.create_shared_memory_region("name", KEY, 128)


def test_the_same_key_again(region):
    with pytest.raises(shm.SharedMemoryException) as caught:
        shm.create_shared_memory_region("name", KEY, 128, create_only=True)
    assert str(caught.value) == "unable to create the shared memory region"
    assert isinstance(caught.value.__cause__, FileExistsError)
    with pytest.warns(
        UserWarning,
        match=f"reusing shared memory region with key '{KEY}', region size is 128 instead of "
        "requested 256",
    ) as warned:
        larger = shm.create_shared_memory_region("name", KEY, 256)
    assert warned[0].filename == __file__
    assert shm.mapped_shared_memory_regions() == [KEY]
    with pytest.raises(shm.SharedMemoryException, match="unable to set the shared memory region"):
        shm.set_shared_memory_region(larger, [np.zeros(256, np.uint8)])
    shm.destroy_shared_memory_region(larger)


def test_the_last_handle_removes():
    handles = [shm.create_shared_memory_region("name", KEY, 64) for _ in range(3)]
    shm.set_shared_memory_region(handles[0], [np.arange(8)])
    while handles:
        assert shm.mapped_shared_memory_regions() == [KEY]
        assert exists()
        assert shm.get_contents_as_numpy(handles[-1], np.int64, [8]).tolist() == list(range(8))
        shm.destroy_shared_memory_region(handles.pop(0))


def test_attached_regions_are_not_removed():
    theirs = shared_memory.SharedMemory(KEY[1:], create=True, size=64)
    try:
        theirs.buf[:3] = b"abc"
        region = shm.create_shared_memory_region("name", KEY, 64)
        assert bytes(shm.get_contents_as_numpy(region, np.uint8, [3])) == b"abc"
        shm.destroy_shared_memory_region(region)
        assert exists()
    finally:
        theirs.close()
        theirs.unlink()


def test_what_a_destroyed_region_can_not(region):
    shm.destroy_shared_memory_region(region)
    for act in (
        lambda: shm.destroy_shared_memory_region(region),
        lambda: shm.set_shared_memory_region(region, [np.zeros(1)]),
        lambda: shm.get_contents_as_numpy(region, np.float32, [1]),
    ):
        with pytest.raises(shm.SharedMemoryException, match=f"with key '{KEY}' is destroyed"):
            act()


def test_a_handle_that_was_dropped_keeps_its_region():
    """As ever: a program may keep nothing but the name."""
    key = f"{KEY}_dropped"
    code = f"""
import gc, pathlib
import tritonclient.utils.shared_memory as shm
shm.create_shared_memory_region("name", {key!r}, 64)
gc.collect()
assert pathlib.Path("/dev/shm{key}").exists()
assert shm.mapped_shared_memory_regions() == [{key!r}]
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
    assert not exists(key)


# Contents


@pytest.mark.parametrize("datatype", sorted(NUMPY))
@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (2, 3)])
def test_there_and_back(region, datatype, shape):
    kind = triton_to_np_dtype(datatype)
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(kind)
    shm.set_shared_memory_region(region, [array], offset=8)
    read = shm.get_contents_as_numpy(region, kind, shape, offset=8)
    assert read.dtype == kind
    assert read.shape == shape
    assert read.tolist() == array.tolist()


@pytest.mark.parametrize(
    "make", [np.asfortranarray, lambda a: a[:, ::-1], lambda a: a.astype(">i4")]
)
def test_any_order_of_memory(region, make):
    array = make(np.arange(6, dtype=np.int32).reshape(2, 3))
    shm.set_shared_memory_region(region, [array])
    read = shm.get_contents_as_numpy(region, np.int32, [2, 3])
    assert read.tolist() == array.tolist()


def test_arrays_one_behind_the_other(region):
    shm.set_shared_memory_region(region, (np.uint8([1, 2, 3]), np.float32([0.5]), np.int64([7])), 1)
    assert shm.get_contents_as_numpy(region, np.uint8, [4]).tolist() == [0, 1, 2, 3]
    assert shm.get_contents_as_numpy(region, np.float32, [1], 4).tolist() == [0.5]
    assert shm.get_contents_as_numpy(region, np.int64, [1], 8).tolist() == [7]


def test_contents_are_a_view(region):
    array = shm.get_contents_as_numpy(region, np.int32, [2, 2], 4)
    array[...] = 9
    assert shm.get_contents_as_numpy(region, np.int32, [6]).tolist() == [0, 9, 9, 9, 9, 0]


def test_a_view_outlives_its_region(region):
    shm.set_shared_memory_region(region, [np.arange(4)])
    array = shm.get_contents_as_numpy(region, np.int64, [4])
    shm.destroy_shared_memory_region(region)
    gc.collect()
    array += 1
    assert array.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("kind", [np.object_, object, np.bytes_, "S3"])
def test_bytes(region, kind):
    array = texts(b"abc", "d\u00e9".encode(), b"", b"\0\0")
    shm.set_shared_memory_region(region, [serialize_byte_tensor(array), np.uint8([255] * 4)], 4)
    for shape in ([4], [2, 2], (1, 4, 1)):
        read = shm.get_contents_as_numpy(region, kind, shape, 4)
        assert read.shape == tuple(shape)
        assert read.ravel().tolist() == array.tolist()
    assert shm.get_contents_as_numpy(region, kind, [], 4).item() == b"abc"
    assert shm.get_contents_as_numpy(region, kind, [0, 2], 4).shape == (0, 2)


def test_bytes_without_elements(region):
    shm.set_shared_memory_region(region, [serialize_byte_tensor(texts())])
    assert shm.get_contents_as_numpy(region, np.object_, [0]).tolist() == []


def test_bf16(region):
    array = np.array([1, 2.5], ml_dtypes.bfloat16)
    shm.set_shared_memory_region(region, [array])
    read = shm.get_contents_as_numpy(region, triton_to_np_dtype("BF16"), [2])
    assert read.dtype == ml_dtypes.bfloat16
    assert read.tolist() == [1, 2.5]


@given(offset=st.integers(-8, 140), count=st.integers(0, 40))
def test_bounds(offset, count):
    region = shm.create_shared_memory_region("name", f"{KEY}_bounds", 128)
    try:
        if 0 <= offset <= 128 - 4 * count:
            shm.set_shared_memory_region(region, [np.arange(count, dtype=np.int32)], offset)
            read = shm.get_contents_as_numpy(region, np.int32, [count], offset)
            assert read.tolist() == list(range(count))
        else:
            with pytest.raises(shm.SharedMemoryException, match="unable to set the shared"):
                shm.set_shared_memory_region(region, [np.zeros(count, np.int32)], offset)
            if count or offset < 0:
                error = shm.SharedMemoryException if offset < 0 else TypeError
                with pytest.raises(error):
                    shm.get_contents_as_numpy(region, np.int32, [count], offset)
            with pytest.raises(shm.SharedMemoryException, match="unable to read the shared"):
                shm.get_contents_as_numpy(region, object, [count + 32], offset)
    finally:
        shm.destroy_shared_memory_region(region)


def test_too_small_to_read_from(region):
    with pytest.raises(TypeError, match="buffer is too small for requested array"):
        shm.get_contents_as_numpy(region, np.float32, [33])


@pytest.mark.parametrize("values", [np.zeros(2), None, "ab", {1: np.zeros(2)}])
def test_values_that_are_no_list(region, values):
    with pytest.raises(shm.SharedMemoryException) as caught:
        shm.set_shared_memory_region(region, values)
    assert str(caught.value) == "input_values must be specified as a list/tuple of numpy arrays"


def test_values_that_are_no_arrays(region):
    with pytest.raises(shm.SharedMemoryException) as caught:
        shm.set_shared_memory_region(region, [np.zeros(1), [1]])
    assert str(caught.value) == "each element of input_values must be a numpy array"


@pytest.mark.parametrize("array", [texts(b"a", b"b"), texts("a"), texts(1)])
def test_objects_that_are_not_serialised(region, array):
    with pytest.raises(shm.SharedMemoryException) as caught:
        shm.set_shared_memory_region(region, [array])
    assert str(caught.value) == "unable to set the shared memory region"
    assert "serialize_byte_tensor" in cause(caught)


def test_nothing_is_written_when_not_all_fits(region):
    with pytest.raises(shm.SharedMemoryException) as caught:
        shm.set_shared_memory_region(region, [np.full(16, 1.0), np.zeros(1)])
    assert cause(caught) == "136 bytes at offset 0 lie outside of the region of 128 bytes"
    assert not shm.get_contents_as_numpy(region, np.uint8, [128]).any()


# Threads and processes


def test_threads():
    def work(number):
        for _ in range(20):
            region = shm.create_shared_memory_region("name", f"{KEY}_{number % 2}", 64)
            shm.set_shared_memory_region(region, [np.zeros(8)])
            shm.destroy_shared_memory_region(region)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))


USE = f"""
import sys
import numpy as np
import tritonclient.utils.shared_memory as shm
region = shm.create_shared_memory_region("name", {KEY!r}, 128)
shm.set_shared_memory_region(region, [np.full(4, 7)])
"""


@pytest.mark.parametrize(
    "end", ["", "shm.destroy_shared_memory_region(region)", "import os; os.kill(os.getpid(), 9)"]
)
def test_other_processes_remove_nothing(region, end):
    done = subprocess.run([sys.executable, "-W", "error", "-c", USE + end], timeout=60)
    assert done.returncode == (-9 if "kill" in end else 0)
    assert exists()
    assert shm.get_contents_as_numpy(region, np.int64, [4]).tolist() == [7] * 4


@pytest.mark.parametrize("end", ["shm.destroy_shared_memory_region(region)", "pass"])
def test_forked_children_remove_nothing(end):
    code = f"""{USE}
import os
shm._lock.acquire()  # as another thread may have it in this moment
pid = os.fork()
if not pid:
    {end}
    sys.exit()
shm._lock.release()
assert os.waitpid(pid, 0)[1] == 0
assert os.path.exists("/dev/shm{KEY}")
assert shm.get_contents_as_numpy(region, np.int64, [4]).tolist() == [7] * 4
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
    assert not exists()


def test_creating_while_another_removes():
    """Between the two looks of `create_shared_memory_region` anything may happen."""
    stop = threading.Event()
    key = f"{KEY}_flicker"

    def flicker():
        while not stop.is_set():
            try:
                shared = shared_memory.SharedMemory(key[1:], create=True, size=64)
            except FileExistsError:
                continue
            shared.close()
            shared.unlink()

    thread = threading.Thread(target=flicker)
    thread.start()
    try:
        for _ in range(100):
            region = shm.create_shared_memory_region("name", key, 64)
            shm.destroy_shared_memory_region(region)
    finally:
        stop.set()
        thread.join(30)
    assert not os.path.exists(f"/dev/shm{key}")
