"""The ring buffer against a plain list of what was written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.errors import SamplesGone
from pyacq_lab.model.ring import RingBuffer


def ramp(start: int, stop: int) -> np.ndarray:
    """Samples that say their own index, modulo what an int64 holds."""
    return np.array([i % 2**62 for i in range(start, stop)], dtype=np.int64)


def ring_of(size: int) -> RingBuffer:
    return RingBuffer(np.full(size, -1, dtype=np.int64))


@given(
    size=st.integers(1, 17),
    first=st.sampled_from([0, 1, 5, 2**31 - 3, 2**53 - 3, 2**63 - 3, 2**70]),
    sizes=st.lists(st.integers(0, 40), max_size=12),
)
def test_holds_the_last_samples_wherever_it_wraps(size, first, sizes):
    ring = ring_of(size)
    ring.restart(first)
    at = first
    for n in sizes:
        ring.write(at, ramp(at, at + n))
        at += n
        assert ring.stop == at
        assert ring.start == max(first, at - size)
        for start in range(ring.start, at + 1):
            np.testing.assert_array_equal(ring.read(start, at), ramp(start, at))


@pytest.mark.parametrize("offset", range(8))
def test_wraps_at_every_offset(offset):
    ring = ring_of(8)
    ring.write(0, ramp(0, offset))
    ring.write(offset, ramp(offset, offset + 8))
    np.testing.assert_array_equal(ring.read(offset, offset + 8), ramp(offset, offset + 8))
    assert len(ring.segments(offset, offset + 8)) == (1 if offset == 0 else 2)


@pytest.mark.parametrize("longer_by", [0, 1, 7, 8, 100])
def test_of_a_chunk_as_long_as_the_ring_or_longer_the_tail_stays(longer_by):
    ring, n = ring_of(8), 8 + longer_by
    ring.write(0, ramp(0, 3))
    ring.write(3, ramp(3, 3 + n))
    assert (ring.start, ring.stop) == (n - 5, n + 3)
    np.testing.assert_array_equal(ring.read(n - 5, n + 3), ramp(n - 5, n + 3))


def test_gap_forgets_what_lies_before_it():
    ring = ring_of(8)
    ring.write(0, ramp(0, 5))
    ring.write(7, ramp(7, 9))
    assert (ring.start, ring.stop) == (7, 9)
    with pytest.raises(SamplesGone, match=r"\[4, 9\) asked for; the ring holds \[7, 9\)"):
        ring.read(4, 9)


def test_empty_write_beyond_the_end_is_a_gap_too():
    ring = ring_of(8)
    ring.write(0, ramp(0, 5))
    ring.write(7, ramp(7, 7))
    assert (ring.start, ring.stop) == (7, 7)


def test_the_past_cannot_change():
    ring = ring_of(8)
    ring.write(0, ramp(0, 5))
    with pytest.raises(ValueError, match="already written"):
        ring.write(4, ramp(4, 6))
    np.testing.assert_array_equal(ring.read(0, 5), ramp(0, 5))


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (0, 6), (3, 2), (6, 6)])
def test_refuses_what_it_does_not_hold(start, stop):
    ring = ring_of(8)
    ring.write(0, ramp(0, 5))
    with pytest.raises(SamplesGone):
        ring.segments(start, stop)


def test_segments_are_views_and_reads_are_copies():
    ring = ring_of(8)
    ring.write(0, ramp(0, 8))
    (view,), copy = ring.segments(2, 5), ring.read(2, 5)
    ring.write(8, ramp(8, 16))
    np.testing.assert_array_equal(view, ramp(10, 13))
    np.testing.assert_array_equal(copy, ramp(2, 5))


def test_keeps_whole_samples_of_any_shape():
    ring = RingBuffer(np.zeros((4, 2, 3), dtype="u1"))
    pictures = np.arange(6 * 6, dtype="u1").reshape(6, 2, 3)
    ring.write(0, pictures)
    np.testing.assert_array_equal(ring.read(2, 6), pictures[2:])


def test_needs_room():
    with pytest.raises(ValueError, match="at least one sample"):
        RingBuffer(np.zeros(0))
