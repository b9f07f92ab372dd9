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

        Between two readings it is interpolated, before the first and after the last it is theirs.

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
        guess = self._by_host[host][0].offset_ns  # clocks drift by far less than readings are apart
        offset, doubt = self._interpolated(host, times - guess)
        own, own_doubt = self._interpolated(self.recorded_on, times - offset)
        return own - offset, doubt + own_doubt

    def _interpolated(self, host: str, times: _Times) -> tuple[_Times, _Times]:
        """Offset and uncertainty of a clock at times of the manager's."""
        readings = self._by_host[host]
        origin = readings[0].time_ns  # so that floats hold ns
        at = np.array([r.time_ns - origin for r in readings], float)
        base = readings[0].offset_ns
        offsets = np.array([r.offset_ns - base for r in readings], float)
        doubts = np.array([r.uncertainty_ns for r in readings], float)
        when = (times - origin).astype(float)
        found = np.rint(np.interp(when, at, offsets)).astype(np.int64) + base
        return found, np.rint(np.interp(when, at, doubts)).astype(np.int64)

    @cached_property
    def _by_host(self) -> dict[str, list[ClockReading]]:
        found: dict[str, list[ClockReading]] = {}
        for reading in self.readings:
            if reading.uncertainty_ns >= 0:
                found.setdefault(reading.host, []).append(reading)
        return {host: sorted(lines, key=lambda r: r.time_ns) for host, lines in found.items()}
