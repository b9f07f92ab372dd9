"""A disk that breaks at one of the calls that change it: a process dies there, or there is no room left."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PAGE = 4096


class Killed(BaseException):
    """The process is dead: nothing that it does from now on reaches the disk."""


class Disk:
    """Counts the calls that change files below a folder, and breaks at one of them.

    Parameters
    ----------
    root : Path
        The folder.
    patch : MonkeyPatch
        Where its calls are put in place of the system's.
    at : int
        The call at which it breaks; none where there are fewer.
    how : {'killed', 'torn', 'full', 'gone'}
        The process dies before this call, or in the middle of it; or there is no room from then on, though
        what is there can be written over; or everything fails.
    """

    def __init__(self, root: Path, patch: pytest.MonkeyPatch, at: int = 10**9, how: str = "killed") -> None:
        self.n_calls = 0
        self.tearable: list[int] = []
        """Calls that a kill can cut in two."""
        self._root = str(root)
        self._at = at
        self._how = how
        self._files: list[io.FileIO] = []
        self._open, self._mkdir, self._replace = io.open, os.mkdir, os.replace
        self._unlink, self._truncate, self._open_fd = os.unlink, os.truncate, os.open
        disk = self

        class File(io.FileIO):
            def __init__(self, path: Any, mode: str) -> None:
                if disk.has(path) and not os.path.exists(path):
                    disk.change(needs_room=True)
                super().__init__(path, mode)
                self._is_mine = disk.has(path)
                disk._files.append(self)

            def write(self, data: Any) -> int:
                return disk.write(self, super().write, data) if self._is_mine else super().write(data)

            def truncate(self, size: int | None = None) -> int:
                if self._is_mine:
                    disk.change()
                return super().truncate(size)

        self._file_type = File
        patch.setattr(io, "FileIO", File)
        patch.setattr(io, "open", self._opened)
        patch.setattr(os, "mkdir", self._counted(self._mkdir, needs_room=True))
        patch.setattr(os, "replace", self._counted(self._replace))
        patch.setattr(os, "unlink", self._counted(self._unlink))
        patch.setattr(os, "rmdir", self._counted(os.rmdir))
        patch.setattr(os, "truncate", self._counted(self._truncate))
        patch.setattr(os, "open", self._opened_fd)
        patch.setattr(os, "fsync", lambda fd: None)  # a process that dies takes nothing with it

    @property
    def is_broken(self) -> bool:
        """Whether it has come to that call."""
        return self.n_calls > self._at

    def let_go(self) -> None:
        """Close the files of a process that died."""
        for file in self._files:
            file.close()

    def has(self, path: Any) -> bool:
        """Whether a file is one of those that count."""
        name = os.fspath(path) if isinstance(path, str | os.PathLike) else ""
        return isinstance(name, str) and name.startswith(self._root) and not name.endswith("recording.lock")

    def change(self, *, needs_room: bool = False) -> None:
        """Count one call, and fail where it is time to."""
        self.n_calls += 1
        if not self.is_broken:
            return
        if self._how in ("killed", "torn"):
            raise Killed
        if self._how == "gone":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if needs_room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write(self, file: io.FileIO, write: Callable[[Any], int], data: Any) -> int:
        """Write to one of the files, all or a part."""
        data = bytes(data)
        place = os.fstat(file.fileno()).st_size if "a" in file.mode else file.tell()
        grows = place + len(data) > os.fstat(file.fileno()).st_size
        # The system copies page by page, and looks for signals in between.
        if len(data) > 1 and (grows or place // PAGE != (place + len(data) - 1) // PAGE):
            self.tearable.append(self.n_calls)
            if self.n_calls == self._at and self._how in ("torn", "full"):
                written = write(data[: len(data) // 2])
                if self._how == "full":
                    self.n_calls += 1
                    return written
        self.change(needs_room=grows)
        return write(data)

    def _opened(self, file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if "b" not in mode or not set("wax+") & set(mode) or not self.has(file):
            return self._open(file, mode, *args, **kwargs)
        raw = self._file_type(file, mode.replace("b", ""))
        return io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)

    def _opened_fd(self, path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & os.O_CREAT and self.has(path) and not os.path.exists(path):
            self.change(needs_room=True)
        return self._open_fd(path, flags, *args, **kwargs)

    def _counted(self, call: Callable[..., None], *, needs_room: bool = False) -> Callable[..., None]:
        def counted(path: Any, *args: Any, **kwargs: Any) -> None:
            if self.has(path) or "dir_fd" in kwargs:
                self.change(needs_room=needs_room)
            call(path, *args, **kwargs)

        return counted
