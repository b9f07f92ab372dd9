"""Another sample rate: next to soxr on the whole recording, and sample by sample in time."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing import Resample

from .conftest import BEGIN_NS, as_chunks, make_described, run_through

SPEC = StreamSpec(shape=(-1, 2), sample_rate=1000.0, units="uV", channel_names=("a", "b"), group_delay=0.25)


def sines(index, rate=1000.0):
    t = np.asarray(index) / rate
    return np.stack([5 + np.sin(2 * np.pi * 7 * t), np.cos(2 * np.pi * 31 * t) - 100], axis=1)


@pytest.mark.parametrize("rate", [100.0, 250.0, 400.0, 999.0, 1000.0, 1024.0, 3000.0])
@pytest.mark.parametrize("start", [0, 12_345])
def test_sample_k_is_that_of_its_time(described, through, rate, start):
    made, out = described(Resample, SPEC, sample_rate=rate)
    first, got = through(made, sines(np.arange(start, start + 4000)), 1000.0, [1, 700, 701], start)
    assert first == int(np.ceil(start * rate / 1000.0))
    assert first + len(got) - 1 == int((start + 3999) * rate / 1000.0)
    inside = slice(len(got) // 4, -len(got) // 4)
    np.testing.assert_allclose(
        got[inside], sines(np.arange(first, first + len(got)), rate)[inside], atol=1e-4
    )
    assert (out.sample_rate, out.units, out.names, out.group_delay) == (rate, "uV", ("a", "b"), 0.25)


@pytest.mark.parametrize("quality", ["low", "medium", "high", "very high"])
def test_is_soxr_on_the_whole_recording(described, through, quality):
    data = np.random.default_rng(0).standard_normal((5000, 2))
    data[0] = 0.0  # soxr begins from 0
    got = through(described(Resample, SPEC, sample_rate=400.0, quality=quality)[0], data, 1000.0, [99])[1]
    name = {"low": "LQ", "medium": "MQ", "high": "HQ", "very high": "VHQ"}[quality]
    wanted = soxr.resample(data, 5, 2, quality=name)
    exact = 1e-6 if quality in ("low", "medium") else 1e-9  # 16 bits, reckoned in blocks of other lengths
    np.testing.assert_allclose(got[:1500], wanted[:1500], atol=exact)


@settings(max_examples=25)
@given(
    st.lists(st.integers(0, 600), max_size=8),
    st.integers(0, 50),
    st.sampled_from([400.0, 1024.0]),
    st.booleans(),
)
def test_bit_identical_under_any_cuts(cuts, start, rate, is_low):
    data = np.random.default_rng(0).standard_normal((600, 2))
    data[[0, 70, 71, 300], [0, 1, 1, 0]] = np.nan
    quality = "low" if is_low else "high"
    whole, parts = (make_described(Resample, SPEC, sample_rate=rate, quality=quality)[0] for _ in range(2))
    got, wanted = (run_through(r, data, 1000.0, c, start) for r, c in ((parts, cuts), (whole, ())))
    assert got[0] == wanted[0]
    assert got[1].tobytes() == wanted[1].tobytes()


def test_a_constant_has_no_ends(described, through):
    for rate in (300.0, 3000.0):
        got = through(described(Resample, SPEC, sample_rate=rate)[0], np.full((500, 2), 7.0))[1]
        np.testing.assert_allclose(got, 7.0, atol=1e-6)


def test_what_lies_above_the_band_is_gone(described, through):
    high = np.sin(2 * np.pi * 400 * np.arange(4000) / 1000)[:, np.newaxis].repeat(2, axis=1)
    got = through(described(Resample, SPEC, sample_rate=500.0)[0], high)[1]
    assert np.abs(got[200:-200]).max() < 1e-5


def test_times_and_gaps(described):
    made, out = described(Resample, SPEC, sample_rate=400.0)
    data = sines(np.arange(1000))
    before = as_chunks(made.process(Chunk(0, data, BEGIN_NS), "in")) + as_chunks(
        made.gap(Gap(1000, 1999), "in")
    )
    assert (before[-1].start, len(before[-1])) == (800, 0)
    assert before[-2].stop == 400
    later = BEGIN_NS + 1999 * 10**6
    after = as_chunks(made.process(Chunk(1999, data, later), "in")) + as_chunks(made.finish("in"))
    assert after[0].start == 800
    for chunk in (*before[:-1], *after):
        assert chunk.time_ns == pytest.approx(BEGIN_NS + chunk.start * 2_500_000, abs=2)
        assert chunk.data.dtype == out.np_dtype


def test_nan_spoils_the_nearest_samples(described, through):
    data = sines(np.arange(2000))
    data[1000, 1] = np.nan
    got = through(described(Resample, SPEC, sample_rate=2000.0)[0], data, 1000.0, [999, 1000, 1001])[1]
    assert set(np.argwhere(np.isnan(got))[:, 0]) <= {1999, 2000, 2001}
    assert np.isnan(got[2000, 1])
    assert not np.isnan(got[:, 0]).any()
    data[1000, 1] = np.inf
    slow = through(described(Resample, SPEC, sample_rate=300.0)[0], data)[1]
    assert np.argwhere(np.isnan(slow)).tolist() == [[300, 1]]


@pytest.mark.parametrize("rate", [np.pi * 100, 0.0, -1.0, np.inf], ids=str)
def test_refused_rates(described, rate):
    with pytest.raises(ConfigurationError, match=r"whole numbers|sample_rate="):
        described(Resample, SPEC, sample_rate=rate)
