"""When each sample of a stream was taken, from time stamps that jitter."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pyacq_lab.model.chunk import Chunk
from pyacq_lab.processing.spans import NS_PER_S

Times = npt.NDArray[np.int64]
"""Times, ns since 1970 UTC."""

SETTLE = 10.0
"""Seconds over which the times of samples follow a steady deviation of the stamps."""

_ROUNDING_NS = 2


class TimeBase:
    """Times of samples by their absolute index, evenly spaced while the stamps allow it.

    The stamp of a chunk is often that of the moment at which a driver gave it, some milliseconds early or
    late. Samples are placed at the nominal rate after a first stamp, and this place follows the later stamps
    slowly: their jitter is averaged, and the drift of a device's clock is followed. A stamp that is off by
    more than ``jitter_ns`` is no jitter: times start from it anew.

    Parameters
    ----------
    sample_rate : float
        Nominal rate, Hz.
    jitter_ns : int
        How far stamps may be off, ns.
    delay_ns : int
        Delay since acquisition, ns: taken off all times.
    """

    def __init__(self, sample_rate: float, jitter_ns: int, delay_ns: int = 0) -> None:
        self.period_ns = NS_PER_S / sample_rate
        self._jitter_ns = max(jitter_ns, _ROUNDING_NS)
        self._delay_ns = delay_ns
        self.reset()

    def reset(self) -> None:
        """Forget all stamps, as at a new epoch."""
        self._anchor: tuple[int, int] | None = None  # an index and its time

    def follow(self, chunk: Chunk) -> Times:
        """Take note of a chunk's stamp; returns the times of its samples, shape (n_samples,)."""
        stamp = chunk.time_ns - self._delay_ns
        if self._anchor is None:
            self._anchor = chunk.start, stamp
        index, anchored = self._anchor
        error = stamp - self.time_of(chunk.start)
        if abs(error) > self._jitter_ns:
            self._anchor = chunk.start, stamp
        elif abs(error) > _ROUNDING_NS:
            share = min(1.0, len(chunk) * self.period_ns / (SETTLE * NS_PER_S))
            self._anchor = index, anchored + round(error * share)
        first, at = self._anchor
        steps = np.arange(chunk.start - first, chunk.stop - first) * self.period_ns
        return np.rint(steps).astype(np.int64) + at

    def time_of(self, index: int) -> int:
        """Time of a sample that came, or will come, ns; nothing is known before the first stamp."""
        if self._anchor is None:
            raise ValueError("no stamp has come yet")
        first, at = self._anchor
        return at + round((index - first) * self.period_ns)

    @property
    def is_known(self) -> bool:
        """Whether a stamp has come."""
        return self._anchor is not None
