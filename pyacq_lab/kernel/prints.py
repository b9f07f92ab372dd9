"""Each thread's prints into lines of their own, so that lines of two threads never mix."""

from __future__ import annotations

import os
import threading
import traceback
import weakref
from collections.abc import Callable

from pyacq_lab.kernel.lines import MAX_LINE, as_seen

OnPrint = Callable[[str, str, bool], None]
"""Called as ``on_print(stream, line, in_cell)`` by the thread that printed."""

OnFlush = Callable[[str, dict[str, str]], None]
"""Called as ``on_flush(stream, unfinished)`` by the thread that flushed; see `PrintLines`."""


class PrintLines:
    """Assembler of one stream's prints.

    Parameters
    ----------
    stream : str
        ``"stdout"`` or ``"stderr"``, handed through.
    on_print : callable
        Takes every line, without its end.
    on_flush : callable, optional
        Takes, when somebody flushes a line before its end, what all threads' last lines hold so far, by the
        name of the thread: it would be lost if the process were killed.
    """

    def __init__(self, stream: str, on_print: OnPrint, on_flush: OnFlush | None = None) -> None:
        self._stream = stream
        self._on_print = on_print
        self._on_flush = on_flush
        self._local = threading.local()
        self._all: weakref.WeakSet[_Pending] = weakref.WeakSet()
        self._lock = threading.Lock()

    def write(self, text: str, in_cell: bool) -> None:
        """Take what the calling thread prints."""
        pending: _Pending | None = getattr(self._local, "pending", None)
        if pending is None:
            pending = self._local.pending = _Pending(self._emit)
            with self._lock:
                self._all.add(pending)
        pending.add(text, in_cell)

    def flush(self) -> None:
        """Tell what the unfinished lines hold, where the calling thread has one."""
        pending: _Pending | None = getattr(self._local, "pending", None)
        if self._on_flush is None or pending is None or not pending.text:
            return
        with self._lock:
            everyone = list(self._all)
        self._on_flush(self._stream, {p.thread: as_seen(p.text) for p in everyone if p.text})

    def finish_line(self) -> None:
        """Give out the calling thread's unfinished line."""
        pending: _Pending | None = getattr(self._local, "pending", None)
        if pending is not None:
            pending.finish()

    def finish_all(self) -> None:
        """Give out the unfinished lines of all threads; the last act before the process ends."""
        with self._lock:
            everyone = list(self._all)
        for pending in everyone:
            pending.finish()

    def _emit(self, line: str, in_cell: bool) -> None:
        if getattr(self._local, "busy", False):
            os.write(2, f"{line}\n".encode(errors="backslashreplace"))  # on_print itself has printed
            return
        self._local.busy = True
        try:
            self._on_print(self._stream, line, in_cell)
        except Exception:
            # A print() must not fail because a log could not take it: both go to the host's pipe.
            os.write(2, f"{line}\n{traceback.format_exc()}".encode(errors="backslashreplace"))
        finally:
            self._local.busy = False


class _Pending:
    """The unfinished line of one thread."""

    def __init__(self, emit: Callable[[str, bool], None]) -> None:
        self._emit = emit
        self.thread = threading.current_thread().name
        self.text = ""
        self._in_cell = False

    def add(self, text: str, in_cell: bool) -> None:
        if self.text and in_cell != self._in_cell:
            self.finish()
        self._in_cell = in_cell
        *whole, self.text = (self.text + text).split("\n")
        for line in whole:
            self._emit(as_seen(line), in_cell)
        if len(self.text) > MAX_LINE:
            self.finish()

    def finish(self) -> None:
        text, self.text = self.text, ""
        if text:
            self._emit(as_seen(text), self._in_cell)

    def __del__(self) -> None:
        self.finish()  # the thread has ended: its locals are being dropped
