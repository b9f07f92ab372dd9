from __future__ import annotations

import numpy as np
import pytest

from pyacq_lab.errors import SamplesGone, StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.viewing.bins import BREAK, GAP
from pyacq_lab.viewing.history import TraceHistory

SPEC = StreamSpec(dtype="<i2", shape=(-1, 2), sample_rate=1000.0)


def ramp(start, stop, epoch=0, time_ns=0):
    index = np.arange(start, stop, dtype="<i2")
    return Chunk(start, np.stack([index, -index], 1), time_ns, epoch=epoch)


def test_a_viewer_that_comes_late_begins_at_zero_of_the_display_axis():
    history = TraceHistory(SPEC, 10, 100)
    history.add(ramp(1234, 1260))
    assert (history.start, history.stop) == (0, 3)
    extremes, flags = history.read(0, 3)
    np.testing.assert_array_equal(extremes[:, 0], [[1234, 1239], [1240, 1249], [1250, 1259]])
    np.testing.assert_array_equal(extremes[1, 1], [-1249, -1240])
    assert not flags.any()


def test_only_the_last_bins_are_kept():
    history = TraceHistory(SPEC, 10, 5)
    history.add(ramp(0, 200))
    assert (history.start, history.stop) == (15, 20)
    with pytest.raises(SamplesGone):
        history.read(14, 20)


def test_gaps_are_counted_whether_told_or_found():
    history = TraceHistory(SPEC, 10, 100)
    history.add(ramp(0, 10))
    history.add(Gap(10, 25))
    history.add(ramp(25, 30))
    history.add(ramp(40, 50))
    assert (history.received, history.lost) == (25, 25)
    np.testing.assert_array_equal(history.read(0, 5)[1], [0, GAP, GAP, GAP, 0])


def test_a_new_epoch_goes_on_after_a_break():
    history = TraceHistory(SPEC, 10, 100)
    history.add(ramp(500, 515, epoch=3))
    history.add(ramp(0, 20, epoch=4))
    extremes, flags = history.read(0, history.stop)
    np.testing.assert_array_equal(flags, [0, 0, BREAK, 0, 0])
    np.testing.assert_array_equal(extremes[1, 0], [510, 514])  # the old epoch's last bin, as far as it came
    assert np.isnan(extremes[2]).all()
    np.testing.assert_array_equal(extremes[3, 0], [0, 9])
    assert history.lost == 0


def test_an_epoch_may_begin_with_a_gap():
    history = TraceHistory(SPEC, 10, 100)
    history.add(Gap(0, 20, epoch=1))
    history.add(ramp(20, 30, epoch=1))
    np.testing.assert_array_equal(history.read(0, 3)[1], [GAP, GAP, 0])
    assert history.lost == 20


def test_an_empty_chunk_changes_nothing():
    history = TraceHistory(SPEC, 10, 100)
    history.add(ramp(5, 5))
    history.add(ramp(5, 10))
    assert (history.received, history.stop) == (5, 1)


def test_the_newest_sample_has_a_time():
    history = TraceHistory(SPEC, 10, 100)
    history.add(ramp(0, 100, time_ns=5_000_000_000))
    assert history.newest_ns == 5_099_000_000


def test_truth_values_and_scalars_are_drawn():
    digital = TraceHistory(StreamSpec.of(bool, shape=(-1,), sample_rate=10.0), 2, 10)
    digital.add(Chunk(0, np.array([False, True, True, True])))
    np.testing.assert_array_equal(digital.read(0, 2)[0][:, 0], [[0, 1], [1, 1]])


@pytest.mark.parametrize(
    "spec",
    [
        StreamSpec(streamtype="video", dtype="|u1", shape=(-1, 48, 64, 3)),
        StreamSpec.of(np.complex64, shape=(-1, 2)),
        StreamSpec.of([("time", "<i8"), ("code", "<i4")], shape=(-1,)),
    ],
)
def test_what_has_no_channels_of_numbers_is_refused(spec):
    with pytest.raises(StreamMismatch, match="cannot be drawn as traces"):
        TraceHistory(spec, 1, 10)
