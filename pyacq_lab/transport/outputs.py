"""The producing end of a stream."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ConfigurationError, LifecycleError, ProtocolError, StreamMismatch
from pyacq_lab.model.choices import check_choice
from pyacq_lab.model.ledger import PortStatus, ReaderStatus
from pyacq_lab.model.stream import StreamAddress, StreamSpec
from pyacq_lab.transport import streamcontext
from pyacq_lab.transport.audience import Audience
from pyacq_lab.transport.memory import CAN_SHARE, SharedMemory, machine
from pyacq_lab.transport.reactor import Frames
from pyacq_lab.transport.ringlayout import RingLayout
from pyacq_lab.transport.samples import MOST_INDEX, Filter, checked_index, filtered, fitting
from pyacq_lab.transport.streamcontext import StreamContext
from pyacq_lab.transport.streamdoor import StreamDoor
from pyacq_lab.transport.streamring import RingWriter
from pyacq_lab.transport.streamsocket import Protocol
from pyacq_lab.wire.compression import codec_library
from pyacq_lab.wire.streaming import Fetch, Hello, Opened, RingAddress, decode_from_reader

log = logging.getLogger(__name__)

SIGN_OF_LIFE = 0.5
"""Seconds between two words of a quiet end."""

TransferMode = Literal["auto", "sharedmem", "plaindata"]


class OutputStream:
    """The producing end of a stream: a ring buffer, from which any number of readers are served.

    Readers on this machine map the ring and read it in place, as `Doorbell` tells them to; others are sent
    the samples. `send` never waits for a reader, and may be called by any thread, one at a time.

    Parameters
    ----------
    name : str
        The output's name.
    node : str
        Name of the node whose output it is, if any.
    context : StreamContext, optional
        Reactor and keys. Without one the stream stands by itself: it uses a reactor of this process's own,
        and whoever is given its `address` may read it.

    Examples
    --------
    >>> from pyacq_lab import InputStream, OutputStream
    >>> output = OutputStream()
    >>> output.configure(dtype="float32", shape=(-1, 16), sample_rate=30e3)
    >>> reader = InputStream().connect(output)
    >>> output.send(np.zeros((256, 16), "float32"))
    >>> reader.recv(timeout=5).data.shape
    (256, 16)
    >>> reader.close(), output.close()
    (None, None)
    """

    def __init__(self, name: str = "out", *, node: str = "", context: StreamContext | None = None) -> None:
        self.name = name
        self.node = node
        self._pid = os.getpid()
        self._lent = context is None
        self._context = streamcontext.borrow() if context is None else context
        self._lock = threading.RLock()
        self._room = threading.Condition(self._lock)
        self._door = StreamDoor(self._context, node, name, self._lent, self._on_message)
        self._audience = Audience(self.full_name, self._door.send, self._opened)
        self._ring: RingWriter | None = None
        self._memory: SharedMemory | None = None
        self._transfermode: TransferMode = "auto"
        self._filters: list[Filter] = []
        self._running = False
        self._closed = False
        self._n_waiting = 0  # threads in wait_room
        self._timer = self._context.reactor.call_every(SIGN_OF_LIFE, self._tick)

    def __repr__(self) -> str:
        spec = self.spec
        what = (
            "not configured"
            if spec is None
            else f"{spec.np_dtype}{list(spec.shape)} at {spec.sample_rate:g} Hz"
        )
        return f"<OutputStream {self.full_name}: {what}>"

    def __enter__(self) -> OutputStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- what it is, and where

    @property
    def full_name(self) -> str:
        """Name with that of its node."""
        return f"{self.node}.{self.name}" if self.node else self.name

    @property
    def spec(self) -> StreamSpec | None:
        """What the stream is; None until it is configured."""
        return None if self._ring is None else self._ring.spec

    @property
    def address(self) -> StreamAddress:
        """Where it can be read; another process connects to it. Raises LifecycleError before `configure`."""
        address = self._door.address
        if address is None:
            raise LifecycleError(f"output {self.full_name} has no address yet: configure it first")
        return address

    @property
    def context(self) -> StreamContext | None:
        """What a reader in this process may use as well; None: what all streams of this process share."""
        return None if self._lent else self._context

    @property
    def next_index(self) -> int:
        """Absolute index of the next sample to be sent, in the present epoch."""
        return 0 if self._ring is None else self._ring.stop

    def serve(
        self,
        protocol: Protocol = "tcp",
        interface: str | None = None,
        port: int | str = "*",
        encrypted: bool = True,
    ) -> StreamAddress:
        """Listen for readers, instead of where it listened before; returns the new address.

        Raises
        ------
        ConfigurationError
            It cannot listen there; it goes on where it was.
        """
        if self._closed:
            raise LifecycleError(f"output {self.full_name} is closed: make another")
        return self._door.open(protocol, interface, port, encrypted)

    def configure(
        self,
        spec: StreamSpec | None = None,
        *,
        protocol: Protocol | None = None,
        interface: str | None = None,
        port: int | str = "*",
        transfermode: TransferMode | None = None,
        encrypted: bool = True,
        **fields: Any,
    ) -> None:
        """Say what the stream is, and how it is served. What the ring held is forgotten if that changes it.

        Parameters
        ----------
        spec : StreamSpec, optional
            What the stream is; or say it by ``fields``, as `StreamSpec.of` takes them: dtype, shape,
            sample_rate, units, channel_names, scale, offset, buffer_size, compression, ...
        protocol : {'tcp', 'ipc', 'inproc'}
            For readers anywhere, on this machine, in this process. tcp unless given.
        interface : str
            IP address to listen at, by which readers reach this machine; this machine only unless given.
        port : int or '*'
            TCP port; any free one unless given.
        transfermode : {'auto', 'sharedmem', 'plaindata'}
            Whether readers on this machine share memory with it: those that can; all, and others are
            refused; none.
        encrypted : bool
            Whether readers prove themselves and samples are encrypted on their way. Only a stream that does
            not leave this machine can go without.

        Raises
        ------
        ConfigurationError, MissingDependency
            Something is out of range or missing; nothing was changed.
        LifecycleError
            It is running.
        """
        if self._closed:
            raise LifecycleError(f"output {self.full_name} is closed: make another")
        spec = _described(spec, fields)
        mode = transfermode or self._transfermode
        check_choice("transfermode", mode, TransferMode)
        if mode == "sharedmem" and not CAN_SHARE:
            raise ConfigurationError("transfermode='sharedmem': this system cannot share memory; use 'auto'")
        if spec.compression:
            codec_library()
        with self._lock:
            fresh = self._lent and self._ring is not None and self._ring.position == 0
            if self._n_waiting or (self._running and not fresh):
                raise LifecycleError(
                    f"output {self.full_name} is running: stop its node, or call end(), before configuring it"
                )
            # The ring first: where it cannot be had, nothing has changed.
            ring, memory = self._ring, self._memory
            if ring is None or ring.spec != spec or mode != self._transfermode:
                ring, memory = self._make_ring(spec, mode)
            if protocol is not None or interface is not None or port != "*" or self._door.address is None:
                self.serve(protocol or "tcp", interface, port, encrypted)
            self._transfermode = mode
            if ring is not self._ring:
                self._replace_ring(ring, memory)

    def add_filter(self, function: Filter) -> None:
        """Have each chunk's samples passed through a function before they are sent, after those added before.

        It is called by the thread that sends, with an array (n_samples, ...), and gives as many samples of
        the stream's shape and dtype.
        """
        if not callable(function):
            raise ConfigurationError(f"add_filter({function!r}): wanted a function of an array of samples")
        self._filters.append(function)

    # --- samples

    def begin(self, first: int = 0) -> None:
        """Start a new epoch: the next sample sent has index ``first``."""
        with self._lock:
            self._ready_ring().begin_epoch(checked_index(first))
            self._set_running(True)

    def end(self) -> None:
        """Say that the epoch is over; idempotent."""
        with self._lock:
            if self._ring is not None:
                self._set_running(False)

    def reset(self, first: int = 0) -> None:
        """Forget everything sent so far and start a new epoch: nobody is given anything stale."""
        with self._lock:
            ring = self._ready_ring()
            first = checked_index(first)
            ring.forget()
            self._audience.outdate()
            ring.begin_epoch(first)
            self._set_running(True)

    def send(
        self,
        data: npt.ArrayLike,
        time_ns: int | None = None,
        uncertainty_ns: int = -1,
        *,
        index: int | None = None,
        lost: int = 0,
        reason: str = "overrun",
    ) -> None:
        """Append a chunk and offer it to all readers. Never waits for one.

        Parameters
        ----------
        data : array_like, shape (n_samples, ...)
            Samples; cast to the stream's dtype where that is a matter of size only.
        time_ns : int, optional
            Time of the first sample, ns since 1970 UTC; now, less their duration, unless given.
        uncertainty_ns : int
            Half-width of the interval in which that lies, ns; -1 unknown.
        index : int, optional
            Absolute index of the first sample; those between the last chunk and this are lost.
        lost : int
            The same by their number: samples lost right before these, before they reached the stream.
        reason : str
            Why they were lost, in a word.

        Raises
        ------
        StreamMismatch
            The samples have another shape, a dtype that does not fit the stream's, or an index of the past.
            Nothing was sent.
        """
        array = np.asarray(data)
        if array is not data and isinstance(data, np.ma.MaskedArray):
            raise StreamMismatch(f"output {self.full_name}: a masked array came; send what lies between gaps")
        for function in self._filters:
            array = filtered(function, array, f"output {self.full_name}")
        with self._lock:
            ring = self._ready_ring()
            if array.dtype != ring.dtype or array.shape[1:] != ring.sample_shape or not array.ndim:
                array = fitting(array, ring.spec, f"output {self.full_name}")
            if self._lent and ring.epoch < 0:
                self.begin(index or 0)
            if index is not None:
                lost = index - ring.stop
            if lost < 0:
                raise StreamMismatch(
                    f"output {self.full_name} was given samples from {ring.stop + lost} on, but stands at "
                    f"{ring.stop} already: samples of the past cannot change; reset() starts anew"
                )
            if ring.stop + lost + len(array) > MOST_INDEX:
                raise StreamMismatch(
                    f"output {self.full_name}: indices end at {MOST_INDEX}; reset() starts anew"
                )
            if time_ns is None:
                time_ns = time.time_ns() - round(len(array) / ring.spec.sample_rate * 1e9)
            ring.write(array, time_ns, uncertainty_ns, lost, reason)
            if self._audience.tell(ring):
                self._pump_soon()

    def wait_room(self, count: int, timeout: float) -> bool:
        """Wait until ``count`` samples can be sent without overwriting any that a lossless reader lacks.

        For sources that can wait, such as file replay. False where there is no room within ``timeout`` s.

        Raises
        ------
        ConfigurationError
            The ring does not hold so many at all.
        """
        with self._room:
            ring = self._ready_ring()
            if not 0 <= count <= ring.size:
                raise ConfigurationError(
                    f"output {self.full_name}: room for {count} samples asked for, but its ring holds "
                    f"{ring.size}: send less at once, or configure a larger buffer_size"
                )
            if self._audience.has_room(ring, count):
                return True
            self._audience.forget_the_dead(ring)
            self._n_waiting += 1
            ring.want_room(True)
        wish, deadline = _Until(lambda: self._has_room(ring, count)), time.monotonic() + timeout
        try:
            # What readers say is received by this very thread, if it can be: no hop lies between.
            if not self._door.lead(wish, deadline):
                with self._room:
                    self._room.wait_for(lambda: wish.over, deadline - time.monotonic())
            return wish.over
        finally:
            with self._room:
                self._n_waiting -= 1
                ring.want_room(bool(self._n_waiting))

    def _has_room(self, ring: RingWriter, count: int) -> bool:
        with self._lock:
            return self._closed or self._audience.has_room(ring, count)

    # --- questions

    def status(self) -> PortStatus:
        """Snapshot of the port; any thread."""
        with self._lock:
            ring = self._ring
            if ring is None:
                return PortStatus(name=self.name, transfermode=self._transfermode)
            return PortStatus(
                name=self.name,
                epoch=max(0, ring.epoch),
                stop=ring.stop,
                samples=ring.position,
                overruns=ring.overruns,
                readers=len(self._audience),
                transfermode=self._transfermode,
            )

    def readers(self) -> tuple[ReaderStatus, ...]:
        """Accounts of all readers, as this end has them; any thread."""
        with self._lock:
            return () if self._ring is None else self._audience.status(self._ring)

    def close(self) -> None:
        """Say that nothing will come any more, and stop serving; idempotent."""
        if os.getpid() != self._pid:
            return  # a fork of its process has the object, but none of what it stands for
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._ring is not None:
                self._ring.set_closed()
            self._audience.close(self._ring)
            self._room.notify_all()
        self._context.reactor.cancel(self._timer)
        self._door.close()
        if self._memory is not None:
            self._memory.close()
        if self._lent:
            streamcontext.give_back(self._context)

    # --- under the lock

    def _ready_ring(self) -> RingWriter:
        if os.getpid() != self._pid:
            raise LifecycleError(
                f"output {self.full_name} belongs to the process that this one was forked from: make another"
            )
        if self._closed:
            raise LifecycleError(f"output {self.full_name} is closed: make another")
        if self._ring is None:
            raise LifecycleError(f"output {self.full_name} is not configured: call configure(...) first")
        return self._ring

    def _make_ring(self, spec: StreamSpec, mode: TransferMode) -> tuple[RingWriter, SharedMemory | None]:
        if mode == "plaindata" or not CAN_SHARE:
            return RingWriter(spec), None
        try:
            memory = SharedMemory(RingLayout.of(spec).size)
        except OSError as error:
            if mode == "sharedmem":
                raise ConfigurationError(f"output {self.full_name}: no memory to share: {error}") from None
            log.warning("output %s does without shared memory: %s", self.full_name, error)
            return RingWriter(spec), None
        return RingWriter(spec, memory.memory), memory

    def _replace_ring(self, ring: RingWriter, memory: SharedMemory | None) -> None:
        if self._memory is not None:
            self._memory.close()
        self._ring, self._memory = ring, memory
        self._running = False
        self._audience.begin_anew()

    def _opened(self, hello: Hello) -> Opened:
        ring = self._ready_ring()
        why = ""
        if self._memory is None:
            why = f"output {self.full_name} does not share memory (transfermode={self._transfermode!r})"
        elif not hello.machine:
            why = "the reader does not want to (transfermode='plaindata')"
        elif hello.machine != machine():
            why = f"output {self.full_name} is on another machine"
        if why or self._memory is None:
            if self._transfermode == "sharedmem":
                why = f"output {self.full_name} is for readers that share memory only; {why}"
                return Opened(ring.spec, None, "!" + why, ring.nonce)
            return Opened(ring.spec, None, why, ring.nonce)
        address = RingAddress(self._memory.path, RingLayout.of(ring.spec).size, ring.nonce)
        return Opened(ring.spec, address, nonce=ring.nonce)

    def _set_running(self, running: bool) -> None:
        self._running = running
        ring = self._ready_ring()
        ring.set_running(running)
        self._audience.send_tips(ring)

    # --- the reactor's thread

    def _on_message(self, frames: Frames) -> None:
        routing_id = frames[0].bytes
        try:
            message = decode_from_reader(frames[1].buffer)
        except (ProtocolError, IndexError) as error:
            log.warning("ignored a reader's message at %s: %s", self.full_name, error)
            return
        ring = self._ring
        if isinstance(message, Fetch):
            if ring is not None:
                self._audience.fetch(routing_id, message, ring)  # looks at the ring as any reader does
            return
        with self._lock:
            if not self._closed:
                self._audience.hear(routing_id, message, self._ring)
                self._pump_soon()
                self._room.notify_all()

    def _pump_soon(self) -> None:
        if self._audience.is_behind:
            self._context.reactor.call_soon(self._pump)

    def _pump(self) -> None:
        with self._lock:
            if self._ring is not None and not self._closed:
                self._audience.pump(self._ring)
                self._pump_soon()

    def _tick(self) -> None:
        with self._lock:
            if self._ring is not None and not self._closed:
                self._audience.tick(self._ring)
                self._pump_soon()
                self._room.notify_all()
        self._door.rouse()


@dataclass(frozen=True, slots=True)
class _Until:
    """What a thread that leads waits for, as a question."""

    answer: Callable[[], bool]

    @property
    def over(self) -> bool:
        return self.answer()


def _described(spec: StreamSpec | None, fields: dict[str, Any]) -> StreamSpec:
    if spec is not None:
        if not isinstance(spec, StreamSpec):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"{spec!r} came as a stream's spec; wanted a StreamSpec, or its fields")
        return spec.replace(**fields) if fields else spec
    fields.setdefault("dtype", "<f8")
    try:
        return StreamSpec.of(fields.pop("dtype"), **fields)
    except TypeError as error:
        known = ", ".join(StreamSpec.__struct_fields__)
        raise ConfigurationError(f"{error}; a stream is described by {known}") from None
