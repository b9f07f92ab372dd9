"""Memory that a process shares with its host, and that outlives it: where its last words are kept."""

from __future__ import annotations

import contextlib
import mmap
import os
import secrets
import sys
from pathlib import Path

from pyacq_lab.errors import ProtocolError
from pyacq_lab.wire.spool import SIZE, SpoolContent, SpoolWriter


class Spool:
    """The host's end of a spool.

    On Linux it is anonymous memory: nothing of it can be left behind, and no disk has to keep up with it.
    Elsewhere it is a file in a folder that only this user can enter.

    Parameters
    ----------
    folder : Path
        Where such a file is made.

    Attributes
    ----------
    path : str
        For `open_spool` in the process; another process opens it while this one has it open.

    Raises
    ------
    OSError
        There is no room for it.
    """

    def __init__(self, folder: Path) -> None:
        self._file: Path | None = None
        if sys.platform == "linux":
            self._fd = os.memfd_create("pyacq-lab-spool")
            self.path = f"/proc/{os.getpid()}/fd/{self._fd}"
        else:
            self._file = folder / f"spool-{secrets.token_hex(8)}"
            self.path = str(self._file)
            self._fd = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.truncate(self._fd, SIZE)
            if self._file is not None:
                self._file.write_bytes(
                    bytes(SIZE)
                )  # a sparse file on a full disk would kill who writes to it
        except BaseException:
            self.close()
            raise

    def content(self) -> SpoolContent:
        """Read what an ended process has left. Raises ProtocolError where it is damaged."""
        return SpoolContent(self._read)

    def _read(self, begin: int, size: int) -> bytes:
        os.lseek(self._fd, begin, os.SEEK_SET)  # Windows has no pread
        return os.read(self._fd, size)

    def close(self) -> None:
        """Let go of the memory. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._file is not None:
            with contextlib.suppress(OSError):  # the folder goes with the host
                self._file.unlink()
            self._file = None


def open_spool(path: str) -> SpoolWriter:
    """Open a spool in the process whose words it keeps.

    Raises
    ------
    OSError, ProtocolError
        It cannot be opened, or is no spool.
    """
    fd = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    try:
        if os.fstat(fd).st_size != SIZE:
            raise ProtocolError(f"{path} is no spool of this version")
        return SpoolWriter(memoryview(mmap.mmap(fd, SIZE)))
    finally:
        os.close(fd)


def private_spool() -> SpoolWriter:
    """Memory that dies with this process, for one that has no spool of its host's."""
    return SpoolWriter(memoryview(mmap.mmap(-1, SIZE)))
