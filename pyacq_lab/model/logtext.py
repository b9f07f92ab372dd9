"""Log records as lines of text, with colours where they can be shown."""

from __future__ import annotations

import logging
import re
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyacq_lab.model.logs import LogRecord

# The terminal's (and JupyterLab's) own sixteen colours, which follow its theme; bold, because JupyterLab's
# plain yellow and cyan can hardly be read on white.
_LEVEL_COLOURS = (
    (logging.CRITICAL, "1;7;31"),
    (logging.ERROR, "1;31"),
    (logging.WARNING, "1;33"),
    (logging.INFO, "1;36"),
    (0, ""),  # no grey: what some themes call grey others show as their background
)


# Colours that a process printed, and characters that would make a line show something else than what it
# holds: controls but for tab and newline, separators of lines, and those that turn text around.
_SPECIAL = re.compile(
    r"\r\n|\x1b\[[0-9;:]*m|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
_RESET = "\x1b[0m"


def shown(text: str, *, colour: bool = False) -> str:
    r"""Text as it can be shown: special characters as Python writes them, colours only where they are wanted.

    Examples
    --------
    >>> shown("\x1b[31mred\x1b[0m, bell \x07")
    'red, bell \\x07'
    """
    if not _SPECIAL.search(text):
        return text
    coloured = False

    def one(match: re.Match[str]) -> str:
        nonlocal coloured
        found = match[0]
        if found == "\r\n":
            return "\n"
        if len(found) == 1:
            return found.encode("unicode_escape").decode()
        coloured = colour
        return found if colour else ""

    clean = _SPECIAL.sub(one, text)
    return clean + _RESET if coloured else clean


def bounded(text: str, limit: int) -> str:
    """Text without its middle, where it has more than ``limit`` characters."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} … {len(text) - 2 * half:,} more characters … {text[-half:]}"


def format_time(record: LogRecord, *, date: bool = False) -> str:
    """Local time of day by the log server's clock, to the millisecond; with date and zone where wanted.

    What is written down is read elsewhere, too: there the time says how far it is ahead of UTC.
    """
    local = datetime.fromtimestamp(record.corrected_ns / 1e9).astimezone()
    return local.isoformat(" ", "milliseconds") if date else local.strftime("%H:%M:%S.%f")[:-3]


def format_origin(record: LogRecord) -> str:
    """Who said it: ``host/process``, the node in brackets, the thread."""
    node = f" [{record.node}]" if record.node else ""
    return shown(f"{record.source}{node} {record.thread}".rstrip())


def label(record: LogRecord) -> str:
    """What kind of record it is, in a word: its level, or the stream on which it was printed."""
    return record.stream if record.stream in ("stdout", "stderr") else record.level_name


def format_record(record: LogRecord, *, colour: bool = False, date: bool = False) -> str:
    """Lines for one record, without the last line's end; what follows the first line is indented."""

    def paint(code: str, text: str) -> str:
        return f"\x1b[{code}m{text}{_RESET}" if colour and code else text

    printed = record.stream in ("stdout", "stderr")
    code = "" if printed else next((code for level, code in _LEVEL_COLOURS if record.level >= level), "")
    logger = f"{shown(record.logger)}: " if record.logger else ""
    late = " (late)" if record.late else ""
    head = " ".join(
        (
            format_time(record, date=date),
            paint(code, f"{label(record):8}"),
            paint("1", format_origin(record)) + late,
            logger + shown(record.message, colour=colour),
        )
    )
    trace = shown(record.traceback.rstrip(), colour=colour)
    more = f"{head}\n{trace}" if trace else head
    return more.replace("\n", "\n    ")
