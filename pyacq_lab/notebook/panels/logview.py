"""The log in a notebook: all records, scrolled without ever being all in the page."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anywidget
import msgspec
import traitlets

from pyacq_lab.manager.logfilter import LogFilter, level_number
from pyacq_lab.manager.loghtml import log_html
from pyacq_lab.manager.logrecords import LogRecords
from pyacq_lab.manager.logsource import LogSource
from pyacq_lab.model.logs import LogRecord
from pyacq_lab.model.logtext import format_origin, format_record, format_time, label, shown
from pyacq_lab.notebook.keepsake import Bundle, Keepsake
from pyacq_lab.notebook.panels.logselection import LogSelection
from pyacq_lab.viewing.theme import THEME_CSS, record_tone

# jupyter_server drops messages above 1 MB/s: a tenth of that, at 10 messages/s and about 250 bytes a row.
_ROWS_PER_PUSH = 40
_ROWS_PER_ANSWER = 400
_TEXT_IN_ROW = 300  # characters of a message shown in its row
_TAIL = 50  # records in a saved notebook
_GONE = "this record has made room in memory for newer ones"
_EXPORTS = (".jsonl", ".csv", ".txt")

_HERE = Path(__file__).parent


class _Level(traitlets.Int):
    """A level by number; a name is taken too."""

    def validate(self, obj: Any, value: Any) -> Any:
        """Return the number of a level. Raises ConfigurationError for an unknown name."""
        return super().validate(obj, level_number(value) if isinstance(value, str) else value)


class LogView(Keepsake, anywidget.AnyWidget):
    """Live view of a log's records, with filters, pause and the full text of each.

    It is fed by the log server's thread, or its mirror's, so it lives while a cell runs. The page holds only
    the rows around those in sight and asks for others; after a reload it asks again.

    Parameters
    ----------
    server : LogSource
        Whose records are shown: a log server, or the mirror of one.
    level : int or str
        Lowest level shown, by number or name. Can be set later too, as can the next two.
    source, contains : str
        Part of ``host/process`` and of the text of the records shown.
    process : str
        Whole name of the only process shown; all of them unless given.
    height : int
        Height of the list, CSS pixels.

    Raises
    ------
    ConfigurationError
        No level has this name.
    """

    _esm = _HERE / "logview.js"
    _css = THEME_CSS + (_HERE / "logview.css").read_text(encoding="utf-8")

    level = _Level(0).tag(sync=True)
    source = traitlets.Unicode("").tag(sync=True)
    contains = traitlets.Unicode("").tag(sync=True)
    process = traitlets.Unicode("").tag(sync=True)
    exports = traitlets.List(traitlets.Unicode(), list(_EXPORTS)).tag(sync=True)
    height = traitlets.Int(320).tag(sync=True)

    _unsubscribe: Callable[[], None] | None = None

    def __init__(
        self,
        server: LogSource,
        *,
        level: int | str = 0,
        source: str = "",
        contains: str = "",
        process: str = "",
        height: int = 320,
    ) -> None:
        super().__init__(level=level, source=source, contains=contains, process=process, height=height)
        self._server = server
        self._lock = threading.Lock()  # between the server's thread and the one that hears the page
        self._shown = False
        self._heard_page = False
        self._version = 0  # of the selection, and of the filters that it was made for
        self._filters = 0
        self._selection = self._select()
        self._pushed = self._selection.stop
        self.observe(self._filter_changed, names=["level", "source", "contains", "process"])
        self.on_msg(self._heard)
        self._unsubscribe = server.subscribe(self._came)

    def close(self) -> None:
        """Stop being fed and leave the page."""
        if self._unsubscribe is not None:  # a widget that was refused at birth is closed too
            self._unsubscribe()
            self._unsubscribe = None
            self._leave_still()
        super().close()

    def records(self) -> LogRecords:
        """All records that the filters let through, oldest first."""
        return self._found(self._wanted())

    def _found(self, wanted: LogFilter) -> LogRecords:
        store = self._server.store
        return LogRecords(store.newest(wanted), forgotten=store.start)

    def export(self, path: str | Path) -> Path:
        """Write all records that the filters let through to a file; as `LogRecords.export`."""
        return self.records().export(path)

    def __repr__(self) -> str:
        store = self._server.store
        worst = sum(r.level >= logging.ERROR for r in store.read(store.start))
        return f"<LogView: {store.stop} records, {worst} errors among the newest>"

    def _still_bundle(self) -> Bundle:
        """Newest records as a table, and as text."""
        self._shown = True
        tail = self._server.store.newest(self._wanted(), _TAIL)
        text = "\n".join(format_record(record) for record in tail) or "nothing has been said yet"
        return {"text/plain": text, "text/html": log_html(tail)}, {}

    def _wanted(self) -> LogFilter:
        return LogFilter.of(
            level=self.level, source=self.source, contains=self.contains, process=self.process
        )

    def _select(self) -> LogSelection:
        return LogSelection(self._server.store, self._wanted())

    def _came(self, _records: Sequence[LogRecord]) -> None:
        """Push what is new; called by the server's thread, at most ten times a second."""
        with self._lock:
            self._selection.refresh()
            stop, pushed = self._selection.stop, self._pushed
            self._pushed = stop
            if self._shown and stop > pushed:
                # A page whose greeting waits behind a running cell has heard nothing yet: send it more.
                start = max(pushed, stop - _ROWS_PER_PUSH) if self._heard_page else stop - _ROWS_PER_PUSH
                self._send_rows("tail", start, stop)

    def _filter_changed(self, _change: Any) -> None:
        with self._lock:
            self._filters = version = self._filters + 1
        selection = self._select()  # a long search: meanwhile the page is fed as before, and nobody waits
        with self._lock:
            if version == self._filters:  # else they have changed again
                self._version = version
                self._selection = selection
                selection.refresh()
                self._send_newest()

    def _heard(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        """Answer a page; called by the kernel's shell or comm thread."""
        with self._lock:
            match content:
                case {"type": "hello"}:
                    self._shown = self._heard_page = True
                    self._selection.refresh()
                    self._send_newest()
                case {"type": "rows", "start": int(start), "stop": int(stop)}:
                    self._send_rows("rows", start, min(stop, start + _ROWS_PER_ANSWER))
                case {"type": "record", "index": int(index)}:
                    self._send_record(index)
                case {
                    "type": "export",
                    "suffix": str(suffix),
                    "filters": {"level": int(level), "source": str(source), "contains": str(contains)},
                } if suffix in _EXPORTS:
                    wanted = LogFilter.of(level=level, source=source, contains=contains, process=self.process)
                    threading.Thread(
                        target=self._export, args=(suffix, wanted), name="pyacq-log-export", daemon=True
                    ).start()
                case _:
                    pass  # a page of another version of this package may ask for other things

    def _send_newest(self) -> None:
        stop = self._pushed = self._selection.stop
        self._send_rows("tail", stop - 2 * _ROWS_PER_PUSH, stop)

    def _send_rows(self, kind: str, start: int, stop: int) -> None:
        selection = self._selection
        self.send(
            {
                "type": kind,
                "version": self._version,
                "start": selection.start,
                "stop": selection.stop,
                "rows": [_row(*found) for found in selection.read(start, stop)],
            }
        )

    def _send_record(self, index: int) -> None:
        records = self._server.store.read(index, index + 1)
        if not records:
            self.send({"type": "record", "index": index, "fields": {"message": _GONE}, "text": _GONE})
        for record in records:
            # Every field by its name, so that one that a later version adds is seen as well.
            fields = {"time": format_time(record, date=True), **msgspec.to_builtins(record)}
            fields |= {name: shown(fields[name]) for name in ("message", "traceback")}
            text = format_record(record, date=True)
            self.send({"type": "record", "index": index, "fields": fields, "text": text})

    def _export(self, suffix: str, wanted: LogFilter) -> None:
        """Write a file into the kernel's folder: a download would exceed what a page may be sent."""
        try:
            path = self._found(wanted).export(time.strftime(f"log_%Y-%m-%d_%H-%M-%S{suffix}"))
        except OSError as error:
            self.send({"type": "exported", "ok": False, "text": f"not exported: {error}"})
        else:
            self.send(
                {"type": "exported", "ok": True, "text": f"exported to {path.name}", "title": str(path)}
            )


def _row(position: int, index: int, record: LogRecord) -> list[Any]:
    """What a page needs to draw one row."""
    first, _, rest = record.message.partition("\n")
    first = first.rstrip("\r")
    return [
        position,
        index,
        format_time(record),
        record_tone(record),
        label(record),
        format_origin(record),
        shown(record.logger),
        shown(first[:_TEXT_IN_ROW]),
        bool(rest or record.traceback or len(first) > _TEXT_IN_ROW),
        record.late,
        record.lost,
    ]
