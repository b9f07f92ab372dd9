"""The machine's own counters, read through psutil; a counter that is missing here is NaN."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil


@dataclass(frozen=True, slots=True, eq=False)
class Counters:
    """One look at the machine.

    Attributes
    ----------
    cpu_busy, cpu_total : ndarray, shape (n_cores,)
        Time each core has been busy and has existed, s.
    memory : float
        Memory in use, percent of all.
    network : ndarray, shape (2,)
        Bytes received and sent by all interfaces.
    disk : ndarray, shape (2,)
        Bytes read and written by all disks.
    """

    cpu_busy: npt.NDArray[np.float64]
    cpu_total: npt.NDArray[np.float64]
    memory: float
    network: npt.NDArray[np.float64]
    disk: npt.NDArray[np.float64]

    @property
    def missing(self) -> list[str]:
        """Names of the counters that this machine (or container) does not show."""
        return [name for name in ("network", "disk") if np.isnan(getattr(self, name)).any()]


def read_counters() -> Counters:
    """Read all counters now; a fraction of a millisecond."""
    times = psutil.cpu_times(percpu=True)
    # Linux counts the time given to guests a second time within user and nice.
    total = np.array([sum(t) - getattr(t, "guest", 0.0) - getattr(t, "guest_nice", 0.0) for t in times])
    idle = np.array([t.idle + getattr(t, "iowait", 0.0) for t in times])
    memory = psutil.virtual_memory()
    return Counters(
        cpu_busy=total - idle,
        cpu_total=total,
        memory=100.0 * (memory.total - memory.available) / memory.total,
        network=_bytes(psutil.net_io_counters, "bytes_recv", "bytes_sent"),
        disk=_bytes(psutil.disk_io_counters, "read_bytes", "write_bytes"),
    )


def _bytes(read: Callable[[], Any], *names: str) -> npt.NDArray[np.float64]:
    try:
        counters = read()
    except (OSError, NotImplementedError, RuntimeError):
        # Containers may hide /proc/diskstats or /sys; psutil says so in one of these ways.
        counters = None
    if counters is None:
        return np.full(len(names), np.nan)
    return np.array([getattr(counters, name) for name in names], dtype=np.float64)
