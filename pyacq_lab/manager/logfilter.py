"""Which records somebody wants to see."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypedDict, Unpack, runtime_checkable

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.logs import LogRecord

When = datetime | timedelta | int
"""A time: a `datetime` (local unless it says; pandas' are some), so long ago, or ns since 1970 UTC."""

_FIRST_NS = 10**17
"""Smaller numbers, before 1973, were not meant as ns since 1970."""


@runtime_checkable
class Place(Protocol):
    """A handle of what has a place in the log: a host, or a nodegroup."""

    @property
    def log_place(self) -> str:
        """``host/process``, or ``host/`` for all of a host."""
        ...


class Wanted(TypedDict, total=False):
    """What people type to find records; see `Manager.logs`. ``process`` is the whole name of a process."""

    level: int | str | None
    source: str | Place
    process: str
    node: str
    logger: str
    contains: str
    pid: int | None
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
    place : str
        Whole ``host/process``, or ``host/`` for all of a host.
    process : str
        Whole name of the process.
    node, logger : str
        Part of the node's and of the logger's name, in any case of letters.
    contains : str
        Part of the message, the traceback, the logger's or the thread's name, or of a name or value among
        the extra fields, in any case of letters.
    pids : frozenset of int
        Process ids; empty for any.
    since_ns, until_ns : int
        Earliest and latest time, ns since 1970 UTC by the log server's clock; 0 for any.
    """

    level: int = 0
    source: str = ""
    place: str = ""
    process: str = ""
    node: str = ""
    logger: str = ""
    contains: str = ""
    pids: frozenset[int] = frozenset()
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
            No level has this name, a time is none, or a condition is none.
        """
        unknown = set(wanted) - Wanted.__annotations__.keys()
        if unknown:
            raise ConfigurationError(
                f"{', '.join(sorted(unknown))}: records are found by {', '.join(Wanted.__annotations__)}"
            )
        source = wanted.get("source", "")
        place = source.log_place if isinstance(source, Place) else ""
        return cls(
            level=level_number(wanted.get("level", 0)),
            source="" if place else _text("source", source, " or a nodegroup's or host's handle").casefold(),
            place=place,
            process=_text("process", wanted.get("process", "")),
            node=_text("node", wanted.get("node", "")).casefold(),
            logger=_text("logger", wanted.get("logger", "")).casefold(),
            contains=_text("contains", wanted.get("contains", "")).casefold(),
            pids=_pids(wanted.get("pid")),
            since_ns=_time_ns("since", wanted.get("since"), now_ns),
            until_ns=_time_ns("until", wanted.get("until"), now_ns),
        )

    def matches(self, record: LogRecord) -> bool:
        """Whether a record fulfils all conditions."""
        return (
            record.level >= self.level
            and (not self.since_ns or record.corrected_ns >= self.since_ns)
            and (not self.until_ns or record.corrected_ns <= self.until_ns)
            and (not self.pids or record.pid in self.pids)
            and (not self.place or self._is_at(record))
            and (not self.process or self.process == record.process)
            and (not self.source or self.source in record.source.casefold())
            and (not self.node or self.node in record.node.casefold())
            and (not self.logger or self.logger in record.logger.casefold())
            and (not self.contains or self._contains(record))
        )

    def _contains(self, record: LogRecord) -> bool:
        texts = (record.message, record.traceback, record.logger, record.thread)
        return any(self.contains in text.casefold() for text in texts) or any(
            self.contains in name.casefold() or self.contains in str(value).casefold()
            for name, value in record.extra.items()
        )

    def _is_at(self, record: LogRecord) -> bool:
        source = record.source
        return source.startswith(self.place) if self.place.endswith("/") else source == self.place


def level_number(level: Any) -> int:
    """Number of a level given by number or name; 0 for None. Raises ConfigurationError for anything else."""
    if level is None:
        return 0
    if isinstance(level, int) and not isinstance(level, bool):
        return level
    names = logging.getLevelNamesMapping()
    if isinstance(level, str) and level.upper() in names:
        return names[level.upper()]
    raise ConfigurationError(
        f"level={level!r}: wanted the lowest level, as a whole number or one of {', '.join(names)}"
    )


def _text(name: str, text: Any, or_else: str = "") -> str:
    if not isinstance(text, str):
        raise ConfigurationError(f"{name}={text!r}: wanted text{or_else}")
    return text


def _pids(pid: Any) -> frozenset[int]:
    if pid is None:
        return frozenset()
    if not isinstance(pid, int) or isinstance(pid, bool):
        raise ConfigurationError(f"pid={pid!r}: wanted the id of a process, a whole number")
    return frozenset((pid,))


def _time_ns(name: str, when: object, now_ns: int) -> int:
    match when:
        case None:
            return 0
        case timedelta():
            return now_ns - when // timedelta(microseconds=1) * 1000
        case datetime() if when == when:  # pandas' "no time" is a datetime that equals nothing
            # pandas' own astimezone refuses local time.
            plain: datetime = when if type(when) is datetime else datetime.fromisoformat(when.isoformat())
            since_1970 = plain.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
            return since_1970 // timedelta(microseconds=1) * 1000
        case int() if not isinstance(when, bool) and when >= _FIRST_NS:
            return when
        case _:
            raise ConfigurationError(
                f"{name}={when!r}: wanted a datetime, a timedelta for so long ago (such as "
                "timedelta(minutes=5)), or ns since 1970 UTC (such as time.time_ns())"
            )
