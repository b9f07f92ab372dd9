"""Log records that were found: a list that shows itself, becomes a table and goes into a file."""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.manager.logfile import encode_lines
from pyacq_lab.manager.loghtml import log_html
from pyacq_lab.model.logs import LOG_COLUMNS, LogRecord
from pyacq_lab.model.logtext import format_record
from pyacq_lab.recording.manifest import replace_file

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 50  # records in a notebook's output
_PRINTED = 20  # records in a repr


class LogRecords(list[LogRecord]):
    """Log records, as `Manager.logs` finds them, in the order of time.

    A notebook shows the last of them as a table. ``pandas.DataFrame(records)`` has a column for each
    field, and the corrected time as timestamps in column ``time``. A slice, and the sum of two, are such
    lists, too.

    Parameters
    ----------
    records : iterable of LogRecord
        What was found.
    earlier, forgotten : int
        See below.

    Attributes
    ----------
    earlier : int
        So many earlier records match as well, and were left out because of ``limit``.
    forgotten : int
        So many records before these, matching or not, are no longer in memory; the log's folder has them.
    """

    columns = LOG_COLUMNS

    def __init__(self, records: Iterable[LogRecord] = (), *, earlier: int = 0, forgotten: int = 0) -> None:
        super().__init__(records)
        self.earlier = earlier
        self.forgotten = forgotten

    @property
    def lacks(self) -> str:
        """What is not in here, in words; empty where nothing is known to be missing."""
        words: list[str] = []
        if self.earlier:
            words.append(f"{self.earlier:,} earlier ones match, too: limit=None finds all")
        if self.forgotten:
            words.append(f"{self.forgotten:,} older ones are no longer in memory: see manager.log_folder")
        return "; ".join(words)

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> LogRecord: ...
    @overload
    def __getitem__(self, index: slice, /) -> LogRecords: ...
    def __getitem__(self, index: Any, /) -> LogRecord | LogRecords:
        found = super().__getitem__(index)
        return LogRecords(found) if isinstance(index, slice) else found

    def __add__(self, other: list[Any], /) -> LogRecords:  # pyright: ignore[reportIncompatibleMethodOverride]
        return LogRecords(super().__add__(other))

    def to_frame(self) -> pd.DataFrame:
        """Make a table of them, with its columns also where there are no records. Needs pandas."""
        import pandas as pd

        return pd.DataFrame(self, columns=list(self.columns))

    def to_dicts(self) -> list[dict[str, Any]]:
        """Give the records as plain data, ``time`` (a `datetime`, UTC) first."""
        return [{name: getattr(record, name) for name in LOG_COLUMNS} for record in self]

    def export(self, path: str | Path) -> Path:
        """Write the records to a file, as a whole or not at all.

        Parameters
        ----------
        path : str or Path
            Its suffix says what is written: ``.jsonl`` one JSON object a line, as the log server's own
            files; ``.csv`` a table; ``.txt`` what is printed. A file that is there is replaced. Where the
            list is known to lack records, the first one in the file says so.

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
        return encode(LogRecords([_notice(self), *self]) if self.lacks else self)

    def __repr__(self) -> str:
        lacks = f"; {self.lacks}" if self.lacks else ""
        if not self:
            return f"<no log records{lacks}>"
        part = f", of which the last {_PRINTED}" if len(self) > _PRINTED else ""
        head = [f"<{len(self):,} log records{part}{lacks}>"] if part or lacks else []
        return "\n".join([*head, *(format_record(record) for record in self[-_PRINTED:])])

    def _repr_html_(self) -> str:
        before = len(self) - _SHOWN
        hidden = [f"{before:,} earlier records of this list are not shown"] if before > 0 else []
        return log_html(self[-_SHOWN:], note="; ".join([*hidden, *([self.lacks] if self.lacks else [])]))


def _notice(records: LogRecords) -> LogRecord:
    """Say in a file what it lacks."""
    return LogRecord(
        time_ns=records[0].corrected_ns if records else 0,
        process="manager",
        channel="manager",
        logger="pyacq_lab.logs",
        level=logging.WARNING,
        message=f"this is not all: {records.lacks}",
    )


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


_FORMATS: dict[str, Callable[[LogRecords], bytes]] = {".jsonl": encode_lines, ".csv": _csv, ".txt": _text}
