"""When a viewer may send a frame: often enough to be smooth, never more than the page can take.

The page acknowledges twice a second the newest frame it has painted. A viewer that is about a second ahead
of the acknowledgement waits: nothing queues anywhere. Acknowledgements can also be late because the page's
messages wait for a busy kernel (front ends without subshells); then a trickle goes on for a while.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

AHEAD = 1.5
"""Seconds of frames that may be on their way: one, and the half that acknowledgements lag."""

TRICKLE_INTERVAL = 0.25
"""Seconds between frames while acknowledgements are late."""

TRICKLE_FOR = 60.0
"""Seconds without a word from a page after which it is taken for gone."""


@dataclass(slots=True)
class _Page:
    """What is known of one view of the plot."""

    heard: float
    visible: bool = True
    acked: int = 0


class Pacer:
    """Flow control towards the views of one plot. Time is an argument; not thread-safe.

    Parameters
    ----------
    fps : float
        Frames per second wanted.
    """

    def __init__(self, fps: float) -> None:
        self.interval = 1.0 / fps
        self._window = max(4, round(fps * AHEAD))
        self._pages: dict[str, _Page] = {}
        self._sent = 0
        self._last = float("-inf")

    @property
    def sent(self) -> int:
        """Number of the newest frame; 0 before the first."""
        return self._sent

    @property
    def watched(self) -> bool:
        """Whether a view is known now."""
        return bool(self._pages)

    def hello(self, view: str, now: float) -> None:
        """A view has appeared: it has everything that was sent so far, or will be sent it anew."""
        self._pages[view] = _Page(heard=now, acked=self._sent)

    def acknowledge(self, view: str, frame: int, now: float) -> None:
        """A view has painted a frame."""
        page = self._pages.setdefault(view, _Page(heard=now))
        page.heard, page.acked = now, max(page.acked, min(frame, self._sent))

    def show(self, view: str, visible: bool, now: float) -> None:
        """A view has come into sight or gone out of it."""
        page = self._pages.setdefault(view, _Page(heard=now))
        # Frames sent before it was hidden may never have been painted: they are not on their way any more.
        page.heard, page.visible, page.acked = now, visible, self._sent

    def goodbye(self, view: str) -> None:
        """A view is gone."""
        self._pages.pop(view, None)

    def may_send(self, now: float) -> bool:
        """Whether a frame may go out now."""
        pages = [p for p in self._pages.values() if p.visible and now - p.heard < TRICKLE_FOR]
        if not pages:
            return False
        late = self._sent - min(p.acked for p in pages) >= self._window
        # A timer never wakes exactly on time: half an interval of slack keeps the mean rate.
        return now - self._last >= (TRICKLE_INTERVAL if late else 0.5 * self.interval)

    def next_frame(self, now: float) -> int:
        """Number of the frame that is sent now, from 1."""
        self._last = now
        self._sent += 1
        return self._sent


class ByteBudget:
    """Bytes per second that several viewers share. Time is an argument; safe from any thread.

    Whoever wants to send may, unless what was sent before is still to be paid for: a frame may be of any
    size, and a large one is followed by as long a silence as it costs.

    Parameters
    ----------
    rate : float
        Bytes per second.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._paid_at = float("-inf")

    def may_spend(self, now: float) -> bool:
        """Whether all that was sent is paid for."""
        with self._lock:
            return now >= self._paid_at

    def spend(self, n: int, now: float) -> None:
        """Note that ``n`` bytes are sent now."""
        with self._lock:
            self._paid_at = max(self._paid_at, now) + n / self._rate
