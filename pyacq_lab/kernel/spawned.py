"""Processes that this one started or had started: their end is known at once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Protocol

from jupyter_client.launcher import launch_kernel

from pyacq_lab.kernel.endings import ExitStatus, signal_name


class Child(Protocol):
    """A started process.

    Attributes
    ----------
    pid : int
        Its process id. It stays taken, even after the end, until `release` is called: a signal to it
        cannot hit a stranger.
    ended : asyncio.Future of ExitStatus
        Done as soon as the process has ended.
    """

    pid: int
    ended: asyncio.Future[ExitStatus]

    def send_signal(self, number: int) -> None:
        """Send a signal to this process alone; nothing happens if it has ended."""
        ...

    def release(self) -> None:
        """Let go of the ended process."""
        ...


def has_pidfd() -> bool:
    """Whether the system tells the end of a process by a file descriptor (Linux 5.3, not every sandbox)."""
    if not hasattr(os, "pidfd_open"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


class Spawned:
    """A fresh interpreter; see `Child`. Made in the event loop's thread."""

    def __init__(
        self, command: Sequence[str], stdio: Sequence[int], env: Mapping[str, str], cwd: str | None
    ) -> None:
        stdin, stdout, stderr = stdio
        # jupyter_client's own launcher: a new session on POSIX, an interrupt event on Windows.
        self._popen: subprocess.Popen[bytes] = launch_kernel(
            list(command), stdin=stdin, stdout=stdout, stderr=stderr, env=dict(env), cwd=cwd, independent=True
        )
        self.pid: int = self._popen.pid
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[ExitStatus] = self._loop.create_future()
        self._pidfd = -1
        if has_pidfd():
            self._pidfd = os.pidfd_open(self.pid)
            self._loop.add_reader(self._pidfd, self._see_end)
        else:
            threading.Thread(target=self._wait, name=f"waiting for {self.pid}", daemon=True).start()

    def send_signal(self, number: int) -> None:
        """Send a signal to this process alone; nothing happens if it has ended."""
        if number == signal.SIGINT and sys.platform == "win32":
            from jupyter_client.win_interrupt import send_interrupt

            send_interrupt(self._popen.win32_interrupt_event)
        elif not self.ended.done():
            self._popen.send_signal(number)

    def release(self) -> None:
        """Let go of the ended process."""
        self._popen.wait()

    def _see_end(self) -> None:
        self._loop.remove_reader(self._pidfd)
        # WNOWAIT: learn the status and leave the process id taken.
        status = exit_status(os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOWAIT))
        os.close(self._pidfd)
        self._resolve(status)

    def _wait(self) -> None:
        status = ExitStatus.of(self._popen.wait())
        try:
            self._loop.call_soon_threadsafe(self._resolve, status)
        except RuntimeError:
            pass  # the loop is closed: nobody is left to be told

    def _resolve(self, status: ExitStatus) -> None:
        if not self.ended.done():
            self.ended.set_result(status)


def exit_status(result: os.waitid_result | None) -> ExitStatus:
    """Translate what `os.waitid` gives."""
    if result is None:
        return ExitStatus()
    if result.si_code == os.CLD_EXITED:
        return ExitStatus(exit_code=result.si_status)
    return ExitStatus(signal=signal_name(result.si_status))
