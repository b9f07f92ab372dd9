"""How strong each frequency is at each moment."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import fft

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing.bands import BandTransform, band_spec, samples_of
from pyacq_lab.processing.checks import require_signal
from pyacq_lab.processing.pending import Pending
from pyacq_lab.processing.spans import empty_at

Floats = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

REACH = 5.0
"""Standard deviations to which the wavelets reach; beyond, 4e-6 of their height is left off."""


class TimeFrequencySettings(Settings):
    """Settings of `TimeFrequency`."""

    frequencies: tuple[Annotated[float, Field(gt=0)], ...] = setting(
        min_length=1, unit="Hz", description="frequencies of the wavelets"
    )
    n_cycles: float = setting(
        7.0,
        ge=1,
        le=100,
        description="cycles in a wavelet: many are sharp in frequency, few in time; its standard deviation "
        "is n_cycles / (2 pi frequency)",
    )
    every: float = setting(0.01, gt=0, unit="s", description="time from one result to the next")
    block: float = setting(
        0.5, gt=0, unit="s", description="how much comes out at once: a longer one costs less, and is later"
    )
    scaling: Literal["power", "amplitude"] = setting(
        "power", description="power: mean square of a sine; amplitude: its height"
    )


class TimeFrequency(BandTransform):
    """Power or amplitude of a signal by time and frequency, with complex Morlet wavelets.

    One input `in`, one output `out` of float64, with a column for each channel and frequency, channel by
    channel, named like ``"C3 10 Hz"``: ``data.reshape(len(data), n_channels, -1)`` has a plane for each
    channel. Scale and offset are applied first. A sine of height 2 uV at a wavelet's frequency has the
    amplitude 2 uV, the power 2 (uV)².

    Result ``k`` is that at sample ``k * every * sample_rate`` of the input: the wavelets are symmetric, and
    no group delay is added. Each reaches 5 standard deviations to both sides. Results come only where the
    longest of them has signal on both sides: none at the very beginning and end, and none that reaches over a
    gap; they come ``block`` later at most. NaN and infinities make those of a channel NaN whose wavelet
    reaches them, and no others.

    The blocks are counted from the start or the last gap: the result is bit-identical however the stream is
    cut. (PyWavelets' ``cwt`` takes whole recordings, and its wavelets from a table; tests compare with it.)

    Examples
    --------
    >>> power = TimeFrequency(TimeFrequencySettings.checked(frequencies=[10, 20], scaling="amplitude"))
    >>> out = power.describe({"in": StreamSpec(sample_rate=1000.0, units="uV")})["out"]
    >>> out.names, out.sample_rate, out.units
    (('0 10 Hz', '0 20 Hz'), 100.0, 'uV')
    """

    settings_type = TimeFrequencySettings
    settings: TimeFrequencySettings
    at_gap = "reset"

    def __init__(self, settings: TimeFrequencySettings) -> None:
        super().__init__(settings)
        self._n_results = 1
        self._reaches: list[int] = [0]
        self._kernels: list[Complex] = []
        self._n_fft = 1

    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        """Make the wavelets for the sample rate."""
        spec, settings = require_signal(inputs["in"], "TimeFrequency"), self.settings
        self._hop = hop = samples_of("every", settings.every, spec.sample_rate)
        if max(settings.frequencies) >= spec.sample_rate / 2:
            raise ConfigurationError(
                f"frequencies: {max(settings.frequencies):g} Hz at a sample rate of {spec.sample_rate:g} Hz: "
                f"wanted less than {spec.sample_rate / 2:g} Hz"
            )
        widths = [settings.n_cycles / (2 * math.pi * f) * spec.sample_rate for f in settings.frequencies]
        self._reaches = [math.ceil(REACH * width) for width in widths]
        self._before = max(self._reaches)
        self._n_results = max(1, round(settings.block * spec.sample_rate / hop))
        needed = (self._n_results - 1) * hop + 2 * self._before + 1
        self._n_fft = hop * int(fft.next_fast_len(-(-needed // hop)) or 1)
        self._kernels = [
            wavelet_spectrum(f / spec.sample_rate, width, reach, self._n_fft)
            for f, width, reach in zip(settings.frequencies, widths, self._reaches, strict=True)
        ]
        self._spec = spec
        self._made = band_spec(
            spec, settings.frequencies, hop, units=self._units(spec.units), group_delay=spec.group_delay
        )
        self._waiting = Pending(spec.n_channels)
        self.reset()
        return {"out": self._made}

    def process(self, chunk: Chunk, name: str) -> Sequence[Chunk]:
        """Give the blocks that are complete now."""
        if not len(chunk):
            return ()
        number = self._take_in(chunk)
        made: list[Chunk] = []
        while (number + self._n_results - 1) * self._hop + self._before < self._waiting.stop:
            made.append(self._give(number, self._n_results))
            number += self._n_results
        return made

    def gap(self, gap: Gap, name: str) -> Sequence[Chunk]:
        """Give what was held back, and tell which results do not come."""
        return [*self.finish(name), empty_at(-(-gap.stop // self._hop), self._made, gap.epoch)]

    def finish(self, name: str) -> Sequence[Chunk]:
        """Give what was held back, up to where the longest wavelet ends with the signal."""
        made: list[Chunk] = []
        if self._next is not None:
            last = (self._waiting.stop - 1 - self._before) // self._hop
            if last >= self._next:
                made.append(self._give(self._next, last + 1 - self._next))
        self.reset()
        return made

    def _units(self, units: str) -> str:
        return units if self.settings.scaling == "amplitude" or not units else f"({units})²"

    def _give(self, number: int, n: int) -> Chunk:
        """Work out ``n`` results from a number on, and forget the signal that only they needed."""
        reach = self._before
        self._waiting.drop_to(number * self._hop - reach)
        place = self._waiting.place(reach)
        data = self._waiting.first((n - 1) * self._hop + 2 * reach + 1).T
        bad = ~np.isfinite(data)
        spectrum = np.asarray(fft.fft(self._around_first(np.where(bad, 0.0, data), reach), axis=1))
        out = np.empty((n, len(data), len(self._kernels)))
        for at, (kernel, own) in enumerate(zip(self._kernels, self._reaches, strict=True)):
            out[:, :, at] = np.abs(every_nth(spectrum * kernel, self._hop)[:, :n]).T
            if bad.any():
                out[:, :, at][_touched(bad, reach, own, self._hop, n)] = np.nan
        if self.settings.scaling == "power":
            out *= out
            out /= 2
        self._next = number + n
        return Chunk(number, out.reshape(n, -1), place.time_ns, place.uncertainty_ns, place.epoch)

    def _around_first(self, data: Floats, reach: int) -> Floats:
        """Put the signal in a ring, so that the moment of the first result is at 0."""
        ring = np.zeros((len(data), self._n_fft))
        ring[:, : data.shape[1] - reach] = data[:, reach:]
        ring[:, self._n_fft - reach :] = data[:, :reach]
        return ring


def wavelet_spectrum(frequency: float, width: float, reach: int, n_fft: int) -> Complex:
    """Spectrum of a wavelet of a frequency (cycles per sample) and standard deviation (samples) around 0.

    It is scaled so that a sine of its frequency comes out with its height as magnitude.
    """
    t = np.arange(-reach, reach + 1)
    gauss = np.exp(-0.5 * (t / width) ** 2)
    wavelet = np.zeros(n_fft, np.complex128)
    wavelet[t % n_fft] = gauss * np.exp(2j * np.pi * frequency * t) * (2 / gauss.sum())
    return np.asarray(fft.fft(wavelet), np.complex128)


def every_nth(spectrum: Complex, n: int) -> Complex:
    """Every ``n``-th sample of what a spectrum is of: the inverse of the spectrum folded onto itself."""
    folded = spectrum.reshape(len(spectrum), n, -1).sum(axis=1)
    return np.asarray(fft.ifft(folded, axis=1), np.complex128) / n


def _touched(bad: npt.NDArray[np.bool_], longest: int, reach: int, hop: int, n: int) -> Any:
    """Whether a wavelet reaches something that is not finite, shape (n, n_channels)."""
    before = np.zeros((bad.shape[0], bad.shape[1] + 1), np.int64)
    np.cumsum(bad, axis=1, out=before[:, 1:])
    centre = longest + hop * np.arange(n)
    return (before[:, centre + reach + 1] - before[:, centre - reach] > 0).T
