"""A device that breaks on demand: for tests, and to rehearse an experiment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from pyacq_lab.devices.pacing import NS_PER_S, Pace
from pyacq_lab.errors import EndOfStream
from pyacq_lab.model.chunk import Reading
from pyacq_lab.model.roles import Source
from pyacq_lab.model.settings import Settings
from pyacq_lab.model.stream import StreamSpec


class SimulatedDeviceSettings(Settings):
    """Settings of `SimulatedDevice`; without any it never breaks."""

    sample_rate: float = Field(1000.0, gt=0, description="sample rate, Hz")
    n_channels: int = Field(2, ge=1, description="number of channels")
    chunk_size: int = Field(20, ge=1, description="samples per chunk")
    burst: int = Field(1, ge=1, description="chunks that come at once, after a silence as long as they are")
    drop: tuple[tuple[int, int], ...] = Field(
        (), description="ranges [start, stop) of samples lost in hardware, in order"
    )
    fail_at: int | None = Field(None, ge=0, description="sample at which reading raises OSError")
    fail_open: bool = Field(False, description="opening raises OSError")
    end_at: int | None = Field(None, ge=0, description="sample at which the stream ends")
    hang_at: int | None = Field(None, ge=0, description="sample at which one read ignores its timeout")
    hang_for: float = Field(10.0, ge=0, description="how long that read hangs, s")
    clock_step_at: int | None = Field(None, ge=0, description="sample from which the sample times are off")
    clock_step: float = Field(0.0, description="by how much they are off, s")

    @model_validator(mode="after")
    def _ranges_in_order(self) -> Self:
        flat = [index for pair in self.drop for index in pair]
        if any(a >= b for a, b in self.drop) or flat != sorted(flat) or any(index < 0 for index in flat):
            raise ValueError("drop: wanted ranges (start, stop) with 0 <= start < stop, in order, apart")
        return self


class SimulatedDevice(Source):
    """A counter: channel ``c`` of sample ``k`` is ``k * n_channels + c``, int64, output `out`.

    Every sample says where it belongs, so that loss, repetition or disorder on its way is seen.
    It keeps its pace by the clock; `SimulatedDeviceSettings` say when and how it breaks.
    """

    settings_type = SimulatedDeviceSettings
    settings: SimulatedDeviceSettings

    def __init__(self, settings: SimulatedDeviceSettings) -> None:
        super().__init__(settings)
        self._pace = Pace(settings.sample_rate)
        self._position = self._lost = 0
        self._has_hung = False
        self.is_open = False

    def describe(self) -> Mapping[str, StreamSpec]:
        """One output of counters."""
        s = self.settings
        return {"out": StreamSpec.of(np.int64, shape=(-1, s.n_channels), sample_rate=s.sample_rate)}

    def open(self) -> None:
        """Start counting from 0; OSError where the settings say so."""
        if self.settings.fail_open:
            raise OSError("simulated fault: the device cannot be opened")
        self._pace.begin(self.clock.now_ns())
        self._position = self._lost = 0
        self._has_hung = False
        self.is_open = True

    def read(self, timeout: float) -> Reading | None:
        """Give the samples that are due, up to the next event in the settings."""
        s = self.settings
        if self._position == s.end_at:
            raise EndOfStream(f"simulated end at sample {s.end_at}")
        if self._position == s.fail_at:
            raise OSError(f"simulated fault at sample {s.fail_at}")
        if self._position == s.hang_at and not self._has_hung:
            self._has_hung = True
            self.clock.sleep(s.hang_for)
        start = self._position
        stop = self._pace.take(self.clock, start, s.burst * s.chunk_size, timeout, self._next_event(start))
        if stop == start:
            return None
        self._position = stop
        # A reading ends where a range of lost samples begins, so what is lost of it comes first.
        first = start + sum(max(0, min(stop, b) - max(start, a)) for a, b in s.drop)
        self._lost += first - start
        if first == stop != s.end_at:
            return None  # a device notices what it lost when samples come again
        lost, self._lost = self._lost, 0
        return Reading(self.samples(first, stop), lost=lost, time_ns=self._time_ns(first))

    def close(self) -> None:
        """Note that it was closed."""
        self.is_open = False

    def samples(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """What samples ``[start, stop)`` should be, shape (stop - start, n_channels)."""
        n = self.settings.n_channels
        return np.arange(start * n, stop * n, dtype=np.int64).reshape(-1, n)

    def _next_event(self, start: int) -> int | None:
        """Where the present reading must end: an event can only come first in a reading."""
        s = self.settings
        events = [s.end_at, s.fail_at, s.hang_at, s.clock_step_at, *(a for a, _ in s.drop)]
        return min((e for e in events if e is not None and e > start), default=None)

    def _time_ns(self, index: int) -> int:
        step = self.settings.clock_step_at
        is_off = step is not None and index >= step
        return self._pace.time_ns(index) + (round(self.settings.clock_step * NS_PER_S) if is_off else 0)
