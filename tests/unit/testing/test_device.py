"""The simulated device breaks when, and only when, it was told to."""

from __future__ import annotations

import numpy as np
import pytest

from pyacq_lab.errors import ConfigurationError, EndOfStream
from pyacq_lab.testing import ManualClock, SimulatedDevice


def device_of(**settings):
    device = SimulatedDevice(SimulatedDevice.settings_type.checked(**settings))
    device.clock = ManualClock()
    return device


def read_until(device, n_samples, timeout=1.0):
    """Readings until so many samples were given or lost."""
    device.open()
    readings, total = [], 0
    while total < n_samples:
        reading = device.read(timeout)
        if reading is not None:
            readings.append(reading)
            total += len(reading.data) + reading.lost
    return readings


def indices(readings):
    return np.concatenate([r.data[:, 0] for r in readings]) // 2


def test_every_sample_says_its_place():
    readings = read_until(device_of(), 100)
    np.testing.assert_array_equal(np.concatenate([r.data for r in readings]), np.arange(200).reshape(-1, 2))


def test_drops_what_it_is_told_and_counts_it():
    readings = read_until(device_of(drop=((25, 30), (50, 55))), 100)
    kept = [i for i in range(110) if not (25 <= i < 30 or 50 <= i < 55)]
    assert indices(readings).tolist() == kept
    assert [r.lost for r in readings if r.lost] == [5, 5]
    at = 0
    for reading in readings:
        at += reading.lost
        assert reading.data[0, 0] == 2 * at
        at += len(reading.data)


def test_a_long_loss_comes_with_the_samples_after_it():
    readings = read_until(device_of(drop=((20, 95),)), 120)
    assert [(r.lost, len(r.data)) for r in readings] == [(0, 20), (75, 5), (0, 20)]


def test_a_loss_at_the_end_is_counted():
    device = device_of(drop=((20, 40),), end_at=40)
    assert [(r.lost, len(r.data)) for r in read_until(device, 40)] == [(0, 20), (20, 0)]
    with pytest.raises(EndOfStream):
        device.read(1.0)


def test_fails_at_its_sample_after_giving_all_before():
    device = device_of(fail_at=33)
    assert indices(read_until(device, 33)).tolist() == list(range(33))
    with pytest.raises(OSError, match="simulated fault at sample 33"):
        device.read(1.0)
    device.close()
    assert not device.is_open


def test_fails_to_open():
    with pytest.raises(OSError, match="cannot be opened"):
        device_of(fail_open=True).open()


def test_ends():
    device = device_of(end_at=45)
    read_until(device, 45)
    with pytest.raises(EndOfStream, match="45"):
        device.read(1.0)


def test_bursts():
    assert {len(r.data) for r in read_until(device_of(burst=5), 400)} == {100}


def test_clock_steps():
    device = device_of(clock_step_at=50, clock_step=-2.0)
    readings = read_until(device, 100)
    begin = readings[0].time_ns
    starts = indices(readings)
    assert [r.time_ns - begin for r in readings] == [
        0,
        20_000_000,
        40_000_000,
        -1_950_000_000,
        -1_930_000_000,
        -1_910_000_000,
    ]
    assert starts.tolist() == list(range(110))


def test_hangs_once():
    device = device_of(hang_at=40, hang_for=3.0)
    read_until(device, 40)
    before = device.clock.now_ns()
    device.read(0.01)
    assert device.clock.now_ns() - before >= 3_000_000_000
    before = device.clock.now_ns()
    device.read(0.01)
    assert device.clock.now_ns() - before < 1_000_000_000


@pytest.mark.parametrize("drop", [((5, 5),), ((9, 3),), ((0, 5), (4, 8)), ((-3, 2),)])
def test_refuses_ranges_that_are_none(drop):
    with pytest.raises(ConfigurationError, match="wanted ranges"):
        device_of(drop=drop)


def test_a_clock_never_steps_back():
    with pytest.raises(ValueError, match="never steps back"):
        ManualClock().advance(-1.0)


def test_duplicates_come_after_what_they_repeat():
    device = device_of(duplicate=((5, 20), (30, 33)))
    got = indices(read_until(device, 60 + 18)).tolist()
    assert got == [*range(20), *range(5, 20), *range(20, 33), *range(30, 33), *range(33, 73)]


def test_drifts():
    device = device_of(drift_ppm=500.0, chunk_size=1000)
    begin = device.clock.now_ns()
    readings = read_until(device, 100_000, timeout=2.0)
    last = readings[-1]
    assert last.data[0, 0] // 2 == 99_000
    assert last.time_ns - begin == pytest.approx(99 / 1.0005 * 1e9, abs=2)


def test_loses_on_command_what_is_next():
    device = device_of(drop=((45, 60),))
    read_until(device, 20)
    device.lose(30)
    got = [device.read(1.0) for _ in range(4)]
    assert [(r.lost, r.data[0, 0] // 2) for r in got if r is not None] == [(40, 60), (0, 80)]


def test_repeats_on_command():
    device = device_of()
    read_until(device, 40)
    device.repeat(5)
    assert indices([device.read(1.0), device.read(1.0)]).tolist() == [*range(35, 60)]


def test_clock_steps_on_command():
    device = device_of()
    first = read_until(device, 20)[0].time_ns
    device.step_clock(1.5)
    device.step_clock(0.5)
    assert device.read(1.0).time_ns - first == 2_020_000_000


def test_hangs_on_command():
    device = device_of()
    device.open()
    device.hang(2.0)
    before = device.clock.now_ns()
    device.read(0.01)
    assert device.clock.now_ns() - before >= 2_000_000_000


def test_is_gone_when_it_is_unplugged():
    device = device_of()
    read_until(device, 40)
    device.unplug()
    with pytest.raises(OSError, match="unplugged after 40 samples"):
        device.read(1.0)
    with pytest.raises(OSError, match="unplugged"):
        device.open()
