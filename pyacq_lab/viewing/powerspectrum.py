"""The arithmetic of a power spectrum that moves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.ring import RingBuffer
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.viewing.scene import Axis, Control, Element, Lines, Plot, Scene, channel_indices, number
from pyacq_lab.viewing.stft import Bands, PowerTrack, decibels

_MOST_CHANNELS = 16
_HOP = 0.1
_SEGMENT_SAMPLES = 2048
_SEGMENT_SECONDS = 2.0


class PowerSpectrumScene(Scene):
    """Mean power by frequency over the last seconds, a line per channel.

    Parameters
    ----------
    spec : StreamSpec
        A signal, or what a `Spectrum` node gives.
    channels : sequence of str or int, optional
        Which; the first 16 unless given.
    average : float
        Seconds over which is averaged.
    segment : float, optional
        Seconds of one spectrum: 1 / segment is the distance of frequencies. By default 2 s, or 2048 samples
        where that is less.
    frequencies : (float, float), optional
        Lowest and highest shown, Hz.
    log_frequency, decibel, hold : bool
        Powers of ten at equal distances; dB rather than power; keep the greatest beside the mean.
    """

    def __init__(
        self,
        spec: StreamSpec,
        channels: Sequence[str | int] | None = None,
        average: float = 2.0,
        segment: float | None = None,
        frequencies: tuple[float, float] | None = None,
        log_frequency: bool = False,
        decibel: bool = True,
        hold: bool = False,
    ) -> None:
        self._asked = channels
        self._average = number("average", average, 0.01, 600, "s")
        self._segment = None if segment is None else number("segment", segment, 1e-6, 60, "s")
        self._limits = frequencies
        self._log, self._decibel, self._hold = log_frequency, decibel, hold
        self.renew(0, spec)

    def renew(self, stream: int, spec: StreamSpec) -> None:
        """Begin anew with another stream."""
        bands = Bands.of(spec)
        named = (
            spec
            if bands is None
            else StreamSpec(shape=(-1, len(bands.channels)), channel_names=bands.channels)
        )
        self._channels = channel_indices(named, self._asked, _MOST_CHANNELS)
        self._names = [named.names[i] for i in self._channels]
        segment = self._segment or min(_SEGMENT_SECONDS, _SEGMENT_SAMPLES / spec.sample_rate)
        self._track = PowerTrack(spec, self._channels, segment, _HOP)
        low, high = self._limits or (0.0, math.inf)
        found = (self._track.frequencies >= low) & (self._track.frequencies <= high)
        if found.sum() < 2:
            raise ConfigurationError(
                f"frequencies {low:g} to {high:g} Hz: this stream has {self._track.frequencies[0]:g} to "
                f"{self._track.frequencies[-1]:g} Hz; give two of them at least"
            )
        self._rows = np.flatnonzero(found)
        self._ring = RingBuffer(self._room())
        self._greatest: npt.NDArray[Any] | None = None
        self._limits_y: tuple[float, float] | None = None
        self.shape += 1
        self.changed += 1

    def add(self, stream: int, item: Chunk | Gap, now_ns: int) -> None:
        """Take samples; whole spectra change the picture."""
        start, power = self._track.add(item)
        if len(power):
            self._ring.write(start, power[:, :, self._rows])
            self.changed += 1

    def mean(self) -> npt.NDArray[Any]:
        """Mean power, shape (n_channels, n_frequencies); NaN where nothing is known."""
        seen = self._ring.read(self._ring.start, self._ring.stop)
        seen = seen[~np.isnan(seen).all(axis=(1, 2))]
        return seen.mean(axis=0) if len(seen) else np.full(self._room().shape[1:], np.nan)

    def elements(self, now_ns: int) -> list[Element]:
        """One plot with all channels."""
        mean = self.mean()
        if self._hold and np.isfinite(mean).any():
            self._greatest = mean if self._greatest is None else np.fmax(self._greatest, mean)
        first = 1 if self._log and self._track.frequencies[self._rows[0]] == 0 else 0
        x = self._track.frequencies[self._rows][first:]
        shown = decibels(mean) if self._decibel else mean
        lines = Lines([x] * len(mean), list(shown[:, first:]), list(range(len(mean))), width=1.5)
        held: npt.NDArray[Any] = mean[:0] if self._greatest is None or not self._hold else self._greatest
        held = decibels(held) if self._decibel else held
        greatest = Lines(
            [x] * len(held), list(held[:, first:]), list(range(len(held))), [0.35] * len(held), 1.0
        )
        low, high = self._fit(np.concatenate([shown, held])[:, 1:])
        units = f"dB re 1 {self._track.units}" if self._decibel else self._track.units
        if self._decibel and units.endswith("re 1 1/Hz"):
            units = "dB/Hz"
        names = (
            self._names if len(self._names) <= 8 else [*self._names[:7], f"and {len(self._names) - 7} more"]
        )
        return [
            Plot(
                "power spectrum",
                Axis(float(x[0]), float(x[-1]), "frequency (Hz)", is_log=self._log),
                Axis(low, high, f"power ({units})"),
                (greatest, lines),
                f"mean of {self._average:g} s",
                320,
                legend=tuple(names),
            )
        ]

    def controls(self) -> list[Control]:
        """Averaging and axes."""
        return [
            Control(
                "average", "Average (s)", "number", self._average, title="Seconds over which is averaged"
            ),
            Control("decibel", "dB", "toggle", self._decibel, title="Decibels rather than power"),
            Control("log", "Log frequency", "toggle", self._log, title="Powers of ten at equal distances"),
            Control(
                "hold", "Peak hold", "toggle", self._hold, title="Keep the greatest since it was pressed"
            ),
        ]

    def set(self, name: str, value: Any) -> None:
        """Set a control; see `controls`."""
        match name:
            case "average":
                self._average = number("average", value, 0.01, 600, "s")
                kept = self._ring.read(self._ring.start, self._ring.stop)
                at, self._ring = self._ring.start, RingBuffer(self._room())
                self._ring.write(at, kept)
            case "decibel":
                self._decibel, self._limits_y = bool(value), None
            case "log":
                self._log = bool(value)
                self.shape += 1
            case "hold":
                self._hold, self._greatest = bool(value), None
            case _:
                super().set(name, value)
        self.changed += 1

    def _room(self) -> npt.NDArray[np.float64]:
        n = max(1, round(self._average * self._track.rate))
        return np.empty((n, len(self._channels), len(self._rows)))

    def _fit(self, shown: npt.NDArray[Any]) -> tuple[float, float]:
        """Ends of the vertical axis: all that is shown, and still where little changes."""
        finite = shown[np.isfinite(shown) & (shown > -290)]
        if not len(finite):
            return self._limits_y or (0.0, 1.0)
        low, high = float(finite.min()), float(finite.max())
        if self._decibel:
            low = max(low, high - 120)
            wanted = math.floor(low / 10) * 10.0, math.ceil((high + 1) / 10) * 10.0
        else:
            wanted = 0.0, 1.1 * high or 1.0
        now = self._limits_y
        span = wanted[1] - wanted[0]
        if now is None or low < now[0] or high > now[1] or now[1] - now[0] > 2 * span:
            self._limits_y = wanted
        return self._limits_y or wanted
