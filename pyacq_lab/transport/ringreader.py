"""Reading a ring that a producer on this machine has shared."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from pyacq_lab.errors import ProtocolError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.transport.cursor import Cursor, lost
from pyacq_lab.transport.memory import map_memory
from pyacq_lab.transport.streamring import Entry, StreamRing, joined
from pyacq_lab.wire.inbox import Inbox
from pyacq_lab.wire.streaming import Admitted, Lost, Policy, RingAddress

FAST = 80e-6
"""Seconds between the chunks of a fast stream: less than it takes to put a thread to sleep and wake it."""

_NAP = 400e-6
_BLOCK_FAST, _BLOCK_NAP = 500e-6, 4e-3  # the same for a reader that takes several chunks at once


class RingReader:
    """One reader's way through a shared ring. One thread at a time.

    Parameters
    ----------
    address : RingAddress
        Where the ring is.
    spec : StreamSpec
        What it holds.

    Raises
    ------
    OSError, ProtocolError
        It cannot be mapped, or is another ring.
    """

    def __init__(self, address: RingAddress, spec: StreamSpec) -> None:
        # Twice: the samples are somebody else's, and nothing here can write into them.
        memory = map_memory(address.path, address.size, writable=True)
        samples = map_memory(address.path, address.size, writable=False)
        self.address = address
        self.ring = StreamRing(memory, spec, samples)
        if self.ring.nonce != address.nonce:
            raise ProtocolError(f"{address.path} is another ring buffer than the one that was named")
        self.cursor: Cursor | None = None
        self.slot = -1
        self._most = 1  # samples by which it may fall behind, unless it is lossless
        self._taken = 0  # position up to which everything was handed on
        self._lent = False  # whether the last chunk lies in the ring, and is in use
        self._in_blocks = False
        self._emptied = (0, 0, 0.0)  # entries, position, and when, as it was last found empty

    def nap(self) -> float:
        """How long to leave the producer of a fast stream alone, s; asked each time there is nothing to take.

        0 where chunks come slowly enough to be woken for each.
        """
        now, cursor = time.perf_counter(), self.cursor
        if cursor is None:
            return 0.0
        before, position, then = self._emptied
        self._emptied = cursor.serial, cursor.position, now
        steps, moved = cursor.serial - before, cursor.position - position
        fast, nap = (_BLOCK_FAST, _BLOCK_NAP) if self._in_blocks else (FAST, _NAP)
        if not now - then < fast * steps:
            return 0.0
        # No longer than an eighth of the ring takes to be written.
        return min(nap, (now - then) * self.ring.size / max(1, moved) / 8)

    def admit(self, admitted: Admitted, policy: Policy) -> None:
        """Take the place that the producer has given; one that comes back stays where it is."""
        self.slot = admitted.slot
        if self.cursor is None:
            self._most = max(1, self.ring.size // 8) if policy == "drop-oldest" else 1
            at = admitted.position
            self.cursor = Cursor(policy, at, at, admitted.serial, admitted.epoch, admitted.next)
        self.ring.set_taken(self.slot, min(self.cursor.position, self._taken or self.cursor.position))

    def return_at(self, position: int) -> None:
        """Count from a position on, up to which all is accounted for: its subscription is renewed."""
        if self.cursor is not None:
            self.cursor.origin = position

    @property
    def backlog(self) -> int:
        """Chunks that wait."""
        cursor, ring = self.cursor, self.ring
        return 0 if cursor is None else cursor.n_ready + max(0, ring.serial - max(cursor.serial, ring.first))

    def take(self, inbox: Inbox, copy: bool, most: int = 0) -> Chunk | Gap | None:
        """Take what comes next; None where there is nothing.

        Parameters
        ----------
        inbox : Inbox
            The reader's accounts.
        copy : bool
            Whether its samples are to be a copy, valid for good.
        most : int
            Samples up to which chunks that lie side by side are taken as one.
        """
        cursor, ring = self.cursor, self.ring
        self._in_blocks = most > 1
        if self._lent:  # who asks for the next chunk is done with the one before
            self._lent = False
            ring.set_taken(self.slot, self._taken)
        while not inbox.waiting:
            owed = None if cursor is None else cursor.take(ring, self._most, most)
            if owed is None:
                return None
            if isinstance(owed, Lost):
                inbox.accept(owed)
                continue
            chunk = self._chunk(owed, copy)
            if chunk is not None and inbox.pass_on(chunk):
                self._taken = owed.position + owed.count
                self._lend(chunk)
                return chunk
            self._put(owed, chunk, inbox)
        item = inbox.hand()
        if cursor is not None and not inbox.waiting:
            self._taken = cursor.position
            self._lend(item)
        return item

    def _lend(self, item: Chunk | Gap | None) -> None:
        """Let the producer overwrite what was handed on, unless it is in use."""
        self._lent = isinstance(item, Chunk) and item.guard is not None
        if not self._lent:
            self.ring.set_taken(self.slot, self._taken)

    @staticmethod
    def _put(entry: Entry, chunk: Chunk | None, inbox: Inbox) -> None:
        if chunk is None:
            inbox.accept(lost(entry))
        else:
            inbox.accept_chunk(chunk)

    def collect(self, inbox: Inbox) -> None:
        """Put copies of all that there is into the inbox."""
        while self.cursor is not None and (owed := self.cursor.take(self.ring, self._most)):
            if isinstance(owed, Lost):
                inbox.accept(owed)
            else:
                self._put(owed, self._chunk(owed, copy=True), inbox)

    def skip(self, inbox: Inbox) -> None:
        """Put all there is into the inbox as lost."""
        while self.cursor is not None and (owed := self.cursor.take(self.ring, self.ring.size)):
            inbox.accept(lost(owed) if isinstance(owed, Entry) else owed)

    def taken(self) -> None:
        """Let the producer know that everything handed on so far was dealt with."""
        if self.cursor is not None and not self._lent:
            self._taken = self.cursor.position
            self.ring.set_taken(self.slot, self._taken)

    def _chunk(self, entry: Entry, copy: bool) -> Chunk | None:
        """Make a chunk of an entry; None where it was overwritten meanwhile."""
        ring = self.ring
        views = ring.segments(entry.position, entry.count)
        guard: Callable[[], bool] | None = None
        if copy or len(views) > 1:
            data = joined(views) if len(views) > 1 else views[0].copy()
            data.flags.writeable = False
            if not ring.holds(entry.serial):
                return None
        else:
            data = views[0]
            guard = partial(ring.holds, entry.serial)
        return Chunk(entry.start, data, entry.time_ns, entry.uncertainty_ns, entry.epoch, guard)
