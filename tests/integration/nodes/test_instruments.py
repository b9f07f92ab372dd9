"""Instruments as nodes: pulled out while they run, put in again, stopped while they are silent."""

from __future__ import annotations

import time
import uuid

import numpy as np
import pytest

from pyacq_lab.errors import LifecycleError
from pyacq_lab.model.lifecycle import State
from pyacq_lab.recording import open_run
from pyacq_lab.testing import SimulatedRecorder


@pytest.fixture
def recorder():
    with SimulatedRecorder(n_channels=2) as recorder:
        recorder.start()
        recorder.send_block()
        yield recorder


def started(make, kind, name, **settings):
    node = make(kind, name)
    node.configure(**settings)
    node.initialize()
    node.start()
    return node


def recording_of(make, source, path):
    node = make("Recorder", "recorder")
    node.configure(path=str(path))
    for name in source.outputs:
        node.connect(name, source.output_address(name))
    return node


def test_a_disconnected_instrument_faults_its_node_and_comes_back(make_nodes, recorder, tmp_path, until):
    make = make_nodes()
    settings = {"host": "127.0.0.1", "port": recorder.port}
    source = make("BrainVisionRDA", "eeg")
    source.configure(**settings)
    source.initialize()
    sink = recording_of(make, source, tmp_path / "run")
    sink.initialize()
    sink.start()
    source.start()
    recorder.wait_client()
    recorder.send_block(4)
    until(lambda: sink.inputs["out"].status().samples == 50)
    recorder.disconnect()
    until(lambda: source.state is State.FAULTED)
    assert "BrainVision Recorder at 127.0.0.1" in source.status().reason
    assert "closed the connection" in source.status().reason
    assert sink.state is State.RUNNING
    source.configure(**settings)
    source.initialize()
    source.start()
    recorder.wait_client()
    recorder.send_block(2)
    until(lambda: sink.inputs["out"].status().samples == 80)
    source.stop()
    sink.stop()
    first, second = open_run(tmp_path / "run").segments("out")
    np.testing.assert_array_equal(first.raw(), recorder.samples(0, 50))
    np.testing.assert_array_equal(second.raw(), recorder.samples(40, 70))


def test_a_silent_instrument_is_stopped_at_once(make_nodes, recorder, until):
    source = started(make_nodes(), "BrainVisionRDA", "eeg", host="127.0.0.1", port=recorder.port)
    until(lambda: source.outputs["out"].status().samples == 10)
    before = time.monotonic()
    source.stop()
    assert time.monotonic() - before < 5.0
    assert source.state is State.READY


def test_an_unplugged_device_faults_its_node(make_nodes, until):
    source = started(make_nodes(), "SimulatedDevice", "device")
    until(lambda: source.outputs["out"].status().samples > 0)
    source.component.unplug()
    until(lambda: source.state is State.FAULTED)
    assert "unplugged after" in source.status().reason
    with pytest.raises(LifecycleError):
        source.start()
    source.configure()
    source.initialize()
    source.start()
    until(lambda: source.outputs["out"].status().samples > 0)
    source.stop()


def test_an_array_goes_out_by_lsl_and_comes_back_whole(make_nodes, tmp_path, lsl_loopback, until):
    """Array, outlet, the layer itself, inlet, recorder: every sample, and its time."""
    make, name = make_nodes(), uuid.uuid4().hex
    data = np.arange(2000, dtype="<i4").reshape(1000, 2)
    source = make("ArraySource", "array")
    source.configure(data=data, sample_rate=2000.0, units="mV")
    source.initialize()
    outlet = make("LSLOutlet", "outlet")
    outlet.configure(name=name, source_id=name)
    outlet.connect("in", source.output_address("out"))
    outlet.initialize()
    outlet.start()
    inlet = make("LSLInlet", "inlet")
    inlet.configure(name=name)
    inlet.initialize()
    sink = recording_of(make, inlet, tmp_path / "run")
    sink.initialize()
    sink.start()
    inlet.start()
    source.start()
    until(lambda: sink.inputs["out"].status().samples == 1000)
    for node in (inlet, sink, outlet):
        node.stop()
    (signal,) = open_run(tmp_path / "run").segments("out")
    np.testing.assert_array_equal(signal.raw(), data)
    assert (signal.units, signal.spec.sample_rate) == ("mV", 2000.0)
    assert 0 < signal.uncertainty < 0.05
