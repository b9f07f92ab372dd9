from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.viewing import display


def bins_of(data, n=10):
    blocks = np.asarray(data, float).reshape(-1, n, np.shape(data)[1])
    return np.stack([blocks.min(1), blocks.max(1)], -1)


def sine(amplitude, n=1000, mean=0.0):
    return mean + amplitude * np.sin(np.arange(n) * 0.3)


def test_a_window_has_as_many_bins_as_columns():
    spec = StreamSpec(shape=(-1, 4), sample_rate=30_000.0)
    assert display.bin_size_for(spec, 5.0, 1000) == 150


def test_a_slow_stream_has_one_sample_per_bin():
    assert display.bin_size_for(StreamSpec(shape=(-1, 4), sample_rate=50.0), 5.0, 1000) == 1


@given(
    n_channels=st.integers(1, 1024),
    rate=st.floats(1, 1e6),
    window=st.floats(0.01, 100),
    n_panels=st.integers(1, 8),
)
def test_no_stream_asks_more_of_the_way_to_the_page_than_it_can_take(n_channels, rate, window, n_panels):
    spec = StreamSpec(shape=(-1, n_channels), sample_rate=rate)
    size = display.bin_size_for(spec, window, 2000, n_panels)
    per_second = n_panels * n_channels * display.BYTES_PER_BIN * rate / size
    assert per_second <= display.BYTES_PER_SECOND * (1 + 1e-9)


def test_scale_and_offset_of_the_stream_are_applied():
    extremes = np.array([[[-10.0, 30.0]]])
    spec = StreamSpec(scale=0.5, offset=100.0)
    np.testing.assert_array_equal(display.physical(extremes, spec), [[[95.0, 115.0]]])


def test_a_negative_scale_swaps_the_extremes():
    values = display.physical(np.array([[[-10.0, 30.0]]]), StreamSpec(scale=-1.0))
    np.testing.assert_array_equal(values, [[[-30.0, 10.0]]])


def test_traces_fill_their_lanes():
    scaling = display.fit(bins_of(np.stack([sine(95), sine(20)], 1)))
    assert scaling is not None
    np.testing.assert_array_equal(scaling.half, [100, 100])
    np.testing.assert_array_equal(scaling.centre, [0, 0])


def test_each_lane_may_have_its_own_scale_and_centre():
    scaling = display.fit(bins_of(np.stack([sine(95), sine(1.7, mean=500)], 1)), "each")
    assert scaling is not None
    np.testing.assert_array_equal(scaling.half, [100, 2])
    np.testing.assert_allclose(scaling.centre, [0, 500], atol=0.2)


def test_a_rare_spike_does_not_flatten_the_rest():
    data = sine(1.0)[:, np.newaxis].repeat(3, 1)
    data[500] = 1e6
    scaling = display.fit(bins_of(data))
    assert scaling is not None
    assert scaling.half.max() <= 15


def test_a_line_with_single_pulses_is_scaled_by_its_pulses():
    data = np.zeros((20_000, 1))
    data[::7000] = 5
    scaling = display.fit(bins_of(data))
    assert scaling is not None
    assert scaling.half[0] == pytest.approx(6)


def test_a_broken_channel_does_not_flatten_the_others():
    data = sine(1.0)[:, np.newaxis].repeat(32, 1)
    data[:, 7] = sine(3e4)
    scaling = display.fit(bins_of(data))
    assert scaling is not None
    assert scaling.half.max() < 2


def test_nothing_to_fit_gives_nothing():
    assert display.fit(np.full((5, 2, 2), np.nan)) is None
    assert display.fit(np.full((5, 2, 2), np.inf)) is None


def test_a_dead_channel_beside_a_live_one_is_no_trouble():
    data = np.stack([sine(1.0), np.full(1000, np.nan)], 1)
    scaling = display.fit(bins_of(data), "each")
    assert scaling is not None
    assert (scaling.half > 0).all()


@given(st.floats(1e-12, 1e12))
def test_a_nice_number_is_near_above(value):
    nice = display.nice_ceiling(value)
    assert value <= nice * (1 + 1e-9)
    assert nice <= 1.6 * value


def test_a_picture_stands_still_while_the_signal_still_fits():
    now = display.Scaling(np.zeros(2), np.array([100.0, 100.0]))
    assert display.fits(now, display.Scaling(np.zeros(2), np.array([50.0, 50.0])))
    assert not display.fits(now, display.Scaling(np.zeros(2), np.array([200.0, 200.0])))
    assert not display.fits(now, display.Scaling(np.zeros(2), np.array([20.0, 20.0])))
    assert not display.fits(now, display.Scaling(np.array([0, 60.0]), now.half))


def test_lane_edges_are_one():
    scaling = display.Scaling(np.array([10.0]), np.array([5.0]))
    np.testing.assert_array_equal(scaling.to_lanes(np.array([[[5.0, 15.0]]])), [[[-1, 1]]])
    np.testing.assert_array_equal(scaling.zoomed(2).to_lanes(np.array([[[7.5, 12.5]]])), [[[-1, 1]]])


def test_high_lanes_carry_values_and_low_ones_are_thinned():
    one = display.ticks(("x",), display.Scaling(np.zeros(1), np.array([150.0])), "mV", 200)
    assert [label for _, label in one] == ["100 mV", "x", "\N{MINUS SIGN}100 mV"]
    assert [y for y, _ in one] == pytest.approx([1 / 3, 0, -1 / 3])
    many = display.ticks([str(i) for i in range(64)], display.Scaling.unit(64), "mV", 320)
    assert [label for _, label in many[:3]] == ["0", "3", "6"]
    assert many[0][0] == 63


def test_a_scale_is_told_in_words():
    assert display.scale_label(display.Scaling(np.zeros(2), np.array([200.0, 200])), "µV") == "±200 µV"
    assert display.scale_label(display.Scaling(np.zeros(2), np.array([200.0, 20])), "µV") == "lanes differ"
    assert display.quantity(-0.05, "V") == "\N{MINUS SIGN}0.05 V"
