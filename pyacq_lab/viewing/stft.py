"""Power spectra of a stream, one after the other: what waterfalls and spectra are drawn from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft, signal

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.viewing.bins import Floats
from pyacq_lab.viewing.samples import SampleHistory

_BAND = re.compile(r"(.*) ([0-9.eE+-]+) Hz")


@dataclass(frozen=True, slots=True)
class Bands:
    """A stream that has a column for each channel and frequency, channel by channel.

    Attributes
    ----------
    channels : tuple of str
        Names.
    frequencies : tuple of float
        Hz, the same for all channels.
    """

    channels: tuple[str, ...]
    frequencies: tuple[float, ...]

    @classmethod
    def of(cls, spec: StreamSpec) -> Bands | None:
        """Read from its channels' names, such as ``"C3 10 Hz"``, whether a stream is one; None where not."""
        found = [_BAND.fullmatch(name) for name in spec.channel_names]
        pairs = [(m[1], float(m[2])) for m in found if m]
        if not pairs or len(pairs) != len(found):
            return None
        frequencies = tuple(frequency for name, frequency in pairs if name == pairs[0][0])
        channels = tuple(name for name, _ in pairs[:: len(frequencies)])
        whole = [(name, frequency) for name in channels for frequency in frequencies]
        return cls(channels, frequencies) if len(frequencies) > 1 and whole == pairs else None


class PowerTrack:
    """Power of some channels by time and frequency, as a stream's samples come.

    A signal is cut into segments with a Hann window; result ``k`` is the mean power density of the segments
    that end in samples ``[k * hop, (k + 1) * hop)`` of the display axis. A stream of `Bands` is taken as it
    is: its samples are the results. Results that samples are missing for are NaN.

    Parameters
    ----------
    spec : StreamSpec
        Of the stream.
    channels : list of int
        Numbers of its channels.
    segment : float
        Length of a segment, s.
    hop : float
        From one result to the next, s.

    Attributes
    ----------
    frequencies : ndarray, shape (n_frequencies,)
        Hz.
    rate : float
        Results per second.
    units : str
        Of the power.
    """

    def __init__(self, spec: StreamSpec, channels: list[int], segment: float, hop: float) -> None:
        self.bands = Bands.of(spec)
        self._n_channels = len(channels)
        self._done = 0
        rate = spec.sample_rate
        if self.bands is not None:
            self.frequencies = np.array(self.bands.frequencies)
            n = len(self.frequencies)
            columns = [c * n + i for c in channels for i in range(n)]
            self._segment = self._hop = self._inner = 1
            self.rate, self.units = rate, spec.units
        else:
            columns = channels
            self._segment = max(8, round(segment * rate))
            self._hop = max(1, round(hop * rate))
            # Segments overlap by half at least, so that nothing falls between two of them.
            n_inner = -(-self._hop // max(1, self._segment // 2))
            self._inner = -(-self._hop // n_inner)
            self._hop = self._inner * n_inner
            self.frequencies = np.fft.rfftfreq(self._segment, 1 / rate)
            self.rate = rate / self._hop
            unit = f"({spec.units})²" if spec.units else "1"
            self.units = f"{unit}/Hz"
            window: Any = signal.get_window("hann", self._segment)
            self._window = window[:, np.newaxis]
            self._density = 2.0 / (rate * float((window**2).sum()))
        self._history = SampleHistory(spec, self._segment + max(4 * self._hop, round(4 * rate)), columns)

    @property
    def stop(self) -> int:
        """Number of results so far."""
        return self._done

    @property
    def newest_ns(self) -> int:
        """Time of the newest sample, ns since 1970 UTC; 0 where unknown."""
        return self._history.newest_ns

    def add(self, item: Chunk | Gap) -> tuple[int, Floats]:
        """Take the next chunk or gap; give the results that are now complete.

        Returns
        -------
        start : int
            Number of the first.
        power : ndarray, shape (n_results, n_channels, n_frequencies)
        """
        pieces: list[Floats] = []
        first = None
        for part in self._in_parts(item):
            self._history.add(part)
            start, power = self._results()
            first = start if first is None else first
            if first + sum(map(len, pieces)) != start:  # a gap longer than what is kept
                first, pieces = start, []
            pieces.append(power)
        if first is None:
            return self._done, self._empty(0)
        return first, np.concatenate(pieces)

    def _in_parts(self, item: Chunk | Gap) -> list[Chunk | Gap]:
        """A chunk in pieces that the history holds as a whole."""
        most = self._history.size - self._segment - self._hop
        if isinstance(item, Gap) or len(item) <= most:
            return [item]
        period = 1e9 / self._history.spec.sample_rate
        return [
            Chunk(
                item.start + at,
                item.data[at : at + most],
                item.time_ns and item.time_ns + round(at * period),
                epoch=item.epoch,
            )
            for at in range(0, len(item), most)
        ]

    def _results(self) -> tuple[int, Floats]:
        """Results that the history has samples for, and that were not given yet."""
        history = self._history
        stop = history.stop // self._hop
        oldest = -(-max(0, history.start - 1) // self._hop)
        start = max(self._done, oldest if history.start else 0)
        self._done = stop
        if stop <= start:
            return stop, self._empty(0)
        if self.bands is not None:
            return start, history.read(start, stop).reshape(stop - start, self._n_channels, -1)
        begin = max(history.start, start * self._hop + self._inner - self._segment)
        data = history.read(begin, stop * self._hop)
        out = self._empty(stop - start)
        for k in range(start, stop):
            ends = range(k * self._hop + self._inner, (k + 1) * self._hop + 1, self._inner)
            powers = [self._spectrum(data[end - self._segment - begin : end - begin]) for end in ends
                      if end - self._segment >= begin]  # fmt: skip
            if len(powers) == len(ends):
                out[k - start] = np.mean(powers, axis=0)
        return start, out

    def _spectrum(self, data: Floats) -> Floats:
        spectrum: Any = fft.rfft((data - data.mean(axis=0)) * self._window, axis=0)
        power = (spectrum.real**2 + spectrum.imag**2) * self._density
        power[0] /= 2
        if not self._segment % 2:
            power[-1] /= 2
        return power.T

    def _empty(self, n: int) -> npt.NDArray[np.float64]:
        return np.full((n, self._n_channels, len(self.frequencies)), np.nan)


def decibels(power: Floats) -> Floats:
    """Ten times the logarithm; NaN stays, and nothing at all is far below everything."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return 10 * np.log10(np.maximum(power, 1e-30))
