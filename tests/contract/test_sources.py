"""Every source of ours passes the contract that we ship."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from pyacq_lab.devices import ArraySource, Replay, SignalGenerator, SystemMonitor
from pyacq_lab.devices.waveforms import WAVEFORMS
from pyacq_lab.testing import ManualClock, SimulatedDevice, SourceContract


class TestSystemMonitor(SourceContract):
    def make(self):
        return SystemMonitor(SystemMonitor.settings_type.checked(sample_rate=50.0, window=0.2))


class TestLateSystemMonitor(TestSystemMonitor):
    """On a machine so busy that it wakes late: samples are lost, and counted."""

    def make_clock(self):
        return ManualClock(late=0.03)


class TestSignalGenerator(SourceContract):
    def make(self):
        return SignalGenerator(SignalGenerator.settings_type.checked(n_channels=3, frequency=7.3, noise=0.1))


class TestLateSignalGenerator(TestSignalGenerator):
    def make_clock(self):
        return ManualClock(late=0.13)


@pytest.mark.parametrize("waveform", WAVEFORMS)
class TestSignalGeneratorOfEachWaveform(SourceContract):
    @pytest.fixture(autouse=True)
    def _waveform(self, waveform) -> None:
        self.waveform = waveform

    def make(self):
        settings = SignalGenerator.settings_type.checked(n_channels=2, waveform=self.waveform, width=0.01)
        return SignalGenerator(settings)


class TestReplayOfEcg(SourceContract):
    def make(self):
        return Replay(Replay.settings_type.checked(dataset="ecg", loops=0))


class TestReplayOfWav(SourceContract):
    @pytest.fixture(autouse=True)
    def file(self, tmp_path: Path) -> None:
        self.path = tmp_path / "tone.wav"
        with wave.open(str(self.path), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(np.arange(4000, dtype="<i2").tobytes())

    def make(self):
        return Replay(Replay.settings_type.checked(path=str(self.path), loops=10))


class TestReplayAsFastAsItIsTaken(SourceContract):
    is_paced = False

    def make(self):
        return Replay(Replay.settings_type.checked(dataset="ecg", loops=0, realtime=False))


class TestArraySource(SourceContract):
    def make(self):
        settings = ArraySource.settings_type.checked(data=np.arange(5000).reshape(-1, 5), loops=0)
        return ArraySource(settings)


class TestSimulatedDevice(SourceContract):
    def make(self):
        settings = SimulatedDevice.settings_type.checked(drop=((100, 130), (500, 501)), burst=3)
        return SimulatedDevice(settings)
