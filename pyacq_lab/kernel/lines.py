"""Bytes and pieces of text into lines."""

from __future__ import annotations

MAX_LINE = 65_536
"""Bytes (characters) after which a line without an end is given out as it is."""


def as_seen(line: str) -> str:
    r"""Leave what a terminal would show of a line that overwrites itself (a progress bar).

    Examples
    --------
    >>> as_seen("10 %\r50 %\r100 %\r")
    '100 %'
    """
    return line.rstrip("\r").rpartition("\r")[2]


class LineAssembler:
    """Bytes of a pipe into lines; what is not UTF-8 is replaced, never refused."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> list[str]:
        """Lines that these bytes complete, without their ends."""
        *whole, self._pending = (self._pending + data).split(b"\n")
        if len(self._pending) > MAX_LINE:
            whole.append(self._pending)
            self._pending = b""
        return [_decode(line) for line in whole]

    def finish(self) -> list[str]:
        """The unfinished last line, if there is one."""
        rest, self._pending = self._pending, b""
        return [_decode(rest)] if rest else []


def _decode(line: bytes) -> str:
    return as_seen(line.decode("utf-8", errors="replace"))
