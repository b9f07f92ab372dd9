"""A signal generator: waveforms of exact phase, with noise on request, for each channel its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from pyacq_lab.devices.pacing import Pace, default_chunk_size
from pyacq_lab.devices.waveforms import BLOCK, WAVEFORMS, Group, Shape, Waveform, random_of
from pyacq_lab.model.chunk import Reading
from pyacq_lab.model.roles import Source
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec


class ChannelSettings(Settings):
    """What one channel of a `SignalGenerator` has for itself; None: as all channels."""

    name: str = setting("", description="name of the channel; empty: its number")
    waveform: Waveform | None = setting(None, description="as for all channels")
    frequency: float | None = setting(None, ge=0, unit="Hz", description="as for all channels")
    phase: float | None = setting(None, unit="turns", description="phase at the beginning")
    amplitude: float | None = setting(None, description="as for all channels, in `units`")
    offset: float | None = setting(None, description="as for all channels, in `units`")
    noise: float | None = setting(None, ge=0, description="as for all channels, in `units`")
    duty: float | None = setting(None, gt=0, lt=1, description="as for all channels")
    frequency_end: float | None = setting(None, ge=0, unit="Hz", description="as for all channels")
    period: float | None = setting(None, gt=0, unit="s", description="as for all channels")
    length: float | None = setting(None, gt=0, unit="s", description="as for all channels")
    width: float | None = setting(None, gt=0, unit="s", description="as for all channels")


class SignalGeneratorSettings(Settings):
    """Settings of `SignalGenerator`."""

    sample_rate: float = setting(1000.0, gt=0, unit="Hz", description="sample rate")
    n_channels: int = setting(1, ge=1, description="number of channels; they share a turn in equal parts")
    waveform: Waveform = setting("sine", description="form of the signal")
    frequency: float = setting(
        1.0,
        ge=0,
        unit="Hz",
        description="frequency of the oscillation, below half the sample rate; mean rate of spikes",
    )
    amplitude: float = setting(
        1.0,
        live=True,
        description="peak of the oscillation or spike, standard deviation of the noise, in `units`",
    )
    offset: float = setting(0.0, live=True, description="level around which the signal swings, in `units`")
    noise: float = setting(
        0.0, ge=0, live=True, description="standard deviation of the white noise added, in `units`"
    )
    duty: float = setting(0.5, gt=0, lt=1, description="part of each turn for which a square is up")
    frequency_end: float = setting(
        100.0, ge=0, unit="Hz", description="where a chirp that began at `frequency` ends"
    )
    period: float = setting(1.0, gt=0, unit="s", description="how often a chirp or a burst begins")
    length: float = setting(0.2, gt=0, unit="s", description="how long a burst of oscillation lasts")
    width: float = setting(0.0005, gt=0, unit="s", description="width of a spike's peak at half its height")
    channels: tuple[ChannelSettings, ...] = setting(
        (), description="what each channel has for itself; empty: all `n_channels` are alike"
    )
    seed: int = setting(0, ge=0, description="seed of all that is random: the same gives the same samples")
    units: str = setting("V", description="units of the samples")
    chunk_size: int = setting(0, ge=0, unit="samples", description="length of a chunk; 0: those of 20 ms")

    @model_validator(mode="before")
    @classmethod
    def _count_channels(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("channels") and "n_channels" not in values:
            return {**values, "n_channels": len(values["channels"])}
        return values

    @model_validator(mode="after")
    def _one_for_each(self) -> Self:
        if self.channels and len(self.channels) != self.n_channels:
            raise ValueError(f"channels: {len(self.channels)} of them for n_channels={self.n_channels}")
        return self

    def shapes(self) -> list[Shape]:
        """Waveform of each channel."""
        common = {name: getattr(self, name) for name in Shape.__dataclass_fields__ if name != "phase"}
        own = [c.model_dump(exclude={"name"}, exclude_none=True) for c in self.channels]
        return [
            Shape(**{"phase": i / self.n_channels, **common, **(own[i] if own else {})})
            for i in range(self.n_channels)
        ]


class SignalGenerator(Source):
    """Test signals, output `out`, float64.

    ==========  ======================================================================================
    waveform    what it is
    ==========  ======================================================================================
    `sine`      a sine of `frequency`
    `square`    up for the part `duty` of each turn, else down
    `chirp`     a sine that goes from `frequency` to `frequency_end` in each `period`
    `noise`     white, Gaussian, of standard deviation `amplitude`
    `spikes`    action potentials as seen from outside, at random moments, `frequency` per second
    `bursts`    a sine of `frequency` for `length` seconds in each `period`, else silence
    ==========  ======================================================================================

    A sample is a function of its absolute index, and of the levels in force, alone: neither phase nor noise
    nor spikes depend on how the stream is cut into chunks, and phases are exact after any time.

    Examples
    --------
    >>> generator.configure(sample_rate=1000, channels=[
    ...     {"name": "heart", "frequency": 1.2},
    ...     {"name": "sync", "waveform": "square", "amplitude": 5.0},
    ... ])
    """

    settings_type = SignalGeneratorSettings
    settings: SignalGeneratorSettings

    def __init__(self, settings: SignalGeneratorSettings) -> None:
        super().__init__(settings)
        self._pace = Pace(settings.sample_rate)
        self._chunk_size = settings.chunk_size or default_chunk_size(settings.sample_rate)
        self._position = 0
        self._prepare()

    def describe(self) -> Mapping[str, StreamSpec]:
        """One analog signal."""
        s = self.settings
        for number, shape in enumerate(self._shapes):
            shape.check(s.sample_rate, f"channel {number}: " if s.channels else "")
        names = tuple(c.name or str(i) for i, c in enumerate(s.channels))
        shape = (-1, s.n_channels)
        return {
            "out": StreamSpec.of(
                np.float64, shape=shape, sample_rate=s.sample_rate, units=s.units, channel_names=names
            )
        }

    def change(self, settings: SignalGeneratorSettings) -> None:
        """Take over other levels, from the next sample on; phases and noise go on as they would have."""
        super().change(settings)
        self._prepare()

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
            number, offset = divmod(at, BLOCK)
            end = min(stop, (number + 1) * BLOCK)
            out[at - start : end - start] = self._block_samples(number)[offset : offset + end - at]
            at = end
        return out

    def _prepare(self) -> None:
        s = self.settings
        self._block = (-1, np.empty((0, s.n_channels)))
        self._shapes = shapes = s.shapes()
        self._sigma = np.array([shape.sigma for shape in shapes])
        members = [[i for i, shape in enumerate(shapes) if shape.waveform == kind] for kind in WAVEFORMS]
        self._groups = [
            Group([shapes[i] for i in channels], channels, s.sample_rate, s.seed)
            for channels in members
            if channels
        ]

    def _block_samples(self, number: int) -> npt.NDArray[np.float64]:
        """Block ``number`` of the signal; the last one is kept, since chunks come in order."""
        if self._block[0] != number:
            signal = np.empty((BLOCK, self.settings.n_channels))
            for group in self._groups:
                signal[:, group.columns] = group.block(number)
            if self._sigma.any():
                rng = random_of(self.settings.seed, 0, number)
                signal += self._sigma * rng.standard_normal(signal.shape)
            self._block = (number, signal)
        return self._block[1]
