"""Waking a thread that waits for samples, also one of another process on this machine.

A ring costs one system call, and only when somebody waits; there is no thread in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import select
import socket
import sys
import tempfile
from pathlib import Path

from pyacq_lab.transport.memory import CAN_SHARE
from pyacq_lab.transport.watch import Bell

_NAME = "\0pyacq-lab-"
_FOLDER = "pyacq-bell-"


class Doorbell:
    """A descriptor on which one thread waits, and which any other thread or process can ring.

    Attributes
    ----------
    address : str
        For `Ringer.ring` in another process; empty where the system has no such thing.
    fd : int
        Readable while somebody has rung and nobody has waited since.
    """

    def __init__(self) -> None:
        self._file: Path | None = None
        self._socket: socket.socket | None = None
        self._pair: Bell | None = None
        self._timeout: float | None = None  # the socket's own
        if not CAN_SHARE:
            self._pair = Bell()
            self.address, self.fd = "", self._pair.fd
            return
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self.address = self._bind(self._socket)
        except BaseException:
            self._socket.close()
            raise
        self.fd = self._socket.fileno()

    def _bind(self, bell: socket.socket) -> str:
        if sys.platform == "linux":  # a name that no file has, and that ends with the socket
            name = _NAME + secrets.token_hex(12)
            bell.bind(name)
            return name
        folder = Path(tempfile.mkdtemp(prefix=_FOLDER))  # of mode 0700
        self._file = folder / "bell"
        bell.bind(str(self._file))
        return str(self._file)

    def ring(self) -> None:
        """Wake whoever waits; any thread of this process, also after `close`."""
        if self._pair is not None:
            self._pair.ring()
        elif self._socket is not None:
            with contextlib.suppress(OSError):  # full rings as well; closed means that nobody waits
                self._socket.sendto(b"!", socket.MSG_DONTWAIT, self.address)

    def wait(self, timeout: float) -> bool:
        """Wait until somebody rings, or has since the last time; False where none did in ``timeout`` s.

        Somebody may have rung twice: who waits looks again whether there is something to be had.
        """
        if self._socket is None:
            rung = bool(select.select([self.fd], [], [], timeout)[0])
            self.hush()
            return rung
        try:
            if timeout != self._timeout:
                self._socket.settimeout(timeout)
                self._timeout = timeout
            self._socket.recv(1)
        except OSError:  # nobody has rung, or it is closed
            return False
        return True

    async def wait_async(self, timeout: float) -> None:
        """As `wait`, while the event loop goes on."""
        loop = asyncio.get_running_loop()
        rung = asyncio.Event()
        try:
            loop.add_reader(self.fd, rung.set)
        except NotImplementedError:  # Windows' own loop watches no sockets
            await asyncio.to_thread(self.wait, timeout)
            return
        try:
            async with asyncio.timeout(timeout):
                await rung.wait()
        except TimeoutError:
            return
        finally:
            loop.remove_reader(self.fd)
            self.hush()

    def hush(self) -> None:
        """Forget that somebody rang."""
        if self._pair is not None:
            self._pair.hush()
        elif self._socket is not None:
            with contextlib.suppress(OSError):  # BlockingIOError: it is quiet
                for _ in range(64):
                    self._socket.recv(1, socket.MSG_DONTWAIT)

    def close(self) -> None:
        """Release it; idempotent."""
        if self._pair is not None:
            self._pair.close()
        if self._socket is not None:
            self._socket.close()
        if self._file is not None:
            self._file.unlink(missing_ok=True)
            os.rmdir(self._file.parent)
            self._file = None


def is_doorbell(address: str) -> bool:
    """Whether an address is a doorbell's, and not some other socket that does not expect to be rung."""
    path = Path(address)
    return address.startswith(_NAME) or (path.name == "bell" and path.parent.name.startswith(_FOLDER))


class Ringer:
    """Rings the doorbells of other processes; one thread at a time."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def ring(self, address: str) -> bool:
        """Ring; False where nobody has such a doorbell any more."""
        try:
            self._socket.sendto(b"!", address)
        except (BlockingIOError, InterruptedError):
            return True  # it is full of rings already
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Release it."""
        self._socket.close()
