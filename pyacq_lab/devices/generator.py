"""A signal generator: sines of exact phase, with noise on request."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from pydantic import Field

from pyacq_lab.devices.pacing import Pace, default_chunk_size
from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Reading
from pyacq_lab.model.roles import Source
from pyacq_lab.model.settings import Settings
from pyacq_lab.model.stream import StreamSpec

_BLOCK = 1024


class SignalGeneratorSettings(Settings):
    """Settings of `SignalGenerator`."""

    sample_rate: float = Field(1000.0, gt=0, description="sample rate, Hz")
    n_channels: int = Field(1, ge=1, description="number of channels; they share a turn in equal parts")
    frequency: float = Field(1.0, ge=0, description="frequency of the sine, Hz, below half the sample rate")
    amplitude: float = Field(1.0, description="peak of the sine, in `units`")
    offset: float = Field(0.0, description="level around which the sine swings, in `units`")
    noise: float = Field(0.0, ge=0, description="standard deviation of the white noise added, in `units`")
    seed: int = Field(0, ge=0, description="seed of the noise: the same seed gives the same samples")
    units: str = Field("V", description="units of the samples")
    chunk_size: int = Field(0, ge=0, description="samples per chunk; 0: those of 20 ms")


class SignalGenerator(Source):
    """Sine with white noise, output `out`, float64.

    A sample is a function of its absolute index alone: neither the phase nor the noise depend on how the
    stream is cut into chunks, and the phase is exact after any time.
    """

    settings_type = SignalGeneratorSettings
    settings: SignalGeneratorSettings

    def __init__(self, settings: SignalGeneratorSettings) -> None:
        super().__init__(settings)
        self._pace = Pace(settings.sample_rate)
        self._turns_per_sample = Fraction(settings.frequency) / Fraction(settings.sample_rate)
        self._chunk_size = settings.chunk_size or default_chunk_size(settings.sample_rate)
        self._position = 0
        self._block = (-1, np.empty((0, settings.n_channels)))

    def describe(self) -> Mapping[str, StreamSpec]:
        """One analog signal."""
        s = self.settings
        if s.frequency >= s.sample_rate / 2:
            raise ConfigurationError(
                f"frequency={s.frequency} Hz at sample_rate={s.sample_rate} Hz: wanted less than "
                f"{s.sample_rate / 2} Hz; raise the sample rate"
            )
        shape = (-1, s.n_channels)
        return {"out": StreamSpec.of(np.float64, shape=shape, sample_rate=s.sample_rate, units=s.units)}

    def open(self) -> None:
        """Start from sample 0, now."""
        self._pace.begin(self.clock.now_ns())
        self._position = 0

    def read(self, timeout: float) -> Reading | None:
        """Give the samples that are due."""
        start = self._position
        stop = self._pace.take(self.clock, start, self._chunk_size, timeout)
        if stop == start:
            return None
        self._position = stop
        return Reading(self.samples(start, stop), time_ns=self._pace.time_ns(start))

    def samples(self, start: int, stop: int) -> npt.NDArray[np.float64]:
        """Samples ``[start, stop)``, shape (stop - start, n_channels), in the settings' units. A copy."""
        out = np.empty((stop - start, self.settings.n_channels))
        at = start
        while at < stop:
            number, offset = divmod(at, _BLOCK)
            end = min(stop, (number + 1) * _BLOCK)
            out[at - start : end - start] = self._block_samples(number)[offset : offset + end - at]
            at = end
        return out

    def _block_samples(self, number: int) -> npt.NDArray[np.float64]:
        """Block ``number`` of the signal; the last one is kept, since chunks come in order."""
        if self._block[0] != number:
            s = self.settings
            # Exact to here, however far the index; within the block the rounding is that of one turn.
            first = float(number * _BLOCK * self._turns_per_sample % 1)
            turns = first + np.arange(_BLOCK)[:, np.newaxis] * float(self._turns_per_sample)
            signal = s.amplitude * np.sin(2 * np.pi * (turns + np.arange(s.n_channels) / s.n_channels))
            signal += s.offset
            if s.noise:
                bits = np.random.Philox(key=s.seed % 2**128, counter=number << 128)
                signal += s.noise * np.random.Generator(bits).standard_normal(signal.shape)
            self._block = (number, signal)
        return self._block[1]
