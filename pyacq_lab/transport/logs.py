"""What the words of a process have in common, on their way to the log server."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Protocol, TypedDict, Unpack

import msgspec

from pyacq_lab.model.logs import LogRecord
from pyacq_lab.model.roles import Clock

MAX_TEXT = 32_768
"""Characters kept of a message and of a traceback: queues are bounded in records, so records must be too."""

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


class LogOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """Where the records of a process come from: the fields that they all share, as in `LogRecord`."""

    host: str
    process: str
    pid: int = msgspec.field(default_factory=os.getpid)
    channel: str = "process"


class Said(TypedDict, total=False):
    """What may be told of a record beside its message: fields of `LogRecord`, with its defaults.

    ``thread`` and ``node`` are those of the calling thread unless given.
    """

    stream: str
    level: int
    logger: str
    traceback: str
    thread: str
    node: str


class LogSink(Protocol):
    """What takes the words of a process: a `LogShipper`, or the log server itself for its own process."""

    def say(self, message: str, **said: Unpack[Said]) -> None:
        """Take one record; never blocks and never raises. Safe from any thread."""
        ...


def make_record(origin: LogOrigin, clock: Clock, message: str, said: Said) -> LogRecord:
    """Record of something said now, with texts that are bounded and can be encoded."""
    return LogRecord(
        time_ns=clock.now_ns(),
        host=origin.host,
        process=origin.process,
        pid=origin.pid,
        thread=_clean(said["thread"] if "thread" in said else threading.current_thread().name),
        node=said["node"] if "node" in said else current_node.get(),
        stream=said.get("stream", "log"),
        logger=_clean(said.get("logger", "")),
        level=said.get("level", logging.INFO),
        message=_clean(message),
        traceback=_clean(said.get("traceback", "")),
        channel=origin.channel,
    )


def _clean(text: str) -> str:
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}… ({len(text) - MAX_TEXT} more characters)"
    if text.isascii():
        return text
    # File names that are not UTF-8 come as lone surrogates, which no encoder takes.
    return text.encode("utf-8", "backslashreplace").decode()
