"""What comes over a serial line: lines of numbers, lines of text, binary frames."""

from __future__ import annotations

import functools
import operator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ConfigurationError

Checksum = Literal["none", "sum8", "xor8"]

MAX_LINE = 65536
"""Bytes without an end of line that are kept; more are no text."""

_CHECKS = {
    "none": lambda body: b"",
    "sum8": lambda body: bytes([sum(body) % 256]),
    "xor8": lambda body: bytes([functools.reduce(operator.xor, body, 0)]),
}


class LineCutter:
    """Cuts bytes into lines, however they come.

    Parameters
    ----------
    leave_first : bool
        Whether the first line is left out: it may be the rest of one.
    """

    def __init__(self, leave_first: bool) -> None:
        self._rest = b""
        self._is_first = leave_first

    def feed(self, came: bytes) -> list[bytes]:
        """Take bytes; give the lines that are complete, without their ends, and none that are empty."""
        *lines, self._rest = (self._rest + came).replace(b"\r", b"\n").split(b"\n")
        self._rest = self._rest[-MAX_LINE:]
        if lines and self._is_first:
            lines, self._is_first = lines[1:], False
        return [line for line in lines if line.strip()]


class NumberLines:
    """Lines of numbers, one for each channel.

    Parameters
    ----------
    n_channels : int
        Numbers in a line.
    delimiter : str
        What separates them; empty: white space.
    leave_first : bool
        As in `LineCutter`.
    """

    dtype = np.dtype(np.float64)

    def __init__(self, n_channels: int, delimiter: str, leave_first: bool) -> None:
        self._n = n_channels
        self._delimiter = delimiter.encode() or None
        self._lines = LineCutter(leave_first)
        self.fault = ""
        """The last line that was none, and why."""

    def feed(self, came: bytes) -> list[tuple[int, npt.NDArray[Any]]]:
        """Take bytes; give ``(lost, samples)``: a line that is not what it should be is a lost sample."""
        runs: list[tuple[int, list[list[float]]]] = [(0, [])]
        for line in self._lines.feed(came):
            row = self._numbers(line)
            if row is not None:
                runs[-1][1].append(row)
            elif runs[-1][1]:
                runs.append((1, []))
            else:
                runs[-1] = runs[-1][0] + 1, []
        return [
            (lost, np.array(rows, np.float64).reshape(-1, self._n)) for lost, rows in runs if lost or rows
        ]

    def _numbers(self, line: bytes) -> list[float] | None:
        cells = line.split(self._delimiter)
        try:
            if len(cells) != self._n:
                raise ValueError(f"{len(cells)} numbers, wanted {self._n}")
            return [float(cell) for cell in cells]
        except ValueError as error:
            self.fault = f"{line[:80]!r}: {error}"
            return None


class Frames:
    """Binary frames: sync word, counter, samples of all channels, checksum.

    Parameters
    ----------
    sync : bytes
        With what each frame begins.
    dtype : numpy.dtype
        Of one number.
    n_channels : int
        Numbers in a frame.
    counter : bool
        Whether a byte after the sync word counts the frames.
    checksum : str
        What is at the end: nothing, or the sum or exclusive or of all bytes between it and the sync word.
    """

    def __init__(
        self, sync: bytes, dtype: np.dtype[Any], n_channels: int, counter: bool, checksum: Checksum
    ) -> None:
        if not sync:
            raise ConfigurationError("sync='': a frame must begin with something, such as 'A5 5A'")
        self.dtype = dtype
        self._sync, self._n, self._has_counter = sync, n_channels, counter
        self._check = _CHECKS[checksum]
        self._body = int(counter) + n_channels * dtype.itemsize
        self._size = len(sync) + self._body + len(self._check(b"\0"))
        self._rest = b""
        self._counted: int | None = None
        self._is_in_step = False
        self.fault = ""
        """What was wrong with the last frame that was none."""

    def feed(self, came: bytes) -> list[tuple[int, npt.NDArray[Any]]]:
        """Take bytes; give ``(lost, samples)``.

        Frames are lost by their counter. Without one, each damaged frame is a lost one.
        """
        data = self._rest + came
        at = 0
        runs: list[tuple[int, list[bytes]]] = [(0, [])]
        while True:
            begin = data.find(self._sync, at)
            if begin < 0:
                at = max(at, len(data) - len(self._sync) + 1)
                break
            if begin > at and self._is_in_step:
                self._damaged(f"{begin - at} bytes before the sync word")
                self._lose(runs, 0 if self._has_counter else 1)
            at = begin
            if len(data) - at < self._size:
                break
            body = data[at + len(self._sync) : at + len(self._sync) + self._body]
            if data[at + len(self._sync) + self._body : at + self._size] != self._check(body):
                if self._is_in_step:
                    self._damaged("checksum")
                    self._lose(runs, 0 if self._has_counter else 1)
                at += 1  # the sync word may have been a number
                continue
            self._is_in_step = True
            self._lose(runs, self._missing(body))
            runs[-1][1].append(body[int(self._has_counter) :])
            at += self._size
        self._rest = data[at:]
        return [(lost, self._samples(frames)) for lost, frames in runs if lost or frames]

    def _missing(self, body: bytes) -> int:
        if not self._has_counter:
            return 0
        before, self._counted = self._counted, body[0]
        return 0 if before is None else (body[0] - before - 1) % 256

    def _damaged(self, why: str) -> None:
        self.fault, self._is_in_step = why, False

    def _samples(self, frames: list[bytes]) -> npt.NDArray[Any]:
        return np.frombuffer(b"".join(frames), self.dtype).reshape(-1, self._n)

    @staticmethod
    def _lose(runs: list[tuple[int, list[bytes]]], lost: int) -> None:
        if lost and runs[-1][1]:
            runs.append((lost, []))
        elif lost:
            runs[-1] = runs[-1][0] + lost, []
