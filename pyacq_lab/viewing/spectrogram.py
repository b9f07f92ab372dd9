"""The arithmetic of a waterfall: power by time and frequency, as columns of colours."""

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
from pyacq_lab.viewing.display import quantity
from pyacq_lab.viewing.samples import spans
from pyacq_lab.viewing.scene import (
    PALETTES,
    Axis,
    Bands,
    Control,
    Element,
    Plot,
    Raster,
    Scene,
    channel_indices,
    chosen,
    number,
)
from pyacq_lab.viewing.stft import Bands as BandNames
from pyacq_lab.viewing.stft import PowerTrack, decibels

TIME_LABEL = "time before the newest sample (s)"

_MOST_CHANNELS = 4
"""Channels shown unless others are chosen."""

_COLUMNS = 400
"""Columns in a window."""

_SEGMENT_SAMPLES = 512
_SEGMENT_SECONDS = 1.0


class SpectrogramScene(Scene):
    """Waterfalls, one per channel.

    Parameters
    ----------
    spec : StreamSpec
        A signal, or what `TimeFrequency` and `Spectrum` nodes give.
    window : float
        Seconds shown.
    channels : sequence of str or int, optional
        Which; the first four unless given.
    segment : float, optional
        Seconds of signal behind one column; by default 1 s, or 512 samples where that is less.
    frequencies : (float, float), optional
        Lowest and highest shown, Hz; all unless given.
    levels : (float, float), optional
        What the least and the greatest colour stand for, dB; fitted to what is seen unless given.
    palette : str
        One of `PALETTES`.
    """

    def __init__(
        self,
        spec: StreamSpec,
        window: float = 10.0,
        channels: Sequence[str | int] | None = None,
        segment: float | None = None,
        frequencies: tuple[float, float] | None = None,
        levels: tuple[float, float] | None = None,
        palette: str = "Viridis",
    ) -> None:
        self._window = number("window", window, 0.01, 3600, "s")
        self._asked = channels
        self._segment = None if segment is None else number("segment", segment, 1e-6, 60, "s")
        self._limits = None if frequencies is None else _ordered("frequencies", frequencies)
        self._fitted = levels is None
        self._levels = (-1.0, 1.0) if levels is None else _ordered("levels", levels)
        self._palette = chosen("palette", palette, PALETTES)
        self._revision = 0
        self.renew(0, spec)

    def renew(self, stream: int, spec: StreamSpec) -> None:
        """Begin anew with another stream."""
        bands = BandNames.of(spec)
        named = (
            spec
            if bands is None
            else StreamSpec(shape=(-1, len(bands.channels)), channel_names=bands.channels)
        )
        channels = channel_indices(named, self._asked, _MOST_CHANNELS)
        segment = self._segment or min(_SEGMENT_SECONDS, _SEGMENT_SAMPLES / spec.sample_rate)
        self._track = PowerTrack(spec, channels, segment, self._window / _COLUMNS)
        self._names = [named.names[i] for i in channels]
        low, high = self._limits or (0.0, math.inf)
        rows = np.flatnonzero((self._track.frequencies >= low) & (self._track.frequencies <= high))
        if not len(rows):
            raise ConfigurationError(
                f"frequencies {low:g} to {high:g} Hz: this stream has {self._track.frequencies[0]:g} to "
                f"{self._track.frequencies[-1]:g} Hz"
            )
        self._rows = slice(int(rows[0]), int(rows[-1]) + 1)
        self._capacity = max(2, round(self._window * self._track.rate))
        self._ring = RingBuffer(np.empty((self._capacity, len(channels), len(rows)), np.float32))
        self._shades = RingBuffer(np.empty((self._capacity, len(channels), len(rows)), np.uint8))
        self._next_fit = 0
        self.shape += 1
        self.changed += 1

    def add(self, stream: int, item: Chunk | Gap, now_ns: int) -> None:
        """Take samples; new columns change the picture."""
        start, power = self._track.add(item)
        if not len(power):
            return
        power, start = power[-self._capacity :], start + max(0, len(power) - self._capacity)
        if missing := min(start - self._ring.stop, self._capacity):
            nothing = np.full(
                (missing, len(self._names), self._rows.stop - self._rows.start), np.nan, np.float32
            )
            self._ring.write(start - missing, nothing)
            self._shades.write(start - missing, self._shaded(nothing))
        fresh = decibels(power[:, :, self._rows]).astype(np.float32)
        self._ring.write(start, fresh)
        self._shades.write(start, self._shaded(fresh))
        self.changed += 1
        if self._fitted and self._track.stop >= self._next_fit:
            self._next_fit = self._track.stop + max(4, round(self._track.rate))
            self._fit()

    def elements(self, now_ns: int) -> list[Element]:
        """One plot per channel."""
        shades = self._shades.read(self._shades.start, self._shades.stop)
        gaps = np.asarray(~shades.any(axis=(1, 2)))
        low, high = self._levels
        y, bottom, top = self._axis()
        rate = self._track.rate
        bands = [(a - len(shades), b - len(shades)) for a, b in spans(gaps)]
        # Before the first whole segment there is nothing to see yet: that is no gap.
        if bands and bands[0][0] == -len(shades) and self._ring.start == 0:
            bands = bands[1:]
        plots: list[Element] = []
        for i, name in enumerate(self._names):
            columns = np.ascontiguousarray(shades[:, i])
            raster = Raster(
                columns, self._ring.stop, self._capacity, bottom, top, self._palette, self._revision
            )
            gap = Bands([a / rate for a, _ in bands], [b / rate for _, b in bands])
            last = i == len(self._names) - 1
            x = Axis(-self._capacity / rate, 0.0, TIME_LABEL if last else "")
            note = f"{quantity(low)} to {quantity(high)} dB re 1 {self._track.units}".rstrip()
            plots.append(Plot(name, x, y, (raster, gap), note, self._height()))
        return plots

    def controls(self) -> list[Control]:
        """Colour map and range."""
        low, high = self._levels
        return [
            Control("palette", "Colours", "choice", self._palette, PALETTES, "Colour map"),
            Control("fitted", "Auto range", "toggle", self._fitted, title="Fit the colours to what is seen"),
            Control("low", "from", "number", round(low, 1), title="What the least colour stands for, dB"),
            Control(
                "high", "to dB", "number", round(high, 1), title="What the greatest colour stands for, dB"
            ),
        ]

    def set(self, name: str, value: Any) -> None:
        """Set a control; see `controls`."""
        low, high = self._levels
        match name:
            case "palette":
                self._palette = chosen("palette", value, PALETTES)
            case "fitted":
                self._fitted = bool(value)
                if self._fitted:
                    self._fit()
            case "low":
                self._show((number("low", value, -400, high - 0.1, "dB"), high))
                self._fitted = False
            case "high":
                self._show((low, number("high", value, low + 0.1, 400, "dB")))
                self._fitted = False
            case "levels":
                self._show(_ordered("levels", value))
                self._fitted = False
            case _:
                super().set(name, value)
        self.changed += 1

    @property
    def levels(self) -> tuple[float, float]:
        """What the least and the greatest colour stand for, dB."""
        return self._levels

    def _seen(self) -> npt.NDArray[np.float32]:
        return self._ring.read(self._ring.start, self._ring.stop)

    def _shaded(self, decibel: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        """Levels of colour; 0 where there is nothing."""
        low, high = self._levels
        scaled = np.clip(1 + 254 * (decibel - low) / (high - low), 1, 255)
        return np.nan_to_num(scaled, nan=0.0).astype(np.uint8)

    def _fit(self) -> None:
        """Show all but the weakest and the very strongest; keep still where the difference is small."""
        seen = self._seen()[:, :, 1:] if self._track.bands is None else self._seen()
        finite = seen[np.isfinite(seen) & (seen > -290)]
        if not len(finite):
            return
        low, high = np.quantile(finite, [0.05, 0.998]).tolist()
        low, high = math.floor(max(low, high - 80) / 5) * 5.0, math.ceil((high + 1) / 5) * 5.0
        if not self._revision or abs(low - self._levels[0]) > 5 or abs(high - self._levels[1]) > 5:
            self._show((low, max(high, low + 10)))

    def _show(self, levels: tuple[float, float]) -> None:
        if levels != self._levels:
            self._levels = levels
            self._revision += 1
            self._shades.restart(self._ring.start)
            self._shades.write(self._ring.start, self._shaded(self._seen()))
            self.changed += 1

    def _axis(self) -> tuple[Axis, float, float]:
        """Vertical axis, and where the rows begin and end on it."""
        shown = self._track.frequencies[self._rows]
        steps = np.diff(shown)
        if len(shown) < 2 or not np.allclose(steps, steps[0], rtol=1e-3):
            # Each row is as high as the others, whatever its frequency: it is named.
            every = max(1, math.ceil(len(shown) / 8))
            ticks = tuple((float(i), f"{shown[i]:.3g}") for i in range(0, len(shown), every))
            return Axis(-0.5, len(shown) - 0.5, "frequency (Hz)", ticks=ticks), -0.5, len(shown) - 0.5
        half = float(steps[0]) / 2
        low, high = float(shown[0]) - half, float(shown[-1]) + half
        return Axis(max(0.0, low) if shown[0] >= 0 else low, high, "frequency (Hz)"), low, high

    def _height(self) -> int:
        return 300 if len(self._names) == 1 else 200 if len(self._names) == 2 else 150


def _ordered(name: str, pair: Any) -> tuple[float, float]:
    low, high = (float(value) for value in pair)
    if not low < high:
        raise ConfigurationError(f"{name} ({low:g}, {high:g}): wanted the lesser first")
    return low, high
