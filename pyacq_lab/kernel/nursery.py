"""The host's side of the template: asks it to fork, hears of its children, replaces it when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence

from pyacq_lab.errors import ProcessDied
from pyacq_lab.kernel.endings import ExitStatus
from pyacq_lab.kernel.pipes import Pipes

logger = logging.getLogger(__name__)

_ALWAYS = (
    "pyacq_lab.kernel.app",
    "pyacq_lab.kernel.shim:warm_up",
    "psutil",
    # What a kernel imports by the way while it starts.
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.logger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "IPython.utils.wildcard",
    "tornado.platform.asyncio",
    "unicodedata",
)
_RETRY = (0.0, 1.0, 5.0, 30.0)
"""Seconds to wait before the template is started again, after 1, 2, 3, ... deaths in a row."""


class Forked:
    """A child of the template; see `pyacq_lab.kernel.spawned.Child`."""

    def __init__(self, pid: int, nursery: Nursery) -> None:
        self.pid = pid
        self._nursery = nursery
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[ExitStatus] = self._loop.create_future()
        self._pidfd = os.pidfd_open(pid)  # the template has not reaped it: the number is still its own
        self._released = False

    def send_signal(self, number: int) -> None:
        """Send a signal to this process alone; nothing happens if it has ended."""
        if not self.ended.done():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def release(self) -> None:
        """Let go of the ended process."""
        if not self._released:
            self._released = True
            os.close(self._pidfd)
            self._nursery.reap(self.pid)

    def resolve(self, status: ExitStatus) -> None:
        """Take note of the end, as the template has told it."""
        if not self.ended.done():
            self._loop.remove_reader(self._pidfd)
            self.ended.set_result(status)

    def orphaned(self) -> None:
        """Watch the process itself from now on: the template is dead, and its knowledge with it."""
        if not self.ended.done():
            self._loop.add_reader(self._pidfd, self.resolve, ExitStatus())


class Nursery:
    """Keeps one template alive and has it fork.

    All methods are called in the event loop's thread.

    Parameters
    ----------
    preload : sequence of str
        What the template imports or calls; see `pyacq_lab.kernel.template.preload`.
    """

    def __init__(self, preload: Sequence[str]) -> None:
        self._preload = list(dict.fromkeys((*_ALWAYS, *preload)))
        self._tickets = itertools.count()
        self._births: dict[int, asyncio.Future[Forked]] = {}
        self._children: dict[int, Forked] = {}
        self._socket: socket.socket | None = None
        self._popen: subprocess.Popen[bytes] | None = None
        self._ready: asyncio.Future[bool] | None = None
        self._pipes: Pipes | None = None
        self._deaths = 0
        self._restarting: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Process id of the template, None where there is none at present."""
        return self._popen.pid if self._popen is not None else None

    async def start(self) -> None:
        """Start a template; returns before it is warm."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        pipes = Pipes()
        # -P: the folder in which the host was started must not shadow modules.
        command = [sys.executable, "-P", "-m", "pyacq_lab.kernel.template", str(theirs.fileno())]
        with theirs:
            self._popen = subprocess.Popen(
                [*command, *self._preload],
                stdin=pipes.theirs[0],
                stdout=pipes.theirs[1],
                stderr=pipes.theirs[2],
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        pipes.close_theirs()
        self._socket, self._pipes = ours, pipes
        self._ready = loop.create_future()
        loop.add_reader(ours, self._receive)
        await pipes.drain(lambda _, line: logger.info("template: %s", line))

    async def fork(self, stdio: Sequence[int], patience: float) -> Forked:
        """Have a child forked with these file descriptors as its stdin, stdout and stderr.

        Parameters
        ----------
        stdio : sequence of int
            Three file descriptors; the caller closes its own.
        patience : float
            Seconds to wait for a first template that is still warming up, and then for the child.

        Raises
        ------
        ProcessDied
            There is no template that could fork now, or it died doing so.
        """
        if self._ready is None or (self._deaths and not self._ready.done()):
            raise ProcessDied("the template is being started again")
        try:
            if not await asyncio.wait_for(asyncio.shield(self._ready), patience) or self._socket is None:
                raise ProcessDied("the template died while it was warming up")
            ticket = next(self._tickets)
            born = self._births[ticket] = asyncio.get_running_loop().create_future()
            try:
                socket.send_fds(self._socket, [json.dumps(["fork", ticket]).encode()], list(stdio))
                return await asyncio.wait_for(born, patience)
            finally:
                self._births.pop(ticket, None)
        except TimeoutError:
            raise ProcessDied(f"the template did not fork within {patience:g} s") from None
        except OSError as error:
            raise ProcessDied(f"the template takes no orders: {error}") from None

    def reap(self, pid: int) -> None:
        """Let the template free an ended child's process id."""
        if self._children.pop(pid, None) is not None and self._socket is not None:
            # A template that dies now leaves its children to init, which reaps them.
            with contextlib.suppress(OSError):
                self._socket.send(json.dumps(["reap", pid]).encode())

    async def close(self) -> None:
        """End the template. Its children must have ended before."""
        self._closed = True
        if self._restarting is not None:
            self._restarting.cancel()
        await self._dismiss()

    def _receive(self) -> None:
        if self._socket is None:
            return
        try:
            packet = self._socket.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if not packet:
            self._mourn()
            return
        match json.loads(packet):
            case ["ready", troubles]:
                for trouble in troubles:
                    logger.warning("the template could not import %s", trouble)
                self._deaths = 0
                if self._ready is not None and not self._ready.done():
                    self._ready.set_result(True)
            case ["born", ticket, pid]:
                self._welcome(ticket, pid)
            case ["unborn", ticket, why] if ticket in self._births:
                self._births[ticket].set_exception(ProcessDied(f"the template could not fork: {why}"))
            case ["ended", pid, code, name]:
                if pid in self._children:
                    self._children[pid].resolve(ExitStatus(code, name))
                elif self._socket is not None:
                    self._socket.send(json.dumps(["reap", pid]).encode())
            case other:
                logger.error("the template said %r", other)

    def _welcome(self, ticket: int, pid: int) -> None:
        child = Forked(pid, self)
        self._children[pid] = child
        born = self._births.get(ticket)
        if born is None or born.done():
            # Nobody waits for it any more: the host has closed its pipes, and it ends by itself.
            child.ended.add_done_callback(lambda _: child.release())
        else:
            born.set_result(child)

    def _mourn(self) -> None:
        """The template is dead: no new children for now, and those that live are watched from here."""
        if self._closed or self._socket is None:
            return
        self._deaths += 1
        delay = _RETRY[min(self._deaths, len(_RETRY)) - 1]
        logger.error(
            "the template process %s died; nodegroups are launched without it until another is warm "
            "(started in %g s)",
            self.pid,
            delay,
        )
        self._restarting = asyncio.get_running_loop().create_task(self._restart(delay))

    async def _restart(self, delay: float) -> None:
        await self._dismiss()
        await asyncio.sleep(delay)
        await self.start()

    async def _dismiss(self) -> None:
        """Clear up after the present template, alive or dead."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        for born in self._births.values():
            if not born.done():
                born.set_exception(ProcessDied("the template died"))
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(False)
        self._ready = None
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()
            self._popen = None
        orphans, self._children = self._children, {}
        for child in orphans.values():
            child.orphaned()
        if self._pipes is not None:
            await self._pipes.finish(0.5)
            self._pipes = None
