"""A nodegroup's watch over its host: who loses the host must not live on by accident."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable

import psutil

from pyacq_lab.kernel.tree import MARK, kill_but_trackers, marked, session


class HostWatch:
    """Waits for the end of the host's pipe in a thread of its own.

    Attributes
    ----------
    on_host_gone : callable or None
        Called once, in the watching thread, when the host is gone. It closes what must be closed and
        should see to it that the process ends. None: SIGTERM to this process, which
        `pyacq_lab.kernel.app.run_kernel` answers with a clean close; nothing for one that outlives.
    grace : float
        Seconds from the end of the host after which this process and its session are killed.
    outlive : bool
        True for the lifetime "detached": this process lives on, `on_host_gone` is still called.
    """

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self.on_host_gone: Callable[[], None] | None = None
        self.grace = 3.0
        self.outlive = False
        self._gone = threading.Event()

    def start(self) -> None:
        """Begin to watch."""
        threading.Thread(target=self._watch, name="host watch", daemon=True).start()

    @property
    def gone(self) -> bool:
        """Whether the host is gone; safe from any thread."""
        return self._gone.is_set()

    def _watch(self) -> None:
        with contextlib.suppress(OSError):
            while os.read(self._pipe, 4096):
                pass  # nothing but its end is expected here
        self._gone.set()
        # Nobody reads our output any more: a print must not fail, nor fill a pipe and hang.
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        if not self.outlive:
            threading.Thread(target=self._kill_later, name="host watch: end", daemon=True).start()
        try:
            if self.on_host_gone is not None:
                self.on_host_gone()
            elif not self.outlive:
                os.kill(os.getpid(), signal.SIGTERM)
        except Exception:
            traceback.print_exc()

    def take_session_along(self) -> None:
        """Kill all descendants and this process's session, itself included, if no host is left to do it.

        What releases their shared memory is spared: it ends by itself after this process.
        """
        if not self.gone or self.outlive:
            return
        me, mark = psutil.Process(), os.environ.get(MARK, "")
        for _ in range(2):  # the second time what was being started the first time
            with contextlib.suppress(psutil.Error):
                kill_but_trackers({*me.children(recursive=True), *session(me.pid), *marked(mark)} - {me})
        if hasattr(signal, "SIGKILL"):
            os.kill(me.pid, signal.SIGKILL)

    def _kill_later(self) -> None:
        time.sleep(self.grace)
        self.take_session_along()
        os._exit(1)
