"""The readers of one output: where each stands, and what it is owed."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from msgspec.structs import replace

from pyacq_lab.errors import SamplesGone
from pyacq_lab.model.ledger import ReaderStatus
from pyacq_lab.transport.cursor import Cursor
from pyacq_lab.transport.doorbell import Ringer, is_doorbell
from pyacq_lab.transport.ringlayout import N_READERS
from pyacq_lab.transport.ringwriter import RingWriter
from pyacq_lab.transport.streamring import Entry, StreamRing, joined
from pyacq_lab.wire.compression import pack
from pyacq_lab.wire.streaming import (
    Admitted,
    AskTip,
    Closed,
    Data,
    Fetch,
    Fetched,
    FromReader,
    Hello,
    Leave,
    Lost,
    Opened,
    Outdated,
    Subscribe,
    Taken,
    encode,
    window,
)

log = logging.getLogger(__name__)

_SILENT_READER = 10.0  # a reader not heard of for so long is given up; it may come back
_AT_ONCE = 4 << 20  # bytes sent to one reader before the producer has its turn
_MOST_FETCHED = 64 << 20  # bytes that one request for samples of the past may ask for


@dataclass(slots=True, eq=False)
class _Reader:
    cursor: Cursor
    slot: int = -1  # of one that reads the ring itself
    bell: str = ""
    taken: int = 0  # samples that it has dealt with since it subscribed
    told: int = 0  # samples told lost that it has not acknowledged yet: they are not under way
    told_at: int = 0  # and how many were sent or told in all by then
    heard: float = field(default_factory=time.monotonic)


class Audience:
    """All readers of one output. Used under its lock.

    Parameters
    ----------
    name : str
        The output's name.
    send : callable
        ``send(frames, copy)`` sends one message, the reader's routing id first; False where it is gone.
        Without a copy the last frame must stay as it is until the reader has it.
    opened : callable
        Describes the stream to a reader; asked only while there is a ring.
    """

    def __init__(
        self,
        name: str,
        send: Callable[[list[Any], bool], bool],
        opened: Callable[[Hello], Opened],
    ) -> None:
        self._name = name
        self._send = send
        self._opened = opened
        self._greeted: dict[bytes, Hello] = {}
        self._given_up: set[bytes] = set()  # those that were silent, but whose connection may stand
        self._behind: set[bytes] = set()  # those that are owed more than was sent at once
        self._readers: dict[bytes, _Reader] = {}
        self._near: list[_Reader] = []  # those that read the ring themselves
        self._far: list[bytes] = []  # those that are sent the samples
        self._slots = list(range(N_READERS - 1, -1, -1))
        self._resting: dict[int, str] = {}  # places of readers that may come back, and their doorbells
        self._unreachable: list[bytes] = []  # readers whose connection was found to be gone
        self._ringer: Ringer | None = None
        self._packed: OrderedDict[tuple[int, int], bytes | None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._readers)

    # --- what readers say

    def hear(self, routing_id: bytes, message: FromReader, ring: RingWriter | None) -> None:
        """Do what a reader asks for; before there is a ring, note that it is there."""
        if isinstance(message, Hello):
            self._greeted[routing_id] = message
            if ring is not None:
                self._send([routing_id, encode(self._opened(message))], True)
            return
        if ring is None:
            return
        reader = self._readers.get(routing_id)
        if isinstance(message, Subscribe):
            self._admit(routing_id, message, ring)
        elif isinstance(message, Leave):
            self._forget(routing_id, ring, for_good=True)
            self._greeted.pop(routing_id, None)
            self._given_up.discard(routing_id)
        elif reader is None:
            self._welcome_back(routing_id)
        elif isinstance(message, Taken):
            reader.heard = time.monotonic()
            reader.taken = max(reader.taken, message.samples)
            if reader.taken >= reader.told_at:
                reader.told = 0
            if reader.slot < 0:
                self._pump(routing_id, reader, ring)
        elif isinstance(message, AskTip):
            reader.heard = time.monotonic()
            tip = reader.cursor.tip(ring.position, ring.running, message.token)
            first, stop = ring.bounds()
            self._send([routing_id, encode(replace(tip, first=first, stop=stop))], True)

    def _welcome_back(self, routing_id: bytes) -> None:
        """Let a reader begin again that was silent for long, but whose connection has stood."""
        if routing_id in self._given_up and routing_id in self._greeted:
            self._given_up.discard(routing_id)
            self._send([routing_id, encode(self._opened(self._greeted[routing_id]))], True)

    def _admit(self, routing_id: bytes, wish: Subscribe, ring: RingWriter) -> None:
        self._forget(routing_id, ring)
        if wish.position < 0 and wish.epoch < 0:
            cursor = Cursor.newest(ring, wish.policy, wish.backfill)
        else:
            cursor = Cursor.resumed(ring, wish.policy, wish.epoch, wish.start, wish.position)
        reader = _Reader(cursor)
        if wish.bell and self._resting.get(wish.slot) == wish.bell:
            del self._resting[wish.slot]
            self._slots.append(wish.slot)  # and it is taken right away
        if is_doorbell(wish.bell) and self._slots:
            reader.slot, reader.bell = self._slots.pop(), wish.bell
            ring.arm(reader.slot, False)
            ring.set_taken(reader.slot, cursor.position)
            self._ringer = self._ringer or Ringer()
            self._near.append(reader)
        else:
            self._far.append(routing_id)
        self._readers[routing_id] = reader
        admitted = Admitted(reader.slot, cursor.position, cursor.serial, cursor.epoch, cursor.next)
        self._send([routing_id, encode(admitted)], True)
        self._send([routing_id, encode(cursor.tip(ring.position, ring.running))], True)
        if reader.slot < 0:
            self._pump(routing_id, reader, ring)

    def fetch(self, routing_id: bytes, wish: Fetch, ring: StreamRing) -> None:
        """Send samples of the past that a reader asks for. Needs no lock: the producer is not held up."""
        nbytes = (wish.stop - wish.start) * ring.spec.sample_nbytes
        if nbytes > _MOST_FETCHED:
            error = f"{nbytes} bytes asked for at once; ask for at most {_MOST_FETCHED}"
            self._send([routing_id, encode(Fetched(wish.token, error))], True)
            return
        try:
            data = ring.read(wish.start, wish.stop, wish.epoch if wish.epoch >= 0 else None)
        except SamplesGone as error:
            self._send([routing_id, encode(Fetched(wish.token, str(error)))], True)
            return
        self._send([routing_id, encode(Fetched(wish.token)), data.reshape(-1).view(np.uint8)], True)

    # --- what they are told

    def tell(self, ring: RingWriter) -> bool:
        """Let all readers know that something was written; whether some are owed more than that."""
        for reader in self._near:
            if ring.disarm(reader.slot) and self._ringer is not None:
                self._ringer.ring(reader.bell)
        if self._far:
            for routing_id in self._far[:]:
                self._pump(routing_id, self._readers[routing_id], ring)
        return bool(self._behind)

    @property
    def is_behind(self) -> bool:
        """Whether readers are owed more than was sent at once: `pump` goes on."""
        return bool(self._behind)

    def pump(self, ring: RingWriter) -> None:
        """Send more to those that are behind."""
        behind, self._behind = self._behind, set()
        for routing_id in behind:
            reader = self._readers.get(routing_id)
            if reader is not None and reader.slot < 0:
                self._pump(routing_id, reader, ring)

    def _pump(self, routing_id: bytes, reader: _Reader, ring: RingWriter) -> None:
        """Send a reader what it is owed, but not so much at once that the producer is held up."""
        cursor = reader.cursor
        under_way = window(ring.size, cursor.policy)
        backlog = under_way if cursor.policy == "drop-oldest" else 1
        # A source that waits for this reader overwrites nothing that is still on its way to it.
        copy = not (ring.spec.waits and cursor.policy == "lossless")
        most = cursor.sent + max(1, _AT_ONCE // ring.spec.sample_nbytes)
        while cursor.sent - reader.taken - reader.told < under_way and (owed := cursor.take(ring, backlog)):
            if not self._send(self._message(routing_id, owed, ring), copy):
                self._lose(routing_id, ring)
                return
            if isinstance(owed, Lost):  # what follows must not wait: more of it would be lost by then
                reader.told, reader.told_at = reader.told + owed.count, cursor.sent
            if cursor.sent >= most:
                self._behind.add(routing_id)
                return

    def _message(self, routing_id: bytes, owed: Entry | Lost, ring: RingWriter) -> list[Any]:
        if isinstance(owed, Lost):
            return [routing_id, encode(owed)]
        views = ring.segments(owed.position, owed.count)
        samples = views[0] if len(views) == 1 else joined(views)
        raw = samples.reshape(-1).view(np.uint8)
        packed = self._pack(owed, raw, ring) if ring.spec.compression else None
        head = Data(owed.epoch, owed.start, owed.count, owed.time_ns, owed.uncertainty_ns, packed is not None)
        return [routing_id, encode(head), raw if packed is None else packed]

    def _pack(self, entry: Entry, raw: Any, ring: RingWriter) -> bytes | None:
        """Pack a chunk once for all its readers."""
        key = entry.serial, entry.count
        if key not in self._packed:
            self._packed[key] = pack(raw, ring.spec.compression, ring.spec.np_dtype.itemsize)
            while len(self._packed) > 4:
                self._packed.popitem(last=False)
        return self._packed[key]

    def outdate(self) -> None:
        """Tell those that were sent samples to forget those that wait to be taken."""
        for routing_id in self._far:
            self._send([routing_id, encode(Outdated())], True)

    def send_tips(self, ring: RingWriter) -> None:
        """Tell all readers how far the producer has come, and whether it runs."""
        for routing_id, reader in list(self._readers.items()):
            if reader.slot >= 0:
                self._ring_bell(reader.bell)
            if not self._send([routing_id, encode(reader.cursor.tip(ring.position, ring.running))], True):
                self._lose(routing_id, ring)

    def close(self, ring: RingWriter | None) -> None:
        """Tell all readers that nothing will come any more."""
        for routing_id, reader in self._readers.items():
            if ring is not None and reader.slot < 0:
                self._pump_all(routing_id, reader, ring)
            self._send([routing_id, encode(Closed())], True)
            if reader.slot >= 0:
                self._ring_bell(reader.bell)
        if self._ringer is not None:
            self._ringer.close()
            self._ringer = None

    def _pump_all(self, routing_id: bytes, reader: _Reader, ring: RingWriter) -> None:
        """Send a lossless reader all that the ring holds: there is no later."""
        if reader.cursor.policy == "lossless":
            while owed := reader.cursor.take(ring, 1):
                if not self._send(self._message(routing_id, owed, ring), True):
                    return

    # --- who is there

    def has_room(self, ring: RingWriter, count: int) -> bool:
        """Whether ``count`` samples can be written without loss to a lossless reader."""
        for reader in self._readers.values():
            if reader.cursor.policy == "lossless":
                most = ring.size if reader.slot >= 0 else window(ring.size, "lossless")
                if most - (ring.position - self._taken(reader, ring)) < min(count, most):
                    return False
        return True

    def status(self, ring: RingWriter) -> tuple[ReaderStatus, ...]:
        """Accounts of all readers."""
        return tuple(
            ReaderStatus(
                policy=reader.cursor.policy,
                transfermode="plaindata" if reader.slot < 0 else "sharedmem",
                offered=max(0, ring.position - reader.cursor.origin),
                taken=max(0, self._taken(reader, ring) - reader.cursor.origin),
            )
            for reader in self._readers.values()
        )

    def forget_the_dead(self, ring: RingWriter) -> None:
        """Forget readers of this machine whose doorbell is gone with them."""
        for routing_id, reader in list(self._readers.items()):
            if reader.slot >= 0 and not self._ring_bell(reader.bell):
                self._lose(routing_id, ring)
        for slot, bell in list(self._resting.items()):
            if not self._ring_bell(bell):
                del self._resting[slot]
                self._slots.append(slot)

    def tick(self, ring: RingWriter) -> None:
        """Do what is due a few times a second: give up the silent, and tell all how far the producer is."""
        since = time.monotonic() - _SILENT_READER
        for routing_id in [r for r, reader in self._readers.items() if reader.heard < since]:
            log.warning("a reader of %s is silent and given up", self._name)
            self._forget(routing_id, ring)
            self._given_up.add(routing_id)
        self.forget_the_dead(ring)
        self.send_tips(ring)
        while self._unreachable:
            routing_id = self._unreachable.pop()
            self._greeted.pop(routing_id, None)
            self._given_up.discard(routing_id)

    def begin_anew(self) -> None:
        """Describe the stream again to all, as the ring they read is replaced by another."""
        self._readers.clear()
        self._near.clear()
        self._far.clear()
        self._packed.clear()
        self._resting.clear()
        self._behind.clear()
        self._slots = list(range(N_READERS - 1, -1, -1))
        for routing_id, hello in self._greeted.items():
            self._send([routing_id, encode(self._opened(hello))], True)

    def _lose(self, routing_id: bytes, ring: RingWriter) -> None:
        """Forget a reader whose connection is gone: should it come back, it says where it stands."""
        self._unreachable.append(routing_id)
        self._forget(routing_id, ring)

    def _forget(self, routing_id: bytes, ring: RingWriter, for_good: bool = False) -> None:
        reader = self._readers.pop(routing_id, None)
        if reader is None:
            return
        if reader.slot >= 0:
            ring.arm(reader.slot, False)
            # As long as its process lives it may go on to write its words.
            if for_good:
                self._slots.append(reader.slot)
            else:
                self._resting[reader.slot] = reader.bell
            self._near.remove(reader)
        else:
            self._far.remove(routing_id)

    def _ring_bell(self, bell: str) -> bool:
        return self._ringer is not None and self._ringer.ring(bell)

    @staticmethod
    def _taken(reader: _Reader, ring: RingWriter) -> int:
        """Position up to which a reader has dealt with everything."""
        return ring.taken(reader.slot) if reader.slot >= 0 else reader.cursor.origin + reader.taken
