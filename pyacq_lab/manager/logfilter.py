"""Which records somebody wants to see."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.logs import LogRecord


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Conditions that a record must all fulfil; an empty one lets everything through.

    Attributes
    ----------
    level : int
        Lowest level, as in `logging`.
    source : str
        Part of ``host/process``, in any case of letters.
    node : str
        Part of the node's name, in any case of letters.
    since_ns : int
        Earliest time, ns since 1970 UTC by the log server's clock.
    contains : str
        Part of the message, the traceback, the logger's or the thread's name, in any case of letters.
    """

    level: int = 0
    source: str = ""
    node: str = ""
    since_ns: int = 0
    contains: str = ""

    @classmethod
    def of(
        cls,
        *,
        level: int | str = 0,
        source: str = "",
        node: str = "",
        since: int | datetime | None = None,
        contains: str = "",
    ) -> LogFilter:
        """Build a filter from what people type: a level's name, a `datetime` (local unless it says).

        Raises
        ------
        ConfigurationError
            No level has this name.
        """
        since_ns = int(since.astimezone(UTC).timestamp() * 1e9) if isinstance(since, datetime) else since or 0
        return cls(level_number(level), source.casefold(), node.casefold(), since_ns, contains.casefold())

    def matches(self, record: LogRecord) -> bool:
        """Whether a record fulfils all conditions."""
        return (
            record.level >= self.level
            and (not self.since_ns or record.corrected_ns >= self.since_ns)
            and (not self.source or self.source in record.source.casefold())
            and (not self.node or self.node in record.node.casefold())
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
