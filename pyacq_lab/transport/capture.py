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
from typing import Any, Protocol

from pyacq_lab.errors import LifecycleError
from pyacq_lab.transport.logs import LogSink, Said, as_text, hushed, is_hushed

log = logging.getLogger(__name__)

LoopHandler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]

_CELL_HAS_RUN = "post_run_cell"
_CALLED = "callHandlers"


class Events(Protocol):
    """What tells when a cell has run: ``events`` of IPython's shells."""

    def register(self, event: str, function: Callable[..., object]) -> None:
        """Have a function called at each event of a name."""
        ...

    def unregister(self, event: str, function: Callable[..., object]) -> None:
        """Have it called no more. Raises ValueError where it was not."""
        ...


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
        self._tap = _LoggerTap(sink, lambda: self.last_resort)
        self._installed = False
        self._level_before: tuple[int, int] | None = None
        self._hooks = (
            _Hook(sys, "excepthook", self._uncaught),
            _Hook(threading, "excepthook", self._uncaught_in_thread),
            _Hook(sys, "unraisablehook", self._unraisable),
            _Hook(warnings, "showwarning", self._warned),
        )
        self._loops: list[tuple[asyncio.AbstractEventLoop, LoopHandler, LoopHandler | None]] = []
        self._cells: list[Events] = []

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
        if self._installed:
            raise LifecycleError("this capture is installed already; uninstall it first")
        self._installed = True
        self._tap.install()
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

    def watch_cells(self, events: Events) -> None:
        """Capture what cells fail with.

        Parameters
        ----------
        events : Events
            Those of the IPython shell that runs the cells: ``shell.events``.
        """
        events.register(_CELL_HAS_RUN, self._cell_has_run)
        self._cells.append(events)

    def uninstall(self) -> None:
        """Stop capturing and put back what was there. Idempotent."""
        for loop, handle, before in self._loops:
            if loop.get_exception_handler() is handle:
                loop.set_exception_handler(before)
        self._loops.clear()
        for events in self._cells:
            with contextlib.suppress(ValueError):  # somebody has taken it away
                events.unregister(_CELL_HAS_RUN, self._cell_has_run)
        self._cells.clear()
        for hook in self._hooks:
            hook.uninstall()
        if self._level_before is not None:
            ours, before = self._level_before
            if logging.root.level == ours:
                logging.root.setLevel(before)
            self._level_before = None
        self._tap.uninstall()
        self._installed = False

    def _cell_has_run(self, result: Any = None) -> None:
        # IPython shows the error of a cell by itself: no hook of Python's is called.
        error = None if result is None else result.error_before_exec or result.error_in_exec
        if error is not None and not isinstance(error, (KeyboardInterrupt, asyncio.CancelledError)):
            self._exception(_one_line(error), error)

    def _exception(self, message: str, error: BaseException | None, thread: str | None = None) -> None:
        text = "" if error is None else _formatted(error)
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
        self._exception(f"{about}: {as_text(args.object, repr)}: {what}", error)

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
            text = f"{category.__name__}: {as_text(message)} ({filename}:{lineno})"
            self._sink.say(text, level=logging.WARNING, logger="py.warnings")

    def _failed_in_loop(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        message = as_text(context.get("message", "unhandled exception in the event loop"))
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
        except Exception as error:  # who warns or fails must not fail once more because of us
            log.warning("what came to %s could not be told: %s", self._name, _one_line(error))
        finally:
            if self._before is not None:
                with hushed():
                    self._before(*args, **kwargs)


class _LoggerTap:
    """Gives a sink what all loggers hand to their handlers, after the handlers have had it.

    It stands around `logging.Logger.callHandlers`. A handler on the root logger would turn
    ``logging.basicConfig()`` into a no-op, ``dictConfig`` would throw it away, and it would not hear the
    loggers that do not propagate.
    """

    n_active = 0

    def __init__(self, sink: LogSink, prints: Callable[[], bool]) -> None:
        self._sink = sink
        self._prints = prints
        self._active = False
        self._before: Callable[[logging.Logger, logging.LogRecord], None] | None = None
        self._ours: object = None

    def install(self) -> None:
        """Begin to listen."""
        self._active = True
        _LoggerTap.n_active += 1
        if self._before is not None:
            return
        self._before = before = logging.Logger.callHandlers

        def call_handlers(logger: logging.Logger, record: logging.LogRecord) -> None:
            handled, wanted = _taken_by_handlers(logger, record.levelno)
            try:
                if not self._active or handled:
                    before(logger, record)
                elif self._prints():
                    with hushed():  # the last resort of `logging`: what it prints is the same once more
                        before(logger, record)
            finally:
                if self._active and wanted and not is_hushed():
                    self._take(record)

        self._ours = call_handlers
        setattr(logging.Logger, _CALLED, call_handlers)

    def uninstall(self) -> None:
        """Stop listening; where somebody else has put himself around us, we only pass on. Idempotent."""
        if self._active:
            self._active = False
            _LoggerTap.n_active -= 1
            if self._before is not None and getattr(logging.Logger, _CALLED) is self._ours:
                setattr(logging.Logger, _CALLED, self._before)
                self._before = None

    def _take(self, record: logging.LogRecord) -> None:
        if record.name == "Comm" and record.msg == "No such comm: %s":
            return  # of a widget that is gone: each reload of a page asks for it, and nothing is wrong
        try:
            self._say(record)
        except Exception as error:  # whoever logs must go on, whatever he has put into the record
            message = f"a record that cannot be told: {_one_line(error)}"
            self._sink.say(message, level=logging.WARNING, logger=__name__)

    def _say(self, record: logging.LogRecord) -> None:
        # int and as_text: a record that somebody made by hand, or by a factory, may hold anything.
        said: Said = {
            "level": int(record.levelno),
            "logger": as_text(record.name),
            "thread": as_text(record.threadName or ""),
        }
        if record.exc_info or record.exc_text or record.stack_info:
            said["traceback"] = _traceback(record)
        if len(record.__dict__) > _N_OWN_FIELDS:
            extra = {k: v for k, v in record.__dict__.items() if k not in _OWN_FIELDS}
            if extra:
                said["extra"] = extra
        self._sink.say(_message(record), **said)


def _taken_by_handlers(logger: logging.Logger | None, level: int) -> tuple[bool, bool]:
    """Whether a logger's records come to a handler at all, and whether one of this level is worth keeping.

    A logger that does not propagate decides with the levels of its own handlers what it says: those of
    Jupyter's applications let everything through and have a handler that prints what matters.
    """
    handled = taken = False
    while logger is not None:
        for handler in logger.handlers:
            handled = True
            taken = taken or level >= handler.level
        if logger.parent is None:
            return handled, True
        logger = logger.parent if logger.propagate else None
    return handled, taken or not handled


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
            return said["record"] is record and _LoggerTap.n_active > 0 and _message(record) in text
    return False


_N_OWN_FIELDS = len(logging.makeLogRecord({}).__dict__)
_OWN_FIELDS = {*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"}
"""What every record has, and what formatters add."""


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # the caller's arguments do not fit: what he meant is still worth having
        args = record.args if isinstance(record.args, tuple) else (record.args,)
        shown = ", ".join(as_text(arg, repr) for arg in args)
        what = as_text(record.msg) + (f" % ({shown})" if record.args else "")
        return f"{what} (cannot be formatted: {_one_line(error)})"


def _traceback(record: logging.LogRecord) -> str:
    parts: list[str] = []
    if record.exc_info and record.exc_info[1] is not None:
        parts.append(_formatted(record.exc_info[1]))
    elif record.exc_text:
        parts.append(record.exc_text)
    if record.stack_info:
        parts.append(record.stack_info)
    return "\n".join(parts)


def _formatted(error: BaseException) -> str:
    """Traceback of an error, without the frames of IPython that stand before the first of a cell."""
    trace = error.__traceback__
    while trace is not None and str(trace.tb_frame.f_globals.get("__name__", "")).startswith("IPython."):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace or error.__traceback__))


def _one_line(error: BaseException) -> str:
    with contextlib.suppress(Exception):  # an exception whose own text fails
        return traceback.format_exception_only(error)[-1].strip()
    return type(error).__name__
