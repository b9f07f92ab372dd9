"""How much room a disk has left, and for how long that is enough."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from pyacq_lab.errors import RecordingError

log = logging.getLogger(__name__)

GB = 10**9

WARN_AT = (60.0, 1800.0)
"""Seconds of recording left, at the present rate, at which to warn: each is said once."""

_LOOK_EVERY_NS = 1_000_000_000
_RATE_OVER_NS = 20_000_000_000


class DiskRoom:
    """Watches the free space where a recorder writes.

    Parameters
    ----------
    folder : Path
        A folder on the disk.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place: tuple[int, int] | None = None
        self._warned = float("inf")
        self._looked_ns = 0
        self._since: tuple[int, int] | None = None  # time and bytes from which the rate is reckoned
        self._rate = 0.0

    def require(self, min_free: float) -> int:
        """Free bytes. Raises RecordingError where they are fewer than so many GB."""
        free = shutil.disk_usage(self._folder).free
        if free < min_free * GB:
            raise RecordingError(
                f"{free / GB:.2f} GB are free on the disk of {self._folder}, and min_free={min_free:g} GB "
                "must stay so: recording stops, all up to here is whole. Make room or take another disk"
            )
        return free

    def require_folder(self) -> None:
        """Raise RecordingError where the folder is not what it was when this was first asked.

        Open files can be written on where it was removed, or its disk was unmounted: nobody would find them.
        """
        try:
            found = self._folder.stat()
            place = found.st_dev, found.st_ino
        except OSError as error:
            raise RecordingError(
                f"the run folder {self._folder} is gone ({error.strerror}): it was removed or renamed, or "
                "its disk was taken away. All that was acknowledged is in it, if it still is somewhere"
            ) from error
        if self._place is None:
            self._place = place
        elif place != self._place:
            raise RecordingError(
                f"the run folder {self._folder} was replaced by another one: stop, and start anew"
            )

    def look(self, now_ns: int, nbytes: int, min_free: float) -> None:
        """Warn where the disk will soon be full.

        Parameters
        ----------
        now_ns : int
            Time, ns.
        nbytes : int
            Bytes written so far.
        min_free : float
            GB that must stay free.

        Raises
        ------
        RecordingError
            There are fewer.
        """
        if 0 <= now_ns - self._looked_ns < _LOOK_EVERY_NS:
            return
        self._looked_ns = now_ns
        free = self.require(min_free)
        if self._since is None or nbytes < self._since[1]:
            self._since = now_ns, nbytes
            return
        elapsed = now_ns - self._since[0]
        if elapsed > 0:
            self._rate = (nbytes - self._since[1]) / elapsed * 1e9
        if elapsed >= _RATE_OVER_NS:
            self._since = now_ns, nbytes
        left = (free - min_free * GB) / self._rate if self._rate else float("inf")
        reached = next((seconds for seconds in WARN_AT if left < seconds), float("inf"))
        if reached < self._warned:
            log.warning(
                "the disk of %s will be full in %s: %.1f GB are free, %.3g MB/s are written",
                self._folder,
                f"{left / 60:.0f} min" if left >= 120 else f"{left:.0f} s",
                free / GB,
                self._rate / 1e6,
            )
        if left > 2 * self._warned or reached < self._warned:  # room was made, or there is less
            self._warned = reached
