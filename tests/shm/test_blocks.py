"""Blocks of regions: where there is room, and for how long a tensor keeps its own."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonclient.datatypes import pack
from tritonclient.messages import RegisterSystemSharedMemory, UnregisterSystemSharedMemory
from tritonclient.shm import blocks
from tritonclient.shm.blocks import ALIGNMENT, Block, Room, SystemSegment, new_segment, take


def round_up(size):
    return -(-size // ALIGNMENT) * ALIGNMENT


# Room


@given(st.integers(0, 20 * ALIGNMENT), st.lists(st.integers(1, 400) | st.none(), max_size=60))
def test_what_is_taken_never_overlaps(size, steps):
    """Numbers take so many bytes; None gives back what was taken first."""
    room = Room(size)
    taken: dict[int, int] = {}
    for step in steps:
        if step is None:
            if taken:
                offset = next(iter(taken))
                del taken[offset]
                room.give_back(offset, [])
            continue
        offset = room.take(step)
        if offset is None:
            # Nowhere between what is taken is there so much room.
            ends = sorted((o, o + round_up(s)) for o, s in taken.items())
            gaps = zip([0, *(end for _, end in ends)], [*(o for o, _ in ends), size], strict=True)
            assert all(stop - start < round_up(step) for start, stop in gaps)
        else:
            assert offset % ALIGNMENT == 0
            assert offset + step <= size
            assert all(o + s <= offset or offset + step <= o for o, s in taken.items())
            taken[offset] = step


def test_all_room_comes_back():
    room = Room(8 * ALIGNMENT)
    offsets = [room.take(1) for _ in range(8)]
    assert room.take(1) is None
    for offset in offsets[::2] + offsets[1::2]:
        room.give_back(offset, [])
    assert room.take(8 * ALIGNMENT) == 0


def test_abandoned_room_comes_back_late():
    now = [0.0]
    room = Room(2 * ALIGNMENT, clock=lambda: now[0])
    one, other = room.take(1), room.take(1)
    room.give_back(one, [10.0])
    room.give_back(other, [])
    assert room.take(1) == other
    assert room.take(1) is None
    now[0] = 10.0
    assert room.take(1) == one


def test_threads_take_and_give_back():
    room = Room(16 * ALIGNMENT)
    marks = bytearray(16)

    def work(_):
        for _ in range(200):
            offset = room.take(ALIGNMENT)
            if offset is not None:
                assert marks[offset // ALIGNMENT] == 0
                marks[offset // ALIGNMENT] = 1
                marks[offset // ALIGNMENT] = 0
                room.give_back(offset, [])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert room.take(16 * ALIGNMENT) == 0


# Blocks


@pytest.fixture
def segment():
    segment = new_segment(4 * ALIGNMENT, None, 0o600)
    yield segment
    segment.close()


def free(segment):
    """How many blocks there is room for."""
    gc.collect()
    found = []
    while (block := take(segment, 1)) is not None:
        found.append(block)
    return len(found)


def test_requests(segment):
    assert isinstance(segment, SystemSegment)
    assert segment.registration() == RegisterSystemSharedMemory(
        segment.name, f"/{segment.name}", 4 * ALIGNMENT
    )
    assert segment.unregistration() == UnregisterSystemSharedMemory(segment.name)


def test_parameters(segment):
    blocks = [take(segment, 10), take(segment, 70)]
    assert [block.parameters() for block in blocks] == [
        {"shared_memory_region": segment.name, "shared_memory_byte_size": 10},
        {
            "shared_memory_region": segment.name,
            "shared_memory_byte_size": 70,
            "shared_memory_offset": ALIGNMENT,
        },
    ]
    assert blocks[0].parameters(4)["shared_memory_byte_size"] == 4


def test_tensors(segment):
    block = take(segment, 64)
    block.write(np.arange(8).tobytes())
    assert block.read("INT64", (2, 4)).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert block.read("UINT8", (3,)).tolist() == [0, 0, 0]
    assert block.read("INT64", (0, 4)).shape == (0, 4)
    with pytest.raises(ValueError, match=r"INT64 of shape \[9\] takes 72 bytes, but 64 are there"):
        block.read("INT64", (9,))
    assert np.from_dlpack(block.tensor("INT64", (8,))).tolist() == list(range(8))


def test_bytes(segment):
    block = take(segment, 64)
    block.write(pack(np.array([b"abc", b""], object), "BYTES"))
    assert block.read("BYTES", (2, 1)).tolist() == [[b"abc"], [b""]]
    block.write(b"\xff" * 64)
    with pytest.raises(ValueError, match="do not hold 1 BYTES elements"):
        block.read("BYTES", (1,))


def test_views_share_the_memory(segment):
    block = take(segment, 64)
    array = block.read("INT64", (8,))
    array[:] = 7
    assert block.read("INT64", (8,)).tolist() == [7] * 8


VIEWS = {
    "array": lambda block: block.read("INT64", (8,)),
    "part": lambda block: block.read("INT64", (8,))[2:4],
    "reshaped": lambda block: block.read("INT64", (8,)).reshape(2, 4).T,
    "other dtype": lambda block: block.read("INT64", (8,)).view(np.float32),
    "memoryview": lambda block: memoryview(block.read("INT64", (8,)))[1:],
    "from buffer": lambda block: np.frombuffer(block.read("INT64", (8,)), np.uint8),
    "DLPack": lambda block: np.from_dlpack(block.tensor("INT64", (8,))),
    "capsule": lambda block: block.tensor("INT64", (8,)).__dlpack__(),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_view_keeps_the_block(segment, view):
    assert free(segment) == 4
    block = take(segment, 64)
    kept = view(block)
    del block
    assert free(segment) == 3
    del kept
    assert free(segment) == 4


def test_copies_keep_nothing(segment):
    block = take(segment, 64)
    block.write(pack(np.array([b"abc"], object), "BYTES"))
    kept = block.read("BYTES", (1,))
    del block
    assert free(segment) == 4
    assert kept.tolist() == [b"abc"]


def test_an_abandoned_block_is_kept(segment, monkeypatch):
    take(segment, 64).abandon()
    assert free(segment) == 3
    monkeypatch.setattr(blocks, "GRACE", -1.0)
    take(segment, 64).abandon()
    assert free(segment) == 3


def test_views_outlive_the_segment(segment):
    block = take(segment, 64)
    array = block.read("INT64", (8,))
    segment.close()
    array[:] = 3
    assert block.read("INT64", (8,)).tolist() == [3] * 8


def test_tensors_of_gpus_do_not_go_here(segment):
    with pytest.raises(ValueError, match="object is not in memory of the CPU"):
        take(segment, 64).write_tensor(object())


def test_a_block_is_a_part(segment):
    first, second = take(segment, 64), take(segment, 64)
    assert isinstance(first, Block)
    first.write(b"a" * 64)
    second.write(b"b" * 64)
    assert set(first.read("UINT8", (64,))) == {ord("a")}
