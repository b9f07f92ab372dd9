"""What stands behind an output: the ring, the memory it lies in, and the service of its readers.

It knows nothing of the `OutputStream` that it serves, so that one that nobody has any more can be noticed.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pyacq_lab.errors import ConfigurationError, LifecycleError, ProtocolError
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.transport import streamcontext
from pyacq_lab.transport.audience import Audience
from pyacq_lab.transport.memory import CAN_SHARE, SharedMemory, check_fits, machine
from pyacq_lab.transport.reactor import Frames
from pyacq_lab.transport.ringlayout import RingLayout
from pyacq_lab.transport.ringwriter import RingWriter
from pyacq_lab.transport.streamcontext import StreamContext
from pyacq_lab.transport.streamdoor import StreamDoor
from pyacq_lab.wire.streaming import Fetch, Hello, Opened, RingAddress, decode_from_reader

log = logging.getLogger(__name__)

SIGN_OF_LIFE = 0.5
"""Seconds between two words of a quiet end."""

TransferMode = Literal["auto", "sharedmem", "plaindata"]


class RingServer:
    """The ring of one output, and all that serves it to readers. Used under its `lock`.

    Parameters
    ----------
    node, port : str
        Whose output it is.
    context : StreamContext, optional
        Reactor and keys; this process's own unless given, and whoever has the address may read then.

    Attributes
    ----------
    context : StreamContext
        What it uses.
    lent : bool
        Whether that is this process's own.
    lock : threading.RLock
        Of all that is here.
    room : threading.Condition
        Told of whatever readers have taken.
    door : StreamDoor
        Where it listens.
    audience : Audience
        Who listens.
    ring : RingWriter or None
        The ring; None until `use`.
    memory : SharedMemory or None
        What it lies in, where that can be shared.
    transfermode : {'auto', 'sharedmem', 'plaindata'}
        As of `OutputStream.configure`.
    running, closed : bool
        Whether the epoch goes on, and whether nothing will come any more.
    n_waiting : int
        Threads in `wait_room`.
    """

    def __init__(self, node: str, port: str, context: StreamContext | None) -> None:
        self.full_name = f"{node}.{port}" if node else port
        self.lent = context is None
        self.context = streamcontext.borrow() if context is None else context
        self.lock = threading.RLock()
        self.room = threading.Condition(self.lock)
        self.door = StreamDoor(self.context, node, port, self.lent, self._on_message)
        self.audience = Audience(self.full_name, self.door.send, self._opened)
        self.ring: RingWriter | None = None
        self.memory: SharedMemory | None = None
        self.transfermode: TransferMode = "auto"
        self.running = False
        self.closed = False
        self.n_waiting = 0
        self._pid = os.getpid()
        self._timer = self.context.reactor.call_every(SIGN_OF_LIFE, self._tick)

    @property
    def is_here(self) -> bool:
        """Whether this process has made it; a fork of that has the object, but none of what it stands for."""
        return os.getpid() == self._pid

    def check_usable(self) -> None:
        """Raise LifecycleError where it is closed, or another process's."""
        if not self.is_here:
            raise LifecycleError(
                f"output {self.full_name} belongs to the process that this one was forked from: make another"
            )
        if self.closed:
            raise LifecycleError(f"output {self.full_name} is closed: make another")

    def ready_ring(self) -> RingWriter:
        """The ring. Raises LifecycleError where there is none to write into."""
        self.check_usable()
        if self.ring is None:
            raise LifecycleError(f"output {self.full_name} is not configured: call configure(...) first")
        return self.ring

    def make_ring(self, spec: StreamSpec, mode: TransferMode) -> tuple[RingWriter, SharedMemory | None]:
        """Make another ring, and memory for it. Raises ConfigurationError where there is none."""
        nbytes = RingLayout.of(spec).size
        check_fits(nbytes, f"the buffer of output {self.full_name}")
        if mode == "plaindata" or not CAN_SHARE:
            return RingWriter(spec), None
        try:
            memory = SharedMemory(nbytes)
        except OSError as error:
            if mode == "sharedmem":
                raise ConfigurationError(f"output {self.full_name}: no memory to share: {error}") from None
            log.warning("output %s does without shared memory: %s", self.full_name, error)
            return RingWriter(spec), None
        return RingWriter(spec, memory.memory), memory

    def use(self, ring: RingWriter, memory: SharedMemory | None) -> None:
        """Go on with another ring: all readers are told what the stream is by now."""
        if self.memory is not None:
            self.memory.close()
        self.ring, self.memory = ring, memory
        self.running = False
        self.audience.begin_anew()

    def set_running(self, running: bool) -> None:
        """Say whether the epoch goes on, and let all readers know."""
        ring = self.ready_ring()
        self.running = running
        ring.set_running(running)
        self.audience.send_tips(ring)

    def tell(self, ring: RingWriter) -> None:
        """Let all readers know that something was written."""
        if self.audience.tell(ring):
            self._pump_soon()

    def wait_room(self, count: int, timeout: float) -> bool:
        """Wait for lossless readers; see `OutputStream.wait_room`."""
        with self.lock:
            ring = self.ready_ring()
            if not 0 <= count <= ring.size:
                raise ConfigurationError(
                    f"output {self.full_name}: room for {count} samples asked for, but its ring holds "
                    f"{ring.size}: send less at once, or configure a larger buffer_size"
                )
            if self.audience.has_room(ring, count):
                return True
            self.audience.forget_the_dead(ring)
            self.n_waiting += 1
            ring.want_room(True)
        wish, deadline = _Until(lambda: self._has_room(ring, count)), time.monotonic() + timeout
        try:
            # What readers say is received by this very thread, if it can be: no hop lies between.
            if not self.door.lead(wish, deadline):
                with self.room:
                    self.room.wait_for(lambda: wish.over, deadline - time.monotonic())
            return wish.over
        finally:
            with self.lock:
                self.n_waiting -= 1
                ring.want_room(bool(self.n_waiting))

    def _has_room(self, ring: RingWriter, count: int) -> bool:
        with self.lock:
            return self.closed or self.audience.has_room(ring, count)

    def close(self) -> None:
        """Say that nothing will come any more, and stop serving; idempotent."""
        if not self.is_here:
            return
        with self.lock:
            if self.closed:
                return
            self.closed = True
            if self.ring is not None:
                self.ring.set_closed()
            self.audience.close(self.ring)
            self.room.notify_all()
        self.context.reactor.cancel(self._timer)
        self.door.close()
        if self.memory is not None:
            self.memory.close()
        if self.lent:
            streamcontext.give_back(self.context)

    # --- the reactor's thread

    def _opened(self, hello: Hello) -> Opened:
        ring = self.ready_ring()
        why = ""
        if self.memory is None:
            why = f"output {self.full_name} does not share memory (transfermode={self.transfermode!r})"
        elif not hello.machine:
            why = "the reader does not want to (transfermode='plaindata')"
        elif hello.machine != machine():
            why = f"output {self.full_name} is on another machine"
        if why or self.memory is None:
            if self.transfermode == "sharedmem":
                why = f"output {self.full_name} is for readers that share memory only; {why}"
                return Opened(ring.spec, None, "!" + why, ring.nonce)
            return Opened(ring.spec, None, why, ring.nonce)
        address = RingAddress(self.memory.path, RingLayout.of(ring.spec).size, ring.nonce)
        return Opened(ring.spec, address, nonce=ring.nonce)

    def _on_message(self, frames: Frames) -> None:
        routing_id = frames[0].bytes
        try:
            message = decode_from_reader(frames[1].buffer)
        except (ProtocolError, IndexError) as error:
            log.warning("ignored a reader's message at %s: %s", self.full_name, error)
            return
        ring = self.ring
        if isinstance(message, Fetch):
            if ring is not None:
                self.audience.fetch(routing_id, message, ring)  # looks at the ring as any reader does
            return
        with self.lock:
            if not self.closed:
                self.audience.hear(routing_id, message, self.ring)
                self._pump_soon()
                self.room.notify_all()

    def _pump_soon(self) -> None:
        if self.audience.is_behind:
            self.context.reactor.call_soon(self._pump)

    def _pump(self) -> None:
        with self.lock:
            if self.ring is not None and not self.closed:
                self.audience.pump(self.ring)
                self._pump_soon()

    def _tick(self) -> None:
        with self.lock:
            if self.ring is not None and not self.closed:
                self.audience.tick(self.ring)
                self._pump_soon()
                self.room.notify_all()
        self.door.rouse()


@dataclass(frozen=True, slots=True)
class _Until:
    """What a thread that leads waits for, as a question."""

    answer: Callable[[], bool]

    @property
    def over(self) -> bool:
        return self.answer()
