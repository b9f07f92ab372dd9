"""Sound by miniaudio's null device, and by a stand-in of sounddevice."""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from pyacq_lab.devices import AudioInput, AudioOutput
from pyacq_lab.devices.audiobackends import PlayBuffer, TakenFrames
from pyacq_lab.errors import ConfigurationError, MissingDependency
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.testing import ManualClock
from pyacq_lab.transport.clock import SystemClock

NULL = {"backend": "miniaudio", "device": "null"}


def made(kind, clock=None, **settings):
    component = kind(kind.settings_type.checked(**settings))
    component.clock = clock or SystemClock()
    return component


class PortAudio:
    """The part of sounddevice that is used: streams whose callbacks a test calls."""

    class PortAudioError(Exception):
        pass

    def __init__(self):
        self.stream = None
        self.fails = False

    def _open(self, **settings):
        if self.fails:
            raise self.PortAudioError("Invalid device")
        self.stream = SimpleNamespace(
            latency=0.01, active=True, start=lambda: None, close=lambda: None, **settings
        )
        return self.stream

    InputStream = OutputStream = _open

    def came(self, data, overflow=False):
        status = SimpleNamespace(input_overflow=overflow)
        self.stream.callback(np.asarray(data, "f4"), len(data), None, status)


@pytest.fixture
def portaudio(monkeypatch):
    fake = PortAudio()
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


def test_null_device_is_silence_at_the_rate():
    source = made(AudioInput, n_channels=2, sample_rate=8000.0, **NULL)
    (spec,) = source.describe().values()
    assert (spec.dtype, spec.units) == ("<f4", "FS")
    for _ in range(2):
        source.open()
        readings, begin = [], time.monotonic()
        while sum(len(r.data) for r in readings) < 1000:
            if (reading := source.read(1.0)) is not None:
                readings.append(reading)
        assert time.monotonic() - begin > 0.08  # a device of 8 kHz has not given 1000 samples earlier
        source.close()
        assert not np.concatenate([r.data for r in readings]).any()
        assert readings[0].data.shape[1] == 2
        assert [r.time_ns for r in readings] == sorted(r.time_ns for r in readings)


def test_sounddevice_is_asked_for_what_was_set(portaudio):
    clock = ManualClock()
    source = made(AudioInput, clock, n_channels=2, sample_rate=1000.0, device="3")
    source.open()
    s = portaudio.stream
    assert (s.samplerate, s.channels, s.dtype, s.device) == (1000.0, 2, "float32", 3)
    clock.advance(0.1)
    portaudio.came(np.ones((50, 2)))
    reading = source.read(0.0)
    np.testing.assert_array_equal(reading.data, np.ones((50, 2), "f4"))
    assert clock.now_ns() - reading.time_ns == 60_000_000  # its duration and the latency
    assert source.read(0.0) is None
    clock.advance(0.15)
    portaudio.came(np.ones((50, 2)), overflow=True)
    assert source.read(0.0).lost == 100
    source.close()


def test_a_device_that_is_gone_is_said_and_opens_again(portaudio):
    clock = ManualClock()
    source = made(AudioInput, clock, silence=2.0)
    source.open()
    clock.advance(1.0)
    assert source.read(0.0) is None
    clock.advance(1.5)
    with pytest.raises(ConnectionError, match="'default' gives nothing any more"):
        source.read(0.0)
    source.close()
    source.open()
    portaudio.stream.active = False
    with pytest.raises(ConnectionError, match="is it plugged in"):
        source.read(0.0)
    source.close()


@pytest.mark.parametrize("kind", [AudioInput, AudioOutput])
def test_a_device_that_never_was(portaudio, kind):
    component = made(kind, device="no such card")
    arguments = () if kind is AudioInput else ({"in": StreamSpec()},)
    portaudio.fails = True
    with pytest.raises(ConnectionError, match="'no such card' cannot be opened: Invalid device"):
        component.open(*arguments)
    other = made(kind, backend="miniaudio", device="no such card")
    with pytest.raises(ConnectionError, match="no sound device 'no such card'"):
        other.open(*arguments)


@pytest.mark.parametrize(("backend", "module"), [("sounddevice", "sounddevice"), ("miniaudio", "miniaudio")])
def test_missing_libraries_are_named(monkeypatch, backend, module):
    monkeypatch.setitem(sys.modules, module, None)
    for kind in (AudioInput, AudioOutput):
        with pytest.raises(MissingDependency, match=r"pip install 'pyacq_lab\[audio\]'"):
            made(kind, backend=backend)


def test_frames_that_nobody_takes_are_counted():
    frames = TakenFrames(most=100)
    for i in range(5):
        frames.put(np.full((40, 1), i, "f4"), i, False)
    got = [frames.take(0.0), frames.take(0.0), frames.take(0.0)]
    assert [g[0][0, 0] for g in got[:2]] == [0, 1]
    assert got[2] is None
    frames.put(np.ones((10, 1), "f4"), 9, False)
    assert frames.take(0.0)[2] == 120


def test_sound_begins_with_a_lead_and_is_silent_where_nothing_is():
    buffer = PlayBuffer(1, lead=30, most=100)
    buffer.put(np.ones((20, 1), "f4"))
    assert not buffer.give(10).any()
    buffer.put(np.ones((20, 1), "f4"))
    assert buffer.give(25).all()
    assert buffer.give(25)[:, 0].tolist() == [1.0] * 15 + [0.0] * 10
    assert buffer.underruns == 1
    buffer.put(np.ones((20, 1), "f4"))
    assert not buffer.give(5).any()
    buffer.put(np.arange(110, dtype="f4")[:, np.newaxis])
    assert buffer.skipped == 30
    assert buffer.give(1)[0, 0] == 10


@pytest.fixture
def sink(portaudio):
    sink = made(AudioOutput, gain=0.5, latency=0.01)
    yield sink
    sink.close()
    sink.close()


def test_what_is_heard_is_what_came(portaudio, sink):
    sink.open({"in": StreamSpec.of("<i2", shape=(-1, 2), sample_rate=1000.0, scale=0.25, units="V")})
    assert (portaudio.stream.samplerate, portaudio.stream.channels) == (1000.0, 2)
    sink.write(Chunk(0, np.array([[4, -8]] * 10, "<i2")), "in")
    sink.gap(Gap(10, 15), "in")
    sink.write(Chunk(15, np.array([[400, 0]] * 5, "<i2")), "in")
    out = np.full((20, 2), np.nan, "f4")
    portaudio.stream.callback(out, 20, None, None)
    np.testing.assert_array_equal(out, [[0.5, -1.0]] * 10 + [[0, 0]] * 5 + [[1.0, 0]] * 5)
    sink.flush()


def test_nan_is_silence(portaudio, sink):
    sink.open({"in": StreamSpec(sample_rate=1000.0)})
    sink.write(Chunk(0, np.full((10, 1), np.nan)), "in")
    out = np.ones((10, 1), "f4")
    portaudio.stream.callback(out, 10, None, None)
    assert not out.any()


def test_what_ran_out_is_told_and_so_is_a_device_that_is_gone(portaudio, sink, caplog):
    caplog.set_level("INFO")
    sink.open({"in": StreamSpec(sample_rate=1000.0)})
    sink.write(Chunk(0, np.ones((10, 1))), "in")
    portaudio.stream.callback(np.ones((20, 1), "f4"), 20, None, None)
    sink.flush()
    sink.flush()
    assert sink.underruns == 1
    assert caplog.text.count("sound ran out 1 times") == 1
    portaudio.stream.active = False
    with pytest.raises(ConnectionError, match="plays no more"):
        sink.flush()


def test_null_device_plays_at_the_rate(until):
    sink = made(AudioOutput, latency=0.02, **NULL)
    sink.open({"in": StreamSpec(sample_rate=8000.0)})
    sink.write(Chunk(0, np.ones((800, 1))), "in")
    until(lambda: sink.underruns == 1)
    sink.close()


@pytest.mark.parametrize(
    "spec",
    [StreamSpec.of("u1", shape=(-1, 4, 4, 3), streamtype="video"), StreamSpec.of("<c8", shape=(-1, 1))],
)
def test_what_cannot_be_heard_is_refused(portaudio, sink, spec):
    with pytest.raises(ConfigurationError, match="cannot be heard: wanted an analog signal"):
        sink.open({"in": spec})


def test_miniaudio_wants_whole_rates():
    with pytest.raises(ConfigurationError, match="whole number of Hz"):
        made(AudioInput, sample_rate=8000.5, **NULL).open()
