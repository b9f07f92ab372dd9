from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.viewing.bins import GAP
from pyacq_lab.viewing.columns import column_extremes, flagged_columns


def flat(values):
    """Bins of one sample each, one channel."""
    return np.repeat(np.asarray(values, float)[:, np.newaxis, np.newaxis], 2, axis=2)


@given(
    n_bins=st.integers(2, 300),
    n_columns=st.integers(2, 400),
    at=st.integers(0, 10**6),
    extra=st.integers(0, 10**9),
)
def test_a_spike_is_in_a_column_at_its_place_and_at_full_height(n_bins, n_columns, at, extra):
    at %= n_bins
    if at * n_columns < 2 * n_bins:
        return  # the left edge may cut the oldest bins where bins and columns do not fall together
    values = np.zeros(n_bins)
    values[at] = 1.0
    stop = n_bins + extra
    columns = column_extremes(flat(values), n_columns, stop, n_bins)[:, 0]
    assert np.nanmax(columns[:, 1]) == 1
    peak = int(np.nanargmax(columns[:, 1]))
    place = (at + 0.5) / n_bins * n_columns
    assert abs(peak + 0.5 - place) <= 2 + n_columns / n_bins


def test_narrow_bins_keep_extremes_and_touch():
    lanes = np.array([[[0.0, 0.1]], [[5.0, 5.1]], [[5.0, 6.0]], [[1.0, 2.0]]])
    columns = column_extremes(lanes, 2, 4, 4.0)[:, 0]
    np.testing.assert_array_equal(columns, [[0.0, 5.1], [1.0, 6.0]])


def test_a_step_between_columns_is_joined():
    columns = column_extremes(flat([0, 0, 9, 9]), 4, 4, 4.0)[:, 0]
    np.testing.assert_array_equal(columns, [[0, 0], [0, 0], [0, 9], [9, 9]])


def test_wide_bins_are_joined_by_straight_lines():
    columns = column_extremes(flat([0, 10]), 20, 2, 2.0)[:, 0]
    middle = columns[5:15]
    np.testing.assert_allclose(middle[:, 0], np.arange(10), atol=1e-9)
    np.testing.assert_allclose(middle[:, 1], np.arange(1, 11), atol=1e-9)
    assert np.isnan(columns[:5]).all()


def test_a_lone_bin_between_gaps_is_drawn():
    columns = column_extremes(flat([np.nan, 7, np.nan]), 30, 3, 3.0)[:, 0]
    assert np.nanmax(columns) == 7


def test_nothing_is_drawn_over_a_gap():
    columns = column_extremes(flat([1, 1, np.nan, 1, 1]), 5, 5, 5.0)[:, 0]
    np.testing.assert_array_equal(np.isnan(columns[:, 0]), [False, False, True, False, False])


def test_a_part_of_a_window_is_drawn_at_the_right():
    columns = column_extremes(flat([1, 1]), 10, 2, 10.0)[:, 0]
    np.testing.assert_array_equal(np.isnan(columns[:, 0]), [True] * 8 + [False] * 2)


def test_no_bins_no_columns():
    assert np.isnan(column_extremes(np.empty((0, 3, 2)), 10, 0, 10.0)).all()


@given(n_columns=st.integers(1, 200), at=st.integers(0, 49), extra=st.integers(0, 10**6))
def test_a_gap_is_never_too_narrow_to_be_seen(n_columns, at, extra):
    flags = np.zeros(50, np.uint8)
    flags[at] = GAP
    seen = flagged_columns(flags, n_columns, 50 + extra, 50.0)
    if at * n_columns >= 50:  # else the left edge may cut it
        assert seen.any()
