"""The manager in a notebook: hosts, processes and nodes, alive, with a button that stops everything."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import anywidget
import traitlets

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.status import ManagerStatus
from pyacq_lab.notebook.keepsake import Bundle, Keepsake
from pyacq_lab.notebook.panels.statushtml import manager_html, manager_text
from pyacq_lab.notebook.panels.statusrows import COLUMNS, StatusRow, status_rows, status_summary
from pyacq_lab.viewing.theme import THEME_CSS

log = logging.getLogger(__name__)

_LEASE_S = 60.0  # a page that is in sight says so every few seconds; one that vanished says nothing

_HERE = Path(__file__).parent


class StatusSource(Protocol):
    """What a panel needs of a manager."""

    def status(self) -> ManagerStatus:
        """Snapshot of everything; called by the panel's thread a few times a second."""
        ...


class ManagerPanel(Keepsake, anywidget.AnyWidget):
    """Live table of what a manager looks after.

    A thread of its own asks for the status, and only while the panel is in sight; it sends what changed.

    Parameters
    ----------
    source : StatusSource
        The manager.
    actions : mapping of str to callable, optional
        Buttons by their labels, such as ``{"Stop all": manager.stop_all_nodes}``. Each is called in a
        thread of its own, so that it works while a cell runs; a label that begins with "Stop" is shown
        as the emergency it may be.
    interval : float
        Time between two looks, s; at least 0.2.
    open_log : callable, optional
        Makes a view of what the process of a name said. With it each process, alive or dead, has a button
        that shows that below the table.

    Raises
    ------
    ConfigurationError
        ``interval`` is too short.
    """

    _esm = _HERE / "managerpanel.js"
    _css = THEME_CSS + (_HERE / "managerpanel.css").read_text(encoding="utf-8")

    columns = traitlets.List(traitlets.Unicode(), list(COLUMNS)).tag(sync=True)
    buttons = traitlets.List(traitlets.Unicode()).tag(sync=True)

    has_logs = traitlets.Bool().tag(sync=True)
    log_of = traitlets.Unicode().tag(sync=True)
    log_model = traitlets.Unicode().tag(sync=True)

    _thread: threading.Thread | None = None
    _log_view: Keepsake | None = None

    def __init__(
        self,
        source: StatusSource,
        *,
        actions: Mapping[str, Callable[[], object]] | None = None,
        interval: float = 0.5,
        open_log: Callable[[str], Keepsake] | None = None,
    ) -> None:
        if interval < 0.2:
            raise ConfigurationError(f"interval {interval} s: wanted 0.2 s or more, five looks a second")
        self._actions = dict(actions or {})
        self._open_log = open_log
        super().__init__(buttons=list(self._actions), has_logs=open_log is not None)
        self._source = source
        self._interval = interval
        self._lock = threading.Lock()
        self._sent: dict[str, StatusRow] = {}
        self._summary = ""
        self._heard_page = False
        self._visible_until = 0.0
        self._ended = threading.Event()
        self._wanted = threading.Event()
        self.on_msg(self._heard)

    def close(self) -> None:
        """End the thread and leave the page."""
        if self._thread is not None:
            self._ended.set()
            self._wanted.set()
            self._thread.join()
            self._thread = None
            self._leave_still()
        self._show_log("")
        super().close()

    def __repr__(self) -> str:
        return manager_text(self._source.status())

    def _still_bundle(self) -> Bundle:
        """Present status as a table, and as text."""
        self._see()
        status = self._source.status()
        return {"text/plain": manager_text(status), "text/html": manager_html(status)}, {}

    def _heard(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        """Hear a page; called by the kernel's shell or comm thread, so it must not wait."""
        match content:
            case {"type": "hello"}:
                with self._lock:
                    self._sent = {}
                    self._heard_page = True
                self._see()
            case {"type": "visible"}:
                self._see()
            case {"type": "hidden"}:
                self._visible_until = 0.0
            case {"type": "action", "name": str(name)} if name in self._actions:
                thread = threading.Thread(target=self._act, args=(name,), name=f"pyacq-{name}", daemon=True)
                thread.start()
            case {"type": "log", "process": str(process)}:
                self._show_log(process)
            case _:
                pass  # a page of another version of this package may ask for other things

    def _show_log(self, process: str) -> None:
        """Show what a process said below the table, in place of another one's words; nothing without name."""
        before, self._log_view = self._log_view, None
        if process and self._open_log is not None:
            self._log_view = self._open_log(process)
        with self.hold_sync():
            self.log_of = process if self._log_view is not None else ""
            self.log_model = "" if self._log_view is None else str(self._log_view.model_id)
        if before is not None:
            before.close()

    def _see(self) -> None:
        self._visible_until = time.monotonic() + _LEASE_S
        with self._lock:
            if self._thread is None and not self._ended.is_set():
                self._thread = threading.Thread(target=self._run, name="pyacq-panel", daemon=True)
                self._thread.start()
        self._wanted.set()

    def _act(self, name: str) -> None:
        self.send({"type": "note", "text": f"{name} …", "tone": "info", "busy": name})
        try:
            self._actions[name]()
        except Exception as error:
            log.exception("%s failed", name)
            self.send({"type": "note", "text": f"{name} failed: {error}", "tone": "bad"})
        else:
            self.send({"type": "note", "text": f"{name}: done", "tone": "good"})

    def _run(self) -> None:
        failed = ""
        while not self._ended.is_set():
            if time.monotonic() > self._visible_until:
                self._wanted.clear()
                if time.monotonic() > self._visible_until:
                    self._wanted.wait()
                continue
            try:
                status = self._source.status()
            except Exception as error:  # the panel stays, and says what it could not ask
                if str(error) != failed:
                    log.exception("the manager's status could not be asked")
                failed = str(error)
                self.send({"type": "note", "text": f"no status: {error}", "tone": "bad"})
            else:
                failed = ""
                self._send_changes(status)
            self._ended.wait(self._interval)

    def _send_changes(self, status: ManagerStatus) -> None:
        rows = {row.key: row for row in status_rows(status)}
        summary = status_summary(status)
        with self._lock:
            if not self._heard_page:
                # Its greeting waits behind a running cell: it may have been drawn after we last sent.
                self._sent = {}
            changed = [row for key, row in rows.items() if self._sent.get(key) != row]
            if not changed and list(rows) == list(self._sent) and summary == self._summary:
                return
            self._sent = rows
            self._summary = summary
        self.send({"type": "rows", "keys": list(rows), "changed": changed, "summary": summary})
