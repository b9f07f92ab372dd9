"""The threads of a live view: those that receive, and the one that sends."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from pyacq_lab.errors import EndOfStream, PyacqError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.notebook.plots.feed import Feed
from pyacq_lab.notebook.plots.link import Link
from pyacq_lab.viewing.pacing import Pacer

_log = logging.getLogger(__name__)

_PATIENCE = 0.25
"""Seconds that one `Feed.recv` may wait: how soon a closing is heard."""

_STATUS_INTERVAL = 0.5


class Receiver(Protocol):
    """Where the items of one feed go. Called with the engine's lock held."""

    name: str
    state: str

    def add(self, item: Chunk | Gap, now_ns: int) -> None:
        """Take what the feed gave; ``now_ns`` is ns since 1970 UTC."""
        ...

    def renew(self, spec: StreamSpec) -> None:
        """Begin anew with a stream that was configured anew."""
        ...


class Engine(ABC):
    """Receive feeds, and send the pages what they lack.

    One thread per feed, and one that sends a single message per frame, also while a cell runs.
    Every public method is safe from any thread.

    Parameters
    ----------
    feeds : sequence of Feed
        The engine closes them.
    receivers : sequence of Receiver
        Where their items go, one per feed.
    link : Link
        The way to the pages.
    fps : float
        Frames per second, at most.
    on_tick : callable
        Called by the sending thread a few times a second, with the monotonic time.
    """

    def __init__(
        self,
        feeds: Sequence[Feed],
        receivers: Sequence[Receiver],
        link: Link,
        fps: float,
        on_tick: Callable[[float], None] = lambda _now: None,
    ) -> None:
        self._link = link
        self._receivers = receivers
        self._pacer = Pacer(fps)
        self._on_tick = on_tick
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._layout_stale = False
        self._next_status = 0.0
        self._threads = [
            threading.Thread(target=self._receive, args=pair, name=f"scope-{pair[1].name}", daemon=True)
            for pair in zip(feeds, receivers, strict=True)
        ]
        self._threads.append(threading.Thread(target=self._send_frames, name="scope-frames", daemon=True))

    def start(self) -> None:
        """Begin to receive and send."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop all threads and close the feeds. Idempotent; from one of the own threads it does not wait."""
        self._closing.set()
        for thread in self._threads:
            if thread is not threading.current_thread() and thread.ident is not None:
                thread.join(timeout=5.0)

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Held around every use of what the receivers write."""
        return self._lock

    @property
    def watched(self) -> bool:
        """Whether a page shows the view, as far as is known."""
        with self._lock:
            return self._pacer.watched

    @property
    def ended(self) -> bool:
        """Whether no feed will give anything any more."""
        with self._lock:
            return all(receiver.state in ("ended", "failed") for receiver in self._receivers)

    def handle(self, message: Mapping[str, Any]) -> None:
        """Take a message of a page. Called by the kernel's thread for comms."""
        now = time.monotonic()
        view = str(message.get("view", ""))
        with self._lock:
            match message.get("kind"):
                case "hello":
                    # Custom messages are not saved state: a new page, or a reloaded one, has nothing yet.
                    self._pacer.hello(view, now)
                    self._layout_stale = True
                    self._forget_sent()
                case "ack":
                    self._pacer.acknowledge(view, int(message["frame"]), now)
                case "visible":
                    self._pacer.show(view, bool(message["visible"]), now)
                case "goodbye":
                    self._pacer.goodbye(view)
                case kind:
                    try:
                        known = self._control(message)
                    except PyacqError as error:  # what it asked for is refused, and who asked sits there
                        self._link.send({"kind": "refused", "message": str(error)})
                        return
                    if not known:
                        _log.warning("a plot's page sent a message of unknown kind %r", kind)

    @abstractmethod
    def layout(self) -> dict[str, Any]:
        """What a page must know before the first frame."""

    @abstractmethod
    def _control(self, message: Mapping[str, Any]) -> bool:
        """Do what a page's control asks for; say whether it was known. Called with the lock held."""

    @abstractmethod
    def _forget_sent(self) -> None:
        """Send everything next. Called with the lock held."""

    @abstractmethod
    def _measure(self, now: float) -> list[dict[str, Any]]:
        """Take stock twice a second; give how each stream is doing. Called with the lock held."""

    @abstractmethod
    def _next_frame(self) -> tuple[dict[str, Any], list[bytes]]:
        """Give what the pages lack, as plain data and buffers. Called with the lock held."""

    def _receive(self, feed: Feed, receiver: Receiver) -> None:
        """Read one feed to its end. The body of its thread."""
        try:
            spec = feed.spec
            while not self._closing.is_set():
                item = feed.recv(_PATIENCE)
                if feed.spec is not spec and feed.spec != spec:
                    spec = feed.spec
                    with self._lock:
                        receiver.renew(spec)
                        self._layout_stale = True
                if item is not None:
                    with self._lock:
                        receiver.add(item, time.time_ns())
            state = receiver.state
        except EndOfStream:
            state = "ended"
        except Exception:
            # The thread's boundary: nobody above could hear it, so it is logged and shown.
            _log.exception("receiving %r for a live plot failed", receiver.name)
            state = "failed"
        finally:
            feed.close()
        with self._lock:
            receiver.state = state

    def _send_frames(self) -> None:
        """Send frames at their rate. The body of the sending thread."""
        due = time.monotonic()
        while not self._closing.wait(max(0.0, due - time.monotonic())):
            now = time.monotonic()
            due = max(due + self._pacer.interval, now)
            try:
                self._tick(now)
            except Exception:
                _log.exception("a frame of a live plot could not be sent")
                due = now + 1.0

    def _tick(self, now: float) -> None:
        content: dict[str, Any] = {"kind": "frame"}
        buffers: list[bytes] = []
        layout = None
        status_due = now >= self._next_status
        with self._lock:
            if status_due:
                self._next_status = now + _STATUS_INTERVAL
                content["status"] = self._measure(now)
            if self._pacer.may_send(now):
                if self._layout_stale:
                    self._layout_stale = False
                    layout = self.layout()
                more, buffers = self._next_frame()
                content |= more
                if buffers:
                    content["frame"] = self._pacer.next_frame(now)
            elif status_due:
                content.pop("status")
        # Sent outside the lock: receiving must not wait for a socket.
        if layout is not None:
            self._link.send(layout)
        if buffers or "status" in content:
            self._link.send(content, buffers)
        if status_due:
            self._on_tick(now)
