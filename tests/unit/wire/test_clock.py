import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.errors import ProtocolError
from pyacq_lab.wire.clock import ClockOffset, OffsetEstimator, Probe

US = 1000
delays = st.integers(1, 50_000).map(lambda us: us * US)


def probe(at, offset, there, back, held=10 * US):
    heard = at + there + offset
    return Probe(at, heard, heard + held, at + there + held + back)


@given(st.integers(-(10**12), 10**12), st.lists(st.tuples(delays, delays), min_size=1, max_size=100))
def test_the_true_offset_lies_within_the_uncertainty(offset, ways):
    estimator = OffsetEstimator()
    now = 0
    for there, back in ways:
        estimator.add(probe(now, offset, there, back))
        now += 10**8

    estimate = estimator.estimate(now)

    assert abs(estimate.offset_ns - offset) <= estimate.uncertainty_ns


def test_the_shortest_round_trip_wins_and_its_half_is_the_uncertainty():
    estimator = OffsetEstimator(drift_ppm=0)
    estimator.add(probe(0, 500, 90 * US, 10 * US))
    estimator.add(probe(0, 500, 5 * US, 5 * US))
    estimator.add(probe(0, 500, 10 * US, 90 * US))

    assert estimator.estimate(0) == ClockOffset(500, 5 * US + 1)


def test_an_old_probe_is_worth_less():
    estimator = OffsetEstimator(drift_ppm=50)
    estimator.add(probe(0, 0, 10 * US, 10 * US))
    fresh = estimator.estimate(30 * US).uncertainty_ns

    assert estimator.estimate(30 * US + 10**9).uncertainty_ns == fresh + 50 * US


def test_a_fresh_slow_probe_beats_an_old_fast_one():
    estimator = OffsetEstimator(drift_ppm=50)
    estimator.add(probe(0, 0, 10 * US, 10 * US))
    later = 100 * 10**9
    estimator.add(probe(later, 777, 100 * US, 100 * US))

    assert estimator.estimate(later).offset_ns == 777


def test_nothing_is_known_before_the_first_probe():
    assert OffsetEstimator().estimate(0) is None


@pytest.mark.parametrize("readings", [(10, 0, 0, 5), (0, 0, 100, 50), (0, 5, 4, 10)])
def test_impossible_readings_are_refused(readings):
    with pytest.raises(ProtocolError, match="in order"):
        OffsetEstimator().add(Probe(*readings))


def test_an_offset_brings_remote_times_home():
    assert ClockOffset(offset_ns=100).to_local(1100) == 1000
