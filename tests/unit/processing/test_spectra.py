"""Spectra over time: next to scipy and PyWavelets on the whole recording."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing import Spectrum, TimeFrequency

from .conftest import BEGIN_NS, as_chunks, make_described, run_through

RATE = 1000.0
SPEC = StreamSpec(shape=(-1, 2), sample_rate=RATE, units="uV", channel_names=("a", "b"), group_delay=0.25)


def noise(n=3000):
    return np.random.default_rng(0).standard_normal((n, 2)) * [1.0, 100.0]


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"segment": 0.25},
        {"segment": 0.2, "overlap": 0.0, "window": "hamming", "detrend": "linear"},
        {"length": 0.3, "every": 0.5, "scaling": "spectrum", "detrend": "none", "window": "boxcar"},
    ],
    ids=str,
)
@pytest.mark.parametrize("start", [0, 777])
def test_each_is_welch_of_its_samples(described, through, how, start):
    made, out = described(Spectrum, SPEC, **how)
    data = noise()
    first, got = through(made, data, RATE, [1, 500, 501, 2200], start)
    length, hop = round(how.get("length", 1.0) * RATE), round(how.get("every", 0.1) * RATE)
    segment = round(how.get("segment", how.get("length", 1.0)) * RATE)
    assert first == -(-(start + length - 1) // hop)
    assert first + len(got) - 1 == (start + len(data) - 1) // hop
    for k, row in enumerate(got, first):
        stop = k * hop + 1 - start
        _, wanted = signal.welch(
            data[stop - length : stop],
            RATE,
            how.get("window", "hann"),
            segment,
            round(how.get("overlap", 0.5) * segment),
            detrend=False if how.get("detrend") == "none" else how.get("detrend", "constant"),
            scaling=how.get("scaling", "density"),
            axis=0,
        )
        np.testing.assert_allclose(row.reshape(2, -1).T, wanted, rtol=1e-10, atol=1e-20)
    assert out.sample_rate == RATE / hop
    assert out.group_delay == pytest.approx(0.25 + (length - 1) / 2 / RATE)


def test_columns_say_channel_frequency_and_units(described, through):
    made, out = described(Spectrum, SPEC, length=0.5, low=9.0, high=13.0)
    assert out.names == ("a 10 Hz", "a 12 Hz", "b 10 Hz", "b 12 Hz")
    assert out.units == "(uV)²/Hz"
    sine = 3 * np.sin(2 * np.pi * 10 * np.arange(2000) / RATE)[:, np.newaxis] * [1, 0]
    how = {"length": 0.5, "low": 9.0, "high": 13.0, "scaling": "spectrum", "window": "boxcar"}
    made, out = described(Spectrum, SPEC, **how)
    np.testing.assert_allclose(through(made, sine)[1][-1], [4.5, 0, 0, 0], atol=1e-9)
    assert out.units == "(uV)²"


def test_a_spectrum_is_of_physical_values(described, through):
    spec = StreamSpec.of("int16", shape=(-1, 1), sample_rate=RATE, scale=0.5, offset=100.0)
    raw = np.round(noise()[:, 1:]).astype(np.int16)
    made, out = described(Spectrum, spec, detrend="none")
    wanted = through(
        described(Spectrum, SPEC.replace(shape=(-1, 1), channel_names=()), detrend="none")[0], raw * 0.5 + 100
    )
    np.testing.assert_array_equal(through(made, raw)[1], wanted[1])
    assert (out.scale, out.offset) == (1.0, 0.0)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 600), max_size=8), st.sampled_from(["spectrum", "wavelets"]))
def test_bit_identical_under_any_cuts(cuts, which):
    kind, how = Spectrum, {"length": 0.2, "every": 0.03, "segment": 0.1}
    if which == "wavelets":
        kind, how = TimeFrequency, {"frequencies": [50.0, 80.0], "block": 0.1}
    data = noise(600)
    data[300, 1] = np.nan
    whole, parts = (make_described(kind, SPEC, **how)[0] for _ in range(2))
    got, wanted = run_through(parts, data, RATE, cuts, 17), run_through(whole, data, RATE, (), 17)
    assert got[0] == wanted[0]
    assert got[1].tobytes() == wanted[1].tobytes()


def test_nan_spoils_the_spectra_of_its_channel_that_contain_it(described, through):
    data = noise()
    data[1500, 1] = np.nan
    first, got = through(described(Spectrum, SPEC)[0], data)
    ends = np.arange(first, first + len(got)) * 100
    spoiled = (ends >= 1500) & (ends < 2500)
    planes = np.isnan(got.reshape(len(got), 2, -1))
    np.testing.assert_array_equal(planes[:, 1], np.repeat(spoiled[:, None], planes.shape[2], axis=1))
    assert not planes[:, 0].any()


@pytest.mark.parametrize(
    ("kind", "how", "told", "next_one"),
    [(Spectrum, {}, 50, 60), (TimeFrequency, {"frequencies": [10.0]}, 500, 556)],
    ids=["spectrum", "wavelets"],
)
def test_no_result_reaches_over_a_gap(described, kind, how, told, next_one):
    made, out = described(kind, SPEC, **how)
    data = noise(2000)
    before = as_chunks(made.process(Chunk(0, data, BEGIN_NS), "in")) + as_chunks(
        made.gap(Gap(2000, 5000), "in")
    )
    assert (before[-1].start, len(before[-1])) == (told, 0)
    later = BEGIN_NS + 5 * 10**9
    after = as_chunks(made.process(Chunk(5000, data, later), "in")) + as_chunks(made.finish("in"))
    assert after[0].start == next_one
    for chunk in (*before[:-1], *after):
        assert chunk.time_ns == pytest.approx(BEGIN_NS + chunk.start * 1e9 / out.sample_rate, abs=4)
    fresh = as_chunks(described(kind, SPEC, **how)[0].process(Chunk(5000, data, later), "in"))
    np.testing.assert_array_equal(after[0].data, fresh[0].data)


@pytest.mark.parametrize("every", [0.01, 0.007, 0.1])
def test_each_is_the_convolution_with_its_wavelet(described, through, every):
    frequencies = [7.0, 20.0, 55.0]
    made, out = described(TimeFrequency, SPEC, frequencies=frequencies, every=every, n_cycles=6)
    data = noise(5000)
    first, got = through(made, data, RATE, [3, 1000, 1001])
    hop = round(every * RATE)
    reach = int(np.ceil(5 * 6 / (2 * np.pi * 7.0) * RATE))
    assert first == -(-reach // hop)
    assert first + len(got) - 1 == (len(data) - 1 - reach) // hop
    at = np.arange(first, first + len(got)) * hop
    for f, column in zip(frequencies, np.moveaxis(got.reshape(len(got), 2, -1), 2, 0), strict=True):
        width = 6 / (2 * np.pi * f) * RATE
        t = np.arange(-np.ceil(5 * width), np.ceil(5 * width) + 1)
        gauss = np.exp(-0.5 * (t / width) ** 2)
        wavelet = 2 / gauss.sum() * gauss * np.exp(2j * np.pi * f / RATE * t)
        offline = np.stack([np.convolve(c, wavelet, mode="same") for c in data.T], axis=1)
        np.testing.assert_allclose(column, np.abs(offline[at]) ** 2 / 2, rtol=1e-8, atol=1e-12)
    assert (out.sample_rate, out.group_delay) == (RATE / hop, 0.25)


def test_wavelets_agree_with_pywavelets(described, through):
    """By the table of PyWavelets, within its precision."""
    f, n_cycles = 20.0, 7.0
    width = n_cycles / (2 * np.pi * f)
    chirp = signal.chirp(np.arange(4000) / RATE, 10, 4.0, 30)[:, np.newaxis].repeat(2, axis=1)
    how = {"frequencies": [f], "n_cycles": n_cycles, "scaling": "amplitude", "every": 0.001}
    first, got = through(described(TimeFrequency, SPEC, **how)[0], chirp)
    name = f"cmor{2 * (width * f) ** 2:.8f}-1.0"
    coefficients, _ = pywt.cwt(chirp[:, 0], [RATE / f], name, sampling_period=1 / RATE, precision=14)
    wanted = np.abs(coefficients[0])[first : first + len(got)]
    wanted *= got[:, 0].max() / wanted.max()
    np.testing.assert_allclose(got[:, 0], wanted, atol=0.01)


def test_a_sine_has_its_height_and_its_power(described, through):
    sine = 3 * np.sin(2 * np.pi * 20 * np.arange(3000) / RATE)[:, np.newaxis] * [1, 2]
    for scaling, wanted, units in (("amplitude", [3, 6], "uV"), ("power", [4.5, 18], "(uV)²")):
        made, out = described(TimeFrequency, SPEC, frequencies=[20.0], scaling=scaling)
        got = through(made, sine)[1]
        np.testing.assert_allclose(got, np.broadcast_to(wanted, got.shape), rtol=1e-4)
        assert (out.units, out.names) == (units, ("a 20 Hz", "b 20 Hz"))


def test_nan_spoils_what_reaches_it(described, through):
    data = noise()
    data[1500, 1] = np.nan
    how = {"frequencies": [20.0, 40.0], "n_cycles": 5}
    first, got = through(described(TimeFrequency, SPEC, **how)[0], data)
    at = np.arange(first, first + len(got)) * 10
    planes = np.isnan(got.reshape(len(got), 2, 2))
    assert not planes[:, 0].any()
    for which, f in enumerate((20.0, 40.0)):
        reach = np.ceil(5 * 5 / (2 * np.pi * f) * RATE)
        np.testing.assert_array_equal(planes[:, 1, which], np.abs(at - 1500) <= reach)


@pytest.mark.parametrize(
    ("kind", "how", "says"),
    [
        (Spectrum, {"every": 0.0333}, r"every=0.0333 s is 33.3 samples at 1000 Hz: wanted .* 33 \(0.033 s\)"),
        (Spectrum, {"segment": 2.0}, "segment=2 s is longer than length=1 s"),
        (Spectrum, {"low": 10.2, "high": 10.8}, "no frequency lies there"),
        (TimeFrequency, {"frequencies": []}, "frequencies"),
        (TimeFrequency, {"frequencies": [500.0]}, "wanted less than 500"),
        (TimeFrequency, {"frequencies": [0.0]}, "greater than 0"),
    ],
    ids=str,
)
def test_refusals(described, kind, how, says):
    with pytest.raises(ConfigurationError, match=says):
        described(kind, SPEC, **how)


def test_too_many_columns_are_refused(described):
    spec = StreamSpec(shape=(-1, 64), sample_rate=30_000.0)
    with pytest.raises(ConfigurationError, match="64 channels and 15001 frequencies"):
        described(Spectrum, spec)
