"""Log records that were found: a list that shows itself, becomes a table and goes into a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.manager.logformat import format_record
from pyacq_lab.manager.loghtml import log_html
from pyacq_lab.model.logs import LOG_COLUMNS, LogRecord
from pyacq_lab.recording.manifest import replace_file

_SHOWN = 50  # records in a notebook's output
_PRINTED = 20  # records in a repr


class LogRecords(list[LogRecord]):
    """Log records, as `Manager.logs` finds them, in the order of time.

    A notebook shows the last of them as a table. ``pandas.DataFrame(records)`` has a column for each
    field, and the corrected time as timestamps in column ``time``.
    """

    def to_dicts(self) -> list[dict[str, Any]]:
        """Give the records as plain data, ``time`` (a `datetime`, UTC) first."""
        return [{name: getattr(record, name) for name in LOG_COLUMNS} for record in self]

    def export(self, path: str | Path) -> Path:
        """Write the records to a file, as a whole or not at all.

        Parameters
        ----------
        path : str or Path
            Its suffix says what is written: ``.jsonl`` one JSON object a line, as the log server's own
            files; ``.csv`` a table; ``.txt`` what is printed. A file that is there is replaced.

        Returns
        -------
        Path
            Where the file is.

        Raises
        ------
        ConfigurationError
            The suffix is another one.
        OSError
            The file cannot be written there.
        """
        path = Path(path).expanduser()
        replace_file(path, self.encode(path.suffix), sync=False)
        return path.absolute()

    def encode(self, suffix: str) -> bytes:
        """Give the content of a file; see `export` for the suffixes. Raises ConfigurationError."""
        try:
            encode = _FORMATS[suffix.lower()]
        except KeyError:
            raise ConfigurationError(
                f"a log cannot be written as {suffix!r}: end the file's name in {', '.join(_FORMATS)}"
            ) from None
        return encode(self)

    def __repr__(self) -> str:
        if not self:
            return "<no log records>"
        before = len(self) - _PRINTED
        head = [f"<{len(self)} log records, of which the last {_PRINTED}:>"] if before > 0 else []
        return "\n".join([*head, *(format_record(record) for record in self[-_PRINTED:])])

    def _repr_html_(self) -> str:
        before = len(self) - _SHOWN
        return log_html(
            self[-_SHOWN:], note=f"{before:,} earlier records are not shown" if before > 0 else ""
        )


def _jsonl(records: LogRecords) -> bytes:
    return msgspec.json.Encoder().encode_lines(records)


def _text(records: LogRecords) -> bytes:
    return "".join(format_record(record, date=True) + "\n" for record in records).encode()


def _csv(records: LogRecords) -> bytes:
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, LOG_COLUMNS)
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in records.to_dicts())
    return table.getvalue().encode()


def _cell(value: Any) -> Any:
    return json.dumps(value, default=str) if isinstance(value, dict | list | tuple) else value


_FORMATS: dict[str, Callable[[LogRecords], bytes]] = {".jsonl": _jsonl, ".csv": _csv, ".txt": _text}
