"""The filter of finite length, and the envelope made with it: next to scipy on the whole recording."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing import Envelope, FirFilter

from .conftest import make_described, run_through

RATE = 1000.0
SPEC = StreamSpec(shape=(-1, 2), sample_rate=RATE, units="mV", channel_names=("a", "b"), group_delay=0.25)


def noise(n=1500):
    return np.random.default_rng(0).standard_normal((n, 2))


@pytest.mark.parametrize(
    "design",
    [
        {"kind": "lowpass", "high": 40.0},
        {"kind": "highpass", "low": 40.0, "window": "blackman"},
        {"kind": "bandpass", "low": 20.0, "high": 60.0, "n_taps": 201},
        {"kind": "bandstop", "low": 20.0, "high": 60.0, "window": "hann"},
    ],
    ids=lambda d: d["kind"],
)
def test_is_lfilter_on_the_whole_recording(described, through, design):
    made, out = described(FirFilter, SPEC, **design)
    n = design.get("n_taps", 101)
    corners = [design[k] for k in ("low", "high") if k in design]
    window = design.get("window", "hamming")
    taps = signal.firwin(n, corners, pass_zero=design["kind"], window=window, fs=RATE)
    data = noise()
    past = np.repeat(data[:1], n - 1, axis=0)
    wanted = signal.lfilter(taps, 1.0, np.concatenate([past, data]), axis=0)[n - 1 :]
    start, got = through(made, data, RATE, [3, 3, 500])
    assert start == 0
    np.testing.assert_allclose(got, wanted, atol=1e-13)
    assert out.group_delay == pytest.approx(0.25 + (n - 1) / 2 / RATE)
    assert (out.units, out.names) == ("mV", ("a", "b"))


@settings(max_examples=30)
@given(st.lists(st.integers(0, 300), max_size=6), st.sampled_from(["fir", "rms", "hilbert"]))
def test_bit_identical_under_any_cuts(cuts, which):
    kind, how = (FirFilter, {"high": 80.0, "n_taps": 21})
    if which != "fir":
        kind, how = Envelope, {"kind": which, "window": 0.021}
    data = noise(300) * [1, 1e6]
    data[[100, 200], [0, 1]] = [np.nan, np.inf]
    whole, parts = (make_described(kind, SPEC, **how)[0] for _ in range(2))
    assert run_through(parts, data, RATE, cuts)[1].tobytes() == run_through(whole, data, RATE)[1].tobytes()


def test_nan_spoils_what_it_is_part_of(described, through):
    data = noise()
    holed = data.copy()
    holed[700, 1] = np.nan
    wanted = through(described(FirFilter, SPEC, high=40.0, n_taps=31)[0], data)[1]
    got = through(described(FirFilter, SPEC, high=40.0, n_taps=31)[0], holed)[1]
    assert np.argwhere(np.isnan(got)).tolist() == [[i, 1] for i in range(700, 731)]
    np.testing.assert_array_equal(np.where(np.isnan(got), 0, got), np.where(np.isnan(got), 0, wanted))


def test_a_gap_starts_it_afresh_and_is_told(described, through):
    made, _ = described(FirFilter, SPEC, high=40.0)
    through(made, noise(100), finish=False)
    gap = Gap(100, 250)
    assert made.gap(gap, "in") is gap
    second = noise(200)[100:]
    fresh = through(described(FirFilter, SPEC, high=40.0)[0], second)[1]
    np.testing.assert_array_equal(through(made, second, start=250)[1], fresh)


@pytest.mark.parametrize("design", [{"high": 40.0}, {"kind": "highpass", "low": 40.0}], ids=str)
def test_scale_and_offset_still_lead_to_the_units(described, through, design):
    spec = StreamSpec.of("int16", shape=(-1, 2), sample_rate=RATE, scale=(0.5, 2.0), offset=(3.0, -1.0))
    raw = np.round(noise() * 1000).astype(np.int16)
    made, out = described(FirFilter, spec, **design)
    physical = spec.to_physical(raw)
    wanted = through(described(FirFilter, SPEC, **design)[0], physical)[1]
    np.testing.assert_allclose(out.to_physical(through(made, raw)[1]), wanted, atol=1e-9)


@pytest.mark.parametrize(
    ("taps", "delay"),
    [([1.0], 0.0), ([0.0, 0.0, 2.0], 2.0), ([1.0, -1.0], 0.5), ([1.0, 1.0, -2.0], 0.0), ([3.0, 1.0], 0.25)],
    ids=str,
)
def test_own_taps_and_their_delay(described, through, taps, delay):
    made, out = described(FirFilter, SPEC, kind="taps", taps=taps)
    assert (out.group_delay - 0.25) * RATE == pytest.approx(delay)
    pulse = np.zeros((50, 2))
    pulse[20] = 1.0
    np.testing.assert_array_equal(through(made, pulse)[1][20 : 20 + len(taps), 0], taps)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({}, "needs high"),
        ({"high": 40.0, "low": 3.0}, "does not take low"),
        ({"high": 500.0}, "wanted less than 500"),
        ({"high": 40.0, "n_taps": 50}, "n_taps=50 is even"),
        ({"kind": "bandpass", "low": 50.0, "high": 40.0}, "must lie below"),
        ({"kind": "taps", "taps": [0.0, 0.0]}, "all 0"),
        ({"kind": "taps", "taps": [float("nan")]}, "finite"),
    ],
    ids=str,
)
def test_refusals(described, how, says):
    with pytest.raises(ConfigurationError, match=says):
        described(FirFilter, SPEC, **how)


def test_rms_is_that_of_the_last_window(described, through):
    data = noise(400)
    _, got = through(described(Envelope, SPEC, window=0.05)[0], data, RATE, [7, 200])
    wanted = [np.sqrt((data[max(0, i - 49) : i + 1] ** 2).mean(axis=0)) for i in range(400)]
    np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_rectified_counts_each_side(described, through):
    made, out = described(Envelope, SPEC, kind="rectified", window=0.1)
    sine = np.sin(2 * np.pi * 50 * np.arange(1000) / RATE)[:, np.newaxis] * [1.0, 3.0]
    wanted = np.abs(sine[-100:]).mean(axis=0)
    np.testing.assert_allclose(through(made, sine)[1][-1], wanted, rtol=1e-12)
    assert out.group_delay - 0.25 == pytest.approx(0.0495)


def test_hilbert_is_that_of_scipy_within_its_band(described, through):
    t = np.arange(3000) / RATE
    strength = 1 + 0.5 * np.sin(2 * np.pi * 0.8 * t)
    burst = (strength * np.sin(2 * np.pi * 60 * t))[:, np.newaxis] * [1.0, 2.0]
    made, out = described(Envelope, SPEC, kind="hilbert", window=0.101)
    delay = round((out.group_delay - 0.25) * RATE)
    assert delay == 50
    got = through(made, burst)[1]
    offline = np.abs(signal.hilbert(burst, axis=0))
    np.testing.assert_allclose(got[500:2500], offline[500 - delay : 2500 - delay], rtol=0.01)


def test_an_envelope_is_in_physical_units(described, through):
    spec = StreamSpec.of("int16", shape=(-1, 1), sample_rate=RATE, scale=-2.0, offset=1.0, units="N")
    made, out = described(Envelope, spec, window=0.001)
    assert (out.scale, out.offset, out.units) == (1.0, 0.0, "N")
    np.testing.assert_array_equal(through(made, np.array([[3], [0]], np.int16))[1], [[5.0], [1.0]])
