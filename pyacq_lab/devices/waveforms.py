"""Shapes of test signals, as functions of a sample's absolute index alone."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ConfigurationError

Waveform = Literal["sine", "square", "chirp", "noise", "spikes", "bursts"]

WAVEFORMS: tuple[Waveform, ...] = get_args(Waveform)

BLOCK = 1024
"""Samples that are made at once; randomness is drawn anew for each block, from its number."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One channel's waveform.

    Attributes
    ----------
    waveform : str
        One of `WAVEFORMS`.
    frequency : float
        Of the oscillation, Hz; mean rate of spikes.
    phase : float
        Of the oscillation at its beginning, turns.
    amplitude : float
        Peak; standard deviation of ``noise``; height of the (negative) peak of ``spikes``.
    offset : float
        Added to all.
    noise : float
        Standard deviation of white noise added to all.
    duty : float
        Part of each turn for which ``square`` is up.
    frequency_end : float
        Where a ``chirp`` ends, Hz.
    period : float
        How often a chirp or a burst begins, s.
    length : float
        How long a burst lasts, s.
    width : float
        Length of a spike's negative peak, s.
    """

    waveform: Waveform
    frequency: float
    phase: float
    amplitude: float
    offset: float
    noise: float
    duty: float
    frequency_end: float
    period: float
    length: float
    width: float

    def check(self, sample_rate: float, where: str) -> None:
        """Raise ConfigurationError where the sample rate cannot carry it."""
        oscillates = {"frequency": self.waveform not in ("noise", "spikes")}
        oscillates["frequency_end"] = self.waveform == "chirp"
        for name, counts in oscillates.items():
            value: float = getattr(self, name)
            if counts and value >= sample_rate / 2:
                raise ConfigurationError(
                    f"{where}{name}={value} Hz at sample_rate={sample_rate} Hz: wanted less than "
                    f"{sample_rate / 2} Hz; raise the sample rate"
                )
        if self.waveform == "spikes" and self.width * sample_rate < 2:
            raise ConfigurationError(
                f"{where}width={self.width} s at sample_rate={sample_rate} Hz: wanted at least two samples "
                f"({2 / sample_rate} s) to show a spike"
            )
        if self.waveform == "bursts" and self.length > self.period:
            raise ConfigurationError(
                f"{where}length={self.length} s of bursts that begin every period={self.period} s: "
                "wanted less than the period"
            )

    @property
    def sigma(self) -> float:
        """Standard deviation of all its white noise."""
        return float(np.hypot(self.noise, self.amplitude if self.waveform == "noise" else 0.0))


class Group:
    """Channels of the same waveform, which are computed together.

    Parameters
    ----------
    shapes : list of Shape
        One for each channel, all of the same waveform.
    channels : list of int
        Their columns.
    sample_rate : float
        Hz.
    seed : int
        Of what is random.
    """

    def __init__(self, shapes: list[Shape], channels: list[int], sample_rate: float, seed: int) -> None:
        self.columns = np.array(channels)
        self._shapes = shapes
        self._rate = Fraction(sample_rate)
        self._seed = seed
        self._make = getattr(self, f"_{shapes[0].waveform}")
        self._turns = [Fraction(s.frequency) / self._rate for s in shapes]
        self._periods = [1 / (Fraction(s.period) * self._rate) for s in shapes]

    def block(self, number: int) -> Array:
        """Samples ``[number * BLOCK, (number + 1) * BLOCK)``, shape (BLOCK, n_channels), without noise."""
        made: Array = self._make(number)
        return made * self._of("amplitude") + self._of("offset")

    def _sine(self, number: int) -> Array:
        return np.sin(2 * np.pi * self._phase(number))

    def _square(self, number: int) -> Array:
        return np.where(_in_turn(self._phase(number)) < self._of("duty"), 1.0, -1.0)

    def _chirp(self, number: int) -> Array:
        seconds = _in_turn(_turns(self._periods, number)) * self._of("period")
        slope = (self._of("frequency_end") - self._of("frequency")) / self._of("period")
        turns = (self._of("frequency") + slope * seconds / 2) * seconds
        return np.sin(2 * np.pi * (turns + self._of("phase")))

    def _bursts(self, number: int) -> Array:
        is_on = _in_turn(_turns(self._periods, number)) < np.round(self._of("length") / self._of("period"), 9)
        return np.where(is_on, self._sine(number), 0.0)

    def _noise(self, number: int) -> Array:
        return np.zeros((BLOCK, len(self._shapes)))  # what it consists of is added to all, see `Shape.sigma`

    def _spikes(self, number: int) -> Array:
        """Spikes that begin at random, independent moments: those of this block and of earlier ones."""
        out = np.zeros((BLOCK, len(self._shapes)))
        for at, shape in enumerate(self._shapes):
            template = spike(shape.width, float(self._rate))
            reach = -(-len(template) // BLOCK)
            line = np.zeros((reach + 1) * BLOCK + len(template))
            for back in range(min(reach, number) + 1):
                rng = random_of(self._seed, 1 + int(self.columns[at]), number - back)
                count = rng.poisson(shape.frequency * BLOCK / float(self._rate))
                for begin in rng.integers(0, BLOCK, count) + (reach - back) * BLOCK:
                    line[begin : begin + len(template)] += template
            out[:, at] = line[reach * BLOCK : (reach + 1) * BLOCK]
        return out

    def _phase(self, number: int) -> Array:
        return _turns(self._turns, number) + self._of("phase")

    def _of(self, name: str) -> Array:
        return np.array([getattr(shape, name) for shape in self._shapes])


def spike(width: float, sample_rate: float) -> Array:
    """Shape of an extracellular spike: a negative peak of height 1 and a slower positive one.

    Two Gaussians, as the first and second phase of an action potential seen from outside; ``width`` (s) is
    that of the negative peak at half its height.
    """
    sigma = width / 2.355  # of a Gaussian, from its width at half height
    times = np.arange(-4 * sigma, 12 * sigma, 1 / sample_rate)
    shape = -np.exp(-0.5 * (times / sigma) ** 2) + 0.35 * np.exp(
        -0.5 * ((times - 4 * sigma) / (2 * sigma)) ** 2
    )
    peak = float(-shape.min())
    return shape / peak


def random_of(seed: int, purpose: int, number: int) -> np.random.Generator:
    """Random numbers of one block for one purpose: the same whenever they are asked for."""
    return np.random.Generator(np.random.Philox(key=[seed % 2**64, purpose], counter=number << 128))


def _turns(per_sample: list[Fraction], number: int) -> Array:
    """Turns at the samples of a block, shape (BLOCK, n_channels).

    Exact to the block's beginning, however far the index; within it the rounding is that of one turn.
    """
    first = np.array([float(number * BLOCK * step % 1) for step in per_sample])
    within: Array = np.arange(BLOCK, dtype=np.float64)[:, np.newaxis]
    return first + within * np.array([float(step) for step in per_sample])


def _in_turn(turns: Array) -> Array:
    """Parts of a turn, in [0, 1), with edges where they belong: rounding has none a sample too late."""
    parts: Array = np.round(turns % 1.0, 9)
    return np.mod(parts, 1.0)
