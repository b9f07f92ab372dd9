"""The recursive filter: what it passes, how it starts, what it survives."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from pyacq_lab.errors import ConfigurationError, StreamMismatch
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing import SosFilter

RATE = 1000.0


def spec_of(n_channels=1, **fields):
    return StreamSpec(shape=(-1, n_channels), sample_rate=RATE, **fields)


def filter_of(spec=None, **settings):
    made = SosFilter(SosFilter.settings_type.checked(**settings))
    out = made.describe({"in": spec or spec_of()})["out"]
    return made, out


def run(made, data, cuts=()):
    edges = [0, *cuts, len(data)]
    parts = [made.process(Chunk(a, data[a:b]), "in") for a, b in pairwise(edges)]
    return np.concatenate(parts)


def sine(frequency, n=20_000):
    return np.sin(2 * np.pi * frequency * np.arange(n) / RATE)[:, np.newaxis]


@pytest.mark.parametrize(
    ("settings", "passed", "stopped"),
    [
        ({"kind": "lowpass", "high": 40.0}, 4.0, 300.0),
        ({"kind": "lowpass", "high": 40.0, "family": "bessel", "order": 8}, 2.0, 400.0),
        ({"kind": "highpass", "low": 40.0}, 300.0, 4.0),
        ({"kind": "bandpass", "low": 30.0, "high": 60.0}, 42.4, 300.0),
        ({"kind": "bandstop", "low": 30.0, "high": 80.0}, 400.0, 49.0),
        ({"kind": "notch", "center": 50.0}, 123.4, 50.0),
    ],
    ids=str,
)
def test_passes_and_stops(settings, passed, stopped):
    for frequency, gain in ((passed, 1.0), (stopped, 0.0)):
        made, _ = filter_of(**settings)
        settled = run(made, sine(frequency))[-5000:]
        assert np.abs(settled).max() == pytest.approx(gain, abs=0.03)


@given(st.lists(st.integers(0, 500), max_size=8), st.booleans())
def test_bit_identical_under_any_cuts(cuts, has_holes):
    data = np.random.default_rng(0).standard_normal((500, 3)) * [1, 1e6, 1e-6]
    if has_holes:
        data[[0, 1, 77, 78, 300], [0, 0, 1, 1, 2]] = [np.nan, np.inf, np.nan, -np.inf, np.nan]
    whole, parts = (filter_of(spec_of(3), kind="bandpass", low=1.0, high=40.0)[0] for _ in range(2))
    assert run(parts, data, sorted(cuts)).tobytes() == run(whole, data).tobytes()


@pytest.mark.parametrize("settings", [{"high": 40.0}, {"kind": "notch", "center": 50.0}], ids=str)
def test_a_constant_goes_through_without_a_transient(settings):
    made, _ = filter_of(**settings)
    np.testing.assert_allclose(run(made, np.full((200, 1), 7.0)), 7.0, rtol=1e-9)
    made, _ = filter_of(kind="highpass", low=10.0)
    np.testing.assert_allclose(run(made, np.full((200, 1), 7.0)), 0.0, atol=1e-9)


def test_one_bad_sample_spoils_only_its_own():
    data = np.random.default_rng(0).standard_normal((300, 2))
    holed = data.copy()
    holed[100, 0] = np.nan
    held = data.copy()
    held[100, 0] = data[99, 0]
    got = run(filter_of(spec_of(2), high=40.0)[0], holed)
    wanted = run(filter_of(spec_of(2), high=40.0)[0], held)
    assert np.argwhere(np.isnan(got)).tolist() == [[100, 0]]
    np.testing.assert_array_equal(np.delete(got, 100, axis=0), np.delete(wanted, 100, axis=0))


def test_a_channel_starts_at_its_first_finite_value():
    data = np.random.default_rng(0).standard_normal((300, 1))
    late = np.concatenate([np.full((50, 1), np.nan), data])
    got = run(filter_of(high=40.0)[0], late, [20, 60])
    assert np.isnan(got[:50]).all()
    np.testing.assert_array_equal(got[50:], run(filter_of(high=40.0)[0], data))


def test_integers_are_filtered_in_float64():
    spec = StreamSpec.of(">i2", shape=(-1, 1), sample_rate=RATE)
    data = np.random.default_rng(0).integers(-(2**15), 2**15, (300, 1)).astype(">i2")
    got = run(filter_of(spec, high=40.0)[0], data)
    np.testing.assert_array_equal(got, run(filter_of(high=40.0)[0], data.astype(float)))
    assert got.dtype == np.float64


@pytest.mark.parametrize("settings", [{"high": 40.0}, {"kind": "highpass", "low": 5.0}], ids=str)
def test_scale_and_offset_still_lead_to_the_units(settings):
    scaled = spec_of(scale=0.25, offset=3.0, units="mV", channel_names=("ecg",))
    raw = np.random.default_rng(0).standard_normal((500, 1)) * 100
    made, out = filter_of(scaled, **settings)
    physical = run(made, raw) * out.scale + out.offset
    np.testing.assert_allclose(physical, run(filter_of(**settings)[0], raw * 0.25 + 3.0), atol=1e-8)
    assert (out.units, out.channel_names) == ("mV", ("ecg",))


@pytest.mark.parametrize(
    ("settings", "frequency"),
    [
        ({"high": 40.0}, 0.0),
        ({"high": 40.0, "family": "bessel"}, 0.0),
        ({"kind": "bandpass", "low": 10.0, "high": 40.0}, 20.0),
        ({"kind": "highpass", "low": 10.0}, 500.0),
        ({"kind": "notch", "center": 50.0}, 0.0),
    ],
    ids=str,
)
def test_group_delay_is_the_slope_of_the_phase(settings, frequency):
    made, out = filter_of(spec_of(group_delay=0.5), **settings)
    sos = made._sos
    near = np.array([frequency - 1e-3, frequency + 1e-3])
    phase = np.unwrap(np.angle(signal.sosfreqz(sos, near, fs=RATE)[1]))
    assert out.group_delay - 0.5 == pytest.approx(-(phase[1] - phase[0]) / (2 * np.pi * 2e-3), rel=1e-3)


def test_bessel_delays_a_pulse_by_its_group_delay():
    made, out = filter_of(high=40.0, family="bessel", order=4)
    t = np.arange(2000) / RATE
    pulse = np.exp(-(((t - 1.0) / 0.05) ** 2))[:, np.newaxis]
    got = run(made, pulse)[:, 0]
    assert (got * t).sum() / got.sum() - 1.0 == pytest.approx(out.group_delay, rel=0.01)


def test_own_coefficients():
    sos = signal.butter(3, 40.0, output="sos", fs=RATE)
    made, out = filter_of(kind="sos", sos=sos.tolist())
    data = np.random.default_rng(0).standard_normal((100, 1))
    wanted = run(filter_of(high=40.0, order=3)[0], data)
    np.testing.assert_array_equal(run(made, data), wanted)
    assert out.group_delay > 0


def test_own_coefficients_that_stop_a_constant_have_no_delay_to_speak_of():
    assert filter_of(kind="sos", sos=[[1, -1, 0, 1, -0.5, 0]])[1].group_delay == 0.0


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"kind": "lowpass"}, "needs high"),
        ({"kind": "lowpass", "high": 1.0, "low": 0.5}, "does not take low"),
        ({"kind": "bandpass", "low": 3.0, "high": 2.0}, "must lie below"),
        ({"kind": "notch"}, "needs center"),
        ({"kind": "sos", "sos": []}, "at least one section"),
        ({"high": 500.0}, "wanted less than 500"),
        ({"high": 40.0, "order": 0}, "order"),
        ({"high": 1e-9}, "high=1e-09: no stable lowpass filter of order 4 at 1000 Hz"),
        ({"kind": "notch", "center": 50.0, "quality": 0.1}, r"center=50, quality=0\.1: no stable notch"),
        ({"kind": "notch", "center": 50.0, "quality": float("inf")}, "quality=inf: .* finite"),
        ({"kind": "sos", "sos": [[1, 0, 0, 1, -2.0, 0]]}, "not stable: a pole lies at radius 2"),
        ({"kind": "sos", "sos": [[1, 0, 0, 1, -1.0, 0]]}, "not stable"),
        ({"kind": "sos", "sos": [[1, 0, 0, 2, 0, 0]]}, "a0 = 1"),
        ({"kind": "sos", "sos": [[float("nan"), 0, 0, 1, 0, 0]]}, "finite"),
    ],
    ids=str,
)
def test_refusals(settings, says):
    with pytest.raises(ConfigurationError, match=says):
        filter_of(**settings)


@pytest.mark.parametrize(
    "spec",
    [
        StreamSpec.of("c8", shape=(-1, 2)),
        StreamSpec(shape=(-1, 4, 5, 3), streamtype="video"),
        StreamSpec.of("?", shape=(-1, 2), streamtype="digitalsignal"),
        StreamSpec.of([("t", "i8")], shape=(-1, 1), streamtype="event"),
    ],
    ids=lambda s: s.streamtype,
)
def test_takes_real_signals_only(spec):
    with pytest.raises(StreamMismatch, match="SosFilter takes an analogsignal"):
        filter_of(spec, high=0.1)


@given(st.lists(st.integers(0, 400), max_size=4), st.integers(0, 400))
def test_a_live_change_is_bit_identical_given_its_index(cuts, index):
    data = np.random.default_rng(0).standard_normal((400, 2))
    data[5:9, 0] = np.nan

    def result(cuts):
        made, _ = filter_of(spec_of(2), high=40.0)
        before = [cut for cut in sorted(cuts) if cut < index]
        after = [cut - index for cut in sorted(cuts) if cut > index]
        first = run(made, data[:index], before)
        made.change(made.settings.changed(high=10.0, order=3))
        return np.concatenate([first, run(made, data[index:], after)])

    assert result(cuts).tobytes() == result([]).tobytes()


def test_a_changed_filter_starts_from_the_last_values():
    made, _ = filter_of(spec_of(2), high=40.0)
    run(made, np.array([[1.0, np.nan], [7.0, np.nan]]))
    made.change(made.settings.changed(high=5.0, family="bessel"))
    np.testing.assert_allclose(run(made, np.full((50, 2), [7.0, 3.0])), np.full((50, 2), [7.0, 3.0]))
    data = np.random.default_rng(0).standard_normal((100, 1))
    fresh, _ = filter_of(high=5.0)
    used, _ = filter_of(high=40.0)
    run(used, data)
    used.change(used.settings.changed(high=5.0))
    run(fresh, data[-1:])
    np.testing.assert_allclose(run(used, data), run(fresh, data), rtol=1e-9)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"high": 600.0}, "corner 600.0 Hz at a sample rate of 1000.0 Hz"),
        ({"kind": "notch", "high": None, "center": 50.0}, "kind cannot change"),
        ({"low": 3.0}, "does not take low"),
    ],
)
def test_a_refused_change_changes_nothing(changed, says):
    data = np.random.default_rng(0).standard_normal((100, 1))
    made, _ = filter_of(high=40.0)
    before = made.settings
    first = run(made, data)
    with pytest.raises(ConfigurationError, match=says):
        made.change(made.settings.changed(**changed))
    other, _ = filter_of(high=40.0)
    assert made.settings is before
    assert np.concatenate([first, run(made, data)]).tobytes() == run(other, np.tile(data, (2, 1))).tobytes()


def test_the_delay_after_a_change_is_the_nodes_own():
    made, out = filter_of(spec_of(group_delay=0.5), high=40.0)
    assert made.group_delay == out.group_delay
    made.change(made.settings.changed(high=10.0))
    assert made.group_delay == filter_of(spec_of(group_delay=0.5), high=10.0)[1].group_delay > out.group_delay
    with pytest.raises(ConfigurationError):
        made.change(made.settings.changed(high=600.0))
    assert made.group_delay == filter_of(spec_of(group_delay=0.5), high=10.0)[1].group_delay


def test_a_change_of_the_streams_offset_is_refused():
    one, half = ((0.5, 0.5, 0.0, 1.0, 0.0, 0.0),), ((0.25, 0.25, 0.0, 1.0, 0.0, 0.0),)
    made, _ = filter_of(spec_of(offset=3.0), kind="sos", sos=one)
    with pytest.raises(ConfigurationError, match=r"offset would become 1\.5 instead of 3\.0"):
        made.change(made.settings.changed(sos=half))
    made, _ = filter_of(kind="sos", sos=one)
    made.change(made.settings.changed(sos=half))
    np.testing.assert_allclose(run(made, np.full((9, 1), 8.0)), 4.0)


def test_settings_change_before_the_stream_is_known():
    made = SosFilter(SosFilter.settings_type.checked(high=40.0))
    made.change(made.settings.changed(high=20.0))
    made.describe({"in": spec_of()})
    wanted, _ = filter_of(high=20.0)
    data = sine(3.0, 100)
    assert run(made, data).tobytes() == run(wanted, data).tobytes()
