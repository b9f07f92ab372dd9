"""The reading end of a stream."""

from __future__ import annotations

import math
import operator
import os
import threading
import time
import weakref
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Never

import numpy.typing as npt

from pyacq_lab.errors import ConfigurationError, EndOfStream, LifecycleError
from pyacq_lab.model.choices import check_choice
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.closing import Closing
from pyacq_lab.model.ledger import HopLedger
from pyacq_lab.model.place import StreamPlace
from pyacq_lab.model.stream import StreamAddress, StreamSpec, check_has_physical
from pyacq_lab.transport import streamcontext
from pyacq_lab.transport.doorbell import Doorbell
from pyacq_lab.transport.history import History, by_index
from pyacq_lab.transport.readable import Readable, check_wanted, look_up
from pyacq_lab.transport.ringserver import TransferMode
from pyacq_lab.transport.samples import Filter, checked_name, checked_timeout, deadline_of, filtered, whole
from pyacq_lab.transport.streamcontext import StreamContext
from pyacq_lab.transport.subscription import Subscription
from pyacq_lab.wire.streaming import Policy

_LOOK_AGAIN = 0.1
"""Seconds after which a waiting reader looks by itself, should a doorbell's ring ever be missed."""


class InputStream(Closing):
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
    since : StreamPlace, optional
        Where to go on for an earlier reader, of another process: its `place`, or that of the first sample
        which it lacked. What the ring no longer holds comes as one gap. Where there is another producer by
        now (`place` has another nonce), it begins with all that this one has.
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
        since: StreamPlace | None = None,
        transfermode: TransferMode = "auto",
        context: StreamContext | None = None,
        bell: Doorbell | None = None,
    ) -> None:
        check_choice("policy", policy, Policy)
        check_choice("transfermode", transfermode, TransferMode)
        if not isinstance(backfill, int | float) or not backfill >= 0:
            raise ConfigurationError(
                f"backfill={backfill!r}: wanted seconds, 0 or more; inf for all there is"
            )
        if not isinstance(since, StreamPlace | None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"since={since!r}: wanted the place of an earlier reader, or None")
        self.name = checked_name(name)
        self._policy: Policy = policy
        self._backfill = backfill
        self._since = since
        self._transfermode: TransferMode = transfermode
        self._context = context
        self._lent: StreamContext | None = None  # this process's own, which is given back
        self._bell = bell
        self._own_bell: Doorbell | None = None
        self._subscription: Subscription | None = None
        self._forgotten: weakref.finalize[Any, InputStream] | None = None
        self._pid = os.getpid()
        self._closed = False
        self._filters: list[Filter] = []
        self._history: History | None = None

    def __repr__(self) -> str:
        source = self._subscription
        where = (
            "not connected" if source is None else f"reads {self.source_name} at {source.address.endpoint}"
        )
        return f"<InputStream {self.name}: {'closed' if self._closed else where}>"

    def __reduce__(self) -> Never:
        raise ConfigurationError(
            f"input {self.name} belongs to this process and cannot be sent to another: send the address of "
            "what it reads (input.address), and connect another InputStream to that there"
        )

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
        if self._closed or self._subscription is not None:
            state = "closed" if self._closed else f"connected to {self.source_name}"
            raise LifecycleError(f"input {self.name} is {state}: make another for another stream")
        check_wanted(wanted)
        timeout = checked_timeout(timeout)
        if "dtype" in wanted:
            StreamSpec.of(wanted["dtype"])  # refused here where it is none
        address, context = look_up(source)
        context = self._context or context
        if context is None:
            context = self._lent = streamcontext.borrow()
        bell = self._bell
        if bell is None:
            bell = self._own_bell = Doorbell()
        try:
            self._subscription = Subscription(
                address,
                context,
                bell,
                reader=self.name,
                policy=self._policy,
                backfill=self._backfill,
                transfermode=self._transfermode,
                wanted=wanted,
                since=self._since,
            )
            # Of one that nobody has any more, nothing is to hold its producer back.
            self._forgotten = weakref.finalize(
                self, _put_away_soon, self._subscription, self._own_bell, self._lent
            )
            self._forgotten.atexit = False
            if wait:
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
        self._connected().wait_opened(checked_timeout(timeout))
        return self.spec

    def _connected(self) -> Subscription:
        if self._subscription is None:
            raise LifecycleError(f"input {self.name} is not connected: call connect(output) first")
        if os.getpid() != self._pid:
            raise LifecycleError(
                f"input {self.name} belongs to the process that this one was forked from: make another here"
            )
        return self._subscription

    def close(self) -> None:
        """Stop reading; idempotent, any thread. Samples that were taken stay valid."""
        if self._closed or os.getpid() != self._pid:  # a fork has the object, but none of what it stands for
            return
        self._closed = True
        if self._forgotten is not None:
            self._forgotten.detach()
        _put_away(self._subscription, self._own_bell, self._lent)
        self._lent = None

    # --- what it reads

    @property
    def address(self) -> StreamAddress:
        """Which output it reads. Raises LifecycleError before `connect`."""
        return self._connected().address

    @property
    def source_name(self) -> str:
        """Name of the output it reads."""
        return "" if self._subscription is None else self._subscription.address.name

    @property
    def spec(self) -> StreamSpec:
        """What the stream is. Raises LifecycleError before the producer has said it."""
        spec = None if self._subscription is None else self._subscription.inbox.spec
        if spec is None:
            raise LifecycleError(f"stream {self.source_name or self.name} has not been described yet")
        return spec

    @property
    def transfermode(self) -> str:
        """``"sharedmem"`` where it reads the producer's ring in place, else ``"plaindata"``."""
        return self._connected().mode or "plaindata"

    @property
    def why_not_shared(self) -> str:
        """Why it does not read in place; empty where it does."""
        return self._connected().why_not_shared

    @property
    def running(self) -> bool:
        """Whether the producer runs, as last heard."""
        return self._connected().running

    @property
    def run_over(self) -> bool:
        """Whether the producer has stopped, or not started yet, and all that it has offered was taken."""
        return self._connected().run_over

    @property
    def linked(self) -> bool:
        """Whether there is a connection to the producer just now."""
        return self._connected().linked

    @property
    def ended(self) -> bool:
        """Whether the producer has ended for good."""
        return self._connected().ended

    # --- reading

    def recv(
        self, timeout: float | None = None, *, copy: bool = True, physical: bool = False, most: int = 0
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
        most : int
            Samples up to which chunks that wait and lie side by side in the memory of a producer on this
            machine come as one, with the time of the first: a reader that is behind catches up cheaply.

        Raises
        ------
        EndOfStream
            The producer has ended for good, and all it has sent was taken; or this end was closed.
        StreamMismatch
            The producer was configured anew and its stream is another one now.
        ConfigurationError
            Samples of this stream's dtype have no physical value. Nothing was taken.
        """
        if self._closed:
            raise EndOfStream(f"input {self.name} is closed")
        subscription = self._connected()
        deadline = deadline_of(timeout)
        if most and whole("most", most) < 0:
            raise ConfigurationError(f"most={most!r}: wanted a number of samples, 0 for each chunk by itself")
        if physical and not self._filters and (spec := subscription.inbox.spec) is not None:
            check_has_physical(spec.np_dtype)
        while (item := subscription.take(copy, most)) is None:
            self._check_open(subscription)
            left = _until_next_look(deadline)
            if left <= 0:
                return None
            subscription.wait(left)
        if self._filters or self._history is not None or physical:
            try:
                return self._finished(item, physical)
            except BaseException:
                if isinstance(item, Chunk):  # it does not reach the reader, and must not count as if it did
                    subscription.inbox.miscount(len(item))
                raise
        return item

    async def recv_async(self, timeout: float | None = None, **options: Any) -> Chunk | Gap | None:
        """As `recv`, while the event loop goes on."""
        deadline = deadline_of(timeout)
        while (item := self.recv(0.0, **options)) is None:
            left = _until_next_look(deadline)
            if left <= 0:
                return None
            bell = self._bell or self._own_bell
            if self.arm() and bell is not None:
                await bell.wait_async(left)
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

    def poll(self, timeout: float | None = 0.0) -> int:
        """Wait up to ``timeout`` seconds for news, for good if None; returns how many items wait."""
        subscription = self._connected()
        deadline = deadline_of(timeout)
        while not subscription.over:
            left = _until_next_look(deadline)
            if left <= 0:
                break
            subscription.wait(left)
        return subscription.waiting

    def arm(self) -> bool:
        """Ask for the bell to be rung at the next arrival; False where something waits already."""
        return self._connected().arm()

    def empty_queue(self) -> int:
        """Give up all that waits to be taken; returns how many samples. They count as dropped."""
        return self._connected().give_up()

    def reset(self) -> None:
        """Give up all that waits, and forget what `set_buffer` has kept."""
        self.empty_queue()
        if self._history is not None:
            self._history.clear()

    def add_filter(self, function: Filter) -> None:
        """Have each chunk's samples passed through a function as they are taken, after those added before.

        It is called by the thread that reads, with an array (n_samples, ...), and gives as many samples.
        """
        if not callable(function):
            raise ConfigurationError(f"add_filter({function!r}): wanted a function of an array of samples")
        self._filters.append(function)

    # --- by absolute index

    def set_buffer(self, size: int = 0, *, seconds: float = 0.0) -> None:
        """Keep what is taken, for `get_data` and ``stream[start:stop]``; 0 for both: no longer.

        It keeps whole chunks, as a ring does: up to one chunk less than asked for. Of what was kept before,
        it keeps what there is room for. Without a buffer these look into the producer's ring, on whatever
        machine that is.

        Parameters
        ----------
        size : int
            Samples to keep.
        seconds : float
            The same as a time, s.

        Raises
        ------
        ConfigurationError
            These are no numbers, both are given, or there is no memory for so many.
        """
        spec = self.spec
        try:
            size = operator.index(size)
            wanted = size or math.ceil(seconds * spec.sample_rate)
        except (TypeError, ValueError, OverflowError):  # nan and inf as well
            wanted = -1
        if wanted < 0 or (size and seconds):
            raise ConfigurationError(
                f"set_buffer({size!r}, seconds={seconds!r}): wanted a number of samples, or of seconds; "
                "0 for none"
            )
        if not wanted:
            self._history = None
        elif self._history is None:
            self._history = History(spec, wanted)
        else:
            self._history.resize(wanted)

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
        try:
            start, stop = operator.index(start), operator.index(stop)
        except TypeError:
            raise ConfigurationError(f"get_data({start!r}, {stop!r}): wanted absolute indices") from None
        epoch, timeout = None if epoch is None else whole("epoch", epoch), checked_timeout(timeout)
        spec = self.spec
        if self._history is not None:
            data = self._history.read(start, stop, epoch)
        else:
            data = self._connected().read(start, stop, epoch, spec, timeout)
        return spec.to_physical(data) if physical else data

    def __getitem__(self, index: int | slice) -> npt.NDArray[Any]:
        """Samples by absolute index in the present epoch; negative ones count from the newest.

        Raises as `get_data`, and ConfigurationError for an index that is neither a number nor a slice.
        """
        return by_index(index, self.bounds(), self.get_data)

    def bounds(self) -> tuple[int, int]:
        """Absolute indices of the oldest sample kept in the present epoch, and after the newest one."""
        subscription = self._connected()
        return subscription.bounds() if self._history is None else self._history.ring.bounds()

    # --- accounts

    @property
    def place(self) -> StreamPlace:
        """Where that which `recv` gives next lies, as its producer counts: for ``since`` in another process.

        Raises LifecycleError before the producer has described its stream.
        """
        self.spec  # noqa: B018  raises
        return self._connected().place()

    def place_of(self, item: Chunk | Gap) -> StreamPlace:
        """Where a chunk or gap that was taken begins, as its producer counts."""
        return self._connected().place_of(item.epoch, item.start)

    def offered(self, timeout: float = 1.0) -> int | None:
        """Ask the producer how many samples it has offered to this reader; None where it does not answer.

        All of them were taken once `dealt_with` has reached that number.
        """
        return self._connected().offered(checked_timeout(timeout))

    @property
    def dealt_with(self) -> int:
        """Samples received or given up so far."""
        return self._connected().inbox.dealt_with

    def ledger(self) -> HopLedger:
        """Accounts of this connection; any thread."""
        return HopLedger() if self._subscription is None else self._subscription.ledger()

    # --- the thread that reads

    def _check_open(self, subscription: Subscription) -> None:
        if self._closed:
            raise EndOfStream(f"input {self.name} is closed")
        if subscription.ended and not subscription.waiting:
            raise EndOfStream(f"output {self.source_name} was closed")

    def _finished(self, item: Chunk | Gap, physical: bool) -> Chunk | Gap:
        if isinstance(item, Chunk):
            data = item.data
            for function in self._filters:
                data = filtered(function, data, f"input {self.name}")
            if data is not item.data:
                item = item.with_data(data)
            if self._history is not None:
                self._history.keep(item)
            return item.with_data(self.spec.to_physical(data)) if physical else item
        if self._history is not None:
            self._history.keep(item)
        return item


def _until_next_look(deadline: float | None) -> float:
    """Seconds to wait before looking again; 0 or less where the deadline is over."""
    return _LOOK_AGAIN if deadline is None else min(_LOOK_AGAIN, deadline - time.monotonic())


def _put_away(
    subscription: Subscription | None, own_bell: Doorbell | None, lent: StreamContext | None
) -> None:
    """Close what an input has opened."""
    if subscription is not None:
        subscription.close()
    if own_bell is not None:
        own_bell.ring()
        own_bell.close()
    if lent is not None:
        streamcontext.give_back(lent)


def _put_away_soon(*parts: Any) -> None:
    """Do so in a thread of its own: garbage is collected in any thread, also in those that this waits for."""
    threading.Thread(target=_put_away, args=parts, name="putting a stream away").start()
