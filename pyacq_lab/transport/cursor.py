"""How far one reader has come in a ring, and what it is owed: the ring buffer is the queue.

No reader has a queue of its own. Each has a cursor into the log of the chunks that the ring still holds;
a slow one falls behind, and where the ring (or its policy) moves on without it, it is told what it lost.
The producer moves the cursors of readers on other machines, and sends what they are owed; a reader on the
same machine moves its own. Sans-IO.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from pyacq_lab.transport.streamring import Entry, StreamRing
from pyacq_lab.wire.streaming import DROPPED, Lost, Policy, Tip


class Part(msgspec.Struct, frozen=True):
    """An entry, or what a reader that comes back still wants of it: all but its first ``inside`` samples."""

    entry: Entry
    inside: int = 0

    def time_ns(self, sample_rate: float) -> int:
        """Time of its first sample."""
        if not self.inside:
            return self.entry.time_ns
        return self.entry.time_ns + round(self.inside / sample_rate * 1e9)

    @property
    def position(self) -> int:
        """Samples written before it."""
        return self.entry.position + self.inside

    @property
    def start(self) -> int:
        """Absolute index of its first sample."""
        return self.entry.start + self.inside

    @property
    def count(self) -> int:
        """How many samples it has."""
        return self.entry.count - self.inside


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

    @classmethod
    def newest(cls, ring: StreamRing, policy: Policy, backfill: float = 0.0) -> Cursor:
        """Begin with what is written from now on, after ``backfill`` seconds of the past in whole chunks."""
        serial, position, epoch, index = ring.serial, ring.position, max(0, ring.epoch), ring.stop
        wanted = round(backfill * ring.spec.sample_rate)
        if wanted > 0 and serial > ring.first:
            begin = max(ring.newest_before(position - wanted), ring.begin_of(ring.epoch))
            entry = ring.entry(begin) if begin < serial else None
            if entry is not None:
                serial, position, index = begin, entry.position, entry.start
        return cls(policy, position, position, serial, epoch, index)

    @classmethod
    def resumed(cls, ring: StreamRing, policy: Policy, epoch: int, start: int) -> Cursor:
        """Go on for a reader that comes back and has everything before index ``start`` of an epoch.

        What the ring has lost since counts as offered: the reader will be told.
        """
        serial = ring.reaching(epoch, start)
        entry = ring.entry(serial)
        if entry is None:
            position = ring.position
        elif entry.epoch == epoch:
            missed = entry.start - start  # negative where the entry holds the sample
            position = entry.position - missed + (entry.lost if missed > 0 else 0)
        else:
            span = ring.span(epoch)
            position = entry.position if span is None else span[2] - max(0, span[1] - start)
        position = max(0, min(position, ring.position))
        return cls(policy, position, position, serial, epoch, start)

    def tip(self, position: int, running: bool, token: int = 0) -> Tip:
        """Describe how far the producer has come, as this reader counts."""
        return Tip(max(0, position - self.origin), running, token)

    def backlog(self, ring: StreamRing) -> int:
        """Samples written that the reader was not given yet."""
        serial = max(self.serial, ring.first)
        return ring.position - ring.position_of(serial) if serial < ring.serial else 0

    def owed(self, ring: StreamRing, most_backlog: int) -> Iterator[Part | Lost]:
        """Give what is next for a reader, in order, and move its cursor past it.

        Parameters
        ----------
        ring : StreamRing
            Where it reads.
        most_backlog : int
            Samples by which it may fall behind before the oldest are dropped, unless it is lossless.
        """
        if self.policy != "lossless" and self.backlog(ring) > most_backlog:
            newest = ring.serial - 1
            # The oldest entry within the bound, or the newest one.
            kept = ring.newest_before(ring.position - most_backlog - 1) + 1
            self.serial = max(self.serial, min(kept, newest))
        while True:
            self.serial = max(self.serial, ring.first)
            if self.serial >= ring.serial:
                return
            entry = ring.entry(self.serial)
            if entry is None:
                continue  # overwritten just now
            yield from self._losses(ring, entry)
            part = Part(entry, min(entry.count, max(0, self.next - entry.start)))
            self.serial += 1
            self.position = entry.position + entry.count
            self.next = max(self.next, entry.stop)
            self.sent += part.count
            if part.count:
                yield part

    def _losses(self, ring: StreamRing, entry: Entry) -> Iterator[Lost]:
        """Losses between the cursor and the entry it is about to give."""
        while self.epoch < entry.epoch:
            span = ring.span(self.epoch)
            if span is not None:
                yield from self._dropped(span[1], span[2])
            self.epoch += 1
            after = ring.span(self.epoch)
            self.next = 0 if after is None else after[0]
        yield from self._dropped(entry.start - entry.lost, entry.position)
        if self.next < entry.start:
            begin, self.next = self.next, entry.start
            yield Lost(entry.epoch, begin, entry.start, entry.reason or "overrun", 0)

    def _dropped(self, stop: int, position: int) -> Iterator[Lost]:
        """Loss of everything up to index ``stop``; ``position`` samples were written up to there."""
        count = position - self.position
        if count > 0 and self.next < stop:
            # Moved before it is told: whoever takes one thing at a time may not come back to this place.
            lost = Lost(self.epoch, self.next, stop, DROPPED, count)
            self.sent += count
            self.position, self.next = position, stop
            yield lost

    def unread_room(self, ring: StreamRing, taken: int) -> int:
        """Samples that can be written before one is overwritten that a reader at ``taken`` has not taken."""
        return ring.size - (ring.position - taken)
