"""Regions of system shared memory: who owns them, how long memory lives, and what crashes leave."""

from __future__ import annotations

import gc
import mmap
import os
import signal
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import shared_memory
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonclient.shm import leftovers as left
from tritonclient.shm import posix
from tritonclient.shm.leftovers import leftovers, remove_leftovers
from tritonclient.shm.system import attach_region, create_region

SHM = Path("/dev/shm")
pytestmark = pytest.mark.skipif(not SHM.is_dir(), reason="there is no /dev/shm to look into")


def exists(key):
    return (SHM / key.lstrip("/")).exists()


def run(code, *arguments, check=True):
    """Run code in a process of its own; what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if check:
        assert (done.returncode, done.stderr) == (0, "")
    return done


@pytest.fixture
def region():
    with create_region(4096) as region:
        yield region


# Making and attaching


def test_a_new_region(region):
    assert region.key.startswith("/tritonclient-")
    assert region.byte_size == 4096
    assert region.owner
    assert not region.closed
    assert exists(region.key)
    assert bytes(region.view()) == bytes(4096)
    assert repr(region) == f"<SystemRegion '{region.key}' of 4096 bytes>"


def test_names_are_new():
    with create_region(1) as one, create_region(1) as other:
        assert one.key != other.key


@pytest.mark.parametrize("key", ["tritonclient-test-key", "/tritonclient-test-key"])
def test_a_key_of_ones_own(key):
    with create_region(64, key) as region:
        assert region.key == "/tritonclient-test-key"
        with pytest.raises(FileExistsError):
            create_region(64, "tritonclient-test-key")
        assert exists(key)
    assert not exists(key)


def test_attached_regions_share_their_bytes(region):
    with attach_region(region.key) as attached:
        assert not attached.owner
        assert attached.byte_size == 4096
        attached.view(16, 3)[:] = b"abc"
        assert bytes(region.view(15, 5)) == b"\0abc\0"
    assert exists(region.key)


def test_attaching_waits_for_a_size():
    key = "/tritonclient-test-size"
    descriptor = posix.open_object(key, os.O_CREAT | os.O_EXCL | os.O_RDWR)
    try:
        with ThreadPoolExecutor(1) as thread:
            attaching = thread.submit(attach_region, key)
            os.ftruncate(descriptor, 128)
            attaching.result(30).close()
    finally:
        posix.remove_object(key, os.fstat(descriptor).st_ino)
        os.close(descriptor)


def test_what_never_gets_a_size(monkeypatch):
    monkeypatch.setattr(posix, "_PATIENCE", 0.01)
    key = "/tritonclient-test-no-size"
    descriptor = posix.open_object(key, os.O_CREAT | os.O_EXCL | os.O_RDWR)
    try:
        with pytest.raises(OSError, match="has no size"):
            attach_region(key)
    finally:
        posix.remove_object(key, os.fstat(descriptor).st_ino)
        os.close(descriptor)


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_mode(mode):
    old = os.umask(0o077)
    try:
        with create_region(1, mode=mode) as region:
            assert stat.S_IMODE((SHM / region.key[1:]).stat().st_mode) == mode
    finally:
        os.umask(old)


def test_its_memory_is_there(region):
    status = (SHM / region.key[1:]).stat()
    assert status.st_blocks * 512 >= 4096  # so that no write is ever answered by a signal


def test_more_than_there_is():
    free = os.statvfs(SHM)
    before = set(os.listdir(SHM))
    with pytest.raises(OSError, match=r"bytes of shared memory, \d+ are free"):
        create_region(free.f_blocks * free.f_frsize + mmap.PAGESIZE)
    assert {name for name in set(os.listdir(SHM)) - before if name.startswith("tritonclient-")} == (
        set()
    )


@pytest.mark.parametrize("size", [0, -1, 2**63])
def test_sizes_that_are_none(size):
    with pytest.raises(ValueError, match=rf"byte_size is {size}, expected 1 to"):
        create_region(size)


def test_a_size_must_be_whole():
    with create_region(np.int64(8)) as region:
        assert region.byte_size == 8
    with pytest.raises(TypeError):
        create_region(8.5)


@pytest.mark.parametrize("key", ["", "/", "a/b", "/a/b", "a\0b", ".", "/.."])
def test_keys_that_are_none(key):
    for act in (lambda: create_region(64, key), lambda: attach_region(key)):
        with pytest.raises(ValueError, match="is no name of a shared memory object"):
            act()
    with pytest.raises(TypeError, match="key is 7, expected str"):
        attach_region(7)


def test_nothing_to_attach_to():
    with pytest.raises(FileNotFoundError):
        attach_region("/tritonclient-test-nowhere")


def test_a_platform_without(monkeypatch):
    monkeypatch.setitem(sys.modules, "_posixshmem", None)
    for act in (lambda: create_region(64), lambda: attach_region("x")):
        with pytest.raises(NotImplementedError, match="no POSIX shared memory"):
            act()


# Bounds


@given(st.integers(-10, 80), st.none() | st.integers(-10, 80))
def test_bounds(offset, byte_size):
    with create_region(64) as region:
        size = 64 - offset if byte_size is None else byte_size
        if 0 <= offset <= 64 and 0 <= size <= 64 - offset:
            assert len(region.view(offset, byte_size)) == size
        else:
            with pytest.raises(ValueError, match=f"offset {offset} lie outside of the region of 6"):
                region.view(offset, byte_size)


@given(st.lists(st.tuples(st.integers(0, 60), st.binary(max_size=20)), max_size=8))
def test_it_is_memory(writes):
    model = bytearray(80)
    with create_region(80) as region:
        for offset, data in writes:
            region.view(offset, len(data))[:] = data
            model[offset : offset + len(data)] = data
        with attach_region(region.key) as attached:
            assert attached.view() == model


# How long memory lives


def test_arrays_outlive_their_region():
    region = create_region(64)
    array = np.frombuffer(region.view(0, 64), np.int64)
    array[:] = 7
    region.close()
    assert not exists(region.key)
    assert array.tolist() == [7] * 8
    array[0] = 8
    part = array[2:4]
    del array
    gc.collect()
    assert part.tolist() == [7, 7]
    with pytest.raises(ValueError, match="is closed"):
        region.view()


def mappings():
    return Path("/proc/self/maps").read_text().count("tritonclient-")


def test_the_last_array_ends_the_mapping():
    gc.collect()
    before = mappings()
    region = create_region(64)
    arrays = [np.frombuffer(region.view(), np.uint8) for _ in range(3)]
    region.close()
    while arrays:
        assert mappings() == before + 1
        arrays.pop()
    assert mappings() == before


def test_nothing_is_left_open():
    descriptors = len(os.listdir("/proc/self/fd"))
    with create_region(64) as region, attach_region(region.key):
        pass
    # Sockets of other tests may have been closed meanwhile.
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def test_closing_twice(region):
    region.close()
    region.close()
    assert region.closed
    assert repr(region).endswith(", closed>")


def test_a_dropped_region_is_removed():
    key = create_region(64).key
    gc.collect()
    assert not exists(key)


def test_a_region_that_somebody_removed():
    region = create_region(64)
    (SHM / region.key[1:]).unlink()
    with create_region(32, region.key) as other:
        region.close()
        assert exists(other.key)  # it is not the one that was closed
    assert not exists(other.key)


# Threads


def test_threads_make_and_close_regions():
    def work(number):
        for _ in range(20):
            with create_region(64) as region, attach_region(region.key) as attached:
                region.view()[:] = bytes([number]) * 64
                assert set(attached.view()) == {number}

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))


def test_one_key_has_one_creator():
    start = threading.Barrier(8)

    def create(_):
        start.wait(30)
        try:
            return create_region(64, "tritonclient-test-race")
        except FileExistsError:
            return None

    with ThreadPoolExecutor(8) as threads:
        (region,) = filter(None, threads.map(create, range(8)))
    region.close()


def test_closing_while_others_look(region):
    failed = []

    def look():
        try:
            while True:
                assert region.view(8, 8) == bytes(8)
        except ValueError as error:
            failed.append(str(error))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    region.close()
    for thread in threads:
        thread.join(30)
    assert len(failed) == 4


# Processes

ATTACH = """
import sys
from tritonclient.shm.system import attach_region
region = attach_region(sys.argv[1])
region.view(0, 3)[:] = b"abc"
"""


def test_a_process_that_attaches_removes_nothing(region):
    run(ATTACH, region.key)
    run(ATTACH + "region.close()", region.key)
    assert bytes(region.view(0, 3)) == b"abc"
    assert exists(region.key)


def test_a_crash_of_an_attached_process_removes_nothing(region):
    done = run(ATTACH + "import os; os.kill(os.getpid(), 9)", region.key, check=False)
    assert done.returncode == -signal.SIGKILL
    assert exists(region.key)


CREATE = """
import sys
from pathlib import Path
from tritonclient.shm import leftovers
leftovers._MEMORY = Path(sys.argv[1])
from tritonclient.shm.system import create_region
region = create_region(64, mode=0o600)
print(region.key, flush=True)
"""


def test_the_end_of_the_owner_removes(tmp_path):
    key = run(CREATE, tmp_path).stdout.strip()
    assert not exists(key)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("end", ["raise SystemExit", "os._exit(0)", "region.close()", "del region"])
def test_a_forked_child_removes_nothing(tmp_path, end):
    code = f"""{CREATE}
import os
pid = os.fork()
if not pid:
    {end}
    raise SystemExit
assert os.waitpid(pid, 0)[1] == 0
region.view()[:4] = b"here"
assert bytes(create_region.__globals__["attach_region"](region.key).view(0, 4)) == b"here"
"""
    key = run(code, tmp_path).stdout.strip()
    assert not exists(key)


def test_a_forked_child_owns_what_it_creates(tmp_path):
    code = f"""{CREATE}
import os
pid = os.fork()
if not pid:
    print(create_region(64).key, flush=True)
    raise SystemExit
assert os.waitpid(pid, 0)[1] == 0
assert [*Path("/dev/shm").glob(region.key[1:])]
"""
    for key in run(code, tmp_path).stdout.split():
        assert not exists(key)


def test_it_is_what_others_call_shared_memory(region):
    region.view(0, 2)[:] = b"hi"
    code = """
import sys
from multiprocessing import resource_tracker, shared_memory
memory = shared_memory.SharedMemory(sys.argv[1])
resource_tracker.unregister(memory._name, "shared_memory")
print(bytes(memory.buf[:2]))
memory.close()
"""
    assert run(code, region.key[1:]).stdout.strip() == "b'hi'"
    theirs = shared_memory.SharedMemory(create=True, size=64)
    try:
        with attach_region(theirs.name) as ours:
            ours.view(1, 2)[:] = b"yo"
            assert bytes(theirs.buf[1:3]) == b"yo"
    finally:
        theirs.close()
        theirs.unlink()


# Leftovers


@pytest.fixture
def records(tmp_path, monkeypatch):
    """A folder of records that only this test knows."""
    monkeypatch.setattr(left, "_MEMORY", tmp_path)
    return tmp_path


@pytest.fixture
def crashed(records):
    """The key of a region whose owner was killed."""
    done = run(CREATE + "import os; os.kill(os.getpid(), 9)", records, check=False)
    assert done.returncode == -signal.SIGKILL
    key = done.stdout.strip()
    yield key
    (SHM / key[1:]).unlink(missing_ok=True)


def test_a_crash_leaves_a_region_that_is_found(records, crashed):
    (found,) = leftovers()
    assert (found.key, found.byte_size) == (crashed, 64)
    with pytest.raises(ProcessLookupError):
        os.kill(found.pid, 0)
    assert exists(crashed)
    assert remove_leftovers() == [found]
    assert not exists(crashed)
    assert leftovers() == remove_leftovers() == []
    assert not list(records.iterdir())


def test_living_regions_are_no_leftovers(records, crashed):
    with create_region(64) as region:
        assert [each.key for each in remove_leftovers()] == [crashed]
        assert exists(region.key)
        assert len(list(records.iterdir())) == 1
    assert not list(records.iterdir())


def test_regions_of_other_living_processes_are_no_leftovers(records):
    code = CREATE + "sys.stdin.read()"
    command = [sys.executable, "-c", code, records]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        key = process.stdout.readline().decode().strip()
        assert remove_leftovers() == []
        assert exists(key)
        process.stdin.close()
        assert process.wait(30) == 0
    assert not exists(key)


def test_a_later_region_of_the_same_name_is_no_leftover(records, crashed):
    (SHM / crashed[1:]).unlink()
    with create_region(32, crashed) as region:
        assert leftovers() == remove_leftovers() == []
        assert exists(region.key)


def test_what_is_removed_already(records, crashed):
    (SHM / crashed[1:]).unlink()
    assert leftovers() == []
    assert remove_leftovers() == []
    assert not list(records.iterdir())


def test_records_that_are_none(records, crashed):
    (records / "tritonclient-owner-empty").touch()  # by one that creates a region now
    (records / "tritonclient-owner-link").symlink_to("/etc/passwd")
    (records / "tritonclient-owner-folder").mkdir()
    assert [each.key for each in remove_leftovers()] == [crashed]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root to change owners")
def test_records_of_others_are_not_believed(records, crashed):
    (record,) = records.iterdir()
    os.chown(record, 12345, 12345)
    assert remove_leftovers() == []
    assert exists(crashed)


def test_a_record_is_locked_while_others_look(records):
    """Whoever looks locks the record for a moment; a creator waits for that."""
    seen = threading.Event()
    real = left._lock

    def slow(descriptor):
        if not seen.is_set():
            seen.set()
            return False
        return real(descriptor)

    left._lock = slow
    try:
        with create_region(64):
            assert seen.is_set()
            assert leftovers() == []
    finally:
        left._lock = real


def test_looking_while_many_create(records):
    def create(_):
        for _ in range(50):
            with create_region(64) as region:
                assert exists(region.key)

    with ThreadPoolExecutor(4) as threads:
        creating = [threads.submit(create, n) for n in range(4)]
        while not all(each.done() for each in creating):
            assert remove_leftovers() == []
        for each in creating:
            each.result()


def test_pipes_of_other_users_are_not_waited_for(records):
    """A pipe by the name of a record, which would wait for somebody to write to it."""
    pipe = records / f"{left._PREFIX}pipe"
    os.mkfifo(pipe)
    found = []
    looking = threading.Thread(target=lambda: found.append(leftovers()), daemon=True)
    looking.start()
    looking.join(20)
    os.close(os.open(pipe, os.O_RDWR))  # ends a wait
    assert found == [[]]


def test_without_a_folder_of_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(left, "_MEMORY", tmp_path / "nowhere")
    monkeypatch.setattr(left.tempfile, "gettempdir", lambda: str(tmp_path))
    with create_region(64):
        assert [path.name[:19] for path in tmp_path.iterdir()] == ["tritonclient-owner-"]
