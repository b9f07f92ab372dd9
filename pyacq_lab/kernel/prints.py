"""Each thread's prints into lines of their own, so that lines of two threads never mix."""

from __future__ import annotations

import os
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import NamedTuple

from pyacq_lab.kernel.lines import MAX_LINE, as_seen
from pyacq_lab.transport.logs import current_node

QUIET = 1.0
"""Seconds after which a line without an end, to which nothing is added, is given out as it is."""


class Printed(NamedTuple):
    """A line, and who printed it; ``in_cell`` says that a cell shows it, too."""

    stream: str
    text: str
    in_cell: bool
    thread: str
    node: str


OnPrint = Callable[[Printed], None]
"""Called with each line, without its end, mostly by the thread that printed it."""

OnUnfinished = Callable[[str, str, str, str], None]
"""Called as ``on_unfinished(stream, text, thread, node)`` by the thread that printed; see `PrintLines`."""


class PrintLines:
    """Assembler of one stream's prints.

    Parameters
    ----------
    stream : str
        ``"stdout"`` or ``"stderr"``, handed through.
    on_print : callable
        Takes every line, without its end.
    on_unfinished : callable, optional
        Takes the line so far whenever something is printed that does not end it: it would be lost if the
        process were killed.
    """

    def __init__(self, stream: str, on_print: OnPrint, on_unfinished: OnUnfinished | None = None) -> None:
        self._stream = stream
        self._on_print = on_print
        self._on_unfinished = on_unfinished
        self._local = threading.local()
        self._all: weakref.WeakSet[_Pending] = weakref.WeakSet()
        self._lock = threading.Lock()
        self.on_open: Callable[[], None] | None = None

    @property
    def n_unfinished(self) -> int:
        """Lines that have no end yet."""
        return sum(bool(pending.text) for pending in self._everyone())

    def write(self, text: str, in_cell: bool) -> None:
        """Take what the calling thread prints."""
        pending: _Pending | None = getattr(self._local, "pending", None)
        if pending is None:
            pending = self._local.pending = _Pending(self._stream, self._emit)
            with self._lock:
                self._all.add(pending)
        pending.add(text, in_cell)
        if pending.text and not text.isspace():  # print(a, b) writes four pieces
            self._keep(pending)

    def finish_line(self) -> None:
        """Give out the calling thread's unfinished line."""
        pending: _Pending | None = getattr(self._local, "pending", None)
        if pending is not None:
            pending.finish()

    def finish_all(self) -> None:
        """Give out the unfinished lines of all threads; the last act before the process ends."""
        for pending in self._everyone():
            pending.finish()

    def finish_quiet(self, before: float) -> None:
        """Give out the unfinished lines to which nothing was added since a monotonic time. Any thread."""
        for pending in self._everyone():
            pending.finish(before)

    def _everyone(self) -> list[_Pending]:
        with self._lock:
            return list(self._all)

    def _keep(self, pending: _Pending) -> None:
        if self.on_open is not None:
            self.on_open()
        if self._on_unfinished is None:
            return
        with pending.lock:  # else somebody could finish it in between, and it would be kept for ever
            text = pending.text
            if text:
                text = as_seen(text) if "\r" in text else text
                self._on_unfinished(self._stream, text, pending.thread, pending.node)

    def _emit(self, line: Printed) -> None:
        if getattr(self._local, "busy", False):
            os.write(2, f"{line.text}\n".encode(errors="backslashreplace"))  # on_print itself has printed
            return
        self._local.busy = True
        try:
            self._on_print(line)
        except Exception:
            # A print() must not fail because a log could not take it: both go to the host's pipe.
            os.write(2, f"{line.text}\n{traceback.format_exc()}".encode(errors="backslashreplace"))
        finally:
            self._local.busy = False


class QuietLines:
    """Gives out what somebody printed without an end and then left: a thread that sleeps where there is none.

    Parameters
    ----------
    lines : PrintLines
        The streams' assemblers.
    """

    def __init__(self, *lines: PrintLines) -> None:
        self._lines = lines
        # SimpleQueue.put is the one wake-up that is re-entrant by promise.
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._asleep = self._closing = False
        for assembler in lines:
            assembler.on_open = self._ring
        self._thread = threading.Thread(target=self._run, name="pyacq-prints", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread. Idempotent."""
        self._closing = True
        self._bell.put(None)
        self._thread.join()

    def _ring(self) -> None:
        if self._asleep:
            self._asleep = False
            self._bell.put(None)

    def _run(self) -> None:
        while not self._closing:
            self._asleep = True
            if not any(assembler.n_unfinished for assembler in self._lines):
                self._bell.get()
            self._asleep = False  # nobody needs to wake us: we look again soon
            try:
                self._bell.get(timeout=QUIET / 2)
            except Empty:
                for assembler in self._lines:
                    assembler.finish_quiet(time.monotonic() - QUIET)


class _Pending:
    """The unfinished line of one thread."""

    def __init__(self, stream: str, emit: Callable[[Printed], None]) -> None:
        self._stream = stream
        self._emit = emit
        self.lock = threading.RLock()  # re-entrant: garbage collection inside may print
        self.text = ""
        self._in_cell = False
        self.thread = self.node = ""
        self._since = 0.0
        self._cut = False

    def printed(self, text: str) -> Printed:
        return Printed(self._stream, as_seen(text), self._in_cell, self.thread, self.node)

    def add(self, text: str, in_cell: bool) -> None:
        with self.lock:
            if self.text and in_cell != self._in_cell:
                self.finish()
            if not self.text:
                self.thread, self.node = threading.current_thread().name, current_node.get()
            self._in_cell = in_cell
            self._since = time.monotonic()
            if "\n" in text:
                *whole, self.text = (self.text + text).split("\n")
            else:
                whole, self.text = (), self.text + text
            for line in whole:
                if line or not self._cut:  # else only the end of what was given out already
                    self._emit(self.printed(line))
                self._cut = False
            if len(self.text) > MAX_LINE:
                self.finish()
                self._cut = True

    def finish(self, before: float | None = None) -> None:
        with self.lock:
            if before is not None and self._since > before:
                return
            text, self.text = self.text, ""
            if text:
                self._emit(self.printed(text))
                self._cut = True

    def __del__(self) -> None:
        self.finish()  # the thread has ended: its locals are being dropped
