"""What the words of a process have in common, on their way to the log server."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from itertools import islice
from typing import Protocol, TypedDict, Unpack

from pyacq_lab.model.logs import Plain
from pyacq_lab.model.roles import Clock
from pyacq_lab.wire.logcodec import LogOrigin, Words

__all__ = ["LogOrigin", "LogSink", "Said", "as_text", "current_node", "hushed", "is_hushed", "make_words"]

MAX_TEXT = 32_768
"""Characters kept of a message and of a traceback: queues are bounded in records, so records must be too."""

MAX_FIELDS = 32
"""Extra fields kept of a record."""

MAX_FIELD = 1000
"""Characters kept of an extra field's name and of its value."""

_LOWEST, _HIGHEST = -(2**31), 2**31 - 1  # levels that every program can read

current_node: ContextVar[str] = ContextVar("current_node", default="")
"""Name of the node that the running thread serves; the node's thread sets it."""


_hushed: ContextVar[bool] = ContextVar("_hushed", default=False)


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Ignore what this thread logs and prints meanwhile: it is already a record of its own."""
    token = _hushed.set(True)
    try:
        yield
    finally:
        _hushed.reset(token)


def is_hushed() -> bool:
    """Whether this thread is within `hushed`."""
    return _hushed.get()


class Said(TypedDict, total=False):
    """What may be told of a record beside its message: fields of `LogRecord`, with its defaults.

    ``thread`` and ``node`` are those of the calling thread unless given.
    """

    stream: str
    level: int
    logger: str
    traceback: str
    extra: Mapping[str, object]
    thread: str
    node: str


class LogSink(Protocol):
    """What takes the words of a process: a `LogShipper`, or the log server itself for its own process."""

    def say(self, message: str, **said: Unpack[Said]) -> None:
        """Take one record; never blocks and never raises. Safe from any thread."""
        ...


def make_words(clock: Clock, message: str, said: Said) -> Words:
    """Put in words what is said now, with texts that are bounded and can be encoded."""
    extra = said.get("extra")
    return Words(
        clock.now_ns(),
        time.monotonic_ns(),
        _clean(said["thread"] if "thread" in said else threading.current_thread().name),
        said["node"] if "node" in said else current_node.get(),
        said.get("stream", "log"),
        _clean(said["logger"]) if "logger" in said else "",
        max(_LOWEST, min(said.get("level", logging.INFO), _HIGHEST)),
        _clean(message),
        _clean(said["traceback"]) if "traceback" in said else "",
        plain_fields(extra) if extra else {},
    )


def write_to_stderr(words: Words) -> None:
    """Hand a record of a fork to the host as text."""
    logger = f"{words.logger}: " if words.logger else ""
    more = f"\n{words.traceback.rstrip()}" if words.traceback else ""
    text = f"{logging.getLevelName(words.level)} {logger}{words.message}{more}\n"
    with contextlib.suppress(OSError):  # the standard error may be closed: a fork has nobody else
        os.write(2, text.encode(errors="backslashreplace"))


def plain_fields(fields: Mapping[str, object]) -> dict[str, Plain]:
    """Fields of which every program can read the values: those that are not plain become their ``repr``."""
    chosen = list(islice(fields.items(), MAX_FIELDS))
    plain = {_clean(as_text(name), MAX_FIELD): _plain(value) for name, value in chosen}
    if len(fields) > MAX_FIELDS:
        plain["…"] = f"{len(fields) - MAX_FIELDS} more fields"
    return plain


def _plain(value: object) -> Plain:
    if value is None or isinstance(value, bool):
        return value
    try:
        if isinstance(value, str):
            return _clean(str(value), MAX_FIELD)
        if isinstance(value, float):
            return float(value)
        if isinstance(value, int) and -(2**63) <= value < 2**63:
            return int(value)
    except Exception:  # a user's own kind of number or text, which fails
        return _clean(as_text(value, repr), MAX_FIELD)
    return _clean(as_text(value, repr), MAX_FIELD)


def as_text(value: object, form: Callable[[object], str] = str) -> str:
    """Text of whatever a user logs, prints or raises; never raises, whatever its methods do.

    Parameters
    ----------
    value : object
        The object.
    form : callable
        ``str``, or ``repr``.
    """
    try:
        return form(value)
    except Exception as error:  # a record must neither be lost for it, nor take the experiment with it
        return f"<{type(value).__name__}, whose {form.__name__} raised {type(error).__name__}>"


def _clean(text: str, longest: int = MAX_TEXT) -> str:
    if len(text) > longest:
        text = f"{text[:longest]}… ({len(text) - longest} more characters)"
    if text.isascii():
        return text
    # File names that are not UTF-8 come as lone surrogates, which no encoder takes.
    return text.encode("utf-8", "backslashreplace").decode()
