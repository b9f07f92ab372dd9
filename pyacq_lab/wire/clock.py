"""How far another machine's clock is from ours, from probes that time is an argument of.

The method is LSL's (liblsl, ``time_receiver``; before it Cristian 1989 and the NTP clock filter): send
several probes and trust the one with the shortest round trip, since what made the others longer is
also what made their two ways unequal. The true offset lies within half of that round trip, whatever
the two ways were.
"""

from __future__ import annotations

from collections import deque

import msgspec

from pyacq_lab.errors import ProtocolError


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


class ClockOffset(msgspec.Struct, frozen=True):
    """What is known of another clock.

    Attributes
    ----------
    offset_ns : int
        The other clock minus ours.
    uncertainty_ns : int
        The true offset lies within this of `offset_ns`.
    """

    offset_ns: int = 0
    uncertainty_ns: int = -1

    def to_local(self, remote_ns: int) -> int:
        """Time by our clock at which the other one showed ``remote_ns``."""
        return remote_ns - self.offset_ns


class OffsetEstimator:
    """Offset of one peer's clock from a sliding window of probes.

    A probe's bound is half its round trip, and it grows with the probe's age, because two quartz clocks
    drift apart: a fresh probe over a slow road can be worth more than an old one over a fast road.
    The one with the smallest bound wins.

    Parameters
    ----------
    n_probes : int
        Probes kept.
    drift_ppm : float
        How fast two clocks may drift apart, parts per million.
    """

    def __init__(self, n_probes: int = 64, drift_ppm: float = 50.0) -> None:
        self._probes: deque[Probe] = deque(maxlen=n_probes)
        self._drift_ppb = round(drift_ppm * 1000)

    def add(self, probe: Probe) -> None:
        """Take note of a probe.

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
        self._probes.append(probe)

    def estimate(self, now_ns: int) -> ClockOffset | None:
        """Best knowledge at ``now_ns`` (our clock); None before the first probe."""
        if not self._probes:
            return None
        best = min(self._probes, key=lambda probe: self._bound(probe, now_ns))
        return ClockOffset(best.offset_ns, self._bound(best, now_ns))

    def _bound(self, probe: Probe, now_ns: int) -> int:
        age_ns = max(0, now_ns - probe.answered)
        # +1: halving an odd round trip rounds down.
        return probe.round_trip_ns // 2 + 1 + age_ns * self._drift_ppb // 10**9
