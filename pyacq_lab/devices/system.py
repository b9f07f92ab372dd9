"""The machine itself as a device: load, memory, network, disks."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import psutil

from pyacq_lab.devices.counters import Counters, read_counters
from pyacq_lab.devices.pacing import NS_PER_S, Pace
from pyacq_lab.model.chunk import Reading
from pyacq_lab.model.roles import Source
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec

logger = logging.getLogger(__name__)

MEGABYTE = 1e6


class SystemMonitorSettings(Settings):
    """Settings of `SystemMonitor`."""

    sample_rate: float = setting(20.0, gt=0, le=100, unit="Hz", description="looks at the machine per second")
    window: float = setting(
        0.5, ge=0.1, le=60, unit="s", description="sliding window over which loads and rates are averaged"
    )


class SystemMonitor(Source):
    """Load of the machine on which the node runs.

    Four outputs with the same sample indices, so that each has honest units:

    =========  ==========================  =====
    output     channels                    units
    =========  ==========================  =====
    `cpu`      ``cpu0``, ``cpu1``, ...     %
    `memory`   ``used``                    %
    `network`  ``rx``, ``tx``              MB/s
    `disk`     ``read``, ``write``         MB/s
    =========  ==========================  =====

    The operating system counts CPU time in ticks of 10 ms, so a load taken between two looks 10 ms apart
    could only be 0 or 100 %. Each sample is therefore the mean over the last `window` seconds, which also
    delays it by half a window (the spec's ``group_delay``); with 0.5 s the load has steps of 2 %. Within
    the first `window` seconds the mean is over the time since the start.
    A counter that is missing here, such as disks in some containers, is NaN and named once in the log.
    A look at the past is impossible: where the machine is too busy to look in time, samples are lost and
    counted as such.

    Parameters
    ----------
    settings : SystemMonitorSettings
        Checked settings.
    look : callable
        How the counters are read.
    """

    settings_type = SystemMonitorSettings
    settings: SystemMonitorSettings

    def __init__(self, settings: SystemMonitorSettings, look: Callable[[], Counters] = read_counters) -> None:
        super().__init__(settings)
        self._look = look
        self._pace = Pace(settings.sample_rate)
        n_looks = max(1, math.ceil(settings.window * settings.sample_rate))
        self._looks: deque[tuple[int, Counters]] = deque(maxlen=n_looks + 1)
        self._position = 0
        self._n_cores = psutil.cpu_count() or 1

    def describe(self) -> Mapping[str, StreamSpec]:
        """Four outputs of float64."""
        cores = tuple(f"cpu{i}" for i in range(self._n_cores))
        return {
            "cpu": self._spec(cores, "%"),
            # Memory is what it is now, without a window.
            "memory": self._spec(("used",), "%").replace(group_delay=0.0),
            "network": self._spec(("rx", "tx"), "MB/s"),
            "disk": self._spec(("read", "write"), "MB/s"),
        }

    def open(self) -> None:
        """Take the first look, from which the first sample is counted."""
        self._looks.clear()
        counters = self._look()
        now = self.clock.now_ns()
        self._looks.append((now, counters))
        self._pace.begin(now)
        self._position = 0
        for name in counters.missing:
            logger.warning("this machine shows no %s counters: the output %r will be NaN", name, name)

    def read(self, timeout: float) -> Mapping[str, Reading] | None:
        """Wait for the next look and give one sample of each output."""
        due = self._pace.wait(self.clock, self._position + 1, timeout)
        if due <= self._position:
            return None
        counters = self._look()
        now = self.clock.now_ns()
        self._looks.append((now, counters))
        lost, self._position = due - self._position - 1, due
        return {name: Reading(row, lost=lost, time_ns=now) for name, row in self._rows().items()}

    def close(self) -> None:
        """Forget the looks."""
        self._looks.clear()

    def _spec(self, names: tuple[str, ...], units: str) -> StreamSpec:
        return StreamSpec.of(
            np.float64,
            shape=(-1, len(names)),
            sample_rate=self.settings.sample_rate,
            units=units,
            channel_names=names,
            group_delay=self.settings.window / 2,
        )

    def _rows(self) -> dict[str, npt.NDArray[np.float64]]:
        (before_ns, before), (now_ns, now) = self._oldest(), self._looks[-1]
        seconds = (now_ns - before_ns) / NS_PER_S
        return {
            "cpu": _load(before, now, self._n_cores)[np.newaxis],
            "memory": np.array([[now.memory]]),
            "network": _rate(before.network, now.network, seconds)[np.newaxis],
            "disk": _rate(before.disk, now.disk, seconds)[np.newaxis],
        }

    def _oldest(self) -> tuple[int, Counters]:
        """Look from which the window counts; lost samples make the looks in hand reach too far back."""
        horizon = self._looks[-1][0] - round(self.settings.window * NS_PER_S)
        while len(self._looks) > 2 and self._looks[1][0] <= horizon:
            self._looks.popleft()
        return self._looks[0]


def _load(before: Counters, now: Counters, n_cores: int) -> npt.NDArray[np.float64]:
    """Busy part of each core's time between two looks, percent; NaN where the counters stood still."""
    load = np.full(n_cores, np.nan)
    # A core that is switched off disappears from the counters, and others take its place in the list.
    n = min(n_cores, len(before.cpu_total), len(now.cpu_total))
    busy = now.cpu_busy[:n] - before.cpu_busy[:n]
    total = now.cpu_total[:n] - before.cpu_total[:n]
    moved = total > 0
    # Idle counters may step back by a tick, so that a core seems busy for longer than the time that passed.
    load[:n][moved] = np.clip(100.0 * busy[moved] / total[moved], 0.0, 100.0)
    return load


def _rate(
    before: npt.NDArray[np.float64], now: npt.NDArray[np.float64], seconds: float
) -> npt.NDArray[np.float64]:
    """Megabytes per second between two looks; an interface that went away does not count backwards."""
    return np.maximum(now - before, 0.0) / (seconds * MEGABYTE)
