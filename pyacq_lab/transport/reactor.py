"""One thread per process that waits on its ZeroMQ sockets, and the timers and errands it runs."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import zmq

from pyacq_lab.transport.shared import Frames, SharedSocket, Wish
from pyacq_lab.transport.watch import Watch, best_watch
from pyacq_lab.transport.zap import Zap

__all__ = ["Frames", "Reactor", "SharedSocket", "Wish"]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Timer:
    due: float
    number: int
    period: float
    function: Callable[[], None]


class Reactor:
    """The thread that receives for a process, its ZeroMQ context and its gatekeeper.

    Parameters
    ----------
    name : str
        Name of the thread.
    watch : Watch, optional
        How it waits; the best for the system unless given.

    Attributes
    ----------
    context : zmq.Context
        All sockets of the process come from it.
    zap : Zap
        Who may connect to the process's server sockets.
    watch : Watch
        What it waits on.
    """

    def __init__(self, name: str = "pyacq-reactor", watch: Watch | None = None) -> None:
        self.context = zmq.Context()
        self.watch = watch or best_watch()
        self._lock = threading.Lock()
        self._ready: set[SharedSocket] = set()
        self._sockets: dict[int, SharedSocket] = {}
        self._errands: deque[Callable[[], None]] = deque()
        self._timers: list[_Timer] = []
        self._numbers = itertools.count()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.zap = Zap()
        zap_socket = self.context.socket(zmq.ROUTER)
        zap_socket.bind("inproc://zeromq.zap.01")
        self._zap_socket = self.add(zap_socket, self._answer_zap)
        self._thread.start()

    def add(self, raw: zmq.Socket[bytes], on_message: Callable[[Frames], None]) -> SharedSocket:
        """Take over a socket; any thread. It is sent on and closed through what is returned."""
        shared = SharedSocket(self, raw, on_message)
        with self._lock:
            self._sockets[shared.fd] = shared
        self.watch.add(shared.fd)
        self.wake(shared)  # something may have arrived before the descriptor was watched
        return shared

    def remove(self, shared: SharedSocket) -> None:
        """Stop receiving from a socket; any thread, idempotent."""
        with self._lock:
            self._ready.discard(shared)
            if self._sockets.get(shared.fd) is not shared:
                return
            del self._sockets[shared.fd]
            self.watch.remove(shared.fd)

    def wake(self, shared: SharedSocket) -> None:
        """Have a socket drained soon; any thread."""
        with self._lock:
            self._ready.add(shared)
        self.watch.rouse()

    def call_soon(self, function: Callable[[], None]) -> None:
        """Call ``function`` once in the reactor's thread, in the order asked for; any thread."""
        self._errands.append(function)
        self.watch.rouse()

    def call_every(self, period: float, function: Callable[[], None]) -> int:
        """Call ``function`` in the reactor's thread every ``period`` seconds; returns what `cancel` takes."""
        number = next(self._numbers)
        with self._lock:
            self._timers.append(_Timer(time.monotonic() + period, number, period, function))
        self.watch.rouse()
        return number

    def cancel(self, timer: int) -> None:
        """Stop calling what `call_every` started; any thread, idempotent."""
        with self._lock:
            self._timers = [t for t in self._timers if t.number != timer]

    def in_thread(self) -> bool:
        """Whether the calling thread is the reactor's, which must never wait."""
        return threading.get_ident() == self._thread.ident

    def close(self) -> None:
        """End the thread, all sockets and the context; idempotent; not from the reactor's own thread."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
        self.watch.rouse()
        self._thread.join()
        for shared in list(self._sockets.values()):
            shared.stop_monitor()
        for shared in list(self._sockets.values()):
            shared.close(linger=0)
        self.watch.close()
        self.context.term()

    def _run(self) -> None:
        while not self._closing:
            found = self.watch.wait(self._pause())
            while self._errands:
                self._guarded(self._errands.popleft(), "an errand failed")
            with self._lock:
                ready, self._ready = self._ready, set()
                ready.update(self._sockets[fd] for fd in found if fd in self._sockets)
            again = {shared for shared in ready if shared.drain()}
            with self._lock:
                self._ready |= again
            self._run_timers()

    def _pause(self) -> float | None:
        with self._lock:
            if self._ready or self._errands or self._closing:
                return 0.0
            due = min((t.due for t in self._timers), default=None)
            return None if due is None else max(0.0, due - time.monotonic())

    def _run_timers(self) -> None:
        now = time.monotonic()
        with self._lock:
            due = [t for t in self._timers if t.due <= now]
        for timer in due:
            timer.due = now + timer.period
            self._guarded(timer.function, "a timer failed")

    @staticmethod
    def _guarded(function: Callable[[], None], failed: str) -> None:
        try:
            function()
        except Exception:
            log.exception(failed)

    def _answer_zap(self, frames: Frames) -> None:
        head, request = self._split(frames)
        self._zap_socket.send([*head, *self.zap.answer(request)], block=True)

    @staticmethod
    def _split(frames: Frames) -> tuple[list[bytes], list[bytes]]:
        parts = [f.bytes for f in frames]
        cut = parts.index(b"") + 1
        return parts[:cut], parts[cut:]
