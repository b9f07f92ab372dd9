"""BrainVision Recorder, simulated on loopback."""

from __future__ import annotations

import numpy as np
import pytest

from pyacq_lab.devices import BrainVisionRDA
from pyacq_lab.devices.rda import Marker
from pyacq_lab.errors import ConfigurationError, EndOfStream
from pyacq_lab.model.events import events_in
from pyacq_lab.testing import ManualClock, SimulatedRecorder


@pytest.fixture(params=["<f4", "<i2"])
def recorder(request):
    with SimulatedRecorder(n_channels=3, dtype=request.param, block_size=10) as recorder:
        recorder.start()
        recorder.send_block()
        yield recorder


@pytest.fixture
def source(recorder):
    source = device_of(recorder)
    source.describe()
    source.open()
    yield source
    source.close()


def device_of(recorder, **settings):
    settings = {"host": "127.0.0.1", "port": recorder.port, "timeout": 5.0, **settings}
    source = BrainVisionRDA(BrainVisionRDA.settings_type.checked(**settings))
    source.clock = ManualClock()
    return source


def take(source, n_samples):
    """Readings of so many samples, given or lost, and the events that came with them."""
    readings, events, total = [], [], 0
    while total < n_samples:
        got = source.read(5.0)
        assert got is not None
        readings.append(got["out"])
        total += len(got["out"].data) + got["out"].lost
        if "markers" in got:
            events += events_in(got["markers"].data)
    return readings, events


def test_is_described_as_the_recorder_announces(recorder):
    specs = device_of(recorder).describe()
    spec = specs["out"]
    assert (spec.sample_rate, spec.units, spec.channel_names) == (500.0, "uV", ("Ch0", "Ch1", "Ch2"))
    assert spec.scale == (0.1, 0.1, 0.1)
    assert specs["markers"].streamtype == "event"


def test_blocks_come_as_they_were_sent(recorder, source):
    recorder.send_block(5)
    readings, _ = take(source, 60)
    got = np.concatenate([r.data for r in readings])
    np.testing.assert_array_equal(got, recorder.samples(0, 60))
    assert got.dtype == source.describe()["out"].np_dtype


def test_blocks_that_were_counted_but_not_sent_are_lost(recorder, source):
    recorder.send_block()
    recorder.skip_block(3)
    recorder.send_block(2)
    readings, _ = take(source, 70)
    assert sum(r.lost for r in readings) == 30
    (after,) = [r for r in readings if r.lost]
    np.testing.assert_array_equal(after.data[:10], recorder.samples(50, 60))


def test_markers_say_which_sample_they_mark(recorder, source):
    recorder.skip_block()
    recorder.send_block(markers=[Marker(3, 2, -1, "Stimulus", "S 12"), Marker(7, 1, 1, "Comment", "blink")])
    now = source.clock.now_ns()
    _, events = take(source, 30)
    assert [(e.index, e.duration, e.channel, e.code, e.label) for e in events] == [
        (23, 2, -1, 12, "Stimulus/S 12"),
        (27, 1, 1, -1, "Comment/blink"),
    ]
    assert [now - e.time_ns for e in events] == [14_000_000, 6_000_000]


def test_ends_where_the_recorder_stops(recorder, source):
    recorder.send_block()
    recorder.stop()
    take(source, 20)
    with pytest.raises(EndOfStream, match="stopped, or began anew, after 20 samples"):
        source.read(5.0)


def test_says_so_when_it_is_disconnected_and_opens_again(recorder, source):
    take(source, 10)
    recorder.disconnect()
    with pytest.raises(
        ConnectionError, match=rf"Recorder at 127.0.0.1:{recorder.port} closed the connection"
    ):
        source.read(5.0)
    source.close()
    source.open()
    recorder.wait_client()
    recorder.send_block()
    readings, _ = take(source, 20)
    assert sum(r.lost for r in readings) == 0


def test_a_recorder_that_begins_anew_is_no_loss(recorder, source):
    recorder.send_block(3)
    take(source, 40)
    recorder.start()
    recorder.send_block()
    with pytest.raises(EndOfStream, match="began anew, after 40 samples"):
        source.read(5.0)


def test_nothing_within_the_timeout(recorder, source):
    take(source, 10)
    assert source.read(0.0) is None
    assert source.read(0.01) is None


def test_nobody_there():
    with SimulatedRecorder() as recorder:
        gone = device_of(recorder)
    with pytest.raises(ConfigurationError, match=r"does not answer .* enable Remote Data Access"):
        gone.describe()


def test_not_monitoring():
    with SimulatedRecorder() as recorder, pytest.raises(ConfigurationError, match="start monitoring"):
        device_of(recorder, timeout=0.05).describe()


def test_another_recording_than_at_configure():
    with SimulatedRecorder(3) as before, SimulatedRecorder(4) as after:
        for recorder in (before, after):
            recorder.start()
            recorder.send_block()
        source = device_of(before)
        source.describe()
        source.settings = source.settings.model_copy(update={"port": after.port})
        with pytest.raises(ConnectionError, match="configure the node again"):
            source.open()
