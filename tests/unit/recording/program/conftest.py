"""A folder with a run: two starts of a signal with a gap, events, and a stream of which nothing came."""

from __future__ import annotations

import numpy as np
import pytest

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.events import Event, event_array, event_spec
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording import Recorder
from pyacq_lab.testing import ManualClock


@pytest.fixture
def folder(tmp_path):
    recorder = Recorder(Recorder.settings_type.checked(path=str(tmp_path / "run_1")))
    recorder.clock = ManualClock()
    ecg = StreamSpec.of(
        "<i2", shape=(-1, 2), sample_rate=10.0, units="mV", scale=0.5, channel_names=["I", "II"]
    )
    none = StreamSpec.of("<f4", shape=(-1, 1), sample_rate=5.0)
    for _ in range(2):
        recorder.open({"ecg": ecg, "marks": event_spec(10.0), "none": none})
        now = recorder.clock.now_ns() + 500_000_000
        recorder.write(Chunk(100, np.ones((20, 2), "<i2"), time_ns=now, uncertainty_ns=1000), "ecg")
        recorder.gap(Gap(120, 125, reason="overrun"), "ecg")
        recorder.write(Chunk(125, np.ones((5, 2), "<i2"), time_ns=now + 2_500_000_000), "ecg")
        recorder.write(Chunk(0, event_array([Event(now, label="go")]), time_ns=now), "marks")
        recorder.clock.advance(100.0)
        recorder.close()
    return tmp_path
