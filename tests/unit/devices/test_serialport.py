"""A serial line whose other end is a test: a pseudo-terminal."""

from __future__ import annotations

import os
import sys
import tty

import numpy as np
import pytest

from pyacq_lab.devices import SerialSource
from pyacq_lab.errors import ConfigurationError, MissingDependency
from pyacq_lab.model.events import events_in
from pyacq_lab.testing import ManualClock


class Terminal:
    def __init__(self):
        self.end, other = os.openpty()
        tty.setraw(other)
        self.port, self.other = os.ttyname(other), other

    def write(self, data):
        os.write(self.end, data)

    def hang_up(self):
        for descriptor in (self.end, self.other):
            if descriptor is not None:
                os.close(descriptor)
        self.end = self.other = None


@pytest.fixture
def line():
    terminal = Terminal()
    yield terminal
    if terminal.end is not None:
        terminal.hang_up()


def source_of(line, **settings):
    source = SerialSource(SerialSource.settings_type.checked(port=line.port, **settings))
    source.clock = ManualClock()
    return source


def take(source, n):
    readings, total = [], 0
    while total < n:
        reading = source.read(5.0)
        assert reading is not None, f"{total} of {n} came"
        readings.append(reading)
        total += len(reading.data) + reading.lost
    return readings


def test_numbers(line, caplog):
    source = source_of(line, n_channels=2, units="mV", channel_names=("a", "b"))
    (spec,) = source.describe().values()
    assert (spec.dtype, spec.units, spec.channel_names) == ("<f8", "mV", ("a", "b"))
    line.write(b"old,old\n")
    source.open()
    line.write(b"5\n1,2\n3,4\n!\n5,6\n")
    readings = take(source, 4)
    source.close()
    np.testing.assert_array_equal(np.concatenate([r.data for r in readings]), [[1, 2], [3, 4], [5, 6]])
    assert sum(r.lost for r in readings) == 1
    assert "damaged: b'!': 1 numbers, wanted 2" in caplog.text


def test_text_is_events(line):
    source = source_of(line, format="text", leave_first=False)
    source.open()
    line.write(b"lever pressed\nreward\n")
    events = [e for r in take(source, 2) for e in events_in(r.data)]
    source.close()
    assert [e.label for e in events] == ["lever pressed", "reward"]
    assert {e.time_ns for e in events} == {source.clock.now_ns()}


def test_frames(line):
    source = source_of(line, format="frames", n_channels=3, dtype=">u2", sync="ff00", counter=True)
    source.open()
    rows = np.arange(30).reshape(10, 3).astype(">u2")
    line.write(b"".join(b"\xff\x00" + bytes([i]) + row.tobytes() for i, row in enumerate(rows) if i != 4))
    readings = take(source, 10)
    source.close()
    np.testing.assert_array_equal(np.concatenate([r.data for r in readings]), np.delete(rows, 4, axis=0))
    assert readings[0].data.dtype == source.describe()["out"].np_dtype
    assert [r.lost for r in readings if r.lost] == [1]


def test_what_is_said_at_start_and_stop(line):
    source = source_of(line, send_at_start="go\n", send_at_stop="halt\n")
    source.open()
    assert os.read(line.end, 100) == b"go\n"
    source.close()
    assert os.read(line.end, 100) == b"halt\n"


def test_nothing_within_the_timeout(line):
    source = source_of(line)
    source.open()
    assert source.read(0.0) is None
    assert source.read(0.01) is None
    source.close()


def test_a_line_that_is_gone_is_said(line):
    source = source_of(line, leave_first=False, send_at_stop="bye")
    source.open()
    line.hang_up()
    with pytest.raises(ConnectionError, match=rf"serial port {line.port} is gone"):
        source.read(1.0)
    source.close()
    source.close()
    with pytest.raises(ConnectionError, match="cannot be opened"):
        source.open()


@pytest.mark.parametrize(
    "settings", [{"sync": "xyz"}, {"dtype": "number"}, {"sync": ""}, {"checksum": "crc99"}, {"n_channels": 0}]
)
def test_refusals(line, settings):
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        source_of(line, format="frames", **settings)


def test_missing_pyserial_is_named(line, monkeypatch):
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(MissingDependency, match=r"pip install 'pyacq_lab\[serial\]'"):
        source_of(line)
