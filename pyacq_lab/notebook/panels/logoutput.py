"""The tail of the log in a plain output area: everywhere, and kept in the saved notebook."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets
from msgspec.structs import replace

from pyacq_lab.manager.logfilter import LogFilter
from pyacq_lab.manager.logsource import LogSource
from pyacq_lab.model.logs import LogRecord
from pyacq_lab.model.logtext import bounded, format_record
from pyacq_lab.notebook.keepsake import Bundle, Keepsake

_KEEP_S = 30.0  # between two renewals of what a saved notebook holds: a page draws the view anew each time
_FIRST_KEEP_S = 3.0

# What is sent a few times a second, at a tenth of what jupyter_server lets through.
_MAX_TEXT = 30_000  # characters
_MAX_MESSAGE = 2000  # characters of one

# A text that is higher than its place shows its end: for that a page needs a style, which goes with the text.
_TAIL_CLASS = "pyacq-log-tail"
_STYLE = (
    f"<style>.{_TAIL_CLASS} {{ display: flex; flex-direction: column-reverse; }} "
    f".{_TAIL_CLASS} > * {{ flex: none; }} "
    f".{_TAIL_CLASS} .jp-OutputArea-child:has(style) {{ display: none; }}</style>"
)


class LogOutput(Keepsake, ipywidgets.Output):  # pyright: ignore[reportIncompatibleMethodOverride]
    """Newest records of a log as coloured text.

    The text is replaced a few times a second, never appended to: appending to an output area costs more
    with every line that is there. What a saved notebook holds beside the live view is at most 30 s old.

    Parameters
    ----------
    server : LogSource
        Whose records are shown: a log server, or the mirror of one.
    level : int or str
        Lowest level shown, by number or name.
    source, contains : str
        Part of ``host/process`` and of the text of the records shown.
    n_records : int
        How many are shown.
    traceback_lines : int
        Lines shown of a traceback that is longer: its last ones.
    max_height : str
        Height from which the text scrolls, its end in sight, as in a style sheet; as high as it is unless
        given.

    Raises
    ------
    ConfigurationError
        No level has this name.
    """

    _unsubscribe: Callable[[], None] | None = None
    _timer: threading.Timer | None = None

    def __init__(
        self,
        server: LogSource,
        *,
        level: int | str = 0,
        source: str = "",
        contains: str = "",
        n_records: int = 50,
        traceback_lines: int = 30,
        max_height: str = "",
    ) -> None:
        self._wanted = LogFilter.of(level=level, source=source, contains=contains)
        super().__init__(layout=_layout(max_height))
        self._style: tuple[Any, ...] = ()
        if max_height:
            self.add_class(_TAIL_CLASS)
            data = {"text/html": _STYLE, "text/plain": ""}
            self._style = ({"output_type": "display_data", "data": data, "metadata": {}},)
        self._server = server
        self._n_records = n_records
        self._traceback_lines = traceback_lines
        self._keep_lock = threading.Lock()
        self._next_keep = _FIRST_KEEP_S
        self._show_lock = threading.Lock()  # an older text must not come after a newer one
        self._unsubscribe = server.subscribe(self._show, interval=0.4)
        self._show(())

    def close(self) -> None:
        """Stop being fed and leave the page; the text as it is now stays in the notebook."""
        if self._unsubscribe is not None:  # a widget that was refused at birth is closed too
            self._unsubscribe()
            self._unsubscribe = None
            with self._keep_lock:
                timer, self._timer = self._timer, None
                self._live = False
            if timer is not None:
                timer.cancel()
                timer.join()
            self._leave_still()
        super().close()

    def __repr__(self) -> str:
        return self._text(colour=False)

    def _still_bundle(self) -> Bundle:
        """Give the text with its colours: notebooks show them in plain text, too."""
        return {"text/plain": self._text(colour=True)}, {}

    def _text(self, *, colour: bool) -> str:
        lines: list[str] = []
        room = _MAX_TEXT
        for record in reversed(self._server.store.newest(self._wanted, self._n_records)):
            short = replace(record, message=bounded(record.message, _MAX_MESSAGE))
            text = format_record(_end_of(short, self._traceback_lines), colour=colour)
            room -= len(text)
            if room < 0 and lines:
                break
            lines.append(text)
        return (
            "\n".join(reversed(lines))
            or f"the last {self._n_records} log records of all processes will be shown here"
        )

    def _show(self, _records: Sequence[LogRecord]) -> None:
        with self._show_lock:
            text = self._text(colour=True) + "\n"
            self.outputs: Any = ({"output_type": "stream", "name": "stdout", "text": text}, *self._style)
        with self._keep_lock:
            if self._display_id and self._live and self._timer is None:
                self._timer = threading.Timer(self._next_keep, self._keep)
                self._timer.name = "pyacq-log-output"
                self._timer.daemon = True
                self._timer.start()

    def _keep(self) -> None:
        """Renew what a saved notebook holds; called by the timer's thread."""
        with self._keep_lock:
            if not self._live:
                return
            self._timer = None
            self._next_keep = _KEEP_S
            # The still form alone in between, because JupyterLab never disposes of the view that an equal
            # kind of output replaces: each would go on drawing all that comes.
            self._live = False
            self._publish(update=True)
            self._live = True
            self._publish(update=True)


def _end_of(record: LogRecord, n_lines: int) -> LogRecord:
    """Record with the end of its traceback, where that is longer than ``n_lines``."""
    lines = record.traceback.rstrip().split("\n")
    n_left_out = len(lines) - n_lines
    if n_left_out < 2:
        return record
    return replace(record, traceback="\n".join([f"… {n_left_out} more lines", *lines[n_left_out:]]))


def _layout(max_height: str) -> ipywidgets.Layout:
    if not max_height:
        return ipywidgets.Layout()
    return ipywidgets.Layout(
        max_height=max_height,
        overflow="auto",
        border_left="3px solid var(--jp-border-color2, #bdbdbd)",
        padding="0 0 0 8px",
    )
