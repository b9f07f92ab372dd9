"""The Lab Streaming Layer, on loopback only."""

from __future__ import annotations

import sys
import uuid

import numpy as np
import pylsl
import pytest

from pyacq_lab.devices import LSLInlet, LSLOutlet
from pyacq_lab.devices.lslclock import LslClock
from pyacq_lab.errors import ConfigurationError, MissingDependency
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.events import Event, event_array, event_spec, events_in
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.testing import ManualClock
from pyacq_lab.transport.clock import SystemClock

pytestmark = pytest.mark.usefixtures("lsl_loopback")


@pytest.fixture
def name():
    return uuid.uuid4().hex


def outlet_of(name, n=2, rate=100.0, form=pylsl.cf_float32, **described):
    info = pylsl.StreamInfo(name, "test", n, rate, form, f"id of {name}")
    for what, values in described.items():
        getattr(info, f"set_channel_{what}")(values)
    return pylsl.StreamOutlet(info)


def inlet_of(name, **settings):
    inlet = LSLInlet(LSLInlet.settings_type.checked(name=name, **settings))
    inlet.clock = SystemClock()
    return inlet


def opened(name, outlet, **settings):
    inlet = inlet_of(name, **settings)
    inlet.describe()
    inlet.open()
    assert outlet.wait_for_consumers(5.0)
    return inlet


def take(inlet, n):
    readings, total = [], 0
    while total < n:
        reading = inlet.read(5.0)
        assert reading is not None, f"{total} of {n} samples came"
        readings.append(reading)
        total += len(reading.data)
    return readings


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"name": ""}, "give name, type or source_id"),
        ({"name": "nowhere", "resolve_timeout": 0.1}, "no LSL stream with name='nowhere' within 0.1 s"),
        ({"name": "'\"", "resolve_timeout": 0.1}, "both kinds of quotes"),
    ],
)
def test_refusals(settings, says):
    with pytest.raises(ConfigurationError, match=says):
        inlet_of(**settings).describe()


@pytest.mark.parametrize("form", ["float32", "double64", "int8", "int16", "int32", "int64"])
def test_numbers_come_as_they_were_sent(name, form):
    outlet = outlet_of(name, 3, form=getattr(pylsl, f"cf_{form}"), labels=["a", "b", "c"], units=["uV"] * 3)
    inlet = opened(name, outlet)
    (spec,) = inlet.describe().values()
    assert (spec.sample_rate, spec.units, spec.channel_names) == (100.0, "uV", ("a", "b", "c"))
    data = np.arange(60).reshape(20, 3).astype(spec.np_dtype)
    outlet.push_chunk(data)
    readings = take(inlet, 20)
    inlet.close()
    got = np.concatenate([r.data for r in readings])
    np.testing.assert_array_equal(got, data)
    assert got.dtype == spec.np_dtype


def test_time_stamps_become_times_of_the_host(name):
    outlet = outlet_of(name)
    inlet = opened(name, outlet)
    clock = LslClock(pylsl, inlet.clock)
    last = pylsl.local_clock()
    outlet.push_chunk(np.zeros((10, 2), "f4"), last)
    reading = inlet.read(5.0)
    inlet.close()
    off = reading.time_ns - clock.to_host(last - 0.09)
    assert 0 <= reading.uncertainty_ns < 50_000_000
    assert abs(off) <= reading.uncertainty_ns + clock.uncertainty_ns + 2


def test_a_jump_of_the_time_stamps_is_a_loss(name):
    outlet = outlet_of(name)
    inlet = opened(name, outlet)
    t0 = pylsl.local_clock()
    outlet.push_chunk(np.zeros((10, 2), "f4"), t0)
    assert sum(r.lost for r in take(inlet, 10)) == 0  # in one reading or several
    outlet.push_chunk(np.ones((10, 2), "f4"), t0 + 1.1)
    assert sum(r.lost for r in take(inlet, 10)) == 100
    inlet.close()


def test_text_and_irregular_integers_are_events(name):
    outlet = outlet_of(name, 1, pylsl.IRREGULAR_RATE, pylsl.cf_string)
    inlet = opened(name, outlet)
    assert inlet.describe()["out"].streamtype == "event"
    stamp = pylsl.local_clock()
    outlet.push_sample(["Größe"], stamp)
    (event,) = events_in(inlet.read(5.0).data)
    inlet.close()
    assert event.label == "Größe"
    assert abs(event.time_ns - LslClock(pylsl, inlet.clock).to_host(stamp)) < 50_000_000
    numbers = outlet_of(name + "n", 1, pylsl.IRREGULAR_RATE, pylsl.cf_int32)
    inlet = opened(name + "n", numbers)
    numbers.push_sample([42])
    (event,) = events_in(inlet.read(5.0).data)
    inlet.close()
    assert event.code == 42


def test_a_source_that_is_gone_is_said_and_found_again(name):
    outlet = outlet_of(name)
    inlet = opened(name, outlet)
    outlet.push_chunk(np.zeros((5, 2), "f4"))
    take(inlet, 5)
    del outlet
    with pytest.raises(ConnectionError, match=f"name='{name}' is lost"):
        take(inlet, 1)
    inlet.close()
    outlet = outlet_of(name)
    inlet.open()
    assert outlet.wait_for_consumers(5.0)
    outlet.push_chunk(np.zeros((5, 2), "f4"))
    take(inlet, 5)
    inlet.close()
    del outlet
    other = outlet_of(name, n=4)
    with pytest.raises(ConnectionError, match=r"is another one now .* configure the node again"):
        inlet.open()
    del other


def test_what_there_is_instead_is_named(name):
    other = outlet_of(name)
    with pytest.raises(ConfigurationError, match=f"there are: .*{name}"):
        inlet_of("nowhere", resolve_timeout=0.1).describe()
    del other


def test_an_irregular_one_wants_a_rate(name):
    first = outlet_of(name, 2, pylsl.IRREGULAR_RATE)
    with pytest.raises(ConfigurationError, match="says no sample rate: give sample_rate"):
        inlet_of(name).describe()
    assert inlet_of(name, sample_rate=5.0).describe()["out"].sample_rate == 5.0
    del first


def test_which_of_two_is_not_left_to_chance(name):
    outlets = [
        pylsl.StreamOutlet(pylsl.StreamInfo(name, "test", 1, 100.0, pylsl.cf_float32, f"{name} {i}"))
        for i in "ab"
    ]
    with pytest.raises(ConfigurationError, match=r"2 streams are an LSL stream .* say more of it"):
        inlet_of(name).describe()
    assert inlet_of(name, source_id=f"{name} b").describe()
    del outlets


def test_missing_pylsl_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pylsl", None)
    for kind, settings in ((LSLInlet, {"name": "x"}), (LSLOutlet, {})):
        with pytest.raises(MissingDependency, match=r"needs pylsl .* pip install 'pyacq_lab\[lsl\]'"):
            kind(kind.settings_type.checked(**settings))


def sent_by(name, spec, chunks, **settings):
    """What an inlet gets of what an outlet of ours was given: description, samples, stamps."""
    sink = LSLOutlet(LSLOutlet.settings_type.checked(name=name, **settings))
    sink.clock = SystemClock()
    sink.open({"in": spec})
    (info,) = pylsl.resolve_byprop("name", name, 1, 5.0)
    inlet = pylsl.StreamInlet(info)
    inlet.open_stream(5.0)
    full = inlet.info(5.0)
    for chunk in chunks:
        sink.gap(chunk, "in") if isinstance(chunk, Gap) else sink.write(chunk, "in")
    wanted = sum(len(c) for c in chunks if isinstance(c, Chunk))
    rows, stamps = [], []
    while len(stamps) < wanted:
        row, stamp = inlet.pull_sample(5.0)
        assert row is not None
        rows.append(row)
        stamps.append(sink._clock.to_host(stamp))
    inlet.close_stream()
    sink.close()
    sink.close()
    return full, rows, stamps


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<u2", "i1", "<f2"])
def test_outlet_hands_over_samples_with_their_times(name, dtype):
    spec = StreamSpec.of(dtype, shape=(-1, 2), sample_rate=200.0, units="mV", channel_names=("x", "y"))
    data, now = np.arange(40).astype(dtype).reshape(20, 2), SystemClock().now_ns()
    chunks = [Chunk(0, data[:8], now), Gap(8, 108), Chunk(108, data[8:], now + 540_000_000)]
    full, rows, stamps = sent_by(name, spec, chunks)
    assert (full.get_channel_labels(), full.get_channel_units()) == (["x", "y"], ["mV", "mV"])
    np.testing.assert_array_equal(rows, data.astype("f8"))
    wanted = [now + 5_000_000 * i for i in (*range(8), *range(108, 120))]
    np.testing.assert_allclose(np.array(stamps) - now, np.array(wanted) - now, atol=2000)


def test_outlet_applies_scale_and_makes_events_text(name):
    spec = StreamSpec.of("<i2", shape=(-1, 1), sample_rate=100.0, scale=0.5, offset=1.0)
    assert sent_by(name, spec, [Chunk(0, np.array([[2], [5]], "<i2"))])[1] == [[2.0], [3.5]]
    assert sent_by(name + "r", spec, [Chunk(0, np.array([[2]], "<i2"))], physical=False)[1] == [[2]]
    now = SystemClock().now_ns()
    events = event_array([Event(now, label="go"), Event(now + 10, code=7)])
    _, rows, stamps = sent_by(name + "e", event_spec(1.0), [Chunk(0, events, now)], type="Markers")
    assert rows == [["go"], ["7"]]
    assert stamps[0] == pytest.approx(now, abs=2000)


def test_outlet_refuses_pictures():
    sink = LSLOutlet(LSLOutlet.settings_type.checked())
    sink.clock = ManualClock()
    with pytest.raises(ConfigurationError, match="LSL has no stream of uint8"):
        sink.open({"in": StreamSpec.of("u1", shape=(-1, 4, 4, 3), streamtype="video")})
