"""Memory that processes of one machine share, and of which nothing is left behind when they are killed.

On Linux it is anonymous (``memfd_create``): it has no name that could be left, is opened by way of the
process that made it, and ends with the last process that uses it. Elsewhere it is a file in a folder that
only this user can enter; files of processes that are no more are removed when the next one is made.
"""

from __future__ import annotations

import contextlib
import functools
import mmap
import os
import re
import secrets
import socket
import sys
import tempfile
from pathlib import Path

import psutil

from pyacq_lab.errors import ConfigurationError, ProtocolError
from pyacq_lab.transport.living import lives

_ANONYMOUS = re.compile(r"/proc/\d+/fd/\d+$")
_NAME = re.compile(r"ring-(?P<pid>\d+)-(?P<born>\d+)-[0-9a-f]+$")

CAN_SHARE = hasattr(socket, "AF_UNIX") and sys.platform != "win32"
"""Whether this system has what sharing takes: memory by path, and doorbells (local datagram sockets)."""


@functools.cache
def machine() -> str:
    """Name that two processes have in common where they may share memory; empty where this one may not.

    It is that of the kernel that runs, and of the network and the processes that one can see from here: two
    containers are two machines.
    """
    if not CAN_SHARE:
        return ""
    parts = [str(os.getuid())]
    if sys.platform == "linux":
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts += [os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "pid")]
    else:
        parts += [socket.gethostname(), str(int(psutil.boot_time()))]
    return "/".join(parts)


def check_fits(nbytes: int, whose: str) -> None:
    """Refuse a buffer that this machine has no memory for.

    The system hands out more than there is, and kills whoever uses it later: in the midst of a run.

    Raises
    ------
    ConfigurationError
        It is larger than what is free now; names ``whose`` it would be.
    """
    memory = psutil.virtual_memory()
    if nbytes > memory.available:
        raise ConfigurationError(
            f"{whose} would take {_gib(nbytes)}, but of this machine's {_gib(memory.total)} "
            f"{_gib(memory.available)} are free: give a smaller buffer_size or buffer_seconds"
        )


def _gib(nbytes: int) -> str:
    return f"{nbytes / (1 << 30):.3g} GiB" if nbytes < 1 << 60 else "more than 2**60 bytes"


class SharedMemory:
    """Memory of zeros that other processes of this user can map.

    Parameters
    ----------
    size : int
        Bytes.
    anonymous : bool
        Whether it is to have no name.

    Attributes
    ----------
    path : str
        For `map_memory` in another process, as long as this is open.
    memory : mmap.mmap
        The memory; it stays valid for whoever holds it after `close`.

    Raises
    ------
    OSError
        There is no room for it.
    """

    def __init__(self, size: int, anonymous: bool = sys.platform == "linux") -> None:
        self._file: Path | None = None
        if anonymous:
            self._fd = os.memfd_create("pyacq-lab-ring", os.MFD_CLOEXEC)
            self.path = f"/proc/{os.getpid()}/fd/{self._fd}"
        else:
            self._file = _make_name()
            self._fd = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self.path = str(self._file)
        try:
            os.truncate(self._fd, size)
            if self._file is not None:
                _fill(self._fd, size)
            self.memory = mmap.mmap(self._fd, size)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let nobody else map it any more, and let go of it; idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._file is not None:
            self._file.unlink(missing_ok=True)
            self._file = None


def map_memory(path: str, size: int, writable: bool) -> mmap.mmap:
    """Map memory that another process has made.

    Raises
    ------
    OSError
        It cannot be opened: its maker is gone, or another user's.
    ProtocolError
        It is smaller than ``size`` bytes, or no path that `SharedMemory` gives: whoever names it must not
        have any other file of this user opened.
    """
    ours = _ANONYMOUS.match(path) or (Path(path).parent == _folder() and _NAME.match(Path(path).name))
    if not ours:
        raise ProtocolError(f"{path!r} came as the path of shared memory; it is none")
    fd = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)
    try:
        if os.fstat(fd).st_size < size:
            raise ProtocolError(f"{path} holds {os.fstat(fd).st_size} bytes; wanted {size}")
        protection = mmap.PROT_READ | mmap.PROT_WRITE if writable else mmap.PROT_READ
        return mmap.mmap(fd, size, mmap.MAP_SHARED, protection)
    finally:
        os.close(fd)


def _fill(fd: int, size: int) -> None:
    # A file with holes on a full disk would kill whoever writes to its memory.
    block = bytes(1 << 20)
    for at in range(0, size, len(block)):
        os.write(fd, block[: size - at])


def _folder() -> Path:
    return Path(tempfile.gettempdir()) / f"pyacq_lab-{os.getuid() if hasattr(os, 'getuid') else 'user'}"


def _make_name() -> Path:
    folder = _folder()
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if folder.is_symlink() or (hasattr(os, "getuid") and status.st_uid != os.getuid()):
        raise PermissionError(
            f"{folder} belongs to somebody else: remove it, or set TMPDIR to another folder"
        )
    _sweep(folder)
    born = int(psutil.Process().create_time())
    return folder / f"ring-{os.getpid()}-{born}-{secrets.token_hex(8)}"


def _sweep(folder: Path) -> None:
    """Remove what processes that are no more have left."""
    for file in folder.iterdir():
        if (match := _NAME.match(file.name)) is None:
            continue
        if not lives(int(match["pid"]), int(match["born"])):
            with contextlib.suppress(OSError):  # another process sweeps as well
                file.unlink()
