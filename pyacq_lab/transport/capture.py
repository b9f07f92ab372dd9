"""What a process logs, warns and fails with, caught and handed to the log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from types import FrameType, ModuleType, TracebackType
from typing import Any

from pyacq_lab.errors import LifecycleError
from pyacq_lab.transport.logs import LogSink, Said, hushed, is_hushed

LoopHandler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]


class LogCapture:
    """Hand what this process logs, warns and fails with to a sink, without taking it from anybody.

    Hooks that were there before are called as before, and are put back by `uninstall` unless somebody
    has replaced ours meanwhile. What they print or log in turn about the same thing is not recorded twice.

    Parameters
    ----------
    sink : LogSink
        Takes the records.

    Attributes
    ----------
    last_resort : bool
        Whether what no handler takes is printed as well, as `logging` does it. False where the standard
        error leads to the same log, which would have it twice.
    """

    def __init__(self, sink: LogSink) -> None:
        self.last_resort = True
        self._sink = sink
        self._root: _HiddenRoot | None = None
        self._level_before: tuple[int, int] | None = None
        self._hooks = (
            _Hook(sys, "excepthook", self._uncaught),
            _Hook(threading, "excepthook", self._uncaught_in_thread),
            _Hook(sys, "unraisablehook", self._unraisable),
            _Hook(warnings, "showwarning", self._warned),
        )
        self._loops: list[tuple[asyncio.AbstractEventLoop, LoopHandler, LoopHandler | None]] = []

    def install(self, level: int | None = None) -> None:
        """Begin to capture.

        Parameters
        ----------
        level : int, optional
            Level to set the root logger to, since its default lets nothing below WARNING through. Put
            back by `uninstall`.

        Raises
        ------
        LifecycleError
            It is installed already.
        """
        if self._root is not None:
            raise LifecycleError("this capture is installed already; uninstall it first")
        self._root = _HiddenRoot(_SinkHandler(self._sink, lambda: self.last_resort))
        self._root.attach()
        if level is not None:
            self._level_before = (level, logging.root.level)
            logging.root.setLevel(level)
        for hook in self._hooks:
            hook.install()

    def watch_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Capture what nobody awaits in an asyncio loop. Call it in the loop's thread."""
        before = loop.get_exception_handler()

        def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            self._failed_in_loop(context)
            with hushed():
                if before is None:
                    loop.default_exception_handler(context)
                else:
                    before(loop, context)

        loop.set_exception_handler(handle)
        self._loops.append((loop, handle, before))

    def uninstall(self) -> None:
        """Stop capturing and put back what was there. Idempotent."""
        for loop, handle, before in self._loops:
            if loop.get_exception_handler() is handle:
                loop.set_exception_handler(before)
        self._loops.clear()
        for hook in self._hooks:
            hook.uninstall()
        if self._level_before is not None:
            ours, before = self._level_before
            if logging.root.level == ours:
                logging.root.setLevel(before)
            self._level_before = None
        if self._root is not None:
            self._root.detach()
            self._root = None

    def _exception(self, message: str, error: BaseException | None, thread: str | None = None) -> None:
        text = "" if error is None else "".join(traceback.format_exception(error))
        said = Said(stream="exception", level=logging.ERROR, traceback=text)
        if thread is not None:
            said["thread"] = thread
        self._sink.say(message, **said)

    def _uncaught(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        self._exception(_one_line(error), error)

    def _uncaught_in_thread(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_value is None or args.exc_type is SystemExit:
            return  # SystemExit ends a thread in silence
        thread = None if args.thread is None else args.thread.name
        self._exception(_one_line(args.exc_value), args.exc_value, thread)

    def _unraisable(self, args: Any) -> None:
        about = args.err_msg or "Exception ignored in"
        error: BaseException | None = args.exc_value
        what = args.exc_type.__name__ if error is None else _one_line(error)
        self._exception(f"{about}: {args.object!r}: {what}", error)

    def _warned(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: object = None,
        line: str | None = None,
    ) -> None:
        if file is None:  # else somebody asked for it to be written into a file of his
            text = f"{category.__name__}: {message} ({filename}:{lineno})"
            self._sink.say(text, level=logging.WARNING, logger="py.warnings")

    def _failed_in_loop(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        message = str(context.get("message", "unhandled exception in the event loop"))
        if error is not None:
            message = f"{message}: {_one_line(error)}"
        self._exception(message, error)


class _Hook:
    """One function of a module, replaced by one that observes and then calls it."""

    def __init__(self, module: ModuleType, name: str, observe: Callable[..., None]) -> None:
        self._module = module
        self._name = name
        self._observe = observe
        self._before: Callable[..., Any] | None = None
        self._active = False

    def install(self) -> None:
        """Put ourselves in place of the function."""
        self._active = True
        if self._before is None:
            self._before = getattr(self._module, self._name)
            setattr(self._module, self._name, self)

    def uninstall(self) -> None:
        """Put the function back; where somebody has replaced us, only stop observing."""
        self._active = False
        if self._before is not None and getattr(self._module, self._name) is self:
            setattr(self._module, self._name, self._before)
            self._before = None

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        try:
            if self._active and not is_hushed():
                self._observe(*args, **kwargs)
        finally:
            if self._before is not None:
                with hushed():
                    self._before(*args, **kwargs)


class _HiddenRoot(logging.Logger):
    """A parent of the root logger, where all records end up.

    A handler *on* the root logger would turn ``logging.basicConfig()`` into a no-op, and ``dictConfig``
    would throw it away. Up here, what users do with their loggers stays theirs.
    """

    def __init__(self, handler: logging.Handler) -> None:
        super().__init__("pyacq_lab.hidden_root")
        self.addHandler(handler)

    def attach(self) -> None:
        """Become the last parent of all loggers."""
        last: logging.Logger = logging.root
        while last.parent is not None:
            last = last.parent
        last.parent = self

    def detach(self) -> None:
        """Let the loggers be as they were."""
        child: logging.Logger | None = logging.root
        while child is not None and child.parent is not self:
            child = child.parent
        if child is not None:
            child.parent = self.parent
        for handler in list(self.handlers):
            self.removeHandler(handler)
            handler.close()


class _SinkHandler(logging.Handler):
    """Gives records to a sink."""

    def __init__(self, sink: LogSink, prints: Callable[[], bool]) -> None:
        super().__init__()
        self._sink = sink
        self._prints = prints

    def createLock(self) -> None:  # noqa: N802 - the name is logging's
        """Go without: the sink is safe from any thread, and a lock would make callers wait."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Take one record: nobody else has this handler, so it has neither filters nor a lock to look at."""
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Give one record to the sink, and let the last resort of `logging` print as it always did."""
        if not is_hushed():
            self._say(record)
        last_resort = logging.lastResort
        if last_resort is not None and record.levelno >= last_resort.level:
            self._print(record, last_resort)

    def _print(self, record: logging.LogRecord, last_resort: logging.Handler) -> None:
        """Let the last resort of `logging` print what nobody takes, as it always did."""
        if self._prints() and not _is_handled(record):
            with hushed():
                last_resort.handle(record)

    def _say(self, record: logging.LogRecord) -> None:
        said: Said = {"level": record.levelno, "logger": record.name, "thread": record.threadName or ""}
        if record.exc_info or record.exc_text or record.stack_info:
            said["traceback"] = _traceback(record)
        if len(record.__dict__) > _N_OWN_FIELDS:
            extra = {k: v for k, v in record.__dict__.items() if k not in _OWN_FIELDS}
            if extra:
                said["extra"] = extra
        self._sink.say(_message(record), **said)


_EMIT = logging.StreamHandler.emit.__code__
_CALL_HANDLERS = logging.Logger.callHandlers.__code__
_HANDLER_DEPTH = 6  # frames between the two, where subclasses of handlers have their own methods


def prints_a_record(writer: FrameType | None, text: str) -> bool:
    """Whether what is being written is a user's handler printing a record that is captured as well.

    `logging` calls the handlers of one record after the other, ours last, in one thread: so the frames above
    a stream's ``write`` tell. Whatever does not look exactly like that is not taken for it.

    Parameters
    ----------
    writer : frame
        The one that called ``write``.
    text : str
        What it writes.
    """
    while writer is not None and writer.f_code.co_name == "write":
        writer = (
            writer.f_back
        )  # a stream that passes it on, as IPython puts one before ours while a cell runs
    if writer is None or writer.f_code is not _EMIT:
        return False
    record: logging.LogRecord = writer.f_locals["record"]
    frame: FrameType | None = writer
    for _ in range(_HANDLER_DEPTH):
        frame = frame.f_back
        if frame is None:
            return False
        if frame.f_code is _CALL_HANDLERS:
            said = frame.f_locals
            return said["record"] is record and _is_captured(said["self"]) and _message(record) in text
    return False


def _is_captured(logger: logging.Logger | None) -> bool:
    """Whether the records of a logger come to a capture."""
    while logger is not None and not isinstance(logger, _HiddenRoot):
        logger = logger.parent if logger.propagate else None
    return logger is not None


_N_OWN_FIELDS = len(logging.makeLogRecord({}).__dict__)
_OWN_FIELDS = {*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"}
"""What every record has, and what formatters add."""


def _is_handled(record: logging.LogRecord) -> bool:
    """Whether a handler other than ours takes a record, up to the root logger."""
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger is not None and not isinstance(logger, _HiddenRoot):
        if logger.handlers:
            return True
        logger = logger.parent if logger.propagate else None
    return False


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # the caller's arguments do not fit: what he meant is still worth having
        return f"{record.msg!s} % {record.args!r} (cannot be formatted: {_one_line(error)})"


def _traceback(record: logging.LogRecord) -> str:
    parts: list[str] = []
    if record.exc_info and record.exc_info[1] is not None:
        parts.append("".join(traceback.format_exception(record.exc_info[1])))
    elif record.exc_text:
        parts.append(record.exc_text)
    if record.stack_info:
        parts.append(record.stack_info)
    return "\n".join(parts)


def _one_line(error: BaseException) -> str:
    with contextlib.suppress(Exception):  # an exception whose own text fails
        return traceback.format_exception_only(error)[-1].strip()
    return type(error).__name__
