"""When samples are due: the arithmetic of sources that are paced by a clock."""

from __future__ import annotations

from fractions import Fraction

from pyacq_lab.model.roles import Clock

NS_PER_S = 1_000_000_000

MAX_CATCH_UP = 16
"""Chunks that one read gives at most after a late wake-up, so that memory stays bounded."""


class Pace:
    """Sample indices against time, without drift.

    Sample ``k`` is acquired ``k / sample_rate`` after the origin and is complete one period later.
    All times come from the origin in exact integer arithmetic: errors do not add up, however long the
    source runs and whatever the rate.

    Parameters
    ----------
    sample_rate : float
        Hz.
    """

    def __init__(self, sample_rate: float) -> None:
        rate = Fraction(sample_rate)
        self._num = rate.numerator
        self._den = rate.denominator * NS_PER_S
        self._origin = 0

    def begin(self, now_ns: int) -> None:
        """Put sample 0 at this time."""
        self._origin = now_ns

    def time_ns(self, index: int) -> int:
        """Time of sample ``index``, ns; the samples before it are complete then."""
        return self._origin - (-index * self._den // self._num)

    def due(self, now_ns: int) -> int:
        """Number of samples that are complete at this time."""
        return max(0, (now_ns - self._origin) * self._num // self._den)

    def wait(self, clock: Clock, stop: int, timeout: float) -> int:
        """Wait until the samples before ``stop`` are complete, ``timeout`` seconds at most.

        Returns
        -------
        int
            Number of samples that are complete now: fewer than ``stop`` where the time was too short,
            more where the clock woke us late.
        """
        now = clock.now_ns()
        left = min(self.time_ns(stop) - now, round(timeout * NS_PER_S))
        if left > 0:
            clock.sleep(left / NS_PER_S)
            now = clock.now_ns()
        return self.due(now)

    def take(self, clock: Clock, start: int, chunk_size: int, timeout: float, end: int | None = None) -> int:
        """Wait for the next chunk, and say where the samples to give now end.

        Whole chunks are given, several after a late wake-up, so that nothing is lost; the last one before
        ``end`` is as long as it comes. Equal to ``start`` where no chunk is due within ``timeout``.
        """
        first = start + chunk_size
        if end is not None:
            first = min(first, end)
        due = self.wait(clock, first, timeout)
        if due < first:
            return start
        stop = start + min((due - start) // chunk_size, MAX_CATCH_UP) * chunk_size
        if end is None:
            return stop
        is_tail_due = due >= end and end - stop < chunk_size
        return end if is_tail_due else min(stop, end)


def default_chunk_size(sample_rate: float) -> int:
    """Samples of 20 ms, at least one: smooth to the eye, and a light load at any rate."""
    return max(1, round(sample_rate * 0.02))
