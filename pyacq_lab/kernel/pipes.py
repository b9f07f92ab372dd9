"""The three pipes between a host and a process that it started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable

from pyacq_lab.kernel.lines import LineAssembler

OnLine = Callable[[str, str], None]
_WINDOWS = sys.platform == "win32"  # its event loop cannot wait for anonymous pipes: threads do


class Pipes:
    """Pipes for a child's stdin, stdout and stderr.

    Its stdin carries one line, the request, and then nothing: the child takes its end for the end of
    the host. Its output is always drained, for a full pipe would stop the child in the middle of a print.
    Used in the event loop's thread.
    """

    def __init__(self) -> None:
        stdin, self._stdin = os.pipe()
        self._stdout, stdout = os.pipe()
        self._stderr, stderr = os.pipe()
        self.theirs: tuple[int, ...] = (stdin, stdout, stderr)
        self._drains: list[_Drain] = []
        self._writing: asyncio.Task[None] | None = None

    async def drain(self, on_line: OnLine) -> None:
        """Read both outputs from now on; ``on_line(stream, line)`` is called in the loop's thread."""
        for name, fd in (("stdout", self._stdout), ("stderr", self._stderr)):
            self._drains.append(await _Drain.start(fd, name, on_line))
        self._stdout = self._stderr = -1  # the drains close them

    def close_theirs(self) -> None:
        """Close the child's ends here; called once the child has its own copies."""
        for fd in self.theirs:
            os.close(fd)
        self.theirs = ()

    def write_request(self, line: bytes) -> None:
        """Write the child's first line, in the background if it is long."""
        if not _WINDOWS:
            os.set_blocking(self._stdin, False)
        self._writing = asyncio.get_running_loop().create_task(self._write(line))

    async def _write(self, data: bytes) -> None:
        # A child that died has closed its end; its ending says so better than a broken pipe does.
        with contextlib.suppress(BrokenPipeError):
            if _WINDOWS:
                await asyncio.to_thread(os.write, self._stdin, data)
                return
            while data:
                try:
                    data = data[os.write(self._stdin, data) :]
                except BlockingIOError:
                    await asyncio.sleep(0.005)

    async def finish(self, timeout: float) -> None:
        """Read what is left once the child has ended, and close everything.

        Parameters
        ----------
        timeout : float
            Seconds to wait for the end of the outputs: a process that escaped may hold them open.
        """
        if self._drains:
            await asyncio.wait([d.done for d in self._drains], timeout=timeout)
        self.close()
        await asyncio.sleep(0)  # transports close in the loop's next turn

    def close(self) -> None:
        """Close everything that is open here."""
        if self._writing is not None:
            self._writing.cancel()
        for drain in self._drains:
            drain.close()
        for fd in (*self.theirs, self._stdin, self._stdout, self._stderr):
            if fd >= 0:
                os.close(fd)
        self.theirs = ()
        self._stdin = self._stdout = self._stderr = -1


class _Drain(asyncio.Protocol):
    """Reads one pipe to its end, line by line."""

    def __init__(self, name: str, on_line: OnLine) -> None:
        self._name = name
        self._on_line = on_line
        self._lines = LineAssembler()
        self._transport: asyncio.BaseTransport | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def start(cls, fd: int, name: str, on_line: OnLine) -> _Drain:
        drain = cls(name, on_line)
        if _WINDOWS:
            loop = asyncio.get_running_loop()
            threading.Thread(
                target=drain._read_in_thread, args=(fd, loop), name=f"drain {name}", daemon=True
            ).start()
        else:
            file = os.fdopen(fd, "rb", buffering=0)
            drain._transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: drain, file)
        return drain

    def data_received(self, data: bytes) -> None:
        for line in self._lines.feed(data):
            self._on_line(self._name, line)

    def connection_lost(self, exc: Exception | None) -> None:
        for line in self._lines.finish():
            self._on_line(self._name, line)
        if not self.done.done():
            self.done.set_result(None)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _read_in_thread(self, fd: int, loop: asyncio.AbstractEventLoop) -> None:
        with (
            os.fdopen(fd, "rb", buffering=0) as file,
            contextlib.suppress(RuntimeError),
        ):  # the loop is closed
            while data := file.read(65_536):
                loop.call_soon_threadsafe(self.data_received, data)
            loop.call_soon_threadsafe(self.connection_lost, None)
