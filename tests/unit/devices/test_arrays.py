"""Arrays in, stream out."""

from __future__ import annotations

import numpy as np
import pytest

from pyacq_lab.devices import ArraySource
from pyacq_lab.errors import ConfigurationError, EndOfStream
from pyacq_lab.testing import ManualClock


def source_of(**settings):
    source = ArraySource(ArraySource.settings_type.checked(**settings))
    source.clock = ManualClock()
    source.open()
    return source


def play(source, timeout=0.1):
    readings = []
    while True:
        try:
            reading = source.read(timeout)
        except EndOfStream:
            return readings
        if reading is not None:
            readings.append(reading)


@pytest.mark.parametrize("dtype", ["<i2", ">f4", "<c8", [("a", "<i4"), ("b", "u1")]])
def test_comes_out_as_it_went_in(dtype):
    data = np.zeros((50, 3), dtype)
    source = source_of(data=data, loops=2, chunk_size=7, units="mV", channel_names=("x", "y", "z"))
    (spec,) = source.describe().values()
    assert (spec.np_dtype, spec.units, spec.channel_names) == (data.dtype, "mV", ("x", "y", "z"))
    got = np.concatenate([r.data for r in play(source)], dtype=dtype)
    assert {r.data.dtype for r in play(source_of(data=data))} == {data.dtype}
    assert got.dtype == data.dtype
    np.testing.assert_array_equal(got, np.tile(data, (2, 1)))


def test_does_not_change_with_the_callers_array():
    data = np.ones(10)
    source = source_of(data=data)
    data[:] = 2
    np.testing.assert_array_equal(play(source)[0].data, np.ones((10, 1)))


@pytest.mark.parametrize("speed", [0.5, 1.0, 20.0])
def test_speed_is_that_of_the_clock_and_times_are_those_of_the_rate(speed):
    source = source_of(data=np.arange(1000), sample_rate=100.0, speed=speed, chunk_size=10)
    begin = source.clock.now_ns()
    readings = play(source)
    assert (source.clock.now_ns() - begin) / 1e9 == pytest.approx(10 / speed)
    assert [r.time_ns - begin for r in readings] == [r.data[0, 0] * 10_000_000 for r in readings]
    assert source.waits == (speed != 1)


def test_is_told_in_words_where_settings_are_shown():
    settings = ArraySource.settings_type.checked(data=np.zeros((5, 2), "<f4"))
    assert settings.model_dump(mode="json")["data"] == "array of float32, shape (5, 2)"
    assert settings.model_json_schema()["properties"]["data"]["type"] == "array"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"data": []}, "wanted samples, time first"),
        ({"data": 3.0}, "wanted samples, time first"),
        ({"data": [{}]}, "holds Python objects"),
        ({"data": ["a", "b"]}, "an array of <U1: wanted numbers"),
        ({"data": np.zeros(5, "M8[s]")}, r"an array of datetime64\[s\]: wanted numbers"),
        ({"data": [[1, 2]], "channel_names": ("a",)}, r"data of shape \(1, 2\): 1 channel_names for 2"),
        ({"data": [1], "speed": 0}, "speed=0"),
        ({}, "data: Field required"),
    ],
)
def test_refusals(settings, says):
    with pytest.raises(ConfigurationError, match=says):
        source_of(**settings)


@pytest.mark.parametrize("loops", [0, 1, 3])
def test_the_ring_has_room_for_long_chunks(loops):
    source = source_of(data=np.zeros((30_000, 2)), chunk_size=50_000, loops=loops, realtime=False)
    (spec,) = source.describe().values()
    reading = source.read(0.1)
    assert len(reading.data) == (30_000 if loops == 1 else 50_000)
    assert spec.ring_size >= 2 * len(reading.data)
