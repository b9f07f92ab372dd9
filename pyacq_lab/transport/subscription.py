"""One reader's connection to one output: what is said on it, and where what has come waits to be taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import zmq
from zmq.utils.monitor import parse_monitor_message

from pyacq_lab.errors import EndOfStream, HostUnreachable, ProtocolError, SamplesGone, StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.ledger import HopLedger
from pyacq_lab.model.place import StreamPlace
from pyacq_lab.model.stream import StreamAddress, StreamSpec
from pyacq_lab.transport.doorbell import Doorbell
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.memory import machine
from pyacq_lab.transport.reactor import Frames
from pyacq_lab.transport.ringreader import RingReader
from pyacq_lab.transport.ringserver import SIGN_OF_LIFE, TransferMode
from pyacq_lab.transport.streamcontext import StreamContext
from pyacq_lab.transport.streamsocket import is_immediate, reach
from pyacq_lab.wire.inbox import Inbox
from pyacq_lab.wire.rate import Rate
from pyacq_lab.wire.streaming import (
    Admitted,
    AskTip,
    Closed,
    Fetch,
    Fetched,
    Hello,
    Leave,
    Opened,
    Outdated,
    Policy,
    Taken,
    decode_from_producer,
    decode_samples,
    encode,
)

_MORE = 8  # messages that are received at once, where so many are there
_PAGE = 16 << 20  # bytes of the past that are asked for at once


class Subscription:
    """The connection, the accounts, and the place in the producer's ring or the queue of what was sent.

    One thread takes and waits; any thread may ask and close.

    Parameters
    ----------
    address : StreamAddress
        Which output.
    context : StreamContext
        Reactor and keys.
    bell : Doorbell
        What the thread that waits is woken by.
    reader : str
        The reader's name, for messages.
    policy, backfill, transfermode, since
        As of `InputStream`.
    wanted : mapping
        Fields of the stream's spec that it must have.

    Raises
    ------
    ConfigurationError, HostUnreachable
        As `streamsocket.reach`.
    """

    def __init__(
        self,
        address: StreamAddress,
        context: StreamContext,
        bell: Doorbell,
        *,
        reader: str,
        policy: Policy,
        backfill: float,
        transfermode: TransferMode,
        wanted: Mapping[str, Any],
        since: StreamPlace | None = None,
    ) -> None:
        self.address = address
        self.inbox = Inbox(policy, backfill, since)
        self.closed = False
        self._ended = False  # by the producer, for good
        self.linked = False
        self.mode = ""
        self._reader = reader
        self._policy: Policy = policy
        self._transfermode = transfermode
        self._wanted = wanted
        self._bell = bell
        self._armed = False
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._ring: RingReader | None = None
        self._opened: Opened | None = None
        self._admitted = False
        self._is_current = False  # whether what arrives belongs to the present subscription
        self._refused: Exception | None = None
        self._reported = 0
        self._report_every = 1  # samples
        self._most: int | None = None  # samples that may wait here before the oldest are given up
        self._token = 0
        self._fetched: dict[int, tuple[Fetched, bytes]] = {}
        self._rate = Rate(time.monotonic())
        keys = KeyPair.from_secret(address.secret_key) if address.secret_key else context.client_keys
        raw, events = reach(context.reactor.context, keys, address.endpoint, address.public_key)
        self._reactor = context.reactor
        self._socket = self._reactor.add(raw, self._on_message)
        self._monitor = self._reactor.add(events, self._on_link)
        self._timer = self._reactor.call_every(SIGN_OF_LIFE, self.report)
        if is_immediate(address):
            self._greet()

    def wait_opened(self, timeout: float) -> None:
        """Wait until the producer has described its stream and admitted this reader.

        Raises
        ------
        HostUnreachable
            It did not within ``timeout`` seconds.
        StreamMismatch
            The stream is not what is wanted.
        """
        with self._news:
            self._news.wait_for(
                lambda: self._admitted or self._refused or self.closed or self._ended, timeout
            )
            if self._refused:
                raise self._refused
            if self._admitted:
                return
        raise HostUnreachable(
            f"output {self.address.name} at {self.address.endpoint} did not describe its stream within "
            f"{timeout:g} s: it is not configured, its process has ended, it is served at another address "
            "by now (connect again), or it refuses this side's key"
        )

    def close(self) -> None:
        """Leave; idempotent."""
        with self._news:
            if self.closed:
                return
            self._look_ahead()
            self.closed = True
            self._ring = None  # and with it what is mapped of the producer's memory
            self._news.notify_all()
        self._reactor.cancel(self._timer)
        self._socket.send([encode(Leave())])
        self._socket.close(0.2)
        self._monitor.close(0)

    # --- what is known of the producer

    @property
    def why_not_shared(self) -> str:
        """Why the ring is not read in place; empty where it is."""
        return "" if self._opened is None else self._opened.why.lstrip("!")

    @property
    def running(self) -> bool:
        """Whether the producer runs, as last heard."""
        if self.ended:
            return False
        return self.inbox.tip.running if self._ring is None else self._ring.ring.running

    @property
    def ended(self) -> bool:
        """Whether the producer has ended for good."""
        return self._ended or (self._ring is not None and self._ring.ring.closed)

    @property
    def run_over(self) -> bool:
        """Whether the producer does not run, and all that it has offered was taken."""
        if self.running:  # asked first: what it wrote before it stopped is counted below
            return False
        with self._lock:
            self._look_ahead()
            return not self.waiting and (self.ended or self.inbox.dealt_with >= self.inbox.offered)

    # --- the thread that takes

    @property
    def waiting(self) -> int:
        """Chunks and gaps that wait to be taken."""
        ring = self._ring
        return self.inbox.waiting + (0 if ring is None else ring.backlog)

    @property
    def over(self) -> bool:
        """Whether there is news: the end of a wait, also for `SharedSocket.lead`."""
        return bool(self.waiting or self.closed or self._ended or self.inbox.changed or self._refused)

    def take(self, copy: bool, most: int = 0) -> Chunk | Gap | None:
        """Take what comes next; None where there is nothing. See `InputStream.recv`."""
        with self._lock:
            inbox, ring = self.inbox, self._ring
            if inbox.changed:
                raise StreamMismatch(
                    f"stream {self.address.name} is another now ({inbox.changed}): "
                    "configure its readers again"
                )
            item = inbox.hand() if ring is None else ring.take(inbox, copy, most)
            # How far this has come, the producer sees in a shared ring: a message is to wake it if it waits.
            due = ring is None or ring.ring.wants_room
            due = due and (self._is_due() or (ring is not None and not ring.backlog))
        if due:
            self.report()
        return item

    def _is_due(self) -> bool:
        """Whether so much was taken that the producer should hear of it."""
        return self.inbox.taken - self._reported >= self._report_every

    def give_up(self) -> int:
        """Give up all that waits; returns how many samples. They count as dropped."""
        with self._lock:
            before = self.inbox.dealt_with
            if self._ring is not None:
                self._ring.skip(self.inbox)
            self.inbox.discard()
            given_up = self.inbox.dealt_with - before
        self.report()
        return given_up

    def arm(self) -> bool:
        """Ask for the bell to be rung at the next arrival; False where there is news already."""
        self._armed = True
        ring = self._ring
        if ring is not None and ring.slot >= 0:
            ring.ring.arm(ring.slot, True)
        if self.over:
            self._armed = False
            return False
        return True

    def wait(self, timeout: float) -> None:
        """Wait for news, ``timeout`` seconds at most."""
        ring = self._ring
        if ring is None:
            # Received by this very thread, if it can be: no hop lies between the wire and who waits.
            if not self._socket.lead(self, time.monotonic() + timeout, _MORE) and self.arm():
                self._bell.wait(timeout)
            return
        if nap := ring.nap():
            # The next chunk is written just now. To be woken for each would cost more than to copy it.
            time.sleep(nap)
            if self.waiting:
                return
        if self.arm():
            self._bell.wait(timeout)
        self._armed = False

    # --- questions to the producer, and accounts

    def offered(self, timeout: float) -> int | None:
        """Ask how many samples were offered to this reader; None where the producer does not answer."""
        with self._lock:
            if self._ring is not None:
                self._look_ahead()
                return self.inbox.offered
            token = self._next_token()
        self._socket.send([encode(AskTip(token))])
        with self._news:
            answered = self._news.wait_for(lambda: self.inbox.tip.token >= token or self.closed, timeout)
            return self.inbox.offered if answered else None

    def read(
        self, start: int, stop: int, epoch: int | None, spec: StreamSpec, timeout: float
    ) -> npt.NDArray[Any]:
        """Copy of samples that the producer's ring holds; see `InputStream.get_data`."""
        epoch = None if epoch is None else self._producers_epoch(epoch)
        ring = self._ring
        if ring is not None:
            return ring.ring.read(start, stop, epoch)
        most = max(1, _PAGE // spec.sample_nbytes)
        pages = [
            self._fetch(at, min(stop, at + most), -1 if epoch is None else epoch, spec, timeout)
            for at in range(start, max(start + 1, stop), most)
        ]
        return pages[0].copy() if len(pages) == 1 else np.concatenate(pages, dtype=pages[0].dtype)

    def _fetch(self, start: int, stop: int, epoch: int, spec: StreamSpec, timeout: float) -> npt.NDArray[Any]:
        self._check_there()
        with self._lock:
            token = self._next_token()
        self._socket.send([encode(Fetch(token, epoch, start, max(start, stop)))])
        with self._news:
            self._news.wait_for(lambda: token in self._fetched or self.closed or self._ended, timeout)
            if token not in self._fetched:
                self._check_there()
                raise HostUnreachable(f"output {self.address.name} did not answer within {timeout:g} s")
            answer, buffer = self._fetched.pop(token)
        if answer.error:
            raise SamplesGone(answer.error)
        return decode_samples(max(0, stop - start), buffer, spec)

    def _check_there(self) -> None:
        if self.closed:
            raise EndOfStream(f"input {self._reader} is closed")
        if self._ended:
            raise EndOfStream(f"output {self.address.name} was closed: what it held can be read no longer")

    def bounds(self, timeout: float = 5.0) -> tuple[int, int]:
        """Absolute indices of the oldest sample that the producer holds, and after the newest one."""
        ring = self._ring
        if ring is not None:
            return ring.ring.bounds()
        self._check_there()
        if self.offered(timeout) is None:
            raise HostUnreachable(f"output {self.address.name} did not answer within {timeout:g} s")
        return self.inbox.tip.first, self.inbox.tip.stop

    def place(self) -> StreamPlace:
        """Where that which is taken next lies, as its producer counts."""
        with self._lock:
            return self.inbox.place

    def place_of(self, epoch: int, start: int) -> StreamPlace:
        """Where a sample that has come lies, as its producer counts."""
        with self._lock:
            return self.inbox.place_of(epoch, start)

    def ledger(self) -> HopLedger:
        """Accounts so far."""
        with self._lock:
            self._look_ahead()
            accounts, spec = self.inbox.ledger(), self.inbox.spec
            return msgspec.structs.replace(
                accounts,
                rate=self._rate.per_second(accounts.received, time.monotonic()),
                lag=0.0 if spec is None else accounts.pending / spec.sample_rate,
                transfermode=self.mode,
            )

    def report(self) -> None:
        """Tell the producer how far this reader has come; also its sign of life."""
        with self._lock:
            if self.closed or not self._is_current:
                return
            taken = self._reported = self.inbox.taken
            if self._ring is not None:
                self._ring.taken()
            self._rate.mark(self.inbox.received, time.monotonic())
        self._socket.send([encode(Taken(taken))])

    def _next_token(self) -> int:
        self._token += 1
        return self._token

    def _producers_epoch(self, epoch: int) -> int:
        number = self.inbox.producers_epoch(epoch)
        if epoch >= 0 > number:
            raise SamplesGone(
                f"epoch {epoch} of stream {self.address.name} was before its producer's restart"
            )
        return number

    def _look_ahead(self) -> None:
        ring = self._ring
        if ring is not None and ring.cursor is not None:
            self.inbox.accept(ring.cursor.tip(ring.ring.position, ring.ring.running, self.inbox.tip.token))

    # --- the reactor's thread, or whoever leads

    def _greet(self) -> None:
        self.linked = True
        self._socket.send([encode(Hello("" if self._transfermode == "plaindata" else machine()))])

    def _on_link(self, frames: Frames) -> None:
        event = parse_monitor_message([f.bytes for f in frames])["event"]
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._greet()
        elif event == zmq.EVENT_DISCONNECTED:
            self.linked = False

    def _on_message(self, frames: Frames) -> None:
        message = decode_from_producer(frames[0].buffer)
        with self._news:
            if self.closed:
                return
            if isinstance(message, Opened):
                self._open(message)
            elif isinstance(message, Admitted):
                self._take_place(message)
            elif isinstance(message, Closed):
                self._ended, self.linked = True, False
            elif isinstance(message, Fetched):
                self._fetched[message.token] = message, frames[1].bytes if len(frames) > 1 else b""
            elif isinstance(message, Outdated):
                self.inbox.outdate()
            elif self._is_current:
                self.inbox.accept(message, frames[1].buffer if len(frames) > 1 else b"")
                if self._most is not None:
                    self.inbox.trim(self._most)
            due = self._most is not None and self._is_due()
            self._news.notify_all()
        if due:  # what was given up has made room for what is newer
            self.report()
        if self._armed:
            self._armed = False
            self._bell.ring()

    def _open(self, opened: Opened) -> None:
        self._refused = self._objection(opened)
        self._opened = opened
        if self._refused:
            return
        if self._ring is not None and self._ring.ring.nonce != opened.nonce:
            # Another producer has its place. What this one has written is still to be had.
            self._ring.collect(self.inbox)
        self.inbox.accept(opened)
        # Each word wakes the producer, which costs as much as to send a hundred kilobytes: one that waits for
        # its readers hears of a quarter of what may be under way at a time; a device has time to hear more.
        self._report_every = max(1, opened.spec.ring_size // (8 if opened.spec.waits else 32))
        if self._policy != "lossless":
            # Half of what may be under way to this reader, so that the producer always has leave to go on.
            self._most = 0 if self._policy == "latest" else opened.spec.ring_size // 16
        if self.inbox.changed:
            return
        ring = self._ring = self._mapped(opened)
        self._is_current = False
        wish = self.inbox.subscription(ring is not None and ring.cursor is not None)
        if ring is not None:
            ring.return_at(wish.position)
            wish = msgspec.structs.replace(wish, bell=self._bell.address, slot=ring.slot)
        self._socket.send([encode(wish)])

    def _mapped(self, opened: Opened) -> RingReader | None:
        """Way through the ring that the producer offers, if it does and it can be mapped."""
        if opened.ring is None or (self._ring is not None and self._ring.address == opened.ring):
            return None if opened.ring is None else self._ring
        try:
            return RingReader(opened.ring, opened.spec)
        except (OSError, ProtocolError) as error:
            self._opened = Opened(opened.spec, None, f"its memory cannot be mapped: {error}")
            if self._transfermode == "sharedmem":
                self._refused = self._objection(self._opened)
            return None

    def _take_place(self, admitted: Admitted) -> None:
        if self._ring is not None and admitted.slot >= 0:
            self._ring.admit(admitted, self._policy)
        else:  # also where a ring was offered: it has no place for one more reader
            self._ring = None
        self.inbox.admitted(admitted)
        self._reported = 0
        self.mode = "plaindata" if self._ring is None else "sharedmem"
        self._admitted = self._is_current = True

    def _objection(self, opened: Opened) -> Exception | None:
        """What this reader has against the stream."""
        spec, whose = opened.spec, f"output {self.address.name} at {self.address.endpoint}"
        if opened.ring is None and (self._transfermode == "sharedmem" or opened.why.startswith("!")):
            why = opened.why.lstrip("!")
            return StreamMismatch(f"input {self._reader} cannot share memory with {whose}: {why}; use 'auto'")
        differences = [
            f"{field} {value!r}, but it is {getattr(spec, field)!r}"
            for field, value in self._wanted.items()
            if not _agree(field, value, getattr(spec, field))
        ]
        if differences:
            return StreamMismatch(f"input {self._reader} wants of {whose} {'; '.join(differences)}")
        return None


def _agree(field: str, wanted: Any, found: Any) -> bool:
    if field == "dtype":
        return np.dtype(wanted) == StreamSpec(dtype=found).np_dtype
    if isinstance(wanted, set | frozenset):
        return found in wanted
    return tuple(wanted) == tuple(found) if isinstance(wanted, list | tuple) else wanted == found
