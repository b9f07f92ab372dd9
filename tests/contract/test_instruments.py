"""Sources that have a pace of their own pass the contract by the true clock."""

from __future__ import annotations

import os
import struct
import threading
import tty
import uuid
from collections.abc import Callable

import numpy as np
import pylsl
import pytest

from pyacq_lab.devices import (
    AudioInput,
    BrainFlowBoard,
    BrainVisionRDA,
    EphysSocket,
    LSLInlet,
    SerialSource,
    VideoSource,
)
from pyacq_lab.testing import LoopbackServer, SimulatedRecorder, SourceContract
from pyacq_lab.transport.clock import SystemClock


class Instrument(SourceContract):
    """By the true clock, and therefore short."""

    seconds = 0.3

    def make_clock(self):
        return SystemClock()


class Pump:
    """Calls a function every 10 ms, until it is stopped."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pump")
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.wait(0.01):
            self._function()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()


class TestBrainVisionRDA(Instrument):
    @pytest.fixture(autouse=True)
    def _recorder(self):
        with SimulatedRecorder(sample_rate=1000.0, block_size=20) as self.recorder:
            self.recorder.run(SystemClock())
            yield

    def make(self):
        settings = BrainVisionRDA.settings_type.checked(host="127.0.0.1", port=self.recorder.port)
        return BrainVisionRDA(settings)


class TestLSLInlet(Instrument):
    seconds = 0.2
    n_restarts = 10
    is_paced = False

    @pytest.fixture(autouse=True)
    def _outlet(self, lsl_loopback):
        self.name = uuid.uuid4().hex
        outlet = pylsl.StreamOutlet(
            pylsl.StreamInfo(self.name, "test", 2, 1000.0, pylsl.cf_float32, self.name)
        )
        pump = Pump(lambda: outlet.push_chunk(np.zeros((10, 2), "f4")))
        yield
        pump.stop()

    def make(self):
        return LSLInlet(LSLInlet.settings_type.checked(name=self.name))


class TestEphysSocket(Instrument):
    is_paced = False

    @pytest.fixture(autouse=True)
    def _server(self):
        packet = struct.pack("<iihiii", 0, 80, 3, 2, 2, 20) + bytes(80)
        with LoopbackServer() as server:
            server.greeting = packet
            self.port = server.port
            pump = Pump(lambda: server.send(packet))
            yield
            pump.stop()

    def make(self):
        return EphysSocket(EphysSocket.settings_type.checked(host="127.0.0.1", port=self.port))


class TestBrainFlowBoard(Instrument):
    def make(self):
        return BrainFlowBoard(BrainFlowBoard.settings_type.checked(signals=("eeg", "gyro")))


class TestAudioInput(Instrument):
    def make(self):
        settings = {"backend": "miniaudio", "device": "null", "sample_rate": 8000.0}
        return AudioInput(AudioInput.settings_type.checked(**settings))


class TestSerialSource(Instrument):
    is_paced = False

    @pytest.fixture(autouse=True)
    def _line(self):
        end, other = os.openpty()
        tty.setraw(other)
        os.set_blocking(end, False)
        self.port = os.ttyname(other)

        def write() -> None:
            try:
                os.write(end, b"1,2\n3,4\n")
            except BlockingIOError:
                pass  # nobody reads

        pump = Pump(write)
        yield
        pump.stop()
        os.close(end)
        os.close(other)

    def make(self):
        return SerialSource(SerialSource.settings_type.checked(port=self.port, n_channels=2))


class TestVideoSource(SourceContract):
    def make(self):
        return VideoSource(VideoSource.settings_type.checked(source="testsrc2=size=32x24:rate=25"))
