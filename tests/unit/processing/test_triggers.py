"""Triggers: which edges are events, from the first sample on, and which raw sample they mark."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyacq_lab.errors import ConfigurationError, StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.events import events_in, index_in
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing import AnalogTrigger, DigitalTrigger, FirFilter, SosFilter

from .conftest import BEGIN_NS, make_described, run_through

RATE = 1000.0
SPEC = StreamSpec(shape=(-1, 1), sample_rate=RATE, units="mV")
PORT = StreamSpec.of("u1", shape=(-1, 1), sample_rate=RATE, streamtype="digitalsignal")


def edges(trigger, values, cuts=(), start=0):
    """Index and code of each event in one channel."""
    data = np.asarray(values, float).reshape(-1, 1)
    _, events = run_through(trigger, data, RATE, cuts, start)
    return [(int(e["index"]), int(e["code"])) for e in events]


@pytest.mark.parametrize(
    ("how", "values", "wanted"),
    [
        ({}, [0, 1, 0, 2, 2, 0, 1], [(1, 1), (3, 1), (6, 1)]),
        ({"edge": "falling"}, [0, 1, 0, 2, 2, 0, 1], [(2, 0), (5, 0)]),
        ({"edge": "both"}, [2, 0, 1, 1, 0], [(1, 0), (2, 1), (4, 0)]),
        ({}, [1, 1, 0.99, 1], [(3, 1)]),  # above from the first sample on is no edge
        ({"hysteresis": 1.0}, [0, 1, 0.5, 1, 0, 1, -0.1, 1], [(1, 1), (7, 1)]),
        ({"hysteresis": 1.0}, [0.5, 1, 0.5, 1], [(1, 1)]),  # begins between the two
        ({"edge": "both", "hysteresis": 1.0}, [0, 1, 0.5, -0.1, 1], [(1, 1), (3, 0), (4, 1)]),
        ({"edge": "falling", "hysteresis": 1.0}, [3, 0.9, 1.5, 0.9, 2, 0.9], [(1, 0), (5, 0)]),
        ({"debounce": 0.003}, [0, 1, 0, 1, 0, 1, 0, 1], [(1, 1), (5, 1)]),
        ({"stable": 0.003}, [0, 1, 1, 0, 1, 1, 1, 0], [(4, 1)]),
        ({"stable": 0.003}, [0, 1, 1, 1], [(1, 1)]),
        ({"stable": 0.003}, [0, 1, 1], []),
        ({"edge": "both", "stable": 0.002}, [0, 1, 0, 0, 1, 1], [(2, 0), (4, 1)]),
        ({}, [np.nan, np.nan, 1, 0, np.nan, 1], [(5, 1)]),
        ({}, [np.nan, 0, np.nan, 1], [(3, 1)]),
        ({"hysteresis": 0.5}, [np.nan, 0.9, np.nan, 1, np.inf, -np.inf, 1], [(3, 1), (6, 1)]),
    ],
    ids=str,
)
def test_which_edges_are_events(described, how, values, wanted):
    for cuts in ((), range(1, len(values)), (2, 2)):
        trigger, _ = described(AnalogTrigger, SPEC, threshold=1.0, **how)
        assert edges(trigger, values, cuts) == wanted


def slow_edges(values, threshold, hysteresis):
    """The same with both edges, as one would say it sample by sample."""
    found, above = [], None
    for i, value in enumerate(values):
        if np.isnan(value):
            continue
        if above is None:
            above = value >= threshold
        elif not above and value >= threshold:
            above = True
            found.append((i, 1))
        elif above and value < threshold - hysteresis:
            above = False
            found.append((i, 0))
    return found


@settings(max_examples=100)
@given(
    st.lists(st.sampled_from([-1.0, 0.0, 0.4, 0.5, 1.0, 2.0, np.nan, np.inf]), min_size=1, max_size=60),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.lists(st.integers(0, 60), max_size=8),
)
def test_the_same_edges_as_sample_by_sample(values, hysteresis, cuts):
    trigger, _ = make_described(AnalogTrigger, SPEC, threshold=1.0, hysteresis=hysteresis, edge="both")
    cuts = [min(cut, len(values)) for cut in cuts]
    assert edges(trigger, values, cuts) == slow_edges(values, 1.0, hysteresis)


def test_events_say_where_when_and_what(described, through):
    spec = StreamSpec.of(
        "int16", shape=(-1, 3), sample_rate=RATE, channel_names=("a", "b", "c"), scale=-0.5, group_delay=0.25
    )
    trigger, out = described(AnalogTrigger, spec, threshold=10.0, channels=["c", "a"], edge="both")
    raw = np.zeros((100, 3), np.int16)
    raw[40:60] = -20
    raw[70, 0] = -30
    start, events = through(trigger, raw, RATE, [41, 60], start=5000)
    assert start == 0
    assert [(e.index, e.channel, e.code, e.label) for e in events_in(events)] == [
        (5040, 2, 1, "c rises"),
        (5040, 0, 1, "a rises"),
        (5060, 2, 0, "c falls"),
        (5060, 0, 0, "a falls"),
        (5070, 0, 1, "a rises"),
        (5071, 0, 0, "a falls"),
    ]
    np.testing.assert_array_equal(events["time_ns"], BEGIN_NS + events["index"] * 1_000_000)
    assert (out.streamtype, out.sample_rate, out.group_delay) == ("event", RATE, 0.25)
    np.testing.assert_array_equal(index_in(events, out), events["index"] - 250)


def test_a_gap_is_not_crossed_and_the_count_goes_on(described):
    trigger, _ = described(AnalogTrigger, SPEC, threshold=1.0, stable=0.002)
    first = trigger.process(Chunk(0, np.array([[0.0], [1], [1], [0], [0], [1]])), "in")
    assert (first.start, first.data["index"].tolist()) == (0, [1])
    assert trigger.gap(Gap(6, 10), "in") is None  # the edge at 5 has not proved stable
    assert trigger.process(Chunk(10, np.array([[1.0], [1], [1]])), "in") is None
    second = trigger.process(Chunk(13, np.array([[0.0], [1], [1]])), "in")
    assert (second.start, second.data["index"].tolist()) == (1, [14])
    trigger.finish("in")
    third = trigger.process(Chunk(0, np.array([[0.0], [1], [1]])), "in")
    assert third.start == 0


PULSE = 1234
FILTERS = [
    (FirFilter, {"high": 100.0, "n_taps": 51}, 1.0),
    (FirFilter, {"kind": "bandpass", "low": 20.0, "high": 100.0, "n_taps": 101}, 1.0),
    (SosFilter, {"high": 100.0, "family": "bessel"}, 1.0),
    (SosFilter, {"high": 100.0}, 2.0),  # Butterworth: the delay differs between frequencies
]


@pytest.mark.parametrize(("kind", "how", "bound"), FILTERS, ids=str)
def test_a_pulse_is_found_in_the_raw_signal_behind_a_filter(described, through, kind, how, bound):
    """A symmetric pulse: the middle between its edges, less the group delay, is where it was."""
    t = np.arange(3000) - PULSE
    raw = np.exp(-((t / 12.0) ** 2))[:, np.newaxis]
    made, filtered = described(kind, SPEC, **how)
    data = through(made, raw, RATE, [700, 1240])[1]
    trigger, out = described(AnalogTrigger, filtered, threshold=data.max() * 0.9, edge="both")
    _, events = through(trigger, data, RATE, [1250])
    found = index_in(events, out)
    assert len(found) == 2
    assert abs(found.mean() - PULSE) <= bound
    assert abs(events["index"].mean() - PULSE) > bound  # which the trigger alone does not know


def test_indices_in_a_stream_of_another_rate():
    spec = StreamSpec(sample_rate=30_000.0, group_delay=0.01)
    _, out = make_described(AnalogTrigger, spec, threshold=1.0)
    events = np.zeros(2, out.np_dtype)
    events["index"] = [300, 10**12 + 300]
    np.testing.assert_array_equal(index_in(events, out), [0, 10**12])
    slow = StreamSpec(sample_rate=1000.0, group_delay=0.1)
    np.testing.assert_array_equal(index_in(events[:1], out, slow), [100])


@pytest.mark.parametrize(
    ("spec", "how", "error", "says"),
    [
        (SPEC, {}, ConfigurationError, "threshold: Field required"),
        (SPEC, {"threshold": np.nan}, ConfigurationError, "finite"),
        (SPEC, {"threshold": 1, "hysteresis": -1}, ConfigurationError, "hysteresis=-1"),
        (SPEC, {"threshold": 1, "channels": ["x"]}, ConfigurationError, "no channel 'x'"),
        (PORT, {"threshold": 1}, StreamMismatch, "AnalogTrigger takes an analogsignal"),
    ],
    ids=str,
)
def test_refusals(described, spec, how, error, says):
    with pytest.raises(error, match=says):
        described(AnalogTrigger, spec, **how)


@pytest.mark.parametrize("dtype", ["u1", "i1", ">u2", "<i2", ">u4", "<i4", "u8"])
def test_every_bit_of_every_size(described, through, dtype):
    n_bits = 8 * np.dtype(dtype).itemsize
    spec = PORT.replace(dtype=dtype)
    words = np.zeros(2 * n_bits + 1, f"u{np.dtype(dtype).itemsize}")
    words[1::2] = [1 << bit for bit in range(n_bits)]
    data = words.view(f"{'i' if 'i' in dtype else 'u'}{n_bits // 8}").astype(dtype)[:, np.newaxis]
    for cuts in ((), (1, 2, 9)):
        trigger, _ = described(DigitalTrigger, spec, edge="both")
        events = through(trigger, data, RATE, cuts)[1]
        assert events["code"].tolist() == [bit for bit in range(n_bits) for _ in range(2)]
        assert events["index"].tolist() == list(range(1, 2 * n_bits + 1))


def test_bits_channels_and_edges(described, through):
    spec = PORT.replace(shape=(-1, 2), channel_names=("left", "right"))
    trigger, out = described(DigitalTrigger, spec, bits=[3, 0], channels=["right"], edge="falling")
    data = np.array([[0, 9], [1, 8], [0, 15], [0, 6]], np.uint8)
    events = events_in(through(trigger, data, RATE, [2])[1])
    assert [(e.index, e.channel, e.code, e.label) for e in events] == [
        (1, 1, 0, "right.0 falls"),
        (3, 1, 3, "right.3 falls"),
        (3, 1, 0, "right.0 falls"),
    ]
    assert out.streamtype == "event"


def test_digital_edges_bounce_and_gaps_are_not_crossed(described, through):
    bouncing = np.array([0, 1, 0, 1, 1, 1, 0], bool)[:, np.newaxis]
    spec = PORT.replace(dtype="|b1")
    for how, wanted in (({}, [1, 3]), ({"debounce": 0.004}, [1]), ({"stable": 0.002}, [3])):
        trigger, _ = described(DigitalTrigger, spec, **how)
        assert through(trigger, bouncing, RATE, [1, 2, 3])[1]["index"].tolist() == wanted
    trigger, _ = described(DigitalTrigger, PORT)
    assert trigger.process(Chunk(0, np.zeros((3, 1), np.uint8)), "in") is None
    assert trigger.gap(Gap(3, 5), "in") is None
    assert trigger.process(Chunk(5, np.full((3, 1), 255, np.uint8)), "in") is None


@pytest.mark.parametrize(
    ("spec", "how", "error", "says"),
    [
        (PORT, {"bits": [8]}, ConfigurationError, "uint8 has the bits 0 to 7"),
        (PORT, {"bits": [1, 1]}, ConfigurationError, "each bit once"),
        (PORT, {"bits": [-1]}, ConfigurationError, "bits"),
        (SPEC, {}, StreamMismatch, "takes integers or bool; came: float64"),
    ],
    ids=str,
)
def test_refused_bits(described, spec, how, error, says):
    with pytest.raises(error, match=says):
        described(DigitalTrigger, spec, **how)
