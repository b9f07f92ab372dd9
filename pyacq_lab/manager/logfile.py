"""Log records on disk: one JSON object per line, in a bounded number of bounded files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from io import FileIO
from pathlib import Path

import msgspec

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.logs import LogRecord

_encoder = msgspec.json.Encoder()


class LogFile:
    """Append records to a file; when it is full it becomes ``name.1.jsonl``, and so on.

    Every batch is handed to the operating system at once, so that what was written survives the end of
    this process, however it ends.

    Parameters
    ----------
    path : Path
        The newest file, such as ``log.jsonl``; its folder is made.
    max_bytes : int
        Size after which a file is full.
    n_files : int
        Files kept, the newest included.
    """

    def __init__(self, path: Path, *, max_bytes: int = 50_000_000, n_files: int = 5) -> None:
        if max_bytes < 1 or n_files < 1:
            raise ConfigurationError(f"max_bytes={max_bytes}, n_files={n_files}: wanted positive numbers")
        self.path = path
        self._max_bytes = max_bytes
        self._n_files = n_files
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = _open(path, "ab")
        self._size = self._file.tell()

    def write(self, records: Sequence[LogRecord]) -> None:
        """Append records. Raises OSError where the disk does not take them all; then the file has none."""
        if self._file.closed:  # the next one could not be begun
            self._file = _open(self.path, "ab")
            self._size = self._file.tell()
        if self._size >= self._max_bytes:
            self._rotate()
        data = memoryview(encode_lines(records))
        size = len(data)
        try:
            while data:  # an unbuffered write may take only a part
                data = data[self._file.write(data) :]
        except OSError:
            os.ftruncate(self._file.fileno(), self._size)  # part of a line is none
            raise
        self._size += size

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._file.close()

    def _rotate(self) -> None:
        self._file.close()
        for i in range(self._n_files - 1, 0, -1):
            older = self._numbered(i - 1)
            if older.exists():
                older.replace(self._numbered(i))
        self._file = _open(self.path, "wb")
        self._size = 0

    def _numbered(self, i: int) -> Path:
        return self.path.with_suffix(f".{i}{self.path.suffix}") if i else self.path


def encode_lines(records: Iterable[LogRecord]) -> bytes:
    """Records as JSON lines: all fields, and ``corrected_ns`` before them."""
    encode = _encoder.encode
    return b"".join(b'{"corrected_ns":%d,%b\n' % (r.corrected_ns, encode(r)[1:]) for r in records)


def _open(path: Path, mode: str) -> FileIO:
    return FileIO(path, mode, opener=lambda name, flags: os.open(name, flags, 0o600))


def read_log_file(path: Path) -> list[LogRecord]:
    """Records of one file; a last line that was cut short is left out."""
    decoder = msgspec.json.Decoder(LogRecord)
    lines = path.read_bytes().split(b"\n")
    return [decoder.decode(line) for line in lines[:-1]]
