"""The shared ring: every sample where it belongs, and nothing read that was not written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyacq_lab.errors import ProtocolError, SamplesGone
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.transport.ringlayout import MAX_ENTRIES, MIN_ENTRIES, RingLayout, Word
from pyacq_lab.transport.ringwriter import RingWriter
from pyacq_lab.transport.streamring import StreamRing


def spec_of(size: int, **fields) -> StreamSpec:
    return StreamSpec.of(
        **({"dtype": "<i8", "shape": (-1,), "sample_rate": 1000.0} | fields), buffer_size=size
    )


def writer(size: int, first: int = 0, **fields) -> RingWriter:
    ring = RingWriter(spec_of(size, **fields))
    ring.begin_epoch(first)
    return ring


def values(start: int, count: int) -> np.ndarray:
    return np.arange(start, start + count)


@pytest.mark.parametrize("offset", range(8))
@pytest.mark.parametrize("count", range(9))
def test_chunks_wrap_at_every_offset(offset: int, count: int) -> None:
    ring = writer(8)
    for at in range(offset):
        ring.write(values(at, 1))
    ring.write(values(offset, count))
    stop = offset + count
    oldest = ring.entry(ring.first).start if ring.serial > ring.first else stop
    np.testing.assert_array_equal(ring.read(oldest, stop), values(oldest, stop - oldest))
    if count <= 4:  # a longer one is kept as several, of which the first may be gone
        np.testing.assert_array_equal(ring.read(offset, stop), values(offset, count))


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 16, 17, 100])
def test_chunks_of_any_length_leave_what_fits(count: int) -> None:
    ring = writer(8)
    ring.write(values(0, count))
    assert (ring.position, ring.stop) == (count, count)
    if count:
        begin = ring.entry(ring.first).start
        assert count - begin >= min(count, 5)  # half the ring at least, and the half that was written last
        np.testing.assert_array_equal(ring.read(begin, count), values(begin, count - begin))
    with pytest.raises(SamplesGone, match=r"\[0, 999\) of epoch 0 asked for"):
        ring.read(0, 999)


@pytest.mark.parametrize("first", [0, 2**31 - 3, 2**53 - 3, 2**62])
def test_indices_of_any_size(first: int) -> None:
    ring = writer(16, first)
    ring.write(np.arange(8))
    ring.write(np.arange(8, 13), lost=2**40)
    np.testing.assert_array_equal(ring.read(first + 2, first + 6), [2, 3, 4, 5])
    after = first + 8 + 2**40
    np.testing.assert_array_equal(ring.read(after, after + 5), np.arange(8, 13))
    assert (ring.stop, ring.position) == (after + 5, 13)


@settings(max_examples=150)
@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 5), st.booleans()), max_size=40),
)
def test_whatever_can_be_read_is_what_was_written(size: int, steps) -> None:
    ring = writer(size)
    written: dict[int, dict[int, int]] = {0: {}}
    number = 0
    for count, lost, again in steps:
        if again:
            written[ring.begin_epoch()] = {}
        data = values(number, count)
        ring.write(data, lost=lost)
        start = ring.stop - count
        written[ring.epoch] |= {start + i: number + i for i in range(count)}
        number += count
    for epoch, samples in written.items():
        for index, value in samples.items():
            try:
                (found,) = ring.read(index, index + 1, epoch)
            except SamplesGone:
                continue
            assert found == value
    # What the log still names can be read, and that is all but what the bound of the ring has cost.
    held = sum(e.count for s in range(ring.first, ring.serial) if (e := ring.entry(s)))
    assert held <= size
    if number >= size:
        assert held >= min(size, number) - max(count for count, _, _ in steps)


def test_a_gap_is_never_read_over() -> None:
    ring = writer(100)
    ring.write(values(0, 10))
    ring.write(values(15, 10), lost=5, reason="overrun")
    np.testing.assert_array_equal(ring.read(15, 25), values(15, 10))
    for start, stop in ((9, 16), (8, 12), (10, 15), (-1, 3), (20, 26)):
        with pytest.raises(SamplesGone, match=r"\[0, 10\), \[15, 25\)"):
            ring.read(start, stop)


def test_samples_of_an_earlier_epoch_are_not_those_of_the_present_one() -> None:
    ring = writer(100)
    ring.write(values(0, 10))
    ring.begin_epoch()
    ring.write(values(50, 10))
    np.testing.assert_array_equal(ring.read(2, 5), [52, 53, 54])
    np.testing.assert_array_equal(ring.read(2, 5, epoch=0), [2, 3, 4])
    with pytest.raises(SamplesGone, match="none of them"):
        ring.read(2, 5, epoch=7)
    assert ring.span(0) == (0, 10, 10)
    assert ring.span(7) is None


def test_a_view_held_until_the_writer_comes_round_is_known_to_be_stale() -> None:
    ring = writer(20)
    ring.write(values(0, 10))
    entry = ring.entry(0)
    (view,) = ring.segments(entry.position, entry.count)
    ring.write(values(10, 10))
    assert ring.holds(entry.serial)
    np.testing.assert_array_equal(view, values(0, 10))
    ring.write(values(20, 1))
    assert not ring.holds(entry.serial)
    assert ring.entry(0) is None


def test_the_end_of_an_entry_is_announced_before_its_samples_are_overwritten() -> None:
    """A reader that looks in the middle of a write must see that the oldest entry is no longer whole."""
    ring = writer(20)
    ring.write(values(0, 10))
    ring.write(values(10, 10))
    seen = []

    class Spy(np.ndarray):
        def __setitem__(self, key, value) -> None:
            seen.append((ring.first, ring.serial))
            super().__setitem__(key, value)

    ring._array = ring._array.view(Spy)
    ring.write(values(20, 10))
    assert seen == [(1, 2)]  # given up before, and not yet counted as written
    assert (ring.first, ring.serial) == (1, 3)


def test_a_log_that_is_full_gives_up_its_oldest_entries() -> None:
    ring = RingWriter(spec_of(MAX_ENTRIES * 4))
    ring.begin_epoch()
    for at in range(MAX_ENTRIES + 10):
        ring.write(values(at, 1))
    assert ring.first == 10
    assert ring.entry(9) is None
    assert ring.entry(10).start == 10
    with pytest.raises(SamplesGone):
        ring.read(9, 10)


@pytest.mark.parametrize(
    "data",
    [
        np.asfortranarray(np.arange(12).reshape(4, 3)),
        np.arange(12)[::-1].reshape(4, 3),
        np.arange(24).reshape(4, 6)[:, ::2],
        np.arange(12).reshape(4, 3).astype(">i4"),
        np.broadcast_to(np.arange(3), (4, 3)),
    ],
    ids=["F-order", "negative stride", "every second column", "big-endian", "read-only, stride 0"],
)
def test_arrays_of_any_layout(data: np.ndarray) -> None:
    ring = writer(10, shape=(-1, 3))
    ring.write(data)
    np.testing.assert_array_equal(ring.read(0, 4), data)


def test_structured_samples() -> None:
    dtype = np.dtype([("t", ">i8"), ("label", "S4"), ("xy", "<f4", (2,))])
    ring = RingWriter(StreamSpec.of(dtype, shape=(-1,), sample_rate=1.0, buffer_size=6, streamtype="event"))
    ring.begin_epoch()
    data = np.array([(1, b"go", (0.5, 1)), (2**40, b"stop", (2, 3))], dtype)
    for _ in range(4):
        ring.write(data)
    np.testing.assert_array_equal(ring.read(4, 8), np.concatenate([data, data]))


def test_readers_see_the_same_and_other_memory_is_refused() -> None:
    spec = spec_of(32)
    memory = bytearray(RingLayout.of(spec).size)
    ring = RingWriter(spec, memory)
    ring.begin_epoch(5)
    reader = StreamRing(memory, spec)
    ring.write(values(5, 4), 123, 7, lost=1, reason="a reason that is " + "very " * 20 + "long")
    entry = reader.entry(0)
    assert (entry.start, entry.count, entry.time_ns, entry.uncertainty_ns, entry.lost) == (6, 4, 123, 7, 1)
    assert entry.reason.startswith("a reason that is very")
    assert (reader.epoch, reader.stop, reader.position, reader.nonce) == (0, 10, 4, ring.nonce)
    with pytest.raises(ProtocolError, match="none of this stream"):
        StreamRing(memory, spec_of(31))
    with pytest.raises(ProtocolError, match="bytes came as a ring buffer"):
        StreamRing(memory[:-1], spec)
    memory[Word.MAGIC * 8] ^= 1
    with pytest.raises(ProtocolError, match="none of this stream"):
        StreamRing(memory, spec)


def test_small_rings_have_room_for_many_small_chunks() -> None:
    assert RingLayout.of(spec_of(1)).n_entries == MIN_ENTRIES
    ring = writer(1)
    for at in range(5):
        ring.write(values(at, 1))
        np.testing.assert_array_equal(ring.read(at, at + 1), [at])
