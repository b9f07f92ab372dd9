"""Streams of machines whose clocks are wrong are brought to the clock of the recorder's."""

from __future__ import annotations

import numpy as np
import pytest
from programs import SHIFTED_HOST

from pyacq_lab import Source, open_run
from pyacq_lab.model.stream import StreamSpec

S = 10**9
SHIFT = 3600 * S


class Ramp(Source):
    """Counts, at about the pace of its readers."""

    def describe(self):
        return {"out": StreamSpec.of("<f8", shape=(-1, 1), sample_rate=1000.0)}

    def open(self):
        self.at = 0

    def read(self, timeout):
        self.clock.sleep(0.02)
        self.at += 20
        return np.arange(self.at - 20, self.at, dtype="f8")[:, np.newaxis]


@pytest.mark.timeout(120)
def test_streams_of_two_hosts_are_brought_to_the_recorders_clock(start_script, make_manager, tmp_path, until):
    shifts = {"right": 0, "wrong": SHIFT}
    hosts = [
        start_script(SHIFTED_HOST, "tcp://127.0.0.1:0", name, str(shift)) for name, shift in shifts.items()
    ]
    manager = make_manager()
    for host in hosts:
        manager.add_host(*host.line().split())
    far = manager.create_nodegroup("far", "wrong")
    far.register_node_type(Ramp)
    near = manager.create_nodegroup("near", "right")
    ramp = far.create_node("Ramp", "ramp")
    ramp.configure()
    mean = near.create_node("MovingMean", "mean")  # passes on the times of the far source
    mean.configure()
    mean.input.connect(ramp.output)
    device = near.create_node("SimulatedDevice", "device")
    device.configure()
    recorder = near.create_node("Recorder", "recorder")
    recorder.configure(path=str(tmp_path / "run"))
    for stream, node in {"ramp": ramp, "mean": mean, "device": device}.items():
        recorder.inputs[stream].connect(node.outputs["out"])
    manager.start_all_nodes()
    until(lambda: all(port.written for port in recorder.status().inputs), 30)
    run = open_run(tmp_path / "run")
    until(lambda: {"right", "wrong"} <= set(run.clocks.hosts), 30)
    manager.stop_all_nodes()

    assert {name: run[name].producer for name in run} == {
        "ramp": "wrong", "mean": "wrong", "device": "right",
    }  # fmt: skip
    for name in ("ramp", "mean"):
        signal = run[name]
        assert signal.is_on_one_clock
        (here,), (there,) = (signal.times_between(0, 1, corrected=is_so) for is_so in (True, False))
        assert abs(there - here - 3600.0) < 0.1
        assert abs(here) < 60.0
