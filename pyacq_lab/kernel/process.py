"""A nodegroup's process as its host sees it, from birth to post-mortem."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from pyacq_lab.errors import LifecycleError
from pyacq_lab.kernel.endings import TAIL_LINES, Ending
from pyacq_lab.kernel.lastwords import LastWordsKept
from pyacq_lab.kernel.pipes import Pipes
from pyacq_lab.kernel.provisioner import GroupKernelManager
from pyacq_lab.kernel.spawned import Child
from pyacq_lab.kernel.tree import ProcessTree
from pyacq_lab.model.status import Usage
from pyacq_lab.transport.spool import Spool
from pyacq_lab.wire.logcodec import LogOrigin

logger = logging.getLogger(__name__)

OnOutput = Callable[[str, str], None]
OnExit = Callable[[Ending], None]

_DRAIN_TIME = 0.5
"""Seconds to wait for last words after the end."""


class KernelProcess:
    """A running (or ended) nodegroup; made by `pyacq_lab.kernel.launcher.Launcher.launch`.

    Everything is called in the event loop's thread, the callbacks too.

    Attributes
    ----------
    name : str
        The nodegroup's name.
    pid : int
        Its process id, which is also the id of its session and process group.
    connection_file : Path
        Jupyter's connection file, mode 0600; removed at the end.
    ending : Ending or None
        How it ended; None while it runs.
    report : dict
        What its program reported when it was ready; see `pyacq_lab.kernel.child.Launched.report`.
    """

    def __init__(
        self,
        name: str,
        manager: GroupKernelManager,
        pipes: Pipes,
        on_output: OnOutput,
        on_exit: OnExit,
        spool: Spool | None = None,
        spill: Path | None = None,
        mark: str = "",
    ) -> None:
        self.name = name
        self.pid = 0
        self.connection_file = Path(manager.connection_file)
        self.ending: Ending | None = None
        self.report: dict[str, Any] = {}
        self._manager = manager
        self._pipes = pipes
        self._words = LastWordsKept(name, spool, spill)
        self._on_output = on_output
        self._on_exit: OnExit | None = None
        self._wanted_on_exit = on_exit
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._child: Child | None = None
        self._tree = ProcessTree(0)
        self._mark = mark
        self._expected = False
        self._seen_out: asyncio.Task[Ending] | None = None

    async def adopt(self, child: Child) -> asyncio.Task[Ending]:
        """Watch over this process from now on; the task is done when all is cleared up after its end.

        Called once, by the launcher.
        """
        self._child = child
        self.pid = child.pid
        self._tree = ProcessTree(child.pid, self._mark)
        await self._pipes.drain(self._take_line)
        self._seen_out = asyncio.get_running_loop().create_task(self._see_out(child))
        return self._seen_out

    def announce_exit(self) -> None:
        """Call ``on_exit`` from now on, at once if it has ended. Called once, by the launcher."""
        self._on_exit = self._wanted_on_exit
        if self.ending is not None:
            self._tell(self.ending)

    def connection_info(self) -> dict[str, Any]:
        """Everything a client needs, JSON-plain: ip, ports, HMAC key, CurveZMQ keys. A secret."""
        info: dict[str, Any] = dict(self._manager.get_connection_info())
        return {**info, "key": info["key"].decode()}

    def output_tail(self) -> tuple[str, ...]:
        """The last 200 lines it wrote by descriptor or before its prints were taken over."""
        return tuple(self._tail)

    def last_words(self, seq: int, origin: LogOrigin) -> bytes | None:
        """What the ended process had said before its end; see `LastWordsKept.after`.

        Raises
        ------
        LifecycleError
            The process still runs.
        """
        if self.ending is None:
            raise LifecycleError(f"nodegroup {self.name!r} still runs: it says itself what it has to say")
        return self._words.after(seq, origin)

    def unheard(self, origin: LogOrigin) -> Iterator[bytes]:
        """Batches of what no log server had acknowledged when the process ended; see `last_words`."""
        return self._words.unheard(origin)

    def forget_words(self) -> None:
        """Give back what the last words are kept in. Idempotent."""
        self._words.forget()

    def usage(self) -> Usage:
        """What the whole process tree uses; the CPU time since the last question."""
        return Usage() if self._has_ended else self._tree.usage()

    def interrupt(self) -> None:
        """Interrupt the running cell, as Ctrl-C would; nothing happens where none runs.

        Raises
        ------
        LifecycleError
            The process has ended.
        """
        if self._child is None or self._has_ended:
            raise LifecycleError(f"cannot interrupt nodegroup {self.name!r}: its process has ended")
        self._child.send_signal(signal.SIGINT)

    def send_signal(self, signum: int) -> None:
        """Send a signal to this process alone. Raises LifecycleError where it has ended."""
        if self._child is None or self._has_ended:
            raise LifecycleError(f"cannot signal nodegroup {self.name!r}: its process has ended")
        self._child.send_signal(signum)

    async def shutdown(self, grace: float) -> Ending:
        """End the process politely, then not, and its whole tree with it.

        Parameters
        ----------
        grace : float
            Seconds that it has to close its nodes: half of it after the kernel was asked to shut down,
            the rest after SIGTERM. Then it is killed; 0 kills it at once.
        """
        if self._has_ended or self._child is None:
            return await self.ended()
        self._expected = True
        if grace <= 0:
            self.kill()
            return await self.ended()
        members = self._tree.members()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace / 2):
                await self._manager.request_shutdown()
                await asyncio.shield(self._child.ended)
        if not self._has_ended:
            self._child.send_signal(signal.SIGTERM)
            await asyncio.wait([self._child.ended], timeout=grace / 2)
        if not self._has_ended:
            logger.warning("nodegroup %s (pid %s) did not end in %g s: killed", self.name, self.pid, grace)
            self._tree.kill()
        ending = await self.ended()
        _kill_left(members)
        return ending

    def kill(self) -> None:
        """End the whole process tree at once."""
        if not self._has_ended:
            self._expected = True
            self._tree.kill()

    async def ended(self) -> Ending:
        """Wait for the end."""
        if self._seen_out is None:
            raise LifecycleError(f"nodegroup {self.name!r} has not been launched")
        return await asyncio.shield(self._seen_out)

    @property
    def _has_ended(self) -> bool:
        return self._child is None or self._child.ended.done()

    def _take_line(self, stream: str, line: str) -> None:
        self._tail.append(line)
        try:
            self._on_output(stream, line)
        except Exception:
            logger.exception("on_output of nodegroup %s failed", self.name)

    async def _see_out(self, child: Child) -> Ending:
        status = await child.ended
        expected = self._expected
        try:
            # Its pid is still taken: what carries it as session or process group is truly its own.
            self._tree.kill()
        finally:
            child.release()
        await self._pipes.finish(_DRAIN_TIME)
        self._words.read()
        await self._manager.cleanup_resources()
        self.ending = Ending.of(status, expected=expected, output=self.output_tail())
        self._tell(self.ending)
        return self.ending

    def _tell(self, ending: Ending) -> None:
        if self._on_exit is None:
            return
        try:
            self._on_exit(ending)
        except Exception:
            logger.exception("on_exit of nodegroup %s failed", self.name)


def _kill_left(members: list[psutil.Process]) -> None:
    """Kill descendants that had left the session, and so survived the end of the others."""
    for process in members:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.is_running():  # compares creation times: a reused pid is not killed
                process.kill()
