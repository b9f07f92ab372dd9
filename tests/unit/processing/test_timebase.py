"""Times of samples: even where stamps jitter, and not stubborn where they step or drift."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.model.chunk import Chunk
from pyacq_lab.processing.timebase import SETTLE, TimeBase

MS = 10**6


def chunk(start, n, time_ns):
    return Chunk(start, np.zeros((n, 1)), time_ns)


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=20), st.sampled_from([1000.0, 30_000.0, 44_100.0, 7.0])
)
def test_times_do_not_depend_on_the_cuts(sizes, rate):
    n = sum(sizes)
    begin = 1_700_000_000_000_000_000
    whole = TimeBase(rate, 2 * MS).follow(chunk(0, n, begin))
    base, at, parts = TimeBase(rate, 2 * MS), 0, []
    for size in sizes:
        parts.append(base.follow(chunk(at, size, begin + round(at * 1e9 / rate))))
        at += size
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_jitter_is_averaged():
    rng = np.random.default_rng(0)
    base = TimeBase(1000.0, 5 * MS)
    errors = [
        base.follow(chunk(k * 20, 20, k * 20 * MS + int(rng.normal(0, MS))))[0] - k * 20 * MS
        for k in range(10_000)
    ]
    assert np.std(errors[3000:]) < 0.1 * MS
    assert abs(np.diff(errors)).max() < 0.02 * MS  # from chunk to chunk: nothing that moves a sample


def test_drift_is_followed():
    base, ppm = TimeBase(1000.0, 5 * MS), 100e-6
    for k in range(10_000):
        true = round(k * 20 * MS * (1 + ppm))
        found = base.follow(chunk(k * 20, 20, true))[0]
    assert abs(found - true) < 1.1 * ppm * SETTLE * 1e9


def test_a_step_is_believed():
    base = TimeBase(1000.0, 2 * MS)
    base.follow(chunk(0, 10, 0))
    assert base.follow(chunk(10, 10, 13 * MS))[0] == 13 * MS
    assert base.time_of(20) == 23 * MS
    assert base.follow(chunk(20, 1, 0))[0] == 0


def test_delay_is_taken_off_and_gaps_are_counted():
    base = TimeBase(100.0, 2 * MS, delay_ns=7)
    assert not base.is_known
    assert base.follow(chunk(5, 2, 1000)).tolist() == [993, 993 + 10 * MS]
    assert base.is_known
    assert base.time_of(105) == 993 + 1000 * MS
    assert base.follow(chunk(105, 1, 1000 + 1000 * MS))[0] == 993 + 1000 * MS
    base.reset()
    assert not base.is_known


def test_far_indices_are_exact():
    base, far = TimeBase(30_000.0, 2 * MS), 2**53
    base.follow(chunk(far, 1, 0))
    assert base.follow(chunk(far + 3 * 10**9, 1, 10**14)).tolist() == [10**14]
