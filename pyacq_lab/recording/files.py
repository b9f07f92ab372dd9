"""Files that are replaced as a whole, and files that only grow, line by line."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from pyacq_lab.errors import RecordingError
from pyacq_lab.model.closing import Closing
from pyacq_lab.recording.shard import require_there, write_all


def replace_file(path: Path, content: bytes, *, sync: bool) -> None:
    """Replace a file as a whole: a reader, or a crash, sees the old content or the new."""
    draft = path.with_name(path.name + ".new")
    try:
        with draft.open("wb") as file:
            file.write(content)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(draft, path)
    except Exception:
        with suppress(OSError):  # what matters is the first error
            draft.unlink()
        raise


class LineFile(Closing):
    """A file of JSON objects, one a line, that only grows; each line is the operating system's once written.

    Parameters
    ----------
    path : Path
        The file; one that exists is gone on with, after its last whole line.
    """

    def __init__(self, path: Path) -> None:
        self._file = io.FileIO(path, "a+")
        try:
            whole = _whole_nbytes(self._file)
            if whole < self._file.seek(0, os.SEEK_END):
                self._file.truncate(whole)
        except BaseException:
            self._file.close()
            raise

    def write(self, *lines: Any) -> None:
        """Append lines, all of them or none."""
        append_all(self._file, b"".join(msgspec.json.encode(line) + b"\n" for line in lines))

    def require_there(self) -> None:
        """Raise OSError where the file was removed meanwhile."""
        require_there(self._file)

    def sync(self) -> None:
        """Wait until the disk has it."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; idempotent."""
        self._file.close()


def append_all(file: io.FileIO, data: bytes) -> None:
    """Write all of it to the end of a file; where there is no room for it, the file is as it was."""
    size = os.fstat(file.fileno()).st_size
    try:
        write_all(file, data)
    except OSError:
        file.truncate(size)
        raise


def read_lines(path: Path, line_type: Any) -> list[Any]:
    """Lines of a file; a last line that is being written, or was when its writer died, is left out.

    Parameters
    ----------
    path : Path
        The file; where it does not exist, there are no lines.
    line_type : type
        What a line is, for `msgspec.json.decode`.

    Raises
    ------
    RecordingError
        The file is damaged or cannot be read.
    """
    try:
        lines, error, _ = whole_lines(path, line_type)
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error}") from error
    if error:
        raise RecordingError(f"{path} is damaged: {error}")
    return lines


def whole_lines(path: Path, line_type: Any) -> tuple[list[Any], str, int]:
    """Lines of a file up to the first that is damaged, what is wrong with that, and their bytes.

    A last line without its end is none, and nothing is wrong with it.
    """
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return [], "", 0
    decoder = msgspec.json.Decoder(line_type)
    found: list[Any] = []
    try:
        for line in lines:
            found.append(decoder.decode(line))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        problem = f"line {len(found) + 1}: {error}"
    else:
        problem = ""
    return found, problem, sum(len(line) + 1 for line in lines[: len(found)])


def _whole_nbytes(file: io.FileIO) -> int:
    """Bytes of a file's whole lines."""
    file.seek(0)
    return (file.readall() or b"").rfind(b"\n") + 1
