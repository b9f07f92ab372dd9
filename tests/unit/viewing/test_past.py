from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.viewing import past as module
from pyacq_lab.viewing.bins import GAP
from pyacq_lab.viewing.past import Past, decimated

SPEC = StreamSpec(dtype="<i2", shape=(-1, 2), sample_rate=100.0)


def ramp(start, stop, epoch=0):
    index = np.arange(start, stop, dtype="<i2")
    return Chunk(start, np.stack([index, -index], 1), epoch=epoch)


def told(items):
    """Items as text: what is there, and what is not."""
    return [f"{'gap' if isinstance(item, Gap) else 'samples'} {item.start}-{item.stop}" for item in items]


def test_samples_are_found_by_their_place_on_an_axis_from_zero():
    past = Past(SPEC, 10.0)
    past.add(ramp(500, 700))
    (chunk,) = past.read(10, 20)
    assert (chunk.start, chunk.stop, past.place_of(510)) == (10, 20, 10)
    np.testing.assert_array_equal(chunk.data[:, 0], np.arange(510, 520))


def test_a_gap_is_a_gap_when_read_whether_told_or_found():
    past = Past(SPEC, 10.0)
    for item in (ramp(0, 100), Gap(100, 150), ramp(150, 200), ramp(230, 300), ramp(290, 310)):
        past.add(item)
    assert told(past.read(90, 310)) == [
        "samples 90-100", "gap 100-150", "samples 150-200", "gap 200-230", "samples 230-310",
    ]  # fmt: skip
    assert told(past.read(120, 160)) == ["gap 120-150", "samples 150-160"]
    assert past.read(310, 400) == []
    assert (past.received, past.lost) == (230, 80)


def test_what_comes_twice_is_kept_once():
    past = Past(SPEC, 10.0)
    past.add(ramp(0, 100))
    (new,) = past.add(Chunk(60, ramp(60, 120).data, time_ns=10**9))
    assert (new.start, new.stop, new.time_ns) == (100, 120, 1_400_000_000)
    assert past.add(ramp(60, 120)) == []
    assert past.received == 120
    np.testing.assert_array_equal(past.read(0, 120)[0].data[:, 0], np.arange(120))


def test_a_new_epoch_goes_on_after_a_sample_that_does_not_exist():
    past = Past(SPEC, 10.0)
    past.add(ramp(500, 600))
    assert told(past.add(ramp(0, 50, epoch=1))) == ["gap 100-101", "samples 101-151"]
    assert past.lost == 0
    assert told(past.read(0, past.stop)) == ["samples 0-100", "gap 100-101", "samples 101-151"]
    assert past.place_of(0) == 101


def test_only_the_last_samples_are_kept_and_holes_with_them():
    past = Past(SPEC, 1.0)
    past.add(ramp(0, 50))
    past.add(ramp(60, 140))
    past.add(ramp(140, 155))
    assert (past.start, past.stop) == (55, 155)
    assert told(past.read(0, 155)) == ["gap 55-60", "samples 60-155"]
    past.add(ramp(1000, 1020))
    assert told(past.read(0, 2000)) == ["samples 1000-1020"]


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 400)
    past = Past(SPEC, 3600.0)
    past.add(ramp(0, 1000))
    assert past.stop - past.start == 100


def test_a_copy_goes_on_by_itself():
    past = Past(SPEC, 1.0)
    past.add(ramp(0, 90))
    past.add(ramp(95, 130))
    frozen = past.copy()
    past.add(ramp(130, 300))
    assert told(frozen.read(0, 300)) == ["samples 30-90", "gap 90-95", "samples 95-130"]
    np.testing.assert_array_equal(frozen.read(100, 110)[0].data[:, 1], -np.arange(100, 110))


@settings(max_examples=60, deadline=None)
@given(
    spike=st.integers(0, 999),
    cut=st.lists(st.integers(0, 1000), max_size=6),
    bin_size=st.integers(1, 200),
    span=st.tuples(st.integers(0, 999), st.integers(1, 1000)),
)
def test_a_spike_is_seen_at_every_zoom_wherever_it_is(spike, cut, bin_size, span):
    data = np.zeros((1000, 2), "<i2")
    data[spike, 1] = 99
    past = Past(SPEC, 10.0)
    edges = sorted({0, 1000, *cut})
    for a, b in pairwise(edges):
        past.add(Chunk(a, data[a:b]))
    start, stop = span[0], min(1000, span[0] + span[1])
    bins = decimated(past.read(start, stop), bin_size, 2, SPEC.np_dtype)
    peak = np.nanmax(bins.extremes[:, 1, 1])
    assert peak == (99 if start <= spike < stop else 0)
    if start <= spike < stop:
        assert bins.start + int(np.nanargmax(bins.extremes[:, 1, 1])) == spike // bin_size


def test_bins_of_a_gap_are_flagged_and_raw_samples_are_bins_of_one():
    bins = decimated([ramp(0, 3), Gap(3, 5), ramp(5, 6)], 1, 2, SPEC.np_dtype)
    np.testing.assert_array_equal(bins.flags, [0, 0, 0, GAP, GAP, 0])
    np.testing.assert_array_equal(bins.extremes[:, 0, 0], [0, 1, 2, np.nan, np.nan, 5])
    assert decimated([], 1, 2, SPEC.np_dtype) is None


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
def test_other_data_types_are_kept_as_they_are(dtype):
    past = Past(StreamSpec.of(dtype, shape=(-1, 1), sample_rate=10.0), 10.0)
    past.add(Chunk(0, np.array([[0], [1]], dtype)))
    assert past.read(0, 2)[0].data.ravel().tolist() == [0, 1]
