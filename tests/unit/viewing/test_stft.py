from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import signal

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.viewing.stft import Bands, PowerTrack, decibels

SPEC = StreamSpec(shape=(-1, 1), sample_rate=1000.0, units="V")
NOISE = np.random.default_rng(1).standard_normal((5000, 1))


def run(track, items):
    results = [track.add(item) for item in items]
    return results[0][0], np.concatenate([power for _, power in results])


def test_results_are_those_of_scipy_whatever_the_chunks():
    track = PowerTrack(SPEC, [0], segment=0.2, hop=0.1)
    cuts = [0, 7, 450, 451, 3000, 5000]
    start, power = run(track, [Chunk(a, NOISE[a:b]) for a, b in pairwise(cuts)])
    assert (start, len(power), track.rate) == (0, 50, 10.0)
    _, expected = signal.welch(NOISE[:200, 0], 1000.0, nperseg=200)
    assert np.isnan(power[0]).all()  # the first segment is not whole
    np.testing.assert_allclose(power[1, 0], expected, rtol=1e-9)
    one = run(PowerTrack(SPEC, [0], 0.2, 0.1), [Chunk(0, NOISE)])[1]
    np.testing.assert_array_equal(one, power)


def test_a_segment_shorter_than_the_step_still_sees_every_sample():
    data = np.zeros((4000, 1))
    data[1234] = 1.0
    track = PowerTrack(SPEC, [0], segment=0.05, hop=1.0)
    _, power = track.add(Chunk(0, data))
    assert (power[1] > 0).any()
    assert not (power[2:] > 1e-20).any()


def test_results_that_miss_samples_are_nan_and_no_others():
    track = PowerTrack(SPEC, [0], segment=0.1, hop=0.1)
    _, power = run(track, [Chunk(0, NOISE[:2000]), Gap(2000, 2100), Chunk(2100, NOISE[2100:])])
    lost = np.flatnonzero(np.isnan(power).all(axis=(1, 2)))
    # Segments overlap by half, and the one that only begins in the gap is not whole either.
    assert lost.tolist() == [0, 20, 21]


def test_a_sine_has_the_power_of_its_height():
    data = 2.0 * np.sin(2 * np.pi * 125 * np.arange(4000) / 1000)[:, np.newaxis]
    track = PowerTrack(SPEC, [0], segment=1.0, hop=0.5)
    _, power = track.add(Chunk(0, data))
    step = track.frequencies[1]
    assert power[-1, 0].sum() * step == pytest.approx(2.0, rel=1e-6)
    assert track.frequencies[power[-1, 0].argmax()] == 125
    assert track.units == "(V)²/Hz"


def test_streams_with_a_column_for_each_frequency_are_known_by_their_names():
    names = ("C3 10 Hz", "C3 20 Hz", "C4 10 Hz", "C4 20 Hz")
    assert Bands.of(StreamSpec(shape=(-1, 4), channel_names=names)) == Bands(("C3", "C4"), (10.0, 20.0))
    assert Bands.of(StreamSpec(shape=(-1, 4))) is None
    assert Bands.of(StreamSpec(shape=(-1, 2), channel_names=("C3 10 Hz", "C4 20 Hz"))) is None


def test_such_a_stream_is_taken_as_it_is():
    names = ("C3 10 Hz", "C3 20 Hz", "C4 10 Hz", "C4 20 Hz")
    spec = StreamSpec(shape=(-1, 4), sample_rate=50.0, channel_names=names, units="V²")
    track = PowerTrack(spec, [1], segment=1.0, hop=0.1)
    start, power = track.add(Chunk(0, np.arange(12.0).reshape(3, 4)))
    assert start == 0
    np.testing.assert_array_equal(power, [[[2, 3]], [[6, 7]], [[10, 11]]])
    assert (track.rate, track.units, track.frequencies.tolist()) == (50.0, "V²", [10.0, 20.0])


def test_decibels():
    np.testing.assert_allclose(decibels(np.array([1.0, 100.0, 0.0, np.nan])), [0, 20, -300, np.nan])
