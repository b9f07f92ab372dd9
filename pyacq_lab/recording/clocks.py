"""How the clocks of a run's hosts stood to each other, as it was measured while it was recorded."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyacq_lab.model.rig import ClockReading
from pyacq_lab.recording.files import read_lines
from pyacq_lab.recording.manifest import CLOCKS

_Times = npt.NDArray[np.int64]

MAX_DRIFT = 5e-4
"""A clock that has gone further from the manager's, between two readings, than by 500 ppm of the time between
them and by what both are uncertain was set."""


class ClockTable:
    """Readings of the hosts' clocks; read from disk when first asked.

    Parameters
    ----------
    folder : Path
        The run folder.
    recorded_on : str
        Name of the recording host.
    """

    def __init__(self, folder: Path, recorded_on: str) -> None:
        self._folder = folder
        self.recorded_on = recorded_on
        self._offsets: dict[tuple[str, bool], _Offsets] = {}

    @cached_property
    def readings(self) -> tuple[ClockReading, ...]:
        """All readings, in the order in which they were written. Raises RecordingError where damaged."""
        return tuple(read_lines(self._folder / CLOCKS, ClockReading))

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names of the hosts of which there are readings."""
        return tuple(self._by_host)

    def __len__(self) -> int:
        return len(self.readings)

    def __repr__(self) -> str:
        return f"<clocks of {', '.join(self.hosts) or 'no host'}: {len(self)} readings>"

    def knows(self, host: str) -> bool:
        """Whether times of a host can be brought to the recording host's clock."""
        return bool(host) and (host == self.recorded_on or {host, self.recorded_on} <= self._by_host.keys())

    def shift(self, host: str, times_ns: npt.ArrayLike) -> tuple[_Times, _Times]:
        """What brings times of a host's clock to the recording host's.

        Between two readings it is interpolated, before the first and after the last it is theirs. Over an
        instant at which a clock was set nothing is interpolated.

        Parameters
        ----------
        host : str
            Whose clock showed the times; see `knows`.
        times_ns : array of int
            ns since 1970 UTC.

        Returns
        -------
        shift_ns, uncertainty_ns : array of int
            ns to add to each time; and what its error is at most, the sum of both clocks' uncertainties.
        """
        times = np.asarray(times_ns, np.int64)
        if host == self.recorded_on:
            return np.zeros_like(times), np.zeros_like(times)
        offset, doubt = self._steps(host, True).at(times)
        own, own_doubt = self._steps(self.recorded_on, False).at(times - offset)
        return own - offset, doubt + own_doubt

    def _steps(self, host: str, by_itself: bool) -> _Offsets:
        """Offsets of a clock by what it showed itself, or by the manager's time; made once."""
        key = host, by_itself
        if key not in self._offsets:
            self._offsets[key] = _Offsets(self._by_host[host], by_itself)
        return self._offsets[key]

    @cached_property
    def _by_host(self) -> dict[str, list[ClockReading]]:
        found: dict[str, list[ClockReading]] = {}
        for reading in self.readings:
            if reading.uncertainty_ns >= 0:
                found.setdefault(reading.host, []).append(reading)
        return {host: sorted(lines, key=lambda r: r.time_ns) for host, lines in found.items()}


class _Offsets:
    """Offsets of one clock, as a function of what it showed itself or of the manager's time.

    Within a piece, from one setting of the clock to the next, they are interpolated. What it showed twice,
    since it was set back, is taken for the first time.
    """

    def __init__(self, readings: list[ClockReading], by_itself: bool) -> None:
        def axis(reading: ClockReading) -> int:
            return reading.time_ns + (reading.offset_ns if by_itself else 0)

        pieces: list[list[ClockReading]] = []
        for i, reading in enumerate(readings):
            if i and not _was_set(readings[i - 1], reading):
                pieces[-1].append(reading)
            else:
                pieces.append([reading])
        rows: list[tuple[int, int, ClockReading]] = []
        spans: list[tuple[int, int]] = []
        for number, piece in enumerate(pieces):
            rows += [(axis(r), number, r) for r in piece if not any(a <= axis(r) <= b for a, b in spans)]
            spans.append((axis(piece[0]), axis(piece[-1])))
        rows.sort(key=lambda row: row[:2])
        points: list[tuple[int, ClockReading]] = []
        for i, (at, number, reading) in enumerate(rows):
            if i and rows[i - 1][1] != number:
                last_at, last_number, last = rows[i - 1]
                if number == last_number + 1:  # it was set between: until then it went on as it had
                    until = min(last_at + reading.time_ns - last.time_ns, at - 1)
                else:
                    until = (last_at + at) // 2
                points += [(until, last), (until + 1, reading)]
            points.append((at, reading))
        self._origin, self._base = points[0][0], readings[0].offset_ns  # so that floats hold ns
        self._at = np.array([at - self._origin for at, _ in points], float)
        self._offsets = np.array([r.offset_ns - self._base for _, r in points], float)
        self._doubts = np.array([r.uncertainty_ns for _, r in points], float)

    def at(self, times: _Times) -> tuple[_Times, _Times]:
        """Offset and uncertainty at times."""
        when = (times - self._origin).astype(float)
        found = np.rint(np.interp(when, self._at, self._offsets)).astype(np.int64) + self._base
        return found, np.rint(np.interp(when, self._at, self._doubts)).astype(np.int64)


def _was_set(before: ClockReading, after: ClockReading) -> bool:
    apart = abs(after.offset_ns - before.offset_ns)
    drift = MAX_DRIFT * (after.time_ns - before.time_ns)
    return apart > drift + before.uncertainty_ns + after.uncertainty_ns
