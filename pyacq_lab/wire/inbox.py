"""What a reader knows of its stream, and its accounts; sans-IO."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

from pyacq_lab.errors import ProtocolError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.ledger import HopLedger
from pyacq_lab.model.place import StreamPlace
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.wire.compression import unpack
from pyacq_lab.wire.streaming import (
    DROPPED,
    Admitted,
    Data,
    Lost,
    Opened,
    Policy,
    Subscribe,
    Tip,
    decode_samples,
)


class Inbox:
    """Turns the producer's messages into chunks and gaps, in order and without overlap.

    Not thread-safe by itself.

    Parameters
    ----------
    policy : {'lossless', 'drop-oldest', 'latest'}
        What happens when the reader is slow.
    backfill : float
        Seconds of the past to begin with.
    since : StreamPlace, optional
        Where to begin instead: what an earlier reader, of another process, lacked.
    """

    def __init__(self, policy: Policy, backfill: float = 0.0, since: StreamPlace | None = None) -> None:
        self.policy: Policy = policy
        self.spec: StreamSpec | None = None
        self.tip = Tip(0, False)
        self.changed = ""
        self._backfill = backfill
        self._since = since
        self._nonce = 0
        self._shift = 0  # what the epochs of earlier producers at this address add to those of this one
        self._nonces: dict[int, int] = {}  # of the producers here so far, by what they add to epochs
        self._position = -1  # of the producer, at which the present subscription began; -1 before any
        self._queue: deque[tuple[Chunk | Gap, int]] = deque()  # with the samples that count
        self._queued = 0
        self._given_up = 0  # of those, samples that will be told lost: nothing is held back for them
        self._epoch = -1
        self._next = -1
        self._base = 0  # samples accounted for before the present subscription
        self._sent = 0
        self._received = 0
        self._dropped = 0
        self._repaired = 0
        self._to_repair = 0
        self._returns = False
        self._nbytes = 0

    def subscription(self, shared: bool = False) -> Subscribe:
        """Make the request that begins reading, or goes on after a lost connection.

        A reader that has ``shared`` the producer's ring until now has lost nothing that had to be repaired.
        """
        accounted = self.dealt_with + self._queued
        if self._position >= 0:
            self._position += accounted - self._base
        self._base = accounted
        self.tip = Tip(0, self.tip.running, self.tip.token)
        if self._position < 0:
            return self._first_subscription()
        self._returns = not shared
        return Subscribe(self.policy, self._epoch - self._shift, self._next, position=self._position)

    def _first_subscription(self) -> Subscribe:
        since = self._since
        if since is None:
            return Subscribe(self.policy, backfill=self._backfill)
        if since.nonce == self._nonce and since.epoch >= 0:
            return Subscribe(self.policy, since.epoch, since.start)
        # The earlier reader had nothing of this producer: all that there is of it is wanted.
        return Subscribe(self.policy, start=0, position=0)

    def admitted(self, place: Admitted) -> None:
        """Take note of where the present subscription begins."""
        if self._position < 0:
            self._epoch, self._next = place.epoch + self._shift, place.next
        self._position = place.position

    def _begin_anew(self) -> None:
        """Go on with a producer that has taken the place of another: all that it has is wanted."""
        missing = self._sent - self.dealt_with - self._queued
        if missing > 0:  # of what the other one had said that it has
            self._put(Gap(self._next, self._next + missing, self._epoch, DROPPED), missing)
        self._shift, self._next = self._epoch + 1, 0
        self._base, self._position = self.dealt_with + self._queued, 0

    def accept(self, message: Opened | Tip | Lost | Data, buffer: Any = b"") -> None:
        """Take in one message. Raises ProtocolError where its data do not fit the stream."""
        match message:
            case Opened(spec):
                if self._position >= 0 and message.nonce != self._nonce:
                    self._begin_anew()
                self._nonce = self._nonces[self._shift] = message.nonce
                if self.spec is not None and (found := self.spec.differences(spec)):
                    self.changed = found
                self.spec = spec
            case Tip(offered):
                self.tip = message
                self._sent = max(self._sent, self._base + offered)
                if self._returns:
                    self._returns, self._to_repair = False, offered
            case Lost(epoch, start, stop, reason, count):
                self._move_to(epoch + self._shift, start)
                if stop > self._next:  # else told twice
                    gap = Gap(max(start, self._next), stop, self._epoch, reason)
                    self._put(gap, count if start >= self._next else min(count, len(gap)))
                    self._next = stop
            case Data():
                if self.spec is None:
                    raise ProtocolError("samples came before the stream was described")
                self.accept_chunk(self._decoded(message, buffer, self.spec))

    @staticmethod
    def _decoded(head: Data, buffer: Any, spec: StreamSpec) -> Chunk:
        if head.packed:
            buffer = unpack(buffer, head.count * spec.sample_nbytes)
        data = decode_samples(head.count, buffer, spec)
        return Chunk(head.start, data, head.time_ns, head.uncertainty_ns, head.epoch)

    def accept_chunk(self, chunk: Chunk) -> None:
        """Take in the samples that come next."""
        if self._shift:
            chunk = replace(chunk, epoch=chunk.epoch + self._shift)
        self._move_to(chunk.epoch, chunk.start)
        if chunk.start > self._next:  # a message was lost without the producer's knowledge
            gap = Gap(self._next, chunk.start, chunk.epoch)
            self._put(gap, len(gap))
        elif chunk.start < self._next:  # sent twice
            chunk = self._without(chunk, self._next - chunk.start)
        self._next = max(self._next, chunk.stop)
        if len(chunk):
            self._put(chunk, len(chunk))

    def pass_on(self, chunk: Chunk) -> bool:
        """Count samples that follow on those before as handed to the reader; False where they do not.

        The short way of `accept_chunk` and `hand`, where nothing waits in between.
        """
        count = len(chunk.data)
        if self._queue or chunk.start != self._next or chunk.epoch != self._epoch:
            return False
        if self._shift or self._to_repair:
            return False
        self._next += count
        self._received += count
        self._nbytes += chunk.data.nbytes
        self._sent = max(self._sent, self._received + self._dropped)
        return True

    def _without(self, chunk: Chunk, count: int) -> Chunk:
        """All but the first ``count`` samples."""
        rate = 1.0 if self.spec is None else self.spec.sample_rate
        later = chunk.time_ns + round(count / rate * 1e9)
        return replace(chunk, start=chunk.start + count, data=chunk.data[count:], time_ns=later)

    def _move_to(self, epoch: int, start: int) -> None:
        if epoch < self._epoch:
            raise ProtocolError(f"epoch {epoch} came after epoch {self._epoch}")
        if epoch > self._epoch:
            self._epoch, self._next = epoch, start  # what was lost before it, the producer says itself

    def _put(self, item: Chunk | Gap, count: int) -> None:
        self._queue.append((item, count))
        self._queued += count
        if isinstance(item, Gap):
            self._given_up += count
        self._sent = max(self._sent, self._received + self._dropped + self._queued)
        if self._to_repair:
            mended = min(self._to_repair, count)
            self._to_repair -= mended
            self._repaired += mended if isinstance(item, Chunk) else 0

    def hand(self) -> Chunk | Gap | None:
        """Give the next chunk or gap to the reader; None where there is none yet."""
        if not self._queue:
            return None
        item, count = self._queue.popleft()
        self._queued -= count
        if isinstance(item, Chunk):
            if not item.intact:  # overwritten while it waited
                self._dropped += count
                return Gap(item.start, item.stop, item.epoch, DROPPED)
            self._received += count
            self._nbytes += item.data.nbytes
        else:
            self._given_up -= count
            self._dropped += count
        return item

    def trim(self, most: int) -> None:
        """Give up the oldest that waits until at most ``most`` samples do; the newest stays in any case."""
        gone: list[tuple[Gap, int]] = []
        while len(self._queue) > 1 and self._queued - self._given_up > most:
            self._give_up(gone, *self._queue.popleft())
        self._queue.extendleft(reversed(gone))

    def outdate(self) -> None:
        """Give up all that waits: its producer has forgotten it, and tells of something new from now on."""
        gone: list[tuple[Gap, int]] = []
        while self._queue:
            self._give_up(gone, *self._queue.popleft())
        self._queue.extend(gone)

    def _give_up(self, gone: list[tuple[Gap, int]], item: Chunk | Gap, count: int) -> None:
        """Add what waits to the gaps that will be told instead."""
        if isinstance(item, Chunk):
            self._given_up += count
            item = Gap(item.start, item.stop, item.epoch, DROPPED)
        before, so_far = gone[-1] if gone else (Gap(0, -1), 0)
        if (before.epoch, before.stop, before.reason) == (item.epoch, item.start, item.reason):
            gone[-1] = Gap(before.start, item.stop, item.epoch, item.reason), so_far + count
        else:
            gone.append((item, count))

    def miscount(self, count: int) -> None:
        """Count samples as dropped that were handed on, but did not reach the reader."""
        self._received -= count
        self._dropped += count

    def discard(self) -> int:
        """Give up all that waits; returns how many samples those were."""
        given_up, self._queued, self._given_up = self._queued, 0, 0
        self._queue.clear()
        self._dropped += given_up
        return given_up

    @property
    def next_index(self) -> tuple[int, int]:
        """Epoch, and absolute index in it, of what comes next."""
        return max(0, self._epoch), max(0, self._next)

    @property
    def place(self) -> StreamPlace:
        """Where that which comes next lies, as its producer counts."""
        if self._queue:
            item = self._queue[0][0]
            return self.place_of(item.epoch, item.start)
        if self._epoch < self._shift:  # nothing of the present producer yet
            return StreamPlace(self._nonce, -1, 0)
        return self.place_of(self._epoch, self._next)

    def place_of(self, epoch: int, start: int) -> StreamPlace:
        """Where a sample that has come lies, as its producer counts."""
        shift = max((shift for shift in self._nonces if shift <= epoch), default=self._shift)
        return StreamPlace(self._nonces.get(shift, self._nonce), epoch - shift, start)

    def producers_epoch(self, epoch: int) -> int:
        """What the present producer calls an epoch; negative where that was another producer's."""
        return epoch - self._shift

    @property
    def waiting(self) -> int:
        """Chunks and gaps that the reader has not taken yet."""
        return len(self._queue)

    @property
    def received(self) -> int:
        """Samples handed to the reader."""
        return self._received

    @property
    def taken(self) -> int:
        """Samples dealt with since the present subscription, for `streaming.Taken`."""
        return self.dealt_with + self._given_up - self._base

    @property
    def offered(self) -> int:
        """Samples that the producer has offered to this reader since it first subscribed, as last heard."""
        return self._base + self.tip.offered

    @property
    def dealt_with(self) -> int:
        """Samples received or given up since it first subscribed."""
        return self._received + self._dropped

    def ledger(self) -> HopLedger:
        """Accounts so far."""
        return HopLedger(
            sent=self._sent,
            received=self._received,
            dropped=self._dropped,
            repaired=self._repaired,
            nbytes=self._nbytes,
        )
