"""The reading end of a stream."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Protocol, get_args, runtime_checkable

import msgspec
import numpy as np
import numpy.typing as npt
import zmq
from zmq.utils.monitor import parse_monitor_message

from pyacq_lab.errors import (
    ConfigurationError,
    EndOfStream,
    HostUnreachable,
    LifecycleError,
    ProtocolError,
    SamplesGone,
    StreamMismatch,
)
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.ledger import HopLedger
from pyacq_lab.model.stream import StreamAddress, StreamSpec
from pyacq_lab.transport import streamcontext
from pyacq_lab.transport.doorbell import Doorbell
from pyacq_lab.transport.history import History
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.memory import machine
from pyacq_lab.transport.outputs import SIGN_OF_LIFE, TransferMode
from pyacq_lab.transport.reactor import Frames, SharedSocket
from pyacq_lab.transport.ringreader import RingReader
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
    Policy,
    Subscribe,
    Taken,
    decode_from_producer,
    decode_samples,
    encode,
)

_NAP = 50e-6
"""Seconds for which a reader of a fast stream leaves its producer alone before it asks to be woken."""

_LOOK_AGAIN = 0.1
"""Seconds after which a waiting reader looks by itself, should a doorbell's ring ever be missed."""


@runtime_checkable
class Readable(Protocol):
    """Anything that says where a stream can be read: an `OutputStream`, or the handle of a node's output."""

    @property
    def address(self) -> StreamAddress:
        """Where."""
        ...

    @property
    def context(self) -> StreamContext | None:
        """Reactor and keys by which this process may read it; None: its own."""
        ...


class InputStream:
    """The reading end of a stream. One thread reads; any thread may ask for `ledger` or `close`.

    Parameters
    ----------
    name : str
        The input's name, for messages.
    policy : {'lossless', 'drop-oldest', 'latest'}
        What happens when the reader is slow: the producer keeps what it lacks while its ring lasts; the
        oldest are dropped; all but the newest are dropped.
    backfill : float
        Seconds of the past to begin with, as far as the producer's ring reaches.
    transfermode : {'auto', 'sharedmem', 'plaindata'}
        Whether it reads the producer's ring in place: if it can; it must; it must not.
    context : StreamContext, optional
        Reactor and keys; those of what it connects to, or this process's own, unless given.
    bell : Doorbell, optional
        Rung at every arrival while `arm` asks for it; one of its own unless given.
    """

    def __init__(
        self,
        name: str = "in",
        *,
        policy: Policy = "lossless",
        backfill: float = 0.0,
        transfermode: TransferMode = "auto",
        context: StreamContext | None = None,
        bell: Doorbell | None = None,
    ) -> None:
        for given, known in ((policy, Policy), (transfermode, TransferMode)):
            if given not in get_args(known):
                raise ConfigurationError(f"{given!r}: wanted one of {', '.join(map(repr, get_args(known)))}")
        self.name = name
        self._policy: Policy = policy
        self._transfermode = transfermode
        self._context = context
        self._lent: StreamContext | None = None
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._inbox = Inbox(policy, backfill)
        self._ring: RingReader | None = None
        self._opened: Opened | None = None
        self._admitted = False
        self._is_current = False  # whether what arrives belongs to the present subscription
        self._mode = ""
        self._refused: Exception | None = None
        self._wanted: dict[str, Any] = {}
        self._address: StreamAddress | None = None
        self._socket: SharedSocket | None = None
        self._monitor: SharedSocket | None = None
        self._timer = -1
        self._linked = False
        self._reported = 0
        self._report_every = 1  # samples
        self._token = 0
        self._fetched: dict[int, tuple[Fetched, bytes]] = {}
        self._ended = False  # by the producer, for good
        self._closed = False
        self._own_bell = bell is None
        self._bell = bell
        self._armed = False
        self._filters: list[Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = []
        self._history: History | None = None
        self._rate = Rate(time.monotonic())
        self._arrival = _Arrival(self)

    def __repr__(self) -> str:
        where = (
            "not connected"
            if self._address is None
            else f"reads {self._address.name} at {self._address.endpoint}"
        )
        return f"<InputStream {self.name}: {where}>"

    def __enter__(self) -> InputStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- connecting

    def connect(
        self,
        source: Readable | StreamAddress | Mapping[str, Any],
        *,
        timeout: float = 5.0,
        wait: bool = True,
        **wanted: Any,
    ) -> InputStream:
        """Connect to an output, and wait until it has admitted this reader: it misses nothing from then on.

        Parameters
        ----------
        source : OutputStream, output handle, StreamAddress or mapping
            What to read; a mapping has the fields of a `StreamAddress`.
        timeout : float
            Seconds to wait for the producer's word.
        wait : bool
            Whether to wait at all; `wait_opened` does it later.
        **wanted
            Fields of the stream's spec that this reader can work with, such as ``dtype="int16"`` or
            ``streamtype="analogsignal"``; another stream is refused.

        Returns
        -------
        InputStream
            This stream.

        Raises
        ------
        HostUnreachable
            The producer did not describe its stream in time. This stream is closed.
        StreamMismatch
            The stream is not what is wanted; both sides are named. This stream is closed.
        LifecycleError
            It is connected already, or closed.
        """
        if self._closed or self._address is not None:
            state = "closed" if self._closed else f"connected to {self.source_name}"
            raise LifecycleError(f"input {self.name} is {state}: make another for another stream")
        if unknown := set(wanted) - set(StreamSpec.__struct_fields__):
            known = ", ".join(StreamSpec.__struct_fields__)
            raise ConfigurationError(f"{', '.join(sorted(unknown))}: a stream is described by {known}")
        address, context = _looked_up(source)
        self._wanted = wanted
        context = self._context or context
        if context is None:
            context = self._lent = streamcontext.borrow()
        keys = KeyPair.from_secret(address.secret_key) if address.secret_key else context.client_keys
        try:
            raw, events = reach(context.reactor.context, keys, address.endpoint, address.public_key)
        except BaseException:
            self.close()
            raise
        self._bell = self._bell or Doorbell()
        self._context, self._address = context, address
        self._socket = context.reactor.add(raw, self._on_message)
        self._monitor = context.reactor.add(events, self._on_link)
        self._timer = context.reactor.call_every(SIGN_OF_LIFE, self._report)
        if is_immediate(address):
            self._greet()
        if wait:
            try:
                self.wait_opened(timeout)
            except BaseException:
                self.close()
                raise
        return self

    def wait_opened(self, timeout: float) -> StreamSpec:
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
                lambda: self._admitted or self._refused or self._closed or self._ended, timeout
            )
            if self._refused:
                raise self._refused
            if self._admitted:
                return self.spec
        raise HostUnreachable(
            f"output {self.source_name} at {self.address.endpoint} did not describe its stream within "
            f"{timeout:g} s: it is not configured, its process has ended, it is served at another address "
            "by now (connect again), or it refuses this side's key"
        )

    # --- what it reads

    @property
    def address(self) -> StreamAddress:
        """Which output it reads. Raises LifecycleError before `connect`."""
        if self._address is None:
            raise LifecycleError(f"input {self.name} is not connected: call connect(output) first")
        return self._address

    @property
    def source_name(self) -> str:
        """Name of the output it reads."""
        return "" if self._address is None else self._address.name

    @property
    def spec(self) -> StreamSpec:
        """What the stream is. Raises LifecycleError before the producer has said it."""
        if self._inbox.spec is None:
            raise LifecycleError(f"stream {self.source_name or self.name} has not been described yet")
        return self._inbox.spec

    @property
    def transfermode(self) -> str:
        """``"sharedmem"`` where it reads the producer's ring in place, else ``"plaindata"``."""
        return self._mode or "plaindata"

    @property
    def why_not_shared(self) -> str:
        """Why it does not read in place; empty where it does."""
        return "" if self._opened is None else self._opened.why.lstrip("!")

    @property
    def running(self) -> bool:
        """Whether the producer runs, as last heard."""
        return self._ring.ring.running if self._ring is not None else self._inbox.tip.running

    @property
    def linked(self) -> bool:
        """Whether there is a connection to the producer just now."""
        return self._linked

    @property
    def ended(self) -> bool:
        """Whether the producer has ended for good."""
        return self._ended or (self._ring is not None and self._ring.ring.closed)

    # --- reading

    def recv(
        self, timeout: float | None = None, *, copy: bool = True, physical: bool = False
    ) -> Chunk | Gap | None:
        """Take the next chunk or gap, in order; None where none came within ``timeout`` seconds.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait; for good unless given.
        copy : bool
            Whether the samples are to stay valid. Without a copy those of a producer on this machine lie in
            its own ring: they cost nothing, and are overwritten when it has come round. `Chunk.intact` says
            afterwards whether what was made of them can be trusted.
        physical : bool
            Whether the samples come as floats in the stream's units, ``raw * scale + offset``.

        Raises
        ------
        EndOfStream
            The producer has ended for good, and all it has sent was taken; or this end was closed.
        StreamMismatch
            The producer was configured anew and its stream is another one now.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._lock:
                item = self._next(copy)
                due = self._inbox.taken - self._reported >= self._report_every
            if due:
                self._report()
            if item is not None:
                return self._finished(item, physical)
            self._check_open()
            left = _LOOK_AGAIN if deadline is None else min(_LOOK_AGAIN, deadline - time.monotonic())
            if left <= 0:
                return None
            self._wait(left)

    async def recv_async(self, timeout: float | None = None, **options: Any) -> Chunk | Gap | None:
        """As `recv`, while the event loop goes on."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (item := self.recv(0.0, **options)) is None:
            left = _LOOK_AGAIN if deadline is None else min(_LOOK_AGAIN, deadline - time.monotonic())
            if left <= 0:
                return None
            if self.arm() and self._bell is not None:
                await _rung(self._bell, left)
        return item

    def __iter__(self) -> Iterator[Chunk | Gap]:
        """Give chunks and gaps until either end is closed; over all epochs."""
        while True:
            try:
                item = self.recv()
            except EndOfStream:
                return
            if item is not None:
                yield item

    async def __aiter__(self) -> AsyncIterator[Chunk | Gap]:
        """As ``for item in stream``, while the event loop goes on."""
        while True:
            try:
                item = await self.recv_async()
            except EndOfStream:
                return
            if item is not None:
                yield item

    @property
    def has_news(self) -> bool:
        """Whether something waits to be taken, or has happened that `recv` would tell."""
        return bool(self._waiting() or self._closed or self._ended or self._inbox.changed or self._refused)

    def poll(self, timeout: float = 0.0) -> int:
        """Wait up to ``timeout`` seconds for news; returns how many chunks and gaps wait to be taken."""
        deadline = time.monotonic() + timeout
        while True:
            waiting = self._waiting()
            left = min(_LOOK_AGAIN, deadline - time.monotonic())
            if waiting or self._closed or self._ended or left <= 0:
                return waiting
            self._wait(left)

    def arm(self) -> bool:
        """Ask for the bell to be rung at the next arrival; False where something waits already."""
        self._armed = True
        ring = self._ring
        if ring is not None and ring.slot >= 0:
            ring.ring.arm(ring.slot, True)
        if self.has_news:
            self._armed = False
            return False
        return True

    def empty_queue(self) -> int:
        """Give up all that waits to be taken; returns how many samples. They count as dropped."""
        with self._lock:
            before = self._inbox.dealt_with
            if self._ring is not None:
                self._ring.skip(self._inbox)
            self._inbox.discard()
            given_up = self._inbox.dealt_with - before
        self._report()
        return given_up

    def reset(self) -> None:
        """Give up all that waits, and forget what `set_buffer` has kept."""
        self.empty_queue()
        if self._history is not None:
            self._history.clear()

    def add_filter(self, function: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> None:
        """Have each chunk's samples passed through a function as they are taken, after those added before.

        It is called by the thread that reads, with an array (n_samples, ...), and gives as many samples.
        """
        if not callable(function):
            raise ConfigurationError(f"add_filter({function!r}): wanted a function of an array of samples")
        self._filters.append(function)

    # --- by absolute index

    def set_buffer(self, size: int = 0, *, seconds: float = 0.0) -> None:
        """Keep what is taken, for `get_data` and ``stream[start:stop]``; 0 for both: no longer.

        Without it these look into the producer's ring, on whatever machine that is.

        Parameters
        ----------
        size : int
            Samples to keep.
        seconds : float
            The same as a time, s.
        """
        size = size or round(seconds * self.spec.sample_rate)
        if size < 0:
            raise ConfigurationError(f"set_buffer: {size} samples; wanted a positive number, or 0 for none")
        self._history = History(self.spec, size) if size else None

    def get_data(
        self, start: int, stop: int, *, epoch: int | None = None, physical: bool = False, timeout: float = 5.0
    ) -> npt.NDArray[Any]:
        """Copy of samples ``[start, stop)`` by absolute index, shape (stop - start, ...).

        Parameters
        ----------
        start, stop : int
            Absolute sample indices.
        epoch : int, optional
            Which epoch they count in; the present one unless given.
        physical : bool
            Whether they come as floats in the stream's units.
        timeout : float
            Seconds that a producer on another machine may take to answer.

        Raises
        ------
        SamplesGone
            They are not, not yet, or no longer there, or there is a gap among them.
        HostUnreachable
            The producer did not answer.
        """
        ring = self._ring
        if self._history is not None:
            data = self._history.read(start, stop, epoch)
        elif ring is not None:
            data = ring.ring.read(start, stop, self._producers_epoch(epoch))
        else:
            data = self._fetch(start, stop, self._producers_epoch(epoch), timeout)
        return self.spec.to_physical(data) if physical else data

    def __getitem__(self, index: int | slice) -> npt.NDArray[Any]:
        """Samples by absolute index in the present epoch; negative ones count from the newest.

        Raises as `get_data`, and ConfigurationError for an index that is neither a number nor a slice.
        """
        first, stop = self.bounds()
        if isinstance(index, slice):
            begin, end, step = _absolute(index, first, stop)
            if step > 0:
                return self.get_data(begin, max(begin, end))[::step]
            return self.get_data(min(begin, end) + 1, begin + 1)[::-1][::-step]
        try:
            number = int(index.__index__())
        except AttributeError:
            raise ConfigurationError(
                f"stream[{index!r}]: wanted an absolute index, or a slice of them"
            ) from None
        number += stop if number < 0 else 0
        return self.get_data(number, number + 1)[0]

    def bounds(self) -> tuple[int, int]:
        """Absolute indices of the oldest sample kept in the present epoch, and after the newest one."""
        ring = self._history.ring if self._history is not None else None
        if ring is None and self._ring is not None:
            ring = self._ring.ring
        if ring is None:
            stop = self._inbox.next_index[1]
            return max(0, stop - self.spec.ring_size), stop
        entry = ring.entry(ring.begin_of(ring.epoch))
        return (ring.stop if entry is None else entry.start), ring.stop

    def _producers_epoch(self, epoch: int | None) -> int | None:
        if epoch is None:
            return None
        number = self._inbox.producers_epoch(epoch)
        if epoch >= 0 > number:
            raise SamplesGone(f"epoch {epoch} of stream {self.source_name} was before its producer's restart")
        return number

    def _fetch(self, start: int, stop: int, epoch: int | None, timeout: float) -> npt.NDArray[Any]:
        with self._lock:
            self._token += 1
            token = self._token
            current = self._inbox.producers_epoch(self._inbox.next_index[0])
        wish = Fetch(token, max(0, current) if epoch is None else epoch, start, max(start, stop))
        if self._socket is not None:
            self._socket.send([encode(wish)])
        with self._news:
            self._news.wait_for(lambda: token in self._fetched or self._closed, timeout)
            if token not in self._fetched:
                raise HostUnreachable(f"output {self.source_name} did not answer within {timeout:g} s")
            answer, buffer = self._fetched.pop(token)
        if answer.error:
            raise SamplesGone(answer.error)
        return decode_samples(max(0, stop - start), buffer, self.spec).copy()

    # --- accounts

    def offered(self, timeout: float = 1.0) -> int | None:
        """Ask the producer how many samples it has offered to this reader; None where it does not answer.

        All of them were taken once `dealt_with` has reached that number.
        """
        with self._lock:
            if self._ring is not None:
                self._look_ahead()
                return self._inbox.offered
            self._token += 1
            token = self._token
        if self._socket is not None:
            self._socket.send([encode(AskTip(token))])
        with self._news:
            answered = self._news.wait_for(lambda: self._inbox.tip.token >= token or self._closed, timeout)
            return self._inbox.offered if answered else None

    @property
    def dealt_with(self) -> int:
        """Samples received or given up so far."""
        return self._inbox.dealt_with

    def ledger(self) -> HopLedger:
        """Accounts of this connection; any thread."""
        with self._lock:
            self._look_ahead()
            accounts = self._inbox.ledger()
            spec = self._inbox.spec
            return msgspec.structs.replace(
                accounts,
                rate=self._rate.per_second(accounts.received, time.monotonic()),
                lag=0.0 if spec is None else accounts.pending / spec.sample_rate,
                transfermode=self._mode,
            )

    def close(self) -> None:
        """Stop reading; idempotent, any thread. Samples that were taken stay valid."""
        with self._news:
            if self._closed:
                return
            self._look_ahead()
            self._closed = True
            self._ring = None  # and with it what is mapped of the producer's memory
            self._news.notify_all()
        if self._context is not None and self._socket is not None and self._monitor is not None:
            self._context.reactor.cancel(self._timer)
            self._socket.send([encode(Leave())])
            self._socket.close(0.2)
            self._monitor.close(0)
        if self._own_bell and self._bell is not None:
            self._bell.ring()
            self._bell.close()
        if self._lent is not None:
            streamcontext.give_back(self._lent)
            self._lent = None

    # --- under the lock

    def _next(self, copy: bool) -> Chunk | Gap | None:
        inbox, ring = self._inbox, self._ring
        if inbox.changed:
            raise StreamMismatch(
                f"stream {self.source_name} is another now ({inbox.changed}): configure its readers again"
            )
        return inbox.hand() if ring is None else ring.take(inbox, copy)

    def _look_ahead(self) -> None:
        ring = self._ring
        if ring is not None and ring.cursor is not None:
            self._inbox.accept(ring.cursor.tip(ring.ring.position, ring.ring.running, self._inbox.tip.token))

    # --- the thread that reads

    def _wait(self, timeout: float) -> None:
        """Wait for news, ``timeout`` seconds at most."""
        ring, socket = self._ring, self._socket
        if ring is None:
            # Received by this very thread, if it can be: no hop lies between the wire and who waits.
            led = socket is not None and socket.lead(self._arrival, time.monotonic() + timeout)
            if not led and self.arm() and self._bell is not None:
                self._bell.wait(timeout)
            return
        if ring.is_fast:
            # The next chunk is written just now. To be woken for each would cost more than to copy it.
            time.sleep(_NAP)
            if self._waiting():
                return
        if self.arm() and self._bell is not None:
            self._bell.wait(timeout)
        self._armed = False

    def _waiting(self) -> int:
        ring = self._ring
        return self._inbox.waiting + (0 if ring is None else ring.backlog)

    def _check_open(self) -> None:
        if self._address is None and not self._closed:
            raise LifecycleError(f"input {self.name} is not connected: call connect(output) first")
        if self._closed:
            raise EndOfStream(f"input {self.name} is closed")
        if self.ended and not self._waiting():
            raise EndOfStream(f"output {self.source_name} was closed")

    def _finished(self, item: Chunk | Gap, physical: bool) -> Chunk | Gap:
        if isinstance(item, Chunk):
            data = item.data
            for function in self._filters:
                data = np.asarray(function(data))
                if len(data) != len(item):
                    raise StreamMismatch(
                        f"a filter of input {self.name} made {len(data)} samples of {len(item)}"
                    )
            if data is not item.data:
                item = item.with_data(data)
            if self._history is not None:
                self._history.keep(item)
            return item.with_data(self.spec.to_physical(data)) if physical else item
        if self._history is not None:
            self._history.keep(item)
        return item

    def _report(self) -> None:
        with self._lock:
            if self._socket is None or not self._is_current:
                return
            taken = self._reported = self._inbox.taken
            if self._ring is not None:
                self._ring.taken()
            self._rate.mark(self._inbox.received, time.monotonic())
        self._socket.send([encode(Taken(taken))])

    # --- the reactor's thread

    def _greet(self) -> None:
        self._linked = True
        wish = "" if self._transfermode == "plaindata" else machine()
        if self._socket is not None:
            self._socket.send([encode(Hello(wish))])

    def _on_link(self, frames: Frames) -> None:
        event = parse_monitor_message([f.bytes for f in frames])["event"]
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._greet()
        elif event == zmq.EVENT_DISCONNECTED:
            self._linked = False

    def _on_message(self, frames: Frames) -> None:
        message = decode_from_producer(frames[0].buffer)
        with self._news:
            if self._closed:
                return
            if isinstance(message, Opened):
                self._open(message)
            elif isinstance(message, Admitted):
                if self._ring is not None and message.slot >= 0:
                    self._ring.admit(message, self._policy)
                elif self._ring is not None:
                    self._ring = None  # the producer has no place for one more that reads in place
                self._inbox.admitted(message)
                self._reported = 0
                self._mode = "plaindata" if self._ring is None else "sharedmem"
                self._admitted = self._is_current = True
            elif isinstance(message, Closed):
                self._ended = True
            elif isinstance(message, Fetched):
                self._fetched[message.token] = message, frames[1].bytes if len(frames) > 1 else b""
            elif self._is_current:
                self._inbox.accept(message, frames[1].buffer if len(frames) > 1 else b"")
            self._news.notify_all()
        if self._armed and self._bell is not None:
            self._armed = False
            self._bell.ring()

    def _open(self, opened: Opened) -> None:
        self._refused = self._objection(opened)
        self._opened = opened
        if self._refused:
            return
        ring = self._ring
        if ring is not None and ring.ring.nonce != opened.nonce:
            # Another producer has its place. What this one has written is still to be had.
            ring.collect(self._inbox)
        self._inbox.accept(opened)
        self._report_every = max(1, opened.spec.ring_size // 32)
        if self._inbox.changed:
            return
        if opened.ring is not None and (ring is None or ring.address != opened.ring):
            try:
                ring = RingReader(opened.ring, opened.spec)
            except (OSError, ProtocolError) as error:
                ring = None
                opened = self._opened = Opened(opened.spec, None, f"its memory cannot be mapped: {error}")
                if self._transfermode == "sharedmem":
                    self._refused = self._objection(opened)
        if opened.ring is None:
            ring = None
        self._ring = ring
        self._is_current = False
        wish = self._inbox.subscription(ring is not None and ring.cursor is not None)
        if ring is not None and self._bell is not None:
            ring.return_at(wish.position)
            wish = msgspec.structs.replace(wish, bell=self._bell.address, slot=ring.slot)
        self._subscribe(wish)

    def _subscribe(self, wish: Subscribe) -> None:
        if self._socket is not None:
            self._socket.send([encode(wish)])

    def _objection(self, opened: Opened) -> Exception | None:
        """What this reader has against the stream."""
        spec, whose = opened.spec, f"output {self.source_name} at {self.address.endpoint}"
        if opened.ring is None and (self._transfermode == "sharedmem" or opened.why.startswith("!")):
            why = opened.why.lstrip("!")
            return StreamMismatch(f"input {self.name} cannot share memory with {whose}: {why}; use 'auto'")
        differences = [
            f"{field} {value!r}, but it is {getattr(spec, field)!r}"
            for field, value in self._wanted.items()
            if not _agree(field, value, getattr(spec, field))
        ]
        if differences:
            return StreamMismatch(f"input {self.name} wants of {whose} {'; '.join(differences)}")
        return None


class _Arrival:
    """What a thread that receives for itself waits for; see `SharedSocket.lead`."""

    def __init__(self, stream: InputStream) -> None:
        self._stream = stream

    @property
    def over(self) -> bool:
        """Whether there is news."""
        return self._stream.has_news


def _agree(field: str, wanted: Any, found: Any) -> bool:
    if field == "dtype":
        return np.dtype(wanted) == StreamSpec(dtype=found).np_dtype
    if isinstance(wanted, set | frozenset):
        return found in wanted
    return tuple(wanted) == tuple(found) if isinstance(wanted, list | tuple) else wanted == found


def _looked_up(source: Any) -> tuple[StreamAddress, StreamContext | None]:
    """Where a stream is read, and by whose keys."""
    if isinstance(source, StreamAddress):
        return source, None
    if isinstance(source, Mapping):
        try:
            return msgspec.convert(source, StreamAddress), None
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"{source!r} is not a stream's address: {error}") from None
    if isinstance(source, Readable):
        return source.address, source.context
    raise ConfigurationError(
        f"connect wants an OutputStream, the handle of a node's output, or an address; {source!r} came"
    )


def _absolute(index: slice, first: int, stop: int) -> tuple[int, int, int]:
    """Begin, end and step of a slice of absolute indices, of which ``[first, stop)`` exist."""
    step = 1 if index.step is None else int(index.step)
    if step == 0:
        raise ConfigurationError("a slice of a stream cannot have step 0")

    def place(value: Any, default: int) -> int:
        if value is None:
            return default
        return int(value) + (stop if value < 0 else 0)

    if step > 0:
        return place(index.start, first), place(index.stop, stop), step
    return place(index.start, stop - 1), place(index.stop, first - 1), step


async def _rung(bell: Doorbell, timeout: float) -> None:
    """Wait for a bell on the event loop."""
    loop = asyncio.get_running_loop()
    rung = asyncio.Event()
    try:
        loop.add_reader(bell.fd, rung.set)
    except NotImplementedError:  # Windows' own loop watches no sockets
        await asyncio.to_thread(bell.wait, timeout)
        return
    try:
        async with asyncio.timeout(timeout):
            await rung.wait()
    except TimeoutError:
        return
    finally:
        loop.remove_reader(bell.fd)
        bell.hush()
