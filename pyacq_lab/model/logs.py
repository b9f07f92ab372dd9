"""One line of what a process said."""

from __future__ import annotations

import dataclasses
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from pyacq_lab.model.logtext import format_record

Plain = str | int | float | bool | None
"""What a field of `LogRecord.extra` holds."""


class LogRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A log record, an exception, a warning or a printed line, with its origin.

    Attributes
    ----------
    time_ns : int
        When, ns since 1970 UTC by the sending host's clock; see `corrected_ns`.
    mono_ns : int
        The same instant by the monotonic clock of the sending machine, ns; 0 where it is not known.
    seq : int
        Number of the record in its process and channel, from 0, without holes: a hole is a loss.
    host, process, thread : str
        Where it was said: host name, nodegroup name (or ``"host"``, ``"manager"``), thread name.
    pid : int
        Process id.
    node : str
        The node whose thread said it; empty where there is none.
    stream : str
        ``log``, ``stdout``, ``stderr`` or ``exception``.
    logger : str
        Name of the logger; empty for printed lines.
    level : int
        Level as in `logging`.
    message : str
        The formatted message.
    traceback : str
        The formatted traceback, empty where there is none.
    extra : dict
        What a `logging` call said with ``extra=``: plain values, anything else as its ``repr``.
    channel : str
        ``process`` for what a process sent itself, ``host`` for what its host sent in its place,
        ``unheard`` for what a host said while no manager was there, ``manager`` for what a manager found
        out about it.
    offset_ns : int
        The sending host's clock minus the log server's, ns, as it was known when the record came.
        Set by the log server, as are the next two.
    late : bool
        The record came after later ones had been shown: it stands out of order. Or a host has kept it while
        no manager heard it.
    lost : int
        This record stands for so many that were lost here; 0 for a record that somebody said.
    """

    time_ns: int
    mono_ns: int = 0
    seq: int = 0
    host: str = ""
    process: str = ""
    pid: int = 0
    thread: str = ""
    node: str = ""
    stream: str = "log"
    logger: str = ""
    level: int = logging.INFO
    message: str = ""
    traceback: str = ""
    extra: dict[str, Plain] = {}
    channel: str = "process"
    offset_ns: int = 0
    late: bool = False
    lost: int = 0

    @property
    def corrected_ns(self) -> int:
        """When it was said, ns since 1970 UTC by the log server's clock."""
        return self.time_ns - self.offset_ns

    @property
    def time(self) -> datetime:
        """When it was said by the log server's clock, as a `datetime` in UTC.

        What is shown to people is local time. A table's times are UTC, because a local zone may change.
        """
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.corrected_ns // 1000)

    @property
    def source(self) -> str:
        """Who said it, as ``host/process``."""
        return f"{self.host}/{self.process}"

    @property
    def level_name(self) -> str:
        """Name of the level, such as ``"WARNING"``."""
        return logging.getLevelName(self.level)

    def __str__(self) -> str:
        return format_record(self, date=True)

    def _repr_pretty_(
        self, printer: Any, cycle: bool
    ) -> None:  # what a notebook shows; `repr` has every field
        printer.text(str(self))


_FIRST = ("time", "level_name", "host", "process", "node", "thread", "logger", "message", "corrected_ns")

LOG_COLUMNS = (*_FIRST, *(name for name in LogRecord.__struct_fields__ if name not in _FIRST))
"""Attributes of a record in the order of a table's columns: what people read first, then every field."""

# pandas makes a table of a list of dataclasses and of little else, so a record can be asked as one.
_Row = dataclasses.make_dataclass("_Row", [(name, Any) for name in LOG_COLUMNS], repr=False)
for _name in ("__dataclass_fields__", "__dataclass_params__"):
    setattr(LogRecord, _name, getattr(_Row, _name))
