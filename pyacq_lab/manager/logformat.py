"""Log records on a text stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from pyacq_lab.model.logs import LogRecord
from pyacq_lab.model.logtext import format_record


class LogPrinter:
    """Print records to a text stream, coloured or not; coloured where it is a terminal unless given."""

    def __init__(self, stream: TextIO, *, colour: bool | None = None) -> None:
        self._stream = stream
        self._colour = stream.isatty() if colour is None else colour

    def __call__(self, records: Sequence[LogRecord]) -> None:
        """Print records, at once."""
        lines = [format_record(record, colour=self._colour) + "\n" for record in records]
        self._stream.write("".join(lines))
        self._stream.flush()
