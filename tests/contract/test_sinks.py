"""The recorder passes the contract that we ship, with chunks on disk of any length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pyacq_lab.model.events import event_spec
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording import Recorder, open_run
from pyacq_lab.testing import SinkContract
from pyacq_lab.testing.sinks import Pieces


class TestRecorder(SinkContract):
    chunk_seconds = 60.0
    fsync = "never"
    compression = "none"
    video = "raw"

    def make(self, folder: Path):
        settings = {
            "chunk_seconds": self.chunk_seconds,
            "fsync": self.fsync,
            "compression": self.compression,
            "video": self.video,
            "min_free": 0.0,
        }
        return Recorder(Recorder.settings_type.checked(path=str(folder / "run"), **settings))

    def read_back(self, folder: Path, name: str) -> list[Pieces]:
        read: list[Pieces] = []
        for signal in open_run(folder / "run").segments(name):
            edges = [signal.start, *(i for gap in signal.gaps for i in (gap.start, gap.stop)), signal.stop]
            pairs = zip(edges[::2], edges[1::2], strict=True)
            read.append([(start, signal.raw(start, stop)) for start, stop in pairs])
        return read


class TestRecorderWithSmallChunks(TestRecorder):
    chunk_seconds = 0.033
    n_restarts = 5
    fsync = "chunk"


class TestRecorderWithChunksOfOneSample(TestRecorder):
    n_samples = 60
    chunk_seconds = 0.0001
    n_restarts = 5
    fsync = "flush"


class TestRecorderThatPacks(TestRecorder):
    chunk_seconds = 0.033
    n_restarts = 5
    compression = "lz4"


class TestRecorderThatPacksAndSyncs(TestRecorder):
    n_restarts = 5
    compression = "zstd"
    fsync = "flush"


TYPES = [">f4", "<f2", "?", "<c8", "<u8", "<M8[ns]", [("time", "<i8"), ("position", ">f4", (2,))]]


@pytest.mark.parametrize("dtype", TYPES, ids=str)
class TestRecorderOfAnyType(TestRecorder):
    chunk_seconds = 0.1
    n_samples = 300

    @pytest.fixture(autouse=True)
    def spec(self, dtype) -> None:
        self.streams = {"what it is": StreamSpec.of(np.dtype(dtype), shape=(-1, 2), sample_rate=500.0)}

    def inputs(self):
        return self.streams


class TestRecorderPacksAnyType(TestRecorderOfAnyType):
    chunk_seconds = 0.05
    n_restarts = 3
    compression = "zstd"


class TestRecorderOfEvents(TestRecorder):
    """Any event, also with a label that is no text, is a line of JSON, and comes back bit for bit."""

    n_restarts = 5
    n_samples = 200

    def inputs(self):
        return {"keys": event_spec(100.0)}


class TestRecorderOfVideo(TestRecorder):
    n_samples = 50

    def inputs(self):
        shape = (-1, 6, 8, 3)
        return {"../camera": StreamSpec.of("u1", streamtype="video", shape=shape, sample_rate=25.0)}


class TestRecorderOfEncodedVideo(TestRecorderOfVideo):
    n_restarts = 5
    video = "lossless"


class TestRecorderOfEncodedGreyVideo(TestRecorderOfEncodedVideo):
    fsync = "flush"

    def inputs(self):
        return {"cam": StreamSpec.of("u1", streamtype="video", shape=(-1, 7, 9), sample_rate=25.0)}
