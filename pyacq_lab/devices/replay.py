"""A recording that plays again as if it were a device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from pyacq_lab.devices.pacing import Pace, default_chunk_size
from pyacq_lab.devices.recordings import Recording, load_dataset, load_file
from pyacq_lab.errors import EndOfStream
from pyacq_lab.model.chunk import Reading
from pyacq_lab.model.roles import Source
from pyacq_lab.model.settings import Settings
from pyacq_lab.model.stream import StreamSpec


class ReplaySettings(Settings):
    """Settings of `Replay`: give either `path` or `dataset`."""

    path: str | None = Field(None, description="recording on the node's machine: .npy, .csv or .wav")
    dataset: Literal["ecg"] | None = Field(None, description="recording that a package ships; 'ecg'")
    sample_rate: float | None = Field(
        None, gt=0, description="sample rate, Hz; needed for .npy and .csv, else the recording's own"
    )
    units: str | None = Field(None, description="units of the samples; None: the recording's own")
    channel_names: tuple[str, ...] = Field(
        (), description="names of the channels; empty: the recording's own"
    )
    loops: int = Field(1, ge=0, description="times that the recording is played; 0: endlessly")
    realtime: bool = Field(
        True, description="pace at the sample rate; False: as fast as the samples are taken"
    )
    chunk_size: int = Field(0, ge=0, description="samples per chunk; 0: those of 20 ms")

    @model_validator(mode="after")
    def _one_recording(self) -> Self:
        if (self.path is None) == (self.dataset is None):
            raise ValueError("give either path='...' or dataset='ecg'")
        return self


class Replay(Source):
    """A recording as a device, output `out`, in the recording's own data type.

    Samples are paced by absolute deadlines: the replay never drifts from its clock. A late wake-up catches
    up with several chunks in one, and no sample is lost. Sample times count from the start at the sample
    rate also when ``realtime=False``, where they run ahead of the clock.

    The dataset ``"ecg"`` is the electrocardiogram that PyWavelets ships: see `recordings.load_dataset`.
    """

    settings_type = ReplaySettings
    settings: ReplaySettings

    def __init__(self, settings: ReplaySettings) -> None:
        super().__init__(settings)
        self._recording = _load(settings)
        rate = self._recording.sample_rate
        self._pace = Pace(rate)
        self._chunk_size = settings.chunk_size or default_chunk_size(rate)
        self._end = settings.loops * len(self._recording.data) or None
        self._position = 0

    @property
    def waits(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether it can wait for its readers: where nobody asked for the true pace."""
        return not self.settings.realtime

    def describe(self) -> Mapping[str, StreamSpec]:
        """One output; recordings of more than two dimensions are video."""
        return {"out": self._recording.spec()}

    def open(self) -> None:
        """Start from the recording's first sample, now."""
        self._pace.begin(self.clock.now_ns())
        self._position = 0

    def read(self, timeout: float) -> Reading | None:
        """Give the samples that are due; EndOfStream after the last."""
        start = self._position
        if start == self._end:
            raise EndOfStream(f"all {start} samples were replayed")
        if self.settings.realtime:
            stop = self._pace.take(self.clock, start, self._chunk_size, timeout, self._end)
        else:
            stop = start + self._chunk_size
            stop = stop if self._end is None else min(stop, self._end)
        if stop == start:
            return None
        self._position = stop
        return Reading(self._samples(start, stop), time_ns=self._pace.time_ns(start))

    def _samples(self, start: int, stop: int) -> npt.NDArray[Any]:
        data = self._recording.data
        at = start % len(data)
        if at + stop - start <= len(data):
            return np.array(data[at : at + stop - start])  # a copy: the file may be mapped, not read
        return np.take(data, np.arange(at, at + stop - start) % len(data), axis=0)


def _load(settings: ReplaySettings) -> Recording:
    if settings.path is not None:
        recording = load_file(settings.path, settings.sample_rate)
    else:
        recording = load_dataset(settings.dataset or "", settings.sample_rate)
    return recording.relabelled(settings.units, settings.channel_names)
