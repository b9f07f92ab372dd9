"""How far one reader has come in a ring, and what it is owed: the ring buffer is the queue.

No reader has a queue of its own. Each has a cursor into the log of the chunks that the ring still holds;
a slow one falls behind, and where the ring (or its policy) moves on without it, it is told what it lost.
The producer moves the cursors of readers on other machines, and sends what they are owed; a reader on the
same machine moves its own.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from pyacq_lab.transport.streamring import Entry, StreamRing
from pyacq_lab.wire.streaming import DROPPED, Lost, Policy, Tip


@dataclass(slots=True, eq=False)
class Cursor:
    """How far one reader has come.

    Attributes
    ----------
    policy : {'lossless', 'drop-oldest', 'latest'}
        What happens when it is slow.
    origin : int
        Position (samples written before) at which it subscribed.
    position, serial : int
        Position of the next sample it is owed, and number of its entry.
    epoch, next : int
        Absolute index of that sample.
    sent : int
        Samples given or told lost since it subscribed.
    """

    policy: Policy
    origin: int
    position: int
    serial: int
    epoch: int
    next: int
    sent: int = 0
    _ready: deque[Entry | Lost] = field(default_factory=lambda: deque[Entry | Lost]())

    @classmethod
    def newest(cls, ring: StreamRing, policy: Policy, backfill: float = 0.0) -> Cursor:
        """Begin with what is written from now on, after ``backfill`` seconds of the past in whole chunks."""
        serial, position, epoch, index = ring.serial, ring.position, ring.epoch, ring.stop
        wanted = round(min(backfill * ring.spec.sample_rate, ring.size))
        if wanted > 0 and serial > ring.first:
            begin = max(ring.newest_before(position - wanted), ring.begin_of(ring.epoch))
            entry = ring.entry(begin) if begin < serial else None
            if entry is not None:
                serial, position, index = begin, entry.position, entry.start
        return cls(policy, position, position, serial, epoch, index)

    @classmethod
    def resumed(cls, ring: StreamRing, policy: Policy, epoch: int, start: int, position: int) -> Cursor:
        """Go on for a reader that comes back and has everything before index ``start`` of an epoch.

        ``position`` samples were written before that; -1: the reader does not know. What the ring has lost
        since counts as offered: the reader will be told.
        """
        position = ring.position_at(epoch, start) if position < 0 else min(position, ring.position)
        return cls(policy, position, position, ring.reaching(epoch, start), epoch, start)

    def tip(self, position: int, running: bool, token: int = 0) -> Tip:
        """Describe how far the producer has come, as this reader counts."""
        return Tip(max(0, position - self.origin), running, token)

    @property
    def n_ready(self) -> int:
        """Entries and losses that it has noted and not given yet."""
        return len(self._ready)

    def backlog(self, ring: StreamRing) -> int:
        """Samples written that the reader was not given yet."""
        serial = max(self.serial, ring.first)
        return ring.position - ring.position_of(serial) if serial < ring.serial else 0

    def take(self, ring: StreamRing, most_backlog: int, most: int = 0) -> Entry | Lost | None:
        """Give what is next for a reader, in order, and move past it; None where there is nothing yet.

        Parameters
        ----------
        ring : StreamRing
            Where it reads.
        most_backlog : int
            Samples by which it may fall behind before the oldest are dropped, unless it is lossless.
        most : int
            Samples up to which entries that lie side by side are given as one.
        """
        if self._ready:
            return self._next_ready(ring, most)
        if self.policy != "lossless":
            self._drop(ring, most_backlog)
        while True:
            serial = max(self.serial, ring.first)
            if serial >= ring.serial:
                return None
            entry = ring.entry(serial)
            if entry is None:
                continue  # overwritten just now
            self.serial = serial + 1
            if entry.position != self.position or entry.start != self.next or entry.epoch != self.epoch:
                self._catch_up(ring, entry)
                if self._ready:
                    return self._next_ready(ring, most)
            elif entry.count:
                self.position += entry.count
                self.next += entry.count
                return self._given(ring, entry, most)

    def _drop(self, ring: StreamRing, most_backlog: int) -> None:
        """Move past what is older than the reader's policy allows."""
        if self.backlog(ring) > most_backlog:
            # The oldest entry within the bound, or the newest one.
            kept = ring.newest_before(ring.position - most_backlog - 1) + 1
            self.serial = max(self.serial, min(kept, ring.serial - 1))

    def _next_ready(self, ring: StreamRing, most: int) -> Entry | Lost:
        item = self._ready.popleft()
        if isinstance(item, Lost) or not ring.holds(item.serial):
            self.sent += item.count
            return item if isinstance(item, Lost) else lost(item)
        return self._given(ring, item, most)

    def _given(self, ring: StreamRing, entry: Entry, most: int) -> Entry:
        """Give an entry that was moved past, and with it those that lie beside it."""
        if entry.count < most and not self._ready:
            self.serial, longer = ring.longer(entry, most)
            self.position += longer.count - entry.count
            self.next += longer.count - entry.count
            entry = longer
        self.sent += entry.count
        return entry

    def _catch_up(self, ring: StreamRing, entry: Entry) -> None:
        """Note what lies between the cursor and an entry that does not follow on it, and the entry."""
        while self.epoch < entry.epoch:
            span = ring.span(self.epoch)
            if span is not None:
                self._dropped(span[1], span[2])
            self.epoch += 1
            after = ring.span(self.epoch)
            self.next = 0 if after is None else after[0]
        self._dropped(entry.start - entry.lost, entry.position)
        if self.next < entry.start:
            self._ready.append(Lost(entry.epoch, self.next, entry.start, entry.reason or "overrun", 0))
            self.next = entry.start
        inside = min(entry.count, max(0, self.next - entry.start))
        self.position = entry.position + entry.count
        self.next = max(self.next, entry.stop)
        if inside < entry.count:
            self._ready.append(entry.without(inside, ring.spec.sample_rate) if inside else entry)

    def _dropped(self, stop: int, position: int) -> None:
        """Note the loss of everything up to index ``stop``; ``position`` samples were written up to there."""
        count = position - self.position
        if count > 0 and self.next < stop:
            self._ready.append(Lost(self.epoch, self.next, stop, DROPPED, count))
            self.position, self.next = position, stop


def lost(entry: Entry) -> Lost:
    """What to tell of an entry that was overwritten before the reader had it."""
    return Lost(entry.epoch, entry.start, entry.stop, DROPPED, entry.count)
