"""The engine of a live plot: threads that receive and decimate, and one that sends frames."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from pyacq_lab.errors import EndOfStream
from pyacq_lab.notebook.plots.feed import Feed
from pyacq_lab.notebook.plots.link import Link
from pyacq_lab.notebook.plots.panel import Panel
from pyacq_lab.viewing.pacing import Pacer

_log = logging.getLogger(__name__)

_PATIENCE = 0.25
"""Seconds that one `Feed.recv` may wait: how soon a closing is heard."""

_STATUS_INTERVAL = 0.5
_RESCALE_INTERVAL = 1.0


class Viewer:
    """Receive feeds, keep their windows as bins, and send the pages what they lack.

    One thread per feed, and one that sends a single message per frame for all panels, also while a cell runs.
    Every public method is safe from any thread.

    Parameters
    ----------
    feeds : sequence of Feed
        One per panel; the viewer closes them.
    panels : sequence of Panel
        Where their samples go.
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
        panels: Sequence[Panel],
        link: Link,
        fps: float,
        on_tick: Callable[[float], None] = lambda _now: None,
    ) -> None:
        self.panels = panels
        self.paused = False
        self.auto_scale = True
        self._link = link
        self._pacer = Pacer(fps)
        self._on_tick = on_tick
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._layout_stale = False
        self._next_status = 0.0
        self._next_rescale = 0.0
        self._threads = [
            threading.Thread(target=self._receive, args=pair, name=f"scope-{pair[1].name}", daemon=True)
            for pair in zip(feeds, panels, strict=True)
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
        """Held around every use of the panels."""
        return self._lock

    @property
    def watched(self) -> bool:
        """Whether a page shows the plot, as far as is known."""
        with self._lock:
            return self._pacer.watched

    @property
    def ended(self) -> bool:
        """Whether no feed will give anything any more."""
        with self._lock:
            return all(panel.state in ("ended", "failed") for panel in self.panels)

    def pause(self, paused: bool = True) -> None:
        """Freeze the picture, or let it go on; receiving goes on in any case."""
        with self._lock:
            self.paused = paused
            for panel in self.panels:
                panel.freeze(paused)
            self._layout_stale = True

    def fit(self) -> None:
        """Fit the lanes to the signals now, and keep them fitted."""
        with self._lock:
            self.auto_scale = True
            for panel in self.panels:
                panel.rescale(force=True)
            self._layout_stale = True

    def zoom(self, factor: float, panel: int | None = None) -> None:
        """Draw traces ``factor`` times as high, in one panel or in all; fitting stops."""
        with self._lock:
            self.auto_scale = False
            for each in self.panels if panel is None else [self.panels[panel]]:
                each.set_scaling(each.scaling.zoomed(factor))
            self._layout_stale = True

    def set_window(self, window: float) -> None:
        """Show another number of seconds; the traces start anew, also if they were paused."""
        with self._lock:
            self.paused = False
            for panel in self.panels:
                panel.set_window(window)
            self._layout_stale = True

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
                    for panel in self.panels:
                        panel.forget_sent()
                case "ack":
                    self._pacer.acknowledge(view, int(message["frame"]), now)
                case "visible":
                    self._pacer.show(view, bool(message["visible"]), now)
                case "goodbye":
                    self._pacer.goodbye(view)
                case "pause":
                    self.pause(bool(message["paused"]))
                case "fit":
                    self.fit()
                case "zoom":
                    self.zoom(float(message["factor"]))
                case kind:
                    _log.warning("a plot's page sent a message of unknown kind %r", kind)

    def layout(self) -> dict[str, Any]:
        """What a page must know before the first frame."""
        with self._lock:
            return {
                "kind": "layout",
                "window": self.panels[0].window,
                "paused": self.paused,
                "auto_scale": self.auto_scale,
                "panels": [panel.layout() for panel in self.panels],
            }

    def _receive(self, feed: Feed, panel: Panel) -> None:
        """Read one feed to its end. The body of its thread."""
        try:
            while not self._closing.is_set():
                item = feed.recv(_PATIENCE)
                if item is not None:
                    with self._lock:
                        panel.add(item, time.time_ns())
            state = panel.state
        except EndOfStream:
            state = "ended"
        except Exception:
            # The thread's boundary: nobody above could hear it, so it is logged and shown.
            _log.exception("receiving %r for a live plot failed", panel.name)
            state = "failed"
        finally:
            feed.close()
        with self._lock:
            panel.state = state

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
                self._measure(now)
                content["status"] = [panel.status() for panel in self.panels]
            if self._pacer.may_send(now):
                if self._layout_stale:
                    self._layout_stale = False
                    layout = self.layout()
                frames = [panel.next_frame() for panel in self.panels]
                buffers = [frame.to_bytes() for frame in frames if frame is not None]
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

    def _measure(self, now: float) -> None:
        for panel in self.panels:
            panel.measure(now)
        first_look = any(not panel.revision and panel.stop > 8 for panel in self.panels)
        if self.auto_scale and not self.paused and (first_look or now >= self._next_rescale):
            self._next_rescale = now + _RESCALE_INTERVAL
            changed = [panel.rescale() for panel in self.panels]
            self._layout_stale = self._layout_stale or any(changed)
