"""The filter of zero phase, next to scipy's on the whole recording."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing import OverlapFiltfilt

from .conftest import as_chunks, make_described, run_through

RATE = 1000.0
SPEC = StreamSpec(shape=(-1, 2), sample_rate=RATE, units="uV", channel_names=("a", "b"), group_delay=0.25)
DESIGNS = [
    {"kind": "lowpass", "high": 40.0},
    {"kind": "bandpass", "low": 1.0, "high": 30.0, "order": 2},
    {"kind": "highpass", "low": 2.0, "order": 2},
    {"kind": "notch", "center": 50.0},
]


def walk(n=4000):
    """Noise with a drift and an offset: what reaches far is there."""
    steps = np.random.default_rng(0).standard_normal((n, 2))
    return steps.cumsum(axis=0) + np.array([100.0, 0.0])


def offline(made, data):
    return signal.sosfiltfilt(made._back.sos, data, axis=0, padtype=None)


@pytest.mark.parametrize("overlap", [0.005, 0.02, 0.1, 0.5, 2.0])
@pytest.mark.parametrize("design", DESIGNS, ids=lambda d: d["kind"])
def test_the_error_is_within_the_bound_for_each_overlap(described, through, design, overlap):
    made, _ = described(OverlapFiltfilt, SPEC, overlap=overlap, block=0.1, **design)
    data = walk()
    start, got = through(made, data, RATE, [100, 101, 3000])
    assert (start, got.shape) == (0, data.shape)
    forward = signal.sosfilt(
        made._back.sos, data, axis=0, zi=signal.sosfilt_zi(made._back.sos)[:, :, None] * data[0]
    )[0]
    error = np.abs(got - offline(made, data)).max(axis=0)
    spread = np.ptp(forward, axis=0)
    assert (error <= made.error_bound() * spread + 1e-9 * np.abs(forward).max()).all()


@pytest.mark.parametrize("design", DESIGNS, ids=lambda d: d["kind"])
@pytest.mark.parametrize("tolerance", [1e-2, 1e-6])
def test_the_overlap_is_chosen_for_the_tolerance(described, through, design, tolerance):
    made, _ = described(OverlapFiltfilt, SPEC, tolerance=tolerance, **design)
    assert made.error_bound() <= tolerance
    data = walk(3000)
    error = np.abs(through(made, data)[1] - offline(made, data)).max()
    assert error <= tolerance * np.ptp(data)


def test_the_bound_falls_with_the_overlap(described):
    bounds = [
        described(OverlapFiltfilt, SPEC, high=40.0, overlap=o)[0].error_bound()
        for o in (0.01, 0.03, 0.1, 9.0)
    ]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] < 1e-15 < bounds[0]


def test_nothing_is_late_and_all_of_it_comes(described, through):
    """A symmetric pulse keeps its place; samples of a short signal all come at the end."""
    made, out = described(OverlapFiltfilt, SPEC, high=40.0)
    pulse = np.exp(-(((np.arange(2000) - 900) / 20.0) ** 2))[:, np.newaxis].repeat(2, axis=1)
    assert through(made, pulse)[1].argmax(axis=0).tolist() == [900, 900]
    assert (out.group_delay, out.units, out.names) == (0.25, "uV", ("a", "b"))
    made.reset()
    assert through(made, pulse[:20], finish=False)[1].size == 0
    made.reset()
    short = through(made, pulse[:20])[1]
    np.testing.assert_allclose(short, offline(made, pulse[:20]), atol=1e-14)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 400), max_size=8))
def test_bit_identical_under_any_cuts(cuts):
    how = {"high": 40.0, "overlap": 0.03, "block": 0.02}
    whole, parts = (make_described(OverlapFiltfilt, SPEC, **how)[0] for _ in range(2))
    data = walk(400)
    data[[0, 70, 71, 300], [0, 1, 1, 0]] = np.nan
    assert run_through(parts, data, RATE, cuts)[1].tobytes() == run_through(whole, data, RATE)[1].tobytes()


def test_values_that_are_not_finite_are_held(described, through):
    data = walk(1000)
    holed, held = data.copy(), data.copy()
    holed[500, 0], held[500, 0] = np.inf, data[499, 0]
    wanted = through(described(OverlapFiltfilt, SPEC, high=40.0)[0], held)[1]
    got = through(described(OverlapFiltfilt, SPEC, high=40.0)[0], holed)[1]
    assert np.argwhere(np.isnan(got)).tolist() == [[500, 0]]
    # The way forward gives no value at the bad sample: the way back takes the one before it.
    np.testing.assert_allclose(np.delete(got, 500, 0), np.delete(wanted, 500, 0), atol=1.0)


def test_a_gap_is_not_filtered_over(described):
    made, _ = described(OverlapFiltfilt, SPEC, high=40.0)
    data = walk(1000)
    before = as_chunks(made.process(Chunk(0, data[:500], 5), "in")) + as_chunks(made.gap(Gap(500, 700), "in"))
    assert before.pop() == Gap(500, 700)
    joined = np.concatenate([chunk.data for chunk in before])
    np.testing.assert_allclose(joined, offline(made, data[:500]), atol=1e-5)
    after = as_chunks(made.process(Chunk(700, data[500:], 5), "in")) + as_chunks(made.finish("in"))
    assert after[0].start == 700
    joined = np.concatenate([chunk.data for chunk in after])
    np.testing.assert_allclose(joined, offline(made, data[500:]), atol=1e-5)


def test_scale_and_offset_still_lead_to_the_units(described, through):
    spec = StreamSpec.of("int16", shape=(-1, 2), sample_rate=RATE, scale=0.25, offset=(3.0, 1.0))
    raw = np.round(walk(500)).astype(np.int16)
    made, out = described(OverlapFiltfilt, spec, high=40.0)
    wanted = through(described(OverlapFiltfilt, SPEC, high=40.0)[0], spec.to_physical(raw))[1]
    np.testing.assert_allclose(out.to_physical(through(made, raw)[1]), wanted, atol=1e-6)


def test_a_live_change_ends_one_filter_and_begins_another(described):
    made, _ = described(OverlapFiltfilt, SPEC, high=40.0)
    data = walk(1000)
    first = as_chunks(made.process(Chunk(0, data[:500]), "in"))
    made.change(made.settings.changed(high=80.0))
    sections = made._back.sos
    chunks = first + as_chunks(made.process(Chunk(500, data[500:]), "in")) + as_chunks(made.finish("in"))
    got = np.concatenate([chunk.data for chunk in chunks])
    old = signal.butter(4, 40.0, output="sos", fs=RATE)
    np.testing.assert_allclose(
        got[:500], signal.sosfiltfilt(old, data[:500], axis=0, padtype=None), atol=1e-4
    )
    after = signal.sosfiltfilt(sections, data[500:], axis=0, padtype=None)
    np.testing.assert_allclose(got[500:], after, atol=1e-4)
    with pytest.raises(ConfigurationError, match="overlap cannot change"):
        made.change(made.settings.changed(overlap=1.0))


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({}, "needs high"),
        ({"high": 500.0}, "wanted less than 500"),
        ({"high": 40.0, "overlap": 0}, "overlap=0"),
        ({"kind": "highpass", "low": 1e-4, "tolerance": 1e-9}, "more than 600 s of overlap"),
    ],
    ids=str,
)
def test_refusals(described, how, says):
    with pytest.raises(ConfigurationError, match=says):
        described(OverlapFiltfilt, StreamSpec(sample_rate=RATE), **how)
