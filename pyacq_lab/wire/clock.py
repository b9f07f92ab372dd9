"""How far another machine's clock is from ours, from probes that time is an argument of.

The method is LSL's (liblsl, ``time_receiver``; before it Cristian 1989 and the NTP clock filter): send
several probes and trust the one with the shortest round trip, since what made the others longer is
also what made their two ways unequal. The true offset lies within half of that round trip, whatever
the two ways were. Everything below rests on that: an interval that holds the truth, for each probe.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

import msgspec
import numpy as np

from pyacq_lab.errors import ProtocolError
from pyacq_lab.model.clock import ClockOffset

_WINDOW_NS = 250_000_000  # probes closer together than this say nothing of drift: only their best counts
_PROOFS = 3  # probes that must agree on a step: one may have been under way while a machine slept
_WINDOWS_FOR_DRIFT = 5


class Probe(msgspec.Struct, frozen=True):
    """Four readings of one question and its answer, all in ns since 1970 UTC.

    Attributes
    ----------
    asked, answered : int
        When the question left here and when its answer came back, by our clock.
    remote_heard, remote_said : int
        When the question came there and when the answer left, by the other clock.
    """

    asked: int
    remote_heard: int
    remote_said: int
    answered: int

    @property
    def round_trip_ns(self) -> int:
        """Time on the way, both ways together."""
        return (self.answered - self.asked) - (self.remote_said - self.remote_heard)

    @property
    def offset_ns(self) -> int:
        """The other clock minus ours, if both ways took equally long."""
        return ((self.remote_heard - self.asked) + (self.remote_said - self.answered)) // 2


class OffsetEstimator:
    """Offset and drift of one peer's clock, from the probes of the last minutes.

    A probe's bound is half its round trip. It grows with the probe's age, by what is not known of the
    drift: a fresh probe over a slow road can be worth more than an old one over a fast road. The one with
    the smallest bound wins, and is carried on at the fitted drift.

    The drift is the Theil-Sen slope (Theil 1950, Sen 1968: the median of the slopes of all pairs) of the
    best probes of sub-windows. How wrong it can be follows from the intervals: each pair of probes bounds
    the mean drift between them. Where no drift fits all pairs, because it has changed, the oldest probes
    leave the fit until one does.

    A step is what no drift explains: several probes in a row whose intervals are disjoint from what the
    old ones permit. Unequal ways cannot look like that, since each interval holds the truth. The old
    probes are then forgotten.

    Parameters
    ----------
    n_windows : int
        Sub-windows kept.
    drift_ppm : float
        How fast two clocks may drift apart, parts per million. NTP makes clocks run up to 500 ppm wrong
        on purpose, to bring them right without a step.
    wander_ppm : float
        How much the drift may change within the minutes that are kept, as temperature makes it.

    Attributes
    ----------
    n_probes : int
        Probes taken in since the beginning or the last step.
    n_steps : int
        Steps found.
    """

    def __init__(self, n_windows: int = 64, drift_ppm: float = 500.0, wander_ppm: float = 5.0) -> None:
        self.n_probes = 0
        self.n_steps = 0
        self._best: deque[Probe] = deque(maxlen=n_windows)
        self._doubts: list[Probe] = []
        self._window_began = 0
        self._max_drift = drift_ppm * 1e-6
        self._wander = wander_ppm * 1e-6
        self._fit()

    def add(self, probe: Probe) -> int | None:
        """Take note of a probe.

        Returns
        -------
        int or None
            Size of the step that this probe has proved, ns; positive where the other clock jumped ahead
            (or ours back). None where there was none.

        Raises
        ------
        ProtocolError
            An answer came before its question, by either clock: the peer's readings are wrong.
        """
        if probe.round_trip_ns < 0 or probe.remote_said < probe.remote_heard:
            raise ProtocolError(
                f"{probe}: the round trip is {probe.round_trip_ns} ns; wanted the peer's two readings in "
                "order and closer together than ours"
            )
        if self._permits(self._best, probe):
            # One that is so wide that it fits both before and after a step says nothing about it.
            if not (self._doubts and self._permits(self._doubts, probe)):
                self._doubts.clear()
                self._take([probe])
            return None
        if not self._permits(self._doubts, probe):
            self._doubts.clear()
        self._doubts.append(probe)
        return self._step() if len(self._doubts) >= _PROOFS else None

    def estimate(self, now_ns: int) -> ClockOffset | None:
        """Best knowledge at ``now_ns`` (our clock); None before the first probe."""
        if not self._trusted:
            return None
        best = min(self._trusted, key=lambda probe: self._bound(probe, now_ns))
        return ClockOffset(
            offset_ns=best.offset_ns + round(self._drift * _age(best, now_ns)),
            uncertainty_ns=self._bound(best, now_ns),
            drift_ppm=self._drift * 1e6 if len(self._trusted) >= _WINDOWS_FOR_DRIFT else None,
            n_probes=self.n_probes,
            n_steps=self.n_steps,
        )

    def _bound(self, probe: Probe, now_ns: int) -> int:
        return self._half(probe) + math.ceil(_age(probe, now_ns) * self._drift_error)

    def _half(self, probe: Probe) -> int:
        # The peer read its clock at some instant of the round trip: the clocks drift meanwhile, too.
        # +1: halving an odd round trip rounds down.
        return probe.round_trip_ns // 2 + 1 + int(probe.round_trip_ns * self._max_drift)

    def _permits(self, old: Iterable[Probe], new: Probe) -> bool:
        """Whether the clock can have come from each of ``old`` to ``new`` without a step."""
        for probe in old:
            allowed = self._half(probe) + self._half(new) + _age(probe, new.answered) * self._max_drift
            if abs(new.offset_ns - probe.offset_ns) > allowed:
                return False
        return True

    def _step(self) -> int:
        first = self._doubts[0]
        before = self.estimate(first.answered)
        doubts, self._doubts = self._doubts, []
        self._best.clear()
        self.n_probes = 0
        self.n_steps += 1
        self._take(doubts)
        after = self.estimate(first.answered)
        return after.offset_ns - before.offset_ns if before and after else 0

    def _take(self, probes: Iterable[Probe]) -> None:
        for probe in probes:
            self.n_probes += 1
            if self._best and probe.answered - self._window_began < _WINDOW_NS:
                if self._half(probe) <= self._half(self._best[-1]):
                    self._best[-1] = probe
            else:
                self._window_began = probe.answered
                self._best.append(probe)
        self._fit()

    def _fit(self) -> None:
        """Fit the drift, and find the probes that it rests on and how wrong it can be."""
        self._drift, self._drift_error = 0.0, self._max_drift
        self._trusted = list(self._best)
        n = len(self._trusted)
        if n < 2:
            return
        last = self._trusted[-1]
        times = np.array([probe.answered - last.answered for probe in self._trusted], dtype=np.float64)
        offsets = np.array([probe.offset_ns - last.offset_ns for probe in self._trusted], dtype=np.float64)
        halves = np.array([self._half(probe) for probe in self._trusted], dtype=np.float64)
        first, second = np.triu_indices(n, 1)
        # Two windows can end up with probes of one instant only where our clock stands still.
        apart = np.maximum(times[second] - times[first], 1.0)
        slopes = (offsets[second] - offsets[first]) / apart
        errors = (halves[first] + halves[second]) / apart + self._wander
        low, high = np.full(n, -self._max_drift), np.full(n, self._max_drift)
        np.maximum.at(low, first, slopes - errors)
        np.minimum.at(high, first, slopes + errors)
        # What the drift can be, if all probes from the i-th on are believed.
        low = np.maximum.accumulate(low[::-1])[::-1]
        high = np.minimum.accumulate(high[::-1])[::-1]
        start = n - int(np.count_nonzero(low <= high))
        self._trusted = self._trusted[start:]
        if len(self._trusted) < 2:
            return
        lowest, highest = float(low[start]), float(high[start])
        slope = float(np.median(slopes[first >= start]))
        self._drift = min(max(slope, lowest), highest)
        self._drift_error = max(highest - self._drift, self._drift - lowest)


def _age(probe: Probe, now_ns: int) -> int:
    return max(0, now_ns - probe.answered)
