"""The host's clock."""

from __future__ import annotations

import threading
import time


def measure_anchor_ns(n_readings: int = 16) -> int:
    """UTC minus the monotonic clock, ns: the tightest of several readings.

    A wall-clock reading is bracketed by two monotonic ones; where the thread was put to sleep between
    them the bracket is wide, so the narrowest one wins.
    """
    best_width, anchor = 0, 0
    for i in range(n_readings):
        before = time.monotonic_ns()
        wall = time.time_ns()
        width = time.monotonic_ns() - before
        if i == 0 or width < best_width:
            best_width, anchor = width, wall - (before + width // 2)
    return anchor


_ANCHOR_NS = measure_anchor_ns()


class SystemClock:
    """UTC that never steps back: anchored once, then carried by the monotonic clock.

    Operating systems step the wall clock (NTP at boot, a user, a time zone mended by hand); samples and
    log records must not go back in time with it. All clocks of a process share one anchor, and so do
    the processes that are forked from it.

    Parameters
    ----------
    anchor_ns : int, optional
        UTC minus the monotonic clock, ns. A host hands its own to the processes it starts, so that all
        of them tell the same time: the monotonic clock is one per machine.
    """

    def __init__(self, anchor_ns: int | None = None) -> None:
        self.anchor_ns = _ANCHOR_NS if anchor_ns is None else anchor_ns
        self._awake = threading.Event()

    def now_ns(self) -> int:
        """Now, ns since 1970 UTC; never steps back. Safe from any thread."""
        return self.anchor_ns + time.monotonic_ns()

    def sleep(self, seconds: float) -> None:
        """Wait; return at once when, or if already, `wake` was called."""
        self._awake.wait(max(0.0, seconds))

    def wake(self) -> None:
        """End the present sleep and all that follow until `rearm`. Safe from any thread."""
        self._awake.set()

    def rearm(self) -> None:
        """Let sleeps last again. Called before a node starts."""
        self._awake.clear()
