"""The tail of the log in a plain output area: everywhere, and kept in the saved notebook."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ipywidgets

from pyacq_lab.manager.logfilter import LogFilter
from pyacq_lab.manager.logformat import format_record
from pyacq_lab.manager.logserver import LogServer
from pyacq_lab.model.logs import LogRecord


class LogOutput(ipywidgets.Output):
    """Newest records of a log server as coloured text.

    The text is replaced a few times a second, never appended to: appending to an output area costs more
    with every line that is there.

    Parameters
    ----------
    server : LogServer
        Whose records are shown.
    level : int or str
        Lowest level shown, by number or name.
    source, contains : str
        Part of ``host/process`` and of the text of the records shown.
    n_records : int
        How many are shown.

    Raises
    ------
    ConfigurationError
        No level has this name.
    """

    _unsubscribe: Callable[[], None] | None = None

    def __init__(
        self,
        server: LogServer,
        *,
        level: int | str = 0,
        source: str = "",
        contains: str = "",
        n_records: int = 50,
    ) -> None:
        self._wanted = LogFilter.of(level=level, source=source, contains=contains)
        super().__init__()
        self._server = server
        self._n_records = n_records
        self._show(())
        self._unsubscribe = server.subscribe(self._show, interval=0.4)

    def close(self) -> None:
        """Stop being fed and leave the page."""
        if self._unsubscribe is not None:  # a widget that was refused at birth is closed too
            self._unsubscribe()
        super().close()

    def _show(self, _records: Sequence[LogRecord]) -> None:
        tail = self._server.store.newest(self._wanted, self._n_records)
        text = "".join(format_record(record, colour=True) + "\n" for record in tail)
        self.outputs = ({"output_type": "stream", "name": "stdout", "text": text},) if text else ()
