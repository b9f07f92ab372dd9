from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.viewing.samples import SampleHistory, spans

SPEC = StreamSpec(shape=(-1, 2), sample_rate=100.0)


def chunk(start, stop, epoch=0):
    return Chunk(start, np.arange(start, stop)[:, np.newaxis] + np.array([0.0, 1000.0]), epoch=epoch)


def test_places_begin_with_the_first_sample_and_go_on_over_gaps():
    history = SampleHistory(SPEC, 100)
    for item in (chunk(50, 60), Gap(60, 65), chunk(65, 70)):
        history.add(item)
    assert (history.stop, history.place(65)) == (20, 15)
    np.testing.assert_array_equal(history.read(8, 17)[:, 0], [58, 59, *[np.nan] * 5, 65, 66])


def test_another_epoch_goes_on_after_one_missing_sample():
    history = SampleHistory(SPEC, 100)
    history.add(chunk(0, 5))
    history.add(chunk(0, 3, epoch=1))
    np.testing.assert_array_equal(history.read(0, 9)[:, 0], [0, 1, 2, 3, 4, np.nan, 0, 1, 2])
    assert history.place(1, epoch=1) == 7
    assert history.place(1, epoch=0) is None


def test_a_gap_longer_than_what_is_kept_costs_no_more_than_that():
    history = SampleHistory(SPEC, 10)
    history.add(chunk(0, 5))
    history.add(chunk(10**12, 10**12 + 3))
    assert history.stop == 10**12 + 3
    np.testing.assert_array_equal(history.last(4)[:, 0], [np.nan, 10**12, 10**12 + 1, 10**12 + 2])


def test_chosen_channels_come_in_the_streams_units():
    spec = StreamSpec.of("int16", shape=(-1, 2), sample_rate=1.0, scale=(1.0, 0.5), offset=(0.0, 3.0))
    history = SampleHistory(spec, 10, [1])
    history.add(Chunk(0, np.array([[1, 2], [3, 4]], "int16")))
    np.testing.assert_array_equal(history.read(0, 2), [[4.0], [5.0]])


@given(st.lists(st.integers(1, 20), min_size=1, max_size=12), st.data())
@settings(max_examples=40, deadline=None)
def test_what_is_kept_does_not_depend_on_how_it_came(sizes, data):
    whole, pieces = SampleHistory(SPEC, 30), SampleHistory(SPEC, 30)
    stop = sum(sizes)
    whole.add(chunk(0, stop))
    at = 0
    for size in sizes:
        again = data.draw(st.integers(0, at))  # samples that were seen before
        pieces.add(chunk(at - min(again, 5), at + size))
        at += size
    np.testing.assert_array_equal(whole.last(30), pieces.last(30))


def test_spans_of_a_mask():
    assert spans(np.array([], bool)) == []
    assert spans(np.array([False, True, True])) == [(1, 3)]
