"""The moving mean against the mean as anybody would take it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing import MovingMean


def mean_of(window, n_channels=2, rate=1000.0, **fields):
    made = MovingMean(MovingMean.settings_type.checked(window=window))
    spec = StreamSpec(shape=(-1, n_channels), sample_rate=rate, **fields)
    return made, made.describe({"in": spec})["out"]


def run(made, data, cuts=()):
    edges = [0, *cuts, len(data)]
    return np.concatenate([made.process(Chunk(a, data[a:b]), "in") for a, b in pairwise(edges)])


def plain(data, n):
    return np.array([data[max(0, i + 1 - n) : i + 1].mean(axis=0) for i in range(len(data))])


@pytest.mark.parametrize("n", [1, 2, 3, 10, 99, 100, 101, 299, 300, 1000])
def test_is_the_mean_of_the_window(n):
    data = np.random.default_rng(0).standard_normal((300, 2))
    np.testing.assert_allclose(run(mean_of(n / 1000)[0], data), plain(data, n), rtol=1e-12, atol=1e-14)


@given(st.integers(1, 60), st.lists(st.integers(0, 200), max_size=8))
def test_bit_identical_under_any_cuts(n, cuts):
    data = np.random.default_rng(0).standard_normal((200, 2)) * [1.0, 1e9]
    data[50, 0], data[120, 1] = np.nan, -0.0
    whole, parts = mean_of(n / 1000)[0], mean_of(n / 1000)[0]
    assert run(parts, data, sorted(cuts)).tobytes() == run(whole, data).tobytes()


def test_no_rounding_error_outlives_its_window():
    data = np.random.default_rng(0).standard_normal((1000, 1))
    loud = data.copy()
    loud[100] = 1e300
    got = run(mean_of(0.05, 1)[0], loud)
    np.testing.assert_allclose(got[200:], plain(data, 50)[200:], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_spoils_the_windows_that_hold_it(bad):
    data = np.random.default_rng(0).standard_normal((300, 2))
    data[100, 1] = bad
    got = run(mean_of(0.02)[0], data)
    spoilt = ~np.isfinite(got)
    assert not spoilt[:, 0].any()
    assert np.flatnonzero(spoilt[:, 1]).tolist() == list(range(100, 120))


def test_both_infinities_in_one_window():
    data = np.zeros((50, 1))
    data[10], data[12] = np.inf, -np.inf
    assert np.isnan(run(mean_of(0.01, 1)[0], data)[12])


def test_group_delay_is_exact():
    made, out = mean_of(0.1, 1, group_delay=0.25)
    assert out.group_delay == 0.25 + 99 / 2 / 1000
    ramp = np.arange(500.0)[:, np.newaxis]
    np.testing.assert_allclose(run(made, ramp)[200:, 0], np.arange(200, 500) - 99 / 2)


def test_labels_go_through():
    _, out = mean_of(0.1, 2, units="mV", channel_names=("a", "b"), scale=0.5, offset=2.0)
    assert (out.units, out.names, out.scale, out.offset) == ("mV", ("a", "b"), 0.5, 2.0)


def test_a_window_shorter_than_a_sample_is_one_sample():
    made, out = mean_of(1e-9, 1)
    data = np.arange(5.0)[:, np.newaxis]
    np.testing.assert_array_equal(run(made, data), data)
    assert out.group_delay == 0.0


def test_a_window_must_have_a_length():
    with pytest.raises(ConfigurationError, match=r"window; .* \[s\]"):
        mean_of(0.0)
