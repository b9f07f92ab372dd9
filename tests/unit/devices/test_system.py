"""The machine as a device, with counters turned by hand and with the real ones."""

from __future__ import annotations

import math

import numpy as np
import psutil
import pytest

from pyacq_lab.devices import SystemMonitor
from pyacq_lab.devices.counters import Counters, read_counters
from pyacq_lab.testing import ManualClock

N_CORES = psutil.cpu_count() or 1


class Machine:
    """Counters of a machine whose load is known."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.begin = clock.now_ns()
        self.load = 0.25
        self.has_disk = True

    def __call__(self) -> Counters:
        passed = (self.clock.now_ns() - self.begin) / 1e9
        disk = np.array([3e6, 4e6]) * passed if self.has_disk else np.full(2, np.nan)
        cores = np.full(N_CORES, passed)
        return Counters(self.load * cores, cores, 40.0, np.array([1e6, 2e6]) * passed, disk)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def machine(clock):
    return Machine(clock)


def monitor_of(machine, **settings):
    monitor = SystemMonitor(SystemMonitor.settings_type.checked(**settings), look=machine)
    monitor.clock = machine.clock
    return monitor


def test_units_are_those_of_the_spec(machine):
    monitor = monitor_of(machine, sample_rate=100.0, window=0.2)
    specs = monitor.describe()
    assert {n: s.units for n, s in specs.items()} == {
        "cpu": "%",
        "memory": "%",
        "network": "MB/s",
        "disk": "MB/s",
    }
    monitor.open()
    got = {}
    for _ in range(30):
        got = monitor.read(1.0)
    np.testing.assert_allclose(got["cpu"].data, np.full((1, N_CORES), 25.0))
    np.testing.assert_allclose(got["memory"].data, [[40.0]])
    np.testing.assert_allclose(got["network"].data, [[1.0, 2.0]])
    np.testing.assert_allclose(got["disk"].data, [[3.0, 4.0]])


def test_the_window_slides(machine):
    monitor = monitor_of(machine, sample_rate=10.0, window=0.5)
    monitor.open()
    calm, busy = np.zeros(N_CORES), 0.0

    def look() -> Counters:
        nonlocal busy
        now = (machine.clock.now_ns() - machine.begin) / 1e9
        busy = max(0.0, now - 1.0)  # idle for a second, then busy throughout
        return Counters(calm + busy, calm + now, 0.0, np.zeros(2), np.zeros(2))

    monitor = SystemMonitor(monitor.settings, look=look)
    monitor.clock = machine.clock
    monitor.open()
    loads = [float(monitor.read(1.0)["cpu"].data[0, 0]) for _ in range(16)]
    np.testing.assert_allclose(loads, [0.0] * 10 + [20.0, 40.0, 60.0, 80.0, 100.0, 100.0], atol=1e-6)


def test_what_it_could_not_sample_is_lost(machine):
    monitor = monitor_of(machine, sample_rate=100.0)
    monitor.open()
    machine.clock.advance(0.055)
    got = monitor.read(1.0)
    assert {r.lost for r in got.values()} == {4}
    assert {len(r.data) for r in got.values()} == {1}
    assert {r.lost for r in monitor.read(1.0).values()} == {0}


def test_gives_nothing_within_a_short_timeout(machine):
    monitor = monitor_of(machine, sample_rate=1.0)
    monitor.open()
    assert monitor.read(0.1) is None


def test_missing_counters_are_nan_and_named(machine, caplog):
    machine.has_disk = False
    monitor = monitor_of(machine)
    monitor.open()
    assert "no disk counters" in caplog.text
    got = monitor.read(1.0)
    assert np.isnan(got["disk"].data).all()
    assert not np.isnan(got["network"].data).any()


def test_counters_that_stood_still_or_stepped_back_are_no_load(machine):
    monitor = monitor_of(machine)
    monitor.open()
    machine.load = -0.5
    assert (monitor.read(1.0)["cpu"].data == 0.0).all()
    machine.begin = machine.clock.now_ns() + 2 * 10**9
    assert np.isnan(monitor.read(1.0)["cpu"].data).all()


def test_cores_that_are_switched_off_are_nan(machine):
    def look() -> Counters:
        full = machine()
        return Counters(full.cpu_busy[:0], full.cpu_total[:0], full.memory, full.network, full.disk)

    monitor = monitor_of(look_as(machine, look))
    monitor.open()
    got = monitor.read(1.0)["cpu"].data
    assert got.shape == (1, N_CORES)
    assert np.isnan(got).all()


def look_as(machine, look):
    """The machine with another look at its counters."""

    class Other:
        clock = machine.clock

        def __call__(self) -> Counters:
            return look()

    return Other()


def test_the_real_counters():
    counters = read_counters()
    assert len(counters.cpu_busy) == len(counters.cpu_total) > 0
    assert (counters.cpu_busy <= counters.cpu_total).all()
    assert 0.0 < counters.memory < 100.0


@pytest.mark.parametrize("error", [OSError("hidden"), NotImplementedError(), RuntimeError("no disks")])
def test_hidden_counters_do_not_break_it(monkeypatch, error):
    def hidden():
        raise error

    monkeypatch.setattr(psutil, "disk_io_counters", hidden)
    monkeypatch.setattr(psutil, "net_io_counters", lambda: None)
    counters = read_counters()
    assert counters.missing == ["network", "disk"]
    assert not math.isnan(counters.memory)
