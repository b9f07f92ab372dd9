"""Nodes of each role live, fail and are mended as the contract that we ship says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pyacq_lab.devices import SignalGenerator
from pyacq_lab.model.chunk import Reading
from pyacq_lab.model.roles import Sink, Source, Transform
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing import ChannelSplitter, SosFilter, StreamAligner
from pyacq_lab.recording import Recorder
from pyacq_lab.testing import NodeContract, SimulatedDevice


class LevelSettings(Settings):
    level: float = setting(1.0, live=True)


class Beat(Source):
    settings_type = LevelSettings

    def describe(self):
        return {"out": StreamSpec(shape=(-1,), sample_rate=10_000.0)}

    def open(self):
        pass

    def read(self, timeout):
        self.clock.sleep(0.001)
        return Reading(np.ones(10))


class Same(Transform):
    settings_type = LevelSettings

    def describe(self, inputs):
        return dict(zip(self.outputs, inputs.values(), strict=True))

    def process(self, chunk, name):
        return chunk.data


class Drain(Sink):
    settings_type = LevelSettings

    def open(self, inputs):
        pass

    def write(self, chunk, name):
        pass

    def gap(self, gap, name):
        pass


class TestLeastSource(NodeContract):
    node_type = Beat

    def live(self):
        return {"level": 2.0}


class TestLeastTransform(NodeContract):
    node_type = Same

    def live(self):
        return {"level": 2.0}


class TestLeastSink(NodeContract):
    node_type = Drain

    def live(self):
        return {"level": 2.0}


class TestSignalGenerator(NodeContract):
    node_type = SignalGenerator

    def settings(self):
        return {"sample_rate": 10_000.0, "chunk_size": 50}


class TestSimulatedDevice(NodeContract):
    node_type = SimulatedDevice

    def settings(self):
        return {"sample_rate": 10_000.0}


class TestSosFilter(NodeContract):
    node_type = SosFilter

    def settings(self):
        return {"kind": "lowpass", "high": 40.0}

    def live(self):
        return {"high": 30.0}


class TestSeveralInputs(NodeContract):
    node_type = StreamAligner

    def settings(self):
        return {"inputs": {"a": "reference", "b": "nearest"}}


class TestSeveralOutputs(NodeContract):
    node_type = ChannelSplitter

    def settings(self):
        return {"outputs": {"first": [0], "others": [1, 2]}}


class TestRecorder(NodeContract):
    node_type = Recorder
    n_runs = 0

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def settings(self):
        self.n_runs += 1  # a run that exists is never overwritten
        return {"path": str(self.folder / f"run{self.n_runs}"), "fsync": "never"}
