"""What a producer keeps and what each reader is owed: the ring buffer is the queue.

No reader has a queue of its own. Each has a cursor into the log of the chunks that the ring still holds;
a slow one falls behind, and where the ring (or its policy) moves on without it, it is told what it lost.
Sans-IO: `Outbox.owed` gives what to send now.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pyacq_lab.model.ring import RingBuffer
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.wire.streaming import DROPPED, Data, Lost, Policy, Tip

_MANY_EPOCHS = 1024  # a reader that is further behind hears of its losses in the last epochs only

Owed = tuple[Data, list[npt.NDArray[np.uint8]]] | tuple[Lost, None]
"""Something to send: a header and views of the samples in the ring, or a loss."""


@dataclass(slots=True)
class Entry:
    """One chunk in the log; ``position`` counts the samples written before it, in all epochs."""

    position: int
    head: Data
    lost: int  # samples lost right before the chunk, before they reached the stream
    reason: str


@dataclass(slots=True, eq=False)
class Cursor:
    """How far one reader has come."""

    policy: Policy
    origin: int  # position at which it subscribed
    position: int  # samples written before the next one it is owed
    serial: int  # number of the next log entry it is owed
    epoch: int
    next: int  # absolute index of the next sample it is owed, in that epoch
    sent: int = 0  # samples sent or told lost since it subscribed
    taken: int = 0  # of those, how many the reader has dealt with
    heard: float = field(default=0.0)

    def tip(self, position: int, running: bool, token: int = 0) -> Tip:
        """Describe how far the producer has come, as this reader counts."""
        return Tip(max(0, position - self.origin), running, token)


class Outbox:
    """The ring buffer of one output, the log of its chunks, and its readers' cursors.

    Not thread-safe by itself.

    Parameters
    ----------
    spec : StreamSpec
        What the samples are; the ring holds ``spec.ring_size`` of them.
    """

    def __init__(self, spec: StreamSpec) -> None:
        self.spec = spec
        self.ring = RingBuffer(np.zeros((spec.ring_size, *spec.sample_shape), spec.np_dtype))
        self.epoch = -1
        self.stop = 0  # index after the newest sample of the epoch
        self.overruns = 0
        self._log: deque[Entry] = deque()
        self._first_serial = 0
        # Of each epoch still of interest: first index, index after the last, samples written up to there.
        self._spans: dict[int, tuple[int, int, int]] = {}

    # --- writing

    def begin_epoch(self, first: int = 0) -> int:
        """Start counting anew, from sample ``first``; returns the new epoch's number."""
        self.epoch += 1
        self.stop = first
        self._spans[self.epoch] = (first, first, self.ring.stop)
        return self.epoch

    def write(
        self,
        data: npt.NDArray[np.generic],
        time_ns: int,
        uncertainty_ns: int,
        lost: int = 0,
        reason: str = "overrun",
    ) -> None:
        """Append a chunk, after ``lost`` samples that never reached the stream, for this ``reason``.

        A chunk without samples is the place for a loss at the very end.
        """
        if not lost and not len(data):
            return
        room = self.ring.size // 2 or 1  # a chunk longer than the ring could never be read whole
        self.overruns += lost
        for at in range(0, max(1, len(data)), room):
            part = data[at : at + room]
            self.stop += lost
            when = time_ns + round(at / self.spec.sample_rate * 1e9)
            head = Data(self.epoch, self.stop, len(part), when, uncertainty_ns)
            self._log.append(Entry(self.ring.stop, head, lost, reason))
            self.ring.write(self.ring.stop, part)
            self.stop += len(part)
            lost = 0
        self._spans[self.epoch] = (self._spans[self.epoch][0], self.stop, self.ring.stop)
        while self._log and self._log[0].position < self.ring.start:
            self._log.popleft()
            self._first_serial += 1
        if len(self._spans) > _MANY_EPOCHS:
            del self._spans[min(self._spans)]

    # --- reading

    def subscribe(self, policy: Policy, epoch: int, start: int, backfill: float) -> Cursor:
        """Make a cursor for a new reader, or for one that comes back; see `streaming.Subscribe`."""
        last = self._first_serial + len(self._log)
        if epoch >= 0:
            return self._resume(policy, epoch, start)
        wanted = round(backfill * self.spec.sample_rate)
        serial, position, current, index = last, self.ring.stop, max(0, self.epoch), self.stop
        for entry in reversed(self._log):
            if self.ring.stop - position >= wanted or entry.head.epoch != self.epoch:
                break
            serial, position, index = serial - 1, entry.position, entry.head.start
        return Cursor(policy, position, position, serial, current, index)

    def _resume(self, policy: Policy, epoch: int, start: int) -> Cursor:
        """Cursor of a reader that comes back and has everything before ``start``."""
        serial, position = self._first_serial, self.ring.start
        for entry in self._log:
            head = entry.head
            if (head.epoch, head.start + head.count) > (epoch, start):
                break
            serial, position = serial + 1, entry.position + head.count
        if serial < self._first_serial + len(self._log):
            entry = self._log[serial - self._first_serial]
            # What the ring has lost since counts as offered: the reader will be told.
            gone = start - entry.head.start + (entry.lost if start < entry.head.start else 0)
            position = entry.position + (gone if entry.head.epoch == epoch else 0)
        return Cursor(policy, position, position, serial, epoch, start)

    def backlog(self, cursor: Cursor) -> int:
        """Samples written that were not yet sent to a reader."""
        at = cursor.serial - self._first_serial
        if at >= len(self._log):
            return 0
        return self.ring.stop - self._log[max(0, at)].position

    def owed(self, cursor: Cursor, window: int, most_backlog: int) -> Iterator[Owed]:
        """Give what to send to a reader now, in order, and move its cursor past it.

        Parameters
        ----------
        window : int
            Samples that may be under way, sent but not taken.
        most_backlog : int
            Samples by which the reader may fall behind before the oldest are dropped.
        """
        if cursor.policy != "lossless" and self.backlog(cursor) > most_backlog:
            self._skip(cursor, most_backlog)
        if cursor.serial < self._first_serial:
            cursor.serial = self._first_serial
        while (at := cursor.serial - self._first_serial) < len(self._log):
            if cursor.sent - cursor.taken >= window:
                return
            entry = self._log[at]
            head = entry.head
            yield from self._losses(cursor, entry)
            inside = max(0, cursor.next - head.start)
            shift = round(inside / self.spec.sample_rate * 1e9)
            part = Data(
                head.epoch,
                head.start + inside,
                head.count - inside,
                head.time_ns + shift,
                head.uncertainty_ns,
            )
            views = self.ring.segments(entry.position + inside, entry.position + head.count)
            cursor.serial += 1
            cursor.position = entry.position + head.count
            cursor.next = head.start + head.count
            cursor.sent += part.count
            if part.count:
                yield part, [np.ascontiguousarray(v).reshape(-1).view(np.uint8) for v in views]

    def _skip(self, cursor: Cursor, most_backlog: int) -> None:
        last = self._first_serial + len(self._log)
        while cursor.serial < last - 1:
            at = max(0, cursor.serial - self._first_serial)
            if self.ring.stop - self._log[at].position <= most_backlog:
                return
            cursor.serial = self._first_serial + at + 1

    def _losses(self, cursor: Cursor, entry: Entry) -> Iterator[tuple[Lost, None]]:
        """Losses between a cursor and the entry it is about to get."""
        epoch, start = entry.head.epoch, entry.head.start
        while cursor.epoch < epoch:
            _, end, position = self._spans.get(cursor.epoch, (0, 0, cursor.position))
            yield from self._dropped(cursor, end, position)
            cursor.epoch += 1
            cursor.next = self._spans.get(cursor.epoch, (0, 0, 0))[0]
        yield from self._dropped(cursor, start - entry.lost, entry.position)
        if cursor.next < start:
            yield Lost(epoch, cursor.next, start, entry.reason, 0), None
            cursor.next = start

    @staticmethod
    def _dropped(cursor: Cursor, stop: int, position: int) -> Iterator[tuple[Lost, None]]:
        """Loss of everything up to index ``stop``; ``position`` samples were written up to there."""
        count = position - cursor.position
        if count > 0 and cursor.next < stop:
            yield Lost(cursor.epoch, cursor.next, stop, DROPPED, count), None
            cursor.sent += count
            cursor.position, cursor.next = position, stop

    def unread_room(self, cursor: Cursor) -> int:
        """Samples that can still be written before one that a reader has not taken is overwritten."""
        return self.ring.size - (self.ring.stop - cursor.origin - cursor.taken)
