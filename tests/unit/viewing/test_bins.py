from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.viewing.bins import GAP, Bins, Decimator

N_CHANNELS = 3


def joined(done: list[Bins]) -> tuple[int, np.ndarray, np.ndarray]:
    for before, after in pairwise(done):
        assert before.stop == after.start
    return (
        done[0].start,
        np.concatenate([b.extremes for b in done]),
        np.concatenate([b.flags for b in done]),
    )


def decimate(data, start, cuts, bin_size, dtype, lost=()):
    """Push `data` cut at `cuts`; samples in the half-open ranges `lost` become gaps."""
    decimator = Decimator(data.shape[1], bin_size, np.dtype(dtype), 10_000)
    done = []
    edges = sorted({0, len(data), *[c for c in cuts if c < len(data)], *[e for r in lost for e in r]})
    for first, stop in pairwise(edges):
        if any(a <= first < b for a, b in lost):
            done += decimator.gap(start + first, start + stop)
        else:
            done += decimator.push(start + first, data[first:stop])
    return done + decimator.flush()


@given(
    n=st.integers(1, 400),
    start=st.integers(0, 10**12),
    bin_size=st.integers(1, 50),
    cuts=st.lists(st.integers(1, 400)),
    dtype=st.sampled_from(["<i2", "<f4", "<f8", "<i4"]),
    seed=st.integers(0, 2**31),
)
def test_bins_do_not_depend_on_chunking(n, start, bin_size, cuts, dtype, seed):
    data = (1000 * np.random.default_rng(seed).standard_normal((n, N_CHANNELS))).astype(dtype)
    whole = joined(decimate(data, start, [], bin_size, dtype))
    pieces = joined(decimate(data, start, cuts, bin_size, dtype))
    assert whole[0] == pieces[0] == start // bin_size
    np.testing.assert_array_equal(whole[1], pieces[1])
    np.testing.assert_array_equal(whole[2], pieces[2])


@given(
    n=st.integers(2, 300),
    bin_size=st.integers(1, 40),
    cuts=st.lists(st.integers(1, 300)),
    edges=st.tuples(st.integers(0, 300), st.integers(0, 300)),
)
def test_bins_around_a_gap_do_not_depend_on_chunking(n, bin_size, cuts, edges):
    data = np.random.default_rng(n).standard_normal((n, 1))
    lost = ((min(edges) % n, max(edges) % n),)
    lost = tuple(r for r in lost if 0 < r[0] < r[1])
    whole = joined(decimate(data, 0, [], bin_size, "<f8", lost))
    pieces = joined(decimate(data, 0, cuts, bin_size, "<f8", lost))
    for a, b in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(a, b)
    for first, stop in lost:
        touched = np.zeros(len(whole[2]), bool)
        touched[first // bin_size : (stop - 1) // bin_size + 1] = True
        np.testing.assert_array_equal(whole[2] == GAP, touched)
        kept = np.concatenate([data[:first, 0], data[stop:, 0]])
        assert np.nanmax(whole[1]) == kept.max()


@given(at=st.integers(0, 999), bin_size=st.integers(1, 300), cuts=st.lists(st.integers(1, 999)))
def test_a_spike_of_one_sample_is_in_its_bin(at, bin_size, cuts):
    data = np.zeros((1000, 2), np.int16)
    data[at, 1] = -32768
    start, extremes, _ = joined(decimate(data, 0, cuts, bin_size, "<i2"))
    assert extremes[at // bin_size - start, 1, 0] == -32768
    assert (extremes[:, 0] == 0).all()


def test_a_missing_chunk_is_a_gap_even_if_nobody_says_so():
    decimator = Decimator(1, 10, np.dtype("f8"), 100)
    first = decimator.push(0, np.ones((15, 1)))
    later = decimator.push(35, np.ones((5, 1)))
    start, extremes, flags = joined(first + later)
    assert start == 0
    np.testing.assert_array_equal(flags, [0, GAP, GAP, GAP])
    np.testing.assert_array_equal(np.isnan(extremes[:, 0, 0]), [False, False, True, False])


def test_a_gap_up_to_the_end_of_a_bin_does_not_mark_the_next():
    decimator = Decimator(1, 10, np.dtype("f8"), 100)
    done = decimator.push(0, np.ones((10, 1))) + decimator.gap(10, 20) + decimator.push(20, np.ones((10, 1)))
    np.testing.assert_array_equal(joined(done)[2], [0, GAP, 0])


def test_samples_seen_before_are_left_out():
    decimator = Decimator(1, 4, np.dtype("f8"), 100)
    decimator.push(0, np.zeros((3, 1)))
    assert decimator.push(0, np.full((3, 1), 9.0)) == []
    (bins,) = decimator.push(2, np.array([[9.0], [1.0]]))
    np.testing.assert_array_equal(bins.extremes[0, 0], [0, 1])


def test_an_hour_without_a_link_costs_no_more_than_a_window():
    decimator = Decimator(1, 10, np.dtype("f8"), 100)
    decimator.push(0, np.ones((10, 1)))
    done = decimator.gap(10, 10**9)
    assert sum(map(len, done)) <= 101
    assert done[-1].stop == 10**8


def test_nan_hides_no_number_that_shares_its_bin():
    data = np.array([[np.nan], [2.0], [np.nan], [-1.0]])
    (bins,) = Decimator(1, 4, np.dtype("f8"), 10).push(0, data)
    np.testing.assert_array_equal(bins.extremes[0, 0], [-1, 2])
    (bins,) = Decimator(1, 4, np.dtype("f8"), 10).push(0, np.full((4, 1), np.nan))
    assert np.isnan(bins.extremes).all()


@pytest.mark.parametrize("value", [2**31 - 1, -(2**31), 16_777_217])
def test_wide_integers_stay_exact(value):
    (bins,) = Decimator(1, 1, np.dtype("<i4"), 10).push(0, np.array([[value]], "<i4"))
    assert bins.extremes[0, 0, 0] == value


def test_a_bin_holds_at_least_one_sample():
    with pytest.raises(ValueError, match="at least one sample"):
        Decimator(1, 0, np.dtype("f8"), 10)
