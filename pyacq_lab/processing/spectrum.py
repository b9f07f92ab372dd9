"""Power by frequency, again and again."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import signal

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing.bands import BandTransform, band_spec, samples_of
from pyacq_lab.processing.checks import require_signal
from pyacq_lab.processing.pending import Pending
from pyacq_lab.processing.spans import empty_at

Floats = npt.NDArray[np.float64]


class SpectrumSettings(Settings):
    """Settings of `Spectrum`."""

    every: float = setting(0.1, gt=0, unit="s", description="time from one spectrum to the next")
    length: float = setting(1.0, gt=0, unit="s", description="how much of the signal makes one spectrum")
    segment: float | None = setting(
        None,
        gt=0,
        unit="s",
        description="segments over which is averaged; 1 / segment is the width of a frequency bin. None: all "
        "of `length`, which is no average",
    )
    overlap: float = setting(0.5, ge=0, lt=1, description="share of a segment that the next one has, too")
    window: Literal["hann", "hamming", "blackman", "boxcar"] = setting(
        "hann", description="window of each segment"
    )
    detrend: Literal["constant", "linear", "none"] = setting(
        "constant", description="what is taken off each segment before"
    )
    scaling: Literal["density", "spectrum"] = setting(
        "density", description="density: power per Hz; spectrum: power, so that a sine is its mean square"
    )
    low: float = setting(0.0, ge=0, unit="Hz", description="lowest frequency given")
    high: float | None = setting(None, gt=0, unit="Hz", description="highest frequency given; None: all")


class Spectrum(BandTransform):
    """Power spectra by Welch's method, each over the last ``length`` of the signal (`scipy.signal.welch`).

    One input `in`, one output `out` of float64, a spectrum in each sample: a column for each channel and
    frequency, channel by channel, named like ``"C3 10 Hz"``, so that
    ``data.reshape(len(data), n_channels, -1)`` has a plane for each channel. Scale and offset are applied
    first; the units are those of power, such as ``"(uV)²/Hz"``.

    Spectrum ``k`` ends with sample ``k * every * sample_rate`` of the input, and is that of
    ``scipy.signal.welch`` on those samples to the last bit, however the stream is cut. Its middle is what it
    is of: the group delay grows by half of ``length`` less half a sample. The first comes when ``length``
    has; after a gap it starts afresh, and no spectrum reaches over one. NaN and infinities make those of a
    channel NaN that contain them, and no others.

    Examples
    --------
    >>> spectrum = Spectrum(SpectrumSettings.checked(every=0.5, high=2.0))
    >>> out = spectrum.describe({"in": StreamSpec(sample_rate=100.0, units="uV")})["out"]
    >>> out.names, out.sample_rate, out.units
    (('0 0 Hz', '0 1 Hz', '0 2 Hz'), 2.0, '(uV)²/Hz')
    """

    settings_type = SpectrumSettings
    settings: SpectrumSettings
    at_gap = "reset"

    def __init__(self, settings: SpectrumSettings) -> None:
        super().__init__(settings)
        self._length = self._segment = 1
        self._bins: slice = slice(None)

    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        """Turn times into samples, and name the columns."""
        spec, settings = require_signal(inputs["in"], "Spectrum"), self.settings
        self._hop = samples_of("every", settings.every, spec.sample_rate)
        self._length = max(2, round(settings.length * spec.sample_rate))
        self._before = self._length - 1
        segment = settings.length if settings.segment is None else settings.segment
        self._segment = max(2, round(segment * spec.sample_rate))
        if self._segment > self._length:
            raise ConfigurationError(f"segment={segment:g} s is longer than length={settings.length:g} s")
        frequencies = np.fft.rfftfreq(self._segment, 1 / spec.sample_rate)
        high = np.inf if settings.high is None else settings.high
        wanted = np.flatnonzero((frequencies >= settings.low) & (frequencies <= high))
        if not len(wanted):
            raise ConfigurationError(
                f"low={settings.low:g}, high={high:g}: no frequency lies there; there are 0 to "
                f"{frequencies[-1]:g} Hz in steps of {frequencies[1]:g} Hz"
            )
        self._bins = slice(int(wanted[0]), int(wanted[-1]) + 1)
        unit = f"({spec.units})²" if spec.units else ""
        self._spec = spec
        self._made = band_spec(
            spec,
            frequencies[self._bins].tolist(),
            self._hop,
            units=f"{unit or '1'}/Hz" if settings.scaling == "density" else unit,
            group_delay=spec.group_delay + (self._length - 1) / 2 / spec.sample_rate,
        )
        self._waiting = Pending(spec.n_channels)
        self.reset()
        return {"out": self._made}

    def process(self, chunk: Chunk, name: str) -> Sequence[Chunk]:
        """Give the spectra that end in this chunk."""
        if not len(chunk):
            return ()
        number = self._take_in(chunk)
        made: list[Chunk] = []
        while number * self._hop < self._waiting.stop:
            self._waiting.drop_to(number * self._hop - self._before)
            place = self._waiting.place(self._before)
            power = self._welch(self._waiting.first(self._length))
            made.append(Chunk(number, power, place.time_ns, place.uncertainty_ns, place.epoch))
            self._next = number = number + 1
        return made

    def gap(self, gap: Gap, name: str) -> Chunk:
        """Start afresh, and tell which spectra do not come."""
        self.reset()
        return empty_at(-(-gap.stop // self._hop), self._made, gap.epoch)

    def _welch(self, data: npt.NDArray[Any]) -> Floats:
        settings = self.settings
        detrend: Any = False if settings.detrend == "none" else settings.detrend
        with warnings.catch_warnings(), np.errstate(invalid="ignore", over="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)  # what is not finite comes out as NaN
            # In columns, and by the FFT alone: the same numbers in the same order each time.
            _, power = signal.welch(
                np.ascontiguousarray(data.T),
                self._spec.sample_rate,
                settings.window,
                nperseg=self._segment,
                noverlap=min(round(settings.overlap * self._segment), self._segment - 1),
                detrend=detrend,
                scaling=settings.scaling,
            )
        power = power[:, self._bins]
        power[~np.isfinite(power).all(axis=1)] = np.nan
        return power.reshape(1, -1)
