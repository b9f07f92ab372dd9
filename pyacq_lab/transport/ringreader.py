"""Reading a ring that a producer on this machine has shared."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from pyacq_lab.errors import ProtocolError
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.transport.cursor import Cursor, Part
from pyacq_lab.transport.memory import map_memory
from pyacq_lab.transport.streamring import StreamRing
from pyacq_lab.wire.inbox import Inbox
from pyacq_lab.wire.streaming import DROPPED, Admitted, Lost, Policy, RingAddress


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
        self._owed: Iterator[Part | Lost] | None = None
        self._spec = spec

    def admit(self, admitted: Admitted, policy: Policy) -> None:
        """Take the place that the producer has given; one that comes back stays where it is."""
        self.slot = admitted.slot
        if self.cursor is None:
            at = admitted.position
            self.cursor = Cursor(policy, at, at, admitted.serial, admitted.epoch, admitted.next)
        self.ring.set_taken(self.slot, self.cursor.position)

    @property
    def offered(self) -> int:
        """Samples written since this reader subscribed."""
        return 0 if self.cursor is None else max(0, self.ring.position - self.cursor.origin)

    @property
    def backlog(self) -> int:
        """Chunks that wait."""
        cursor, ring = self.cursor, self.ring
        return 0 if cursor is None else max(0, ring.serial - max(cursor.serial, ring.first))

    def step(self, inbox: Inbox, copy: bool) -> bool:
        """Put what comes next into the inbox; False where there is nothing.

        Parameters
        ----------
        inbox : Inbox
            The reader's accounts.
        copy : bool
            Whether its samples are to be a copy, valid for good.
        """
        cursor, ring = self.cursor, self.ring
        if cursor is None:
            return False
        if self._owed is None:
            if cursor.serial >= ring.serial:
                return False
            most = max(1, ring.size // 8) if cursor.policy == "drop-oldest" else 1
            self._owed = cursor.owed(ring, most)
        owed = next(self._owed, None)
        if owed is None:
            self._owed = None
            return False
        if cursor.policy != "lossless" and isinstance(owed, Part):
            self._owed = None  # what is newest is to be found out anew each time
        if isinstance(owed, Lost):
            inbox.accept(owed)
            return True
        chunk = self._chunk(owed, copy)
        if chunk is None:
            end = owed.start + owed.count
            inbox.accept(Lost(owed.entry.epoch, owed.start, end, DROPPED, owed.count))
        else:
            inbox.accept_chunk(chunk)
        return True

    def skip(self, inbox: Inbox) -> None:
        """Put all there is into the inbox as lost."""
        while self.cursor is not None and (owed := next(self.cursor.owed(self.ring, self.ring.size), None)):
            if isinstance(owed, Part):
                end = owed.start + owed.count
                owed = Lost(owed.entry.epoch, owed.start, end, DROPPED, owed.count)
            inbox.accept(owed)
        self._owed = None

    def taken(self) -> None:
        """Let the producer know that everything handed on so far was dealt with."""
        if self.cursor is not None:
            self.ring.set_taken(self.slot, self.cursor.position)

    def _chunk(self, part: Part, copy: bool) -> Chunk | None:
        """Make a chunk of a part; None where it was overwritten meanwhile."""
        ring, entry, rate = self.ring, part.entry, self._spec.sample_rate
        views = ring.segments(part.position, part.count)
        if len(views) == 1 and not copy:
            guard: Callable[[], bool] | None = _Guard(ring, entry.serial)
            data = views[0]
            data.flags.writeable = False
        else:
            guard = None
            data = np.concatenate(views) if len(views) > 1 else views[0].copy()
            data.flags.writeable = False
            if not ring.holds(entry.serial):
                return None
        return Chunk(part.start, data, part.time_ns(rate), entry.uncertainty_ns, entry.epoch, guard)


class _Guard:
    """Tells whether an entry is still whole."""

    __slots__ = ("_ring", "_serial")

    def __init__(self, ring: StreamRing, serial: int) -> None:
        self._ring = ring
        self._serial = serial

    def __call__(self) -> bool:
        return self._ring.holds(self._serial)
