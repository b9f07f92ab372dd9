"""The kernel of a nodegroup: runs in the process's main thread until it is shut down."""

from __future__ import annotations

import atexit
import logging
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

from ipykernel.kernelapp import IPKernelApp
from tornado.ioloop import IOLoop
from traitlets import Type
from traitlets.config import Config

from pyacq_lab.kernel.prints import OnPrint, OnUnfinished, PrintLines, QuietLines
from pyacq_lab.kernel.shim import CellStream, GroupKernel, interrupt_cell, keep_debugger_out, pack_message

keep_debugger_out()
logger = logging.getLogger(__name__)

_STOP_TIME = 2.0
"""Seconds that each of the kernel's threads has to stop; the process ends without them."""


def run_kernel(
    connection_file: str,
    *,
    namespace: dict[str, Any],
    banner: str,
    on_started: Callable[[], None],
    on_print: OnPrint,
    on_closing: Callable[[], None],
    on_unfinished: OnUnfinished | None = None,
    watch_cells: Callable[[Any], None] | None = None,
) -> int:
    """Run the kernel; blocks the main thread until it is shut down.

    It ends on a shutdown request, on ``quit()`` in a cell and on SIGTERM. SIGINT interrupts the running
    cell and nothing else.

    Parameters
    ----------
    connection_file : str
        Jupyter's connection file with keys and ports 0; the ports that were bound are written back.
    namespace : dict
        The namespace in which cells run; the same object, it can be filled later.
    banner : str
        What a console shows when it connects.
    on_started : callable
        Called once, in this thread, when all sockets are bound, right before messages are served.
    on_print : callable
        Called with a `Printed` for each line that is printed with Python's ``sys.stdout`` or ``sys.stderr``,
        by the printing thread, or by another one where the line got no end.
    on_closing : callable
        Called once, before the end, whatever its reason: by the control thread (shutdown request), by
        a thread of its own (SIGTERM) or by this one. Prints made in it still reach `on_print`.
    on_unfinished : callable, optional
        Called as ``on_unfinished(stream, text, thread, node)``, with the line so far, by the printing
        thread whenever it has printed without ending the line.
    watch_cells : callable, optional
        Called once with what tells when a cell has run: ``events`` of IPython's shell.

    Returns
    -------
    int
        Exit code: 143 where a SIGTERM ended it, as a shell counts, else 0.
    """
    app = GroupApp.instance(
        connection_file=connection_file,
        user_ns=namespace,
        # fd-level output stays on the pipe to the host.
        capture_fd_output=False,
        # No poller for a parent, and no hints about Ctrl-C on stdout; `HostWatch` looks after the host.
        parent_handle=1,
        outstream_class=None,
    )
    app.prepare(on_started, on_print, on_closing, on_unfinished)
    app.update_config(
        Config(
            InteractiveShell={"banner1": banner}, HistoryManager={"enabled": False}
        )  # no file to fight over
    )
    app.initialize([])
    if watch_cells is not None:
        watch_cells(app.kernel.shell.events)
    app.start()
    return 128 + signal.SIGTERM if app.terminated else 0


class GroupApp(IPKernelApp):
    """Wires ipykernel to what a nodegroup needs."""

    name = "pyacq-lab-nodegroup"
    kernel_class = Type(GroupKernel)

    def prepare(
        self,
        on_started: Callable[[], None],
        on_print: OnPrint,
        on_closing: Callable[[], None],
        on_unfinished: OnUnfinished | None = None,
    ) -> None:
        """Take the callbacks. Called once, before `initialize`."""
        self._on_started = on_started
        self._lines = tuple(PrintLines(name, on_print, on_unfinished) for name in ("stdout", "stderr"))
        self._closing = _Once(on_closing)
        self._started = threading.Event()
        self.terminated = False
        self._loop = IOLoop.current()
        if threading.current_thread() is threading.main_thread():
            # Before the ports are known, and with them this process to anybody who might end it.
            signal.signal(signal.SIGTERM, lambda *_: _in_thread(self._close_at_sigterm))

    def parse_command_line(self, argv: Any = None) -> None:
        """Nothing: there is no command line, and to build its parser takes longer than to fork."""

    def init_io(self) -> None:
        """Take over Python's standard streams. Called by `initialize`."""
        super().init_io()
        self.session.pack = pack_message
        stdout, stderr = self._lines
        sys.stdout = CellStream(self.session, self.iopub_thread, "stdout", stdout)
        sys.stderr = CellStream(self.session, self.iopub_thread, "stderr", stderr)

    def init_iopub(self, context: Any) -> None:
        """Open the socket that publishes. Called by `initialize`.

        It greets subscribers, but unless told so only the first of several: whoever connected while
        another client was, or was just leaving, would wait for its greeting in vain.
        """
        super().init_iopub(context)
        publisher: Any = self.iopub_thread.socket

        def greet_all() -> None:
            publisher.xpub_verbose = True

        self.iopub_thread.schedule(greet_all)  # its thread alone may touch the socket

    def init_kernel(self) -> None:
        """Make the kernel. Called by `initialize`."""
        super().init_kernel()
        self.kernel.on_shutdown = self._closing
        self.kernel.shell.events.register("post_run_cell", self._finish_lines)

    def start(self) -> None:
        """Serve until the kernel is shut down, then close."""
        quiet_lines = QuietLines(*self._lines)
        self._on_started()
        self._started.set()
        self.kernel.start()
        while True:
            try:
                self._loop.start()
                break
            except KeyboardInterrupt:
                # It came between two cells, a few instructions late: nothing to interrupt any more.
                logger.info("an interrupt came when no cell was running")
        self._closing()
        quiet_lines.close()
        for lines in self._lines:
            lines.finish_all()
        atexit.unregister(self.close)
        if self._stop_channels():
            self.close()

    def _stop_channels(self) -> bool:
        """Stop the threads that publish; False where one does not stop.

        IPKernelApp.close ends the iopub thread first: a control thread that is just saying "idle" would
        wait for it for ever, and close for the control thread.
        """
        threads = [t for t in (self.control_thread, self.shell_channel_thread) if t.is_alive()]
        for thread in threads:
            thread.stop()
            thread.join(_STOP_TIME)
        return not any(t.is_alive() for t in threads)

    def _close_at_sigterm(self) -> None:
        self._started.wait()
        self.terminated = True
        self._closing()
        self._loop.add_callback(self._loop.stop)
        interrupt_cell()  # it would hold the loop

    def _finish_lines(self, *_: Any) -> None:
        for lines in self._lines:
            lines.finish_line()


class _Once:
    """Calls a function once, whichever thread comes first; the others wait until it is done."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._lock = threading.RLock()
        self._called = False

    def __call__(self) -> None:
        with self._lock:
            if self._called:
                return
            self._called = True
            try:
                self._function()
            except Exception:
                traceback.print_exc()


def _in_thread(function: Callable[[], None]) -> None:
    # A signal handler must not wait for locks that the interrupted code may hold.
    threading.Thread(target=function, name="closing", daemon=True).start()
