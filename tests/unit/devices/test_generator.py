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
