"""A device that breaks on demand: for tests, and to rehearse an experiment."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from pyacq_lab.devices.pacing import NS_PER_S, Pace
from pyacq_lab.errors import EndOfStream
from pyacq_lab.model.chunk import Reading
from pyacq_lab.model.roles import Source
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec


class SimulatedDeviceSettings(Settings):
    """Settings of `SimulatedDevice`; without any it never breaks."""

    sample_rate: float = setting(1000.0, gt=0, unit="Hz", description="sample rate")
    n_channels: int = setting(2, ge=1, description="number of channels")
    chunk_size: int = setting(20, ge=1, unit="samples", description="samples per chunk")
    burst: int = setting(1, ge=1, description="chunks that come at once, after a silence as long as they are")
    drop: tuple[tuple[int, int], ...] = setting(
        (), description="ranges [start, stop) of samples lost in hardware, in order"
    )
    duplicate: tuple[tuple[int, int], ...] = setting(
        (), description="ranges [start, stop) of samples that come a second time after the first, in order"
    )
    drift_ppm: float = setting(
        0.0,
        gt=-1e6,
        unit="ppm",
        description="by how much the device's clock is faster than the host's",
    )
    fail_at: int | None = setting(None, ge=0, description="sample at which reading raises OSError")
    fail_open: bool = setting(False, description="opening raises OSError")
    end_at: int | None = setting(None, ge=0, description="sample at which the stream ends")
    hang_at: int | None = setting(None, ge=0, description="sample at which one read ignores its timeout")
    hang_for: float = setting(10.0, ge=0, unit="s", description="how long that read hangs")
    clock_step_at: int | None = setting(None, ge=0, description="sample from which the sample times are off")
    clock_step: float = setting(0.0, unit="s", description="by how much they are off")

    @model_validator(mode="after")
    def _ranges_in_order(self) -> Self:
        for name, ranges in (("drop", self.drop), ("duplicate", self.duplicate)):
            flat = [index for pair in ranges for index in pair]
            if any(a >= b for a, b in ranges) or flat != sorted(flat) or any(index < 0 for index in flat):
                raise ValueError(
                    f"{name}: wanted ranges (start, stop) with 0 <= start < stop, in order, apart"
                )
        return self


class SimulatedDevice(Source):
    """A counter: channel ``c`` of sample ``k`` is ``k * n_channels + c``, int64, output `out`.

    Every sample says where it belongs, so that loss, repetition or disorder on its way is seen.
    It keeps its pace by the clock. `SimulatedDeviceSettings` say when and how it breaks; the methods
    `lose`, `repeat`, `step_clock`, `hang` and `unplug` break it while it runs.

    Examples
    --------
    >>> device.configure(sample_rate=1000, drop=[(5000, 5100)])
    >>> ...
    >>> device.unplug()  # the node faults, as it would if somebody had pulled the plug
    """

    settings_type = SimulatedDeviceSettings
    settings: SimulatedDeviceSettings

    def __init__(self, settings: SimulatedDeviceSettings) -> None:
        super().__init__(settings)
        self._pace = Pace(settings.sample_rate * (1 + settings.drift_ppm * 1e-6))
        self._commands: deque[Callable[[], None]] = deque()
        self._is_plugged = True
        self._forget()
        self.is_open = False

    def describe(self) -> Mapping[str, StreamSpec]:
        """One output of counters."""
        s = self.settings
        return {"out": StreamSpec.of(np.int64, shape=(-1, s.n_channels), sample_rate=s.sample_rate)}

    def open(self) -> None:
        """Start counting from 0; OSError where the settings say so, or while it is unplugged."""
        if self.settings.fail_open:
            raise OSError("simulated fault: the device cannot be opened")
        self._check_plugged()
        self._pace.begin(self.clock.now_ns())
        self._forget()
        self.is_open = True

    def read(self, timeout: float) -> Reading | None:
        """Give the samples that are due, up to the next event in the settings."""
        while self._commands:
            self._commands.popleft()()
        self._check_plugged()
        if self._again:
            first, stop = self._again.popleft()
            return Reading(self.samples(first, stop), time_ns=self._time_ns(first))
        s = self.settings
        if self._position == s.end_at:
            raise EndOfStream(f"simulated end at sample {s.end_at}")
        if self._position == s.fail_at:
            raise OSError(f"simulated fault at sample {s.fail_at}")
        if self._position == s.hang_at:
            self._hang, self._has_hung = (0.0 if self._has_hung else s.hang_for), True
        hang, self._hang = self._hang, 0.0
        if hang:
            self.clock.sleep(hang)
        return self._next(timeout)

    def close(self) -> None:
        """Note that it was closed."""
        self.is_open = False

    def samples(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """What samples ``[start, stop)`` should be, shape (stop - start, n_channels)."""
        n = self.settings.n_channels
        return np.arange(start * n, stop * n, dtype=np.int64).reshape(-1, n)

    # --- commands: from any thread, done by the next read

    def lose(self, n_samples: int) -> None:
        """Lose the next samples in hardware."""
        self._commands.append(lambda: self._lose(n_samples))

    def repeat(self, n_samples: int) -> None:
        """Give the last samples once more."""
        self._commands.append(
            lambda: self._again.append((max(0, self._position - n_samples), self._position))
        )

    def step_clock(self, seconds: float) -> None:
        """Let the times of all further samples be off by ``seconds`` more."""
        self._commands.append(lambda: self._step(seconds))

    def hang(self, seconds: float) -> None:
        """Let the next read ignore its timeout."""
        self._commands.append(lambda: setattr(self, "_hang", seconds))

    def unplug(self) -> None:
        """Pull the plug: reading and opening raise OSError until the node is configured again."""
        self._is_plugged = False

    def _lose(self, n_samples: int) -> None:
        self._drop = _united([*self._drop, (self._position, self._position + n_samples)])

    def _step(self, seconds: float) -> None:
        self._offset_ns += round(seconds * NS_PER_S)

    # ---

    def _forget(self) -> None:
        self._position = self._lost = self._offset_ns = 0
        self._hang, self._has_hung = 0.0, False
        self._drop = list(self.settings.drop)
        self._duplicate = deque(self.settings.duplicate)
        self._again: deque[tuple[int, int]] = deque()

    def _check_plugged(self) -> None:
        if not self._is_plugged:
            raise OSError(f"simulated device: unplugged after {self._position} samples")

    def _next(self, timeout: float) -> Reading | None:
        start, end = self._position, self._next_event(self._position)
        stop = self._pace.take(
            self.clock, start, self.settings.burst * self.settings.chunk_size, timeout, end
        )
        if stop == start:
            return None
        self._position = stop
        if self._duplicate and stop == self._duplicate[0][1]:
            self._again.append(self._duplicate.popleft())
        # A reading ends where a range of lost samples begins, so what is lost of it comes first.
        first = start + sum(max(0, min(stop, b) - max(start, a)) for a, b in self._drop)
        self._lost += first - start
        if first == stop != self.settings.end_at:
            return None  # a device notices what it lost when samples come again
        lost, self._lost = self._lost, 0
        return Reading(self.samples(first, stop), lost=lost, time_ns=self._time_ns(first))

    def _next_event(self, start: int) -> int | None:
        """Where the present reading must end: an event can only come first in a reading."""
        s = self.settings
        events = [s.end_at, s.fail_at, s.hang_at, s.clock_step_at]
        events += [a for a, _ in self._drop] + [b for _, b in self._duplicate]
        return min((e for e in events if e is not None and e > start), default=None)

    def _time_ns(self, index: int) -> int:
        step = self.settings.clock_step_at
        is_off = step is not None and index >= step
        own = round(self.settings.clock_step * NS_PER_S) if is_off else 0
        return self._pace.time_ns(index) + self._offset_ns + own


def _united(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges in order, those that touch joined."""
    out: list[tuple[int, int]] = []
    for start, stop in sorted(ranges):
        if out and start <= out[-1][1]:
            out[-1] = out[-1][0], max(stop, out[-1][1])
        else:
            out.append((start, stop))
    return out
