"""NI-DAQmx, by a stand-in of its task: what it is called with must fit the true one."""

from __future__ import annotations

import inspect
import sys
from typing import ClassVar

import nidaqmx
import numpy as np
import pytest
from nidaqmx.constants import AcquisitionType, TerminalConfiguration
from nidaqmx.errors import DaqError
from nidaqmx.stream_readers import AnalogMultiChannelReader
from nidaqmx.task import Timing
from nidaqmx.task.collections import AIChannelCollection

from pyacq_lab.devices import NIDAQmxInput
from pyacq_lab.errors import ConfigurationError, MissingDependency
from pyacq_lab.testing import ManualClock, SourceContract


def must_fit(function, *args, **kwargs):
    inspect.signature(function).bind(None, *args, **kwargs)


class Task:
    """Counts at the rate of a clock that a test turns; channel ``c`` of sample ``k`` is ``10 k + c``."""

    clock = ManualClock()
    coerced = None
    fault = None
    tasks: ClassVar[list[Task]] = []

    def __init__(self):
        self.ai_channels = self.timing = self.in_stream = self
        self.channels, self.began, self.position = [], None, 0
        self.tasks.append(self)

    def add_ai_voltage_chan(self, *args, **kwargs):
        must_fit(AIChannelCollection.add_ai_voltage_chan, *args, **kwargs)
        if args[0].startswith("Dev9"):
            raise DaqError("device identifier is invalid", -200220)
        self.channels.append((args[0], kwargs))

    def cfg_samp_clk_timing(self, *args, **kwargs):
        must_fit(Timing.cfg_samp_clk_timing, *args, **kwargs)
        assert kwargs["sample_mode"] is AcquisitionType.CONTINUOUS
        self.samp_clk_rate = self.coerced or args[0]
        self.buffer = kwargs["samps_per_chan"]

    def start(self):
        self.began = self.clock.now_ns()

    @property
    def avail_samp_per_chan(self):
        if self.fault:
            raise self.fault
        return (self.clock.now_ns() - self.began) * round(self.samp_clk_rate) // 10**9 - self.position

    def close(self):
        self.tasks.remove(self)


class Reader:
    def __init__(self, task):
        self.task = task

    def read_many_sample(self, *args, **kwargs):
        must_fit(AnalogMultiChannelReader.read_many_sample, *args, **kwargs)
        data, n = args
        if self.task.avail_samp_per_chan > self.task.buffer:
            raise DaqError("samples were overwritten", -200279)
        at = self.task.position
        data[:] = 10 * np.arange(at, at + n) + np.arange(len(data))[:, np.newaxis]
        self.task.position += n


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch):
    monkeypatch.setattr(nidaqmx, "Task", Task)
    monkeypatch.setattr("nidaqmx.stream_readers.AnalogMultiChannelReader", Reader)
    monkeypatch.setattr(Task, "clock", ManualClock())
    monkeypatch.setattr(Task, "tasks", [])


def input_of(**settings):
    source = NIDAQmxInput(NIDAQmxInput.settings_type.checked(**settings))
    source.clock = Task.clock
    return source


class TestContract(SourceContract):
    def make(self):
        return input_of(channels=("Dev1/ai0", "Dev1/ai3"))

    def make_clock(self):
        return Task.clock


def test_channels_are_set_up_as_asked_for():
    source = input_of(channels=("Dev1/ai0", "Dev1/ai1"), terminal="RSE", min_val=-1.0, max_val=2.0)
    (spec,) = source.describe().values()
    assert (spec.units, spec.channel_names) == ("V", ("Dev1/ai0", "Dev1/ai1"))
    source.open()
    wanted = {"terminal_config": TerminalConfiguration.RSE, "min_val": -1.0, "max_val": 2.0}
    assert Task.tasks[0].channels == [("Dev1/ai0", wanted), ("Dev1/ai1", wanted)]
    source.close()
    assert Task.tasks == []


def test_samples_have_the_time_at_which_they_were_taken():
    source = input_of(channels=("Dev1/ai0", "Dev1/ai1"), chunk_size=50)
    begin = Task.clock.now_ns()
    source.open()
    Task.clock.advance(0.137)
    first, second = source.read(0.1), source.read(0.1)
    assert len(first.data) == 100
    np.testing.assert_array_equal(first.data[3], [30, 31])
    assert first.data.flags.c_contiguous
    assert abs(first.time_ns - begin) <= first.uncertainty_ns
    assert abs(second.time_ns - begin - 100_000_000) <= second.uncertainty_ns
    assert len(second.data) == 50
    source.close()


def test_a_buffer_that_ran_over_is_said():
    source = input_of(buffer=1.0)
    source.open()
    Task.clock.advance(3.0)
    with pytest.raises(OSError, match=r"buffer of 1 s ran over .* raise buffer"):
        source.read(0.1)
    source.close()


def test_a_device_that_is_gone_is_said_and_opens_again():
    source = input_of()
    source.open()
    Task.tasks[0].fault = DaqError("the device is not there any more", -88709)
    with pytest.raises(ConnectionError, match="Dev1/ai0: the device is not there any more"):
        source.read(0.1)
    source.close()
    source.open()
    assert source.read(0.1) is not None
    source.close()


def test_a_device_that_never_was():
    source = input_of(channels=("Dev9/ai0",))
    with pytest.raises(ConnectionError, match="Dev9/ai0 cannot be opened: device identifier is invalid"):
        source.open()
    source.close()
    assert Task.tasks == []


def test_a_rate_that_the_device_does_not_have(monkeypatch):
    monkeypatch.setattr(Task, "coerced", 1000.4)
    source = input_of()
    with pytest.raises(ConnectionError, match=r"would make it 1000.4 Hz; give that"):
        source.open()
    source.close()


def test_a_missing_driver_is_named(monkeypatch):
    monkeypatch.undo()
    source = input_of()
    with pytest.raises(MissingDependency, match=r"NI-DAQmx comes from ni\.com"):
        source.open()


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "nidaqmx", None)
    with pytest.raises(MissingDependency, match=r"pip install 'pyacq_lab\[nidaqmx\]'"):
        input_of()


def test_no_channels():
    with pytest.raises(ConfigurationError, match="channels"):
        input_of(channels=())
