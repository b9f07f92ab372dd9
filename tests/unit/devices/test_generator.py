"""Sines of exact phase."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.devices import SignalGenerator
from pyacq_lab.errors import ConfigurationError
from pyacq_lab.testing import ManualClock


def generator_of(**settings):
    generator = SignalGenerator(SignalGenerator.settings_type.checked(**settings))
    generator.clock = ManualClock()
    return generator


def test_is_the_sine_that_was_asked_for():
    generator = generator_of(sample_rate=500.0, frequency=5.0, amplitude=2.0, offset=1.0, n_channels=4)
    got = generator.samples(0, 2000)
    turns = np.arange(2000)[:, np.newaxis] / 100 + np.arange(4) / 4
    np.testing.assert_allclose(got, 1.0 + 2.0 * np.sin(2 * np.pi * turns), atol=1e-11)


@pytest.mark.parametrize("start", [2**31 - 5, 2**53 + 1, 10**18])
def test_phase_is_exact_after_any_time(start):
    generator = generator_of(sample_rate=44_100.0, frequency=440.1)
    step = Fraction(440.1) / Fraction(44_100.0)
    wanted = [np.sin(2 * np.pi * float((start + i) * step % 1)) for i in range(50)]
    np.testing.assert_allclose(generator.samples(start, start + 50)[:, 0], wanted, atol=1e-11)


@given(st.lists(st.integers(0, 5000), max_size=6))
def test_neither_phase_nor_noise_depend_on_the_cuts(cuts):
    generator = generator_of(n_channels=2, noise=0.5)
    edges = [0, *sorted(cuts), 5000]
    parts = [generator.samples(a, b) for a, b in pairwise(edges)]
    np.testing.assert_array_equal(
        np.concatenate(parts), generator_of(n_channels=2, noise=0.5).samples(0, 5000)
    )


def test_noise_has_the_strength_asked_for_and_its_own_seed():
    quiet = generator_of(amplitude=0.0, noise=3.0, seed=1).samples(0, 20_000)
    assert quiet.std() == pytest.approx(3.0, rel=0.03)
    other = generator_of(amplitude=0.0, noise=3.0, seed=2).samples(0, 20_000)
    assert abs(np.corrcoef(quiet[:, 0], other[:, 0])[0, 1]) < 0.05


def test_starts_again_from_sample_0():
    generator = generator_of(sample_rate=1000.0)
    for _ in range(2):
        generator.open()
        first = generator.read(1.0)
        assert first.time_ns == generator.clock.now_ns() - 20_000_000
        np.testing.assert_array_equal(first.data, generator.samples(0, 20))


def test_refuses_what_the_rate_cannot_carry():
    with pytest.raises(ConfigurationError, match="wanted less than 50"):
        generator_of(sample_rate=100.0, frequency=50.0).describe()


def test_each_channel_has_its_own():
    generator = generator_of(
        sample_rate=100.0,
        amplitude=2.0,
        channels=(
            {"name": "slow", "frequency": 1.0, "phase": 0.25},
            {"waveform": "square", "frequency": 5.0, "offset": 1.0, "duty": 0.3, "phase": 0.0},
        ),
    )
    (spec,) = generator.describe().values()
    assert spec.channel_names == ("slow", "1")
    got = generator.samples(0, 200)
    np.testing.assert_allclose(got[:, 0], 2 * np.cos(2 * np.pi * np.arange(200) / 100), atol=1e-12)
    np.testing.assert_array_equal(got[:, 1], np.where(np.arange(200) % 20 < 6, 3.0, -1.0))


@pytest.mark.parametrize("start", [0, 10**15])
def test_edges_of_a_square_are_where_they_belong(start):
    got = generator_of(sample_rate=30_000.0, waveform="square", frequency=3.0).samples(start, start + 100_000)
    np.testing.assert_array_equal(
        got[:, 0], np.where(np.arange(start, start + 100_000) % 10_000 < 5000, 1, -1)
    )


def test_a_chirp_sweeps_in_each_period():
    settings = {"sample_rate": 1000.0, "waveform": "chirp", "frequency": 10.0, "frequency_end": 50.0}
    got = generator_of(**settings, period=2.0).samples(0, 4000)[:, 0]
    t = np.arange(2000) / 1000
    np.testing.assert_allclose(got[:2000], np.sin(2 * np.pi * (10 * t + 10 * t**2)), atol=1e-6)
    np.testing.assert_allclose(got[2000:], got[:2000], atol=1e-6)


def test_bursts_come_and_go():
    settings = {"sample_rate": 1000.0, "waveform": "bursts", "frequency": 50.0, "period": 0.5, "length": 0.1}
    got = generator_of(**settings).samples(0, 5000)[:, 0].reshape(10, 500)
    np.testing.assert_array_equal(got[:, 100:], 0.0)
    np.testing.assert_allclose(got[:, :100] - np.sin(2 * np.pi * np.arange(100) / 20), 0, atol=1e-11)


def test_noise_is_as_strong_as_its_amplitude_and_what_is_added():
    got = generator_of(waveform="noise", amplitude=3.0, noise=4.0, offset=10.0).samples(0, 50_000)
    assert got.std() == pytest.approx(5.0, rel=0.03)
    assert got.mean() == pytest.approx(10.0, abs=0.1)


def test_spikes_come_as_often_as_was_asked_for():
    settings = {"sample_rate": 30_000.0, "waveform": "spikes", "amplitude": 80.0, "n_channels": 2}
    got = generator_of(**settings, frequency=50.0).samples(0, 600_000)
    is_below = got < -40.0
    counts = (is_below[1:] & ~is_below[:-1]).sum(axis=0)
    assert counts == pytest.approx([1000, 1000], rel=0.15)  # five standard deviations, and some overlap
    assert not np.array_equal(got[:, 0], got[:, 1])
    lone = generator_of(**settings, frequency=0.5, seed=1).samples(0, 600_000)
    assert lone.min() == pytest.approx(-80.0, rel=0.01)


@given(st.lists(st.integers(0, 4000), max_size=4), st.sampled_from(["spikes", "chirp", "bursts", "noise"]))
def test_no_waveform_depends_on_the_cuts(cuts, waveform):
    settings = {"waveform": waveform, "frequency": 30.0, "width": 0.4, "n_channels": 2}
    edges = [0, *sorted(cuts), 4000]
    parts = [generator_of(**settings).samples(a, b) for a, b in pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(parts), generator_of(**settings).samples(0, 4000))


@pytest.mark.parametrize("sample_rate", [1000.0, 1000 / 3])
def test_ten_minutes_have_as_many_samples_as_they_should_have(sample_rate):
    """However late each sleep ends: the rate is that of the clock, and so are the sample times."""
    generator = generator_of(sample_rate=sample_rate, chunk_size=50)
    generator.clock = clock = ManualClock(late=0.0017)
    begin = clock.now_ns()
    generator.open()
    total = 0
    while clock.now_ns() - begin < 600 * 10**9:
        reading = generator.read(0.1)
        if reading is not None:
            assert reading.time_ns - begin == -(-total * 10**9 // Fraction(sample_rate))
            assert reading.lost == 0
            total += len(reading.data)
    passed = Fraction(clock.now_ns() - begin, 10**9)
    assert 0 <= passed * Fraction(sample_rate) - total < 50 + 1


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"waveform": "chirp", "frequency_end": 500.0}, "frequency_end=500.0 Hz at sample_rate=1000.0 Hz"),
        ({"waveform": "spikes", "width": 0.001}, "at least two samples"),
        ({"waveform": "bursts", "length": 2.0}, "wanted less than the period"),
        ({"channels": ({}, {"frequency": 501.0})}, "channel 1: frequency=501.0 Hz"),
        ({"n_channels": 3, "channels": ({}, {})}, "2 of them for n_channels=3"),
        ({"waveform": "triangle"}, "waveform='triangle': Input should be 'sine', 'square'"),
        ({"sample_rate": float("inf")}, "sample_rate=inf: Input should be a finite number"),
        ({"amplitude": float("nan")}, "amplitude=nan: Input should be a finite number"),
        ({"channels": ({"nam": "x"},)}, r"unknown setting 'channels.0.nam' \(known: name, waveform"),
    ],
)
def test_refusals(settings, says):
    with pytest.raises(ConfigurationError, match=says):
        generator_of(**settings).describe()


def test_levels_change_live_and_phases_go_on():
    generator = generator_of(n_channels=2, amplitude=1.0, noise=0.5, offset=1.0)
    before = generator.samples(0, 700)
    generator.change(generator.settings.changed(amplitude=3.0, noise=1.5, offset=3.0))
    np.testing.assert_allclose(generator.samples(0, 700), 3 * before, atol=1e-12)
    with pytest.raises(ConfigurationError, match="frequency cannot change"):
        generator.settings.changed(frequency=2.0)
