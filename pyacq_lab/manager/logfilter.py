"""Which records somebody wants to see."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypedDict, Unpack

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.logs import LogRecord

When = datetime | timedelta | int
"""A time: a `datetime` (local unless it says), so long ago, or ns since 1970 UTC."""


class Wanted(TypedDict, total=False):
    """What people type to find records; see `Manager.logs`. ``process`` is the whole name of a process."""

    level: int | str
    source: str
    process: str
    node: str
    logger: str
    contains: str
    since: When | None
    until: When | None


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Conditions that a record must all fulfil; an empty one lets everything through.

    Attributes
    ----------
    level : int
        Lowest level, as in `logging`.
    source : str
        Part of ``host/process``, in any case of letters.
    process : str
        Whole name of the process.
    node, logger : str
        Part of the node's and of the logger's name, in any case of letters.
    contains : str
        Part of the message, the traceback, the logger's or the thread's name, in any case of letters.
    since_ns, until_ns : int
        Earliest and latest time, ns since 1970 UTC by the log server's clock; 0 for any.
    """

    level: int = 0
    source: str = ""
    process: str = ""
    node: str = ""
    logger: str = ""
    contains: str = ""
    since_ns: int = 0
    until_ns: int = 0

    @classmethod
    def of(cls, now_ns: int = 0, **wanted: Unpack[Wanted]) -> LogFilter:
        """Build a filter from what people type.

        Parameters
        ----------
        now_ns : int
            From which a `timedelta` counts back, ns since 1970 UTC.
        **wanted
            See `Wanted`.

        Raises
        ------
        ConfigurationError
            No level has this name, or a time is none.
        """
        return cls(
            level=level_number(wanted.get("level", 0)),
            source=wanted.get("source", "").casefold(),
            process=wanted.get("process", ""),
            node=wanted.get("node", "").casefold(),
            logger=wanted.get("logger", "").casefold(),
            contains=wanted.get("contains", "").casefold(),
            since_ns=_time_ns("since", wanted.get("since"), now_ns),
            until_ns=_time_ns("until", wanted.get("until"), now_ns),
        )

    def matches(self, record: LogRecord) -> bool:
        """Whether a record fulfils all conditions."""
        return (
            record.level >= self.level
            and (not self.since_ns or record.corrected_ns >= self.since_ns)
            and (not self.until_ns or record.corrected_ns <= self.until_ns)
            and (not self.process or self.process == record.process)
            and (not self.source or self.source in record.source.casefold())
            and (not self.node or self.node in record.node.casefold())
            and (not self.logger or self.logger in record.logger.casefold())
            and (not self.contains or self._contains(record))
        )

    def _contains(self, record: LogRecord) -> bool:
        texts = (record.message, record.traceback, record.logger, record.thread)
        return any(self.contains in text.casefold() for text in texts)


def level_number(level: int | str) -> int:
    """Number of a level given by number or name. Raises ConfigurationError for an unknown name."""
    if isinstance(level, int):
        return level
    names = logging.getLevelNamesMapping()
    try:
        return names[level.upper()]
    except KeyError:
        raise ConfigurationError(f"level {level!r}: wanted a number or one of {', '.join(names)}") from None


def _time_ns(name: str, when: object, now_ns: int) -> int:
    match when:
        case None:
            return 0
        case timedelta():
            return now_ns - when // timedelta(microseconds=1) * 1000
        case datetime():
            since_1970 = when.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
            return since_1970 // timedelta(microseconds=1) * 1000
        case int() if not isinstance(when, bool):
            return when
        case _:
            raise ConfigurationError(
                f"{name}={when!r}: wanted a datetime, a timedelta (so long ago) or ns since 1970 UTC"
            )
