"""Samples against time: exact, without drift, at any rate and after any time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.devices.pacing import MAX_CATCH_UP, NS_PER_S, Pace, default_chunk_size
from pyacq_lab.testing import ManualClock

RATES = st.one_of(st.floats(0.001, 1e6), st.sampled_from([1 / 3, 0.1, 44_100.0, 30_000.0, 1e9]))


@given(rate=RATES, index=st.integers(0, 2**60))
def test_a_sample_is_due_exactly_at_its_time(rate, index):
    pace = Pace(rate)
    pace.begin(1_700_000_000 * NS_PER_S)
    time_ns = pace.time_ns(index)
    assert pace.due(time_ns) >= index
    assert index == 0 or pace.due(time_ns - 1) < index


def test_ten_years_at_30_khz_do_not_drift():
    pace, ten_years = Pace(30_000.0), 10 * 365 * 86_400
    pace.begin(0)
    assert pace.due(ten_years * NS_PER_S) == ten_years * 30_000
    assert pace.time_ns(ten_years * 30_000) == ten_years * NS_PER_S


def test_nothing_is_due_before_the_beginning():
    pace = Pace(1000.0)
    pace.begin(NS_PER_S)
    assert pace.due(0) == 0


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def pace(clock):
    pace = Pace(1000.0)
    pace.begin(clock.now_ns())
    return pace


def test_waits_for_a_whole_chunk(pace, clock):
    assert pace.take(clock, 0, 20, timeout=1.0) == 20
    assert clock.sleeps == [0.02]


def test_gives_nothing_where_the_time_is_too_short(pace, clock):
    assert pace.take(clock, 0, 20, timeout=0.01) == 0
    assert pace.take(clock, 0, 20, timeout=0.01) == 20


def test_waits_by_absolute_deadlines(pace, clock):
    stop = 0
    for _ in range(3):
        stop = pace.take(clock, stop, 20, timeout=1.0)
        clock.advance(0.007)  # what was done with the chunk does not delay the next
    assert clock.sleeps == [0.02, 0.013, 0.013]


def test_a_late_wake_up_catches_up_in_whole_chunks(pace, clock):
    clock.advance(0.075)
    assert pace.take(clock, 0, 20, timeout=1.0) == 60
    assert clock.sleeps == []


def test_catching_up_is_bounded_for_each_read(pace, clock):
    clock.advance(3600.0)
    first = pace.take(clock, 0, 20, timeout=1.0)
    assert first == MAX_CATCH_UP * 20
    assert pace.take(clock, first, 20, timeout=1.0) == 2 * first


@pytest.mark.parametrize(("late", "stop"), [(0.0, 20), (0.035, 20), (0.045, 45), (9.0, 45)])
def test_the_last_chunk_is_as_long_as_it_comes(pace, clock, late, stop):
    clock.advance(late)
    assert pace.take(clock, 0, 20, timeout=1.0, end=45) == stop


def test_a_short_end_is_waited_for(pace, clock):
    assert pace.take(clock, 40, 20, timeout=1.0, end=45) == 45
    assert clock.sleeps == [0.045]


@pytest.mark.parametrize(("rate", "size"), [(30_000.0, 600), (360.0, 7), (1.0, 1)])
def test_default_chunks_last_20_ms(rate, size):
    assert default_chunk_size(rate) == size
