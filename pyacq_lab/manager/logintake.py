"""Where records wait for the log server's thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pyacq_lab.model.logs import LogRecord
from pyacq_lab.wire.logcodec import LogOrigin, hole

ENOUGH = 100_000
"""Records that wait, beyond which whoever can keep more elsewhere is asked to wait with it."""

MOST = 300_000
"""Records that wait at most: of what does not wait elsewhere the oldest go, and are counted."""


class Taken(NamedTuple):
    """Records, each list of one source, holes first; whether it was full; who is to be called now."""

    runs: list[Sequence[LogRecord]]
    full: bool
    waiting: list[Callable[[], None]]


class LogIntake:
    """Records on their way to the one thread that sorts them. Safe from any thread; nobody waits here.

    Processes and hosts keep what was not acknowledged, or not asked for: while there is enough here, nobody
    acknowledges or asks. So a thread that is slow, or hangs in a view, costs nothing of what they said. What
    comes all the same is bounded: where the oldest records have to go, a hole stands for them. It is
    told even where nothing comes after them.

    Parameters
    ----------
    enough, most : int
        See `ENOUGH` and `MOST`.
    """

    def __init__(self, enough: int = ENOUGH, most: int = MOST) -> None:
        self._enough, self._most = enough, most
        # Re-entrant, because garbage collection inside the locked lines may run code that logs.
        self._lock = threading.RLock()
        self._runs: deque[Sequence[LogRecord]] = deque()  # each of one source
        self._n = 0
        self._holes: dict[LogOrigin, LogRecord] = {}
        self._waiting: list[Callable[[], None]] = []

    def __bool__(self) -> bool:
        return bool(self._runs)

    @property
    def full(self) -> bool:
        """Whether there is enough for now."""
        return self._n > self._enough

    def put(self, records: Sequence[LogRecord]) -> None:
        """Take in records of one source, in the order of their numbers."""
        with self._lock:
            self._runs.append(records)
            self._n += len(records)
            while self._n > self._most and len(self._runs) > 1:
                self._drop(self._runs.popleft())

    def when_free(self, function: Callable[[], None]) -> None:
        """Have ``function`` given out by the next `take`, or call it now where there is room."""
        with self._lock:
            if self.full:
                self._waiting.append(function)
                return
        function()

    def take(self) -> Taken:
        """Take out all that waits: there is room again."""
        with self._lock:
            holes: list[Sequence[LogRecord]] = [[gone] for gone in self._holes.values()]
            taken = Taken(holes + list(self._runs), self.full, self._waiting)
            self._runs, self._n, self._holes, self._waiting = deque(), 0, {}, []
        return taken

    def _drop(self, records: Sequence[LogRecord]) -> None:
        self._n -= len(records)
        first, last = records[0], records[-1]
        origin = LogOrigin(host=last.host, process=last.process, pid=last.pid, channel=last.channel)
        start, stop, time_ns = first.seq, last.seq + (last.lost or 1), max(r.time_ns for r in records)
        before = self._holes.get(origin)
        if before is not None:
            start, stop = min(start, before.seq), max(stop, before.seq + before.lost)
            time_ns = max(time_ns, before.time_ns)
        self._holes[origin] = hole(start, origin, stop - start, time_ns)
