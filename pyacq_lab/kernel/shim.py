# ruff: noqa: SLF001  private members are what this file is for
"""Every private or undocumented thing of ipykernel that this package leans on, in one place.

``tests/integration/kernel/test_shim.py`` pins each: a new ipykernel that changes one fails there first.
"""

from __future__ import annotations

import _thread
import asyncio
import codecs
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from ipykernel.comm.comm import BaseComm
from ipykernel.iostream import OutStream
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelbase import Kernel
from ipykernel.zmqshell import ZMQDisplayPublisher, ZMQInteractiveShell
from jupyter_client.jsonutil import json_clean, json_default
from traitlets import Any as AnyTrait
from traitlets import Type
from traitlets.config import Config

from pyacq_lab.kernel.prints import PrintLines
from pyacq_lab.transport.capture import prints_a_record
from pyacq_lab.transport.logs import is_hushed

_FDS = {"stdout": 1, "stderr": 2}


def keep_debugger_out() -> None:
    """Import ipykernel's debugger as if debugpy were not installed.

    ipykernel 7.4 imports pydevd into every kernel: a sixth of a second and several megabytes each, and
    a forked copy of it hangs. Code that imports debugpy by itself still gets it.
    """
    if "ipykernel.debugger" in sys.modules:
        return
    hidden = sys.modules.pop("debugpy", None)
    sys.modules["debugpy"] = None  # pyright: ignore[reportArgumentType]  the documented way to refuse an import
    try:
        import ipykernel.debugger  # noqa: F401
    finally:
        del sys.modules["debugpy"]
        if hidden is not None:
            sys.modules["debugpy"] = hidden


def interrupt_cell() -> None:
    """Interrupt the cell that runs in this process, if one does; safe from any thread.

    Between cells ipykernel ignores SIGINT.
    """
    if hasattr(signal, "pthread_kill"):
        # To the main thread: a blocking call there returns only if the signal comes to that thread.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    # Two backslashes: in JSON they are one, and the reader sees what repr would show him.
    return "".join(f"\\\\u{ord(c):04x}" for c in error.object[error.start : error.end]), error.end


codecs.register_error("pyacq_lab.json", _escape)


def pack_message(message: Any) -> bytes:
    """Give the JSON of a message; lone surrogates in it, which no encoder takes, as their escapes.

    Upstream raises in the thread that publishes, and whoever printed waits for it for ever.
    """
    try:
        text = json.dumps(message, default=json_default, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):  # NaN, or keys that are no strings
        text = json.dumps(json_clean(message), default=json_default, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "pyacq_lab.json")


class CellStream(OutStream):
    """``sys.stdout`` (``stderr``) of a nodegroup.

    All that is printed goes to `lines`. What is printed in the context of a message from a client, that is
    by a cell or by a task that it started, goes to that cell's output as well. OutStream itself would
    show the prints of any other thread in whatever cell came last.
    """

    def __init__(self, session: Any, pub_thread: Any, name: str, lines: PrintLines) -> None:
        super().__init__(session, pub_thread, name, watchfd=False)
        self.lines = lines

    def fileno(self) -> int:
        """The true descriptor, for subprocesses: it leads to the host."""
        return _FDS[self.name]

    def write(self, string: str) -> int:
        """Print; safe from any thread."""
        in_cell = bool(self._parent_header.get(None))
        if is_hushed():  # it has been said in another way already: only a cell still shows it
            if in_cell and not self.closed and self._is_master_process():
                super().write(string)
            return len(string)
        if not self._is_master_process():
            os.write(self.fileno(), string.encode(errors="backslashreplace"))  # a fork of a user's
            return len(string)
        if not prints_a_record(sys._getframe(1), string):  # else it is in the log already
            self.lines.write(string, in_cell)
        if in_cell and not self.closed:
            super().write(string)
        return len(string)


class CellDisplayPublisher(ZMQDisplayPublisher):
    """Publishes displays; those of a thread of its own belong to no cell, not to the last one."""

    @property
    def parent_header(self) -> Any:
        """Header of the message in whose context the caller runs."""
        return self._parent_header.get({})

    @parent_header.setter
    def parent_header(self, value: Any) -> None:
        self._parent_header.set(value)
        self._parent_header_global = value


class GroupShell(ZMQInteractiveShell):
    """The shell of a nodegroup."""

    display_pub_class = Type(CellDisplayPublisher)


def warm_up() -> None:
    """Make a shell once and let it go: it fills caches of traitlets and re, which forks share."""
    GroupShell(config=Config(HistoryManager={"enabled": False}))


class GroupKernel(IPythonKernel):
    """The kernel of a nodegroup."""

    shell_class = Type(GroupShell)
    on_shutdown: Callable[[], None] = AnyTrait()  # pyright: ignore[reportAssignmentType]

    def do_shutdown(self, restart: bool) -> dict[str, Any]:
        """Close before the event loops stop. Called by the control thread: a busy cell delays nothing."""
        self.on_shutdown()
        interrupt_cell()  # it would hold the loop
        return super().do_shutdown(restart)

    def start(self) -> None:
        """Begin to serve, without the debugger. Called by the app, in the main thread."""
        if self.shell is not None:
            self.shell.exit_now = False
        # IPythonKernel.start would also start a task that waits for the debugger, which there is none of.
        Kernel.start(self)

    def _send_interrupt_children(self) -> None:
        # Upstream interrupts the whole process group, a recorder's helper processes included.
        interrupt_cell()

    def _cancel_on_sigint(self, future: Any) -> Any:
        return _waking_loop(super()._cancel_on_sigint(future))


@contextmanager
def _waking_loop(cancel_on_sigint: AbstractContextManager[None]) -> Iterator[None]:
    """Make ipykernel's SIGINT handler for async cells wake the event loop.

    Its callback is added from within the signal handler, in the loop's own thread, so the loop is not
    woken: a cell that only awaits is interrupted when something else happens, or never.
    """
    loop = asyncio.get_running_loop()
    with cancel_on_sigint:
        theirs = signal.getsignal(signal.SIGINT)

        def handle(signum: int, frame: Any) -> None:
            if callable(theirs):
                theirs(signum, frame)
            loop.call_soon_threadsafe(lambda: None)

        signal.signal(signal.SIGINT, handle)
        yield


def enable_comms_while_busy() -> None:
    """Let widgets work while a cell blocks, in the kernel that calls this (the notebook's own).

    JupyterLab sends a widget's messages to a subshell, which runs beside the main shell. ipykernel 7.4
    sends them back to the shell that last used the widget, the busy one, so a Stop button does nothing
    until the cell ends. From here on they stay on their subshell, unless they answer a request that
    names itself by an id. Calling it again changes nothing.
    """
    setattr(BaseComm, "_reply_subshell_for", _reply_subshell_for)  # noqa: B010


def _reply_subshell_for(comm: Any, data: Any, default: str | None) -> str | None:
    content = data.get("content") if isinstance(data, dict) else None
    request = content.get("id") if isinstance(content, dict) else None
    with comm._reply_subshell_lock:
        return comm._reply_subshell_ids.pop(request, default) if isinstance(request, str) else default


def enable_interrupt_while_awaiting() -> None:
    """Let an interrupt reach a cell that only awaits, in the kernel that calls this (the notebook's own).

    Calling it again changes nothing.
    """
    upstream = IPythonKernel._cancel_on_sigint
    if upstream is not _upstream_cancel_on_sigint:
        return

    def cancel_on_sigint(kernel: Any, future: Any) -> AbstractContextManager[None]:
        return _waking_loop(upstream(kernel, future))

    setattr(IPythonKernel, "_cancel_on_sigint", cancel_on_sigint)  # noqa: B010


_upstream_cancel_on_sigint = IPythonKernel._cancel_on_sigint
