"""Functions as node types: what comes of their arguments, their samples, and what is refused."""

from __future__ import annotations

from typing import Annotated

import cloudpickle
import numpy as np
import pytest
from pydantic import Field

from pyacq_lab import setting, sink, source, transform
from pyacq_lab.devices.function import FunctionSource
from pyacq_lab.errors import ConfigurationError, StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.functions import FunctionTransform
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.testing import ManualClock, SourceContract, TransformContract

SPEC = StreamSpec(shape=(-1, 3), sample_rate=1000.0, units="mV", channel_names=("a", "b", "c"))


@transform
def rectify(data, gain: float = 2.0, power: Annotated[int, Field(ge=1)] = 1):
    """Absolute value."""
    return gain * abs(data) ** power


@transform(units="dB", dtype="<f4")
def total(data):
    return data.sum(axis=1, keepdims=True).astype("f4")


@source(sample_rate=500.0, units="V", channel_names=("wave",))
def wave(t, frequency: float = 3.0):
    return np.sin(2 * np.pi * frequency * t)[:, np.newaxis]


class TestRectify(TransformContract):
    def make(self):
        return rectify(rectify.settings_type())

    def live(self):
        return {"gain": 3.0, "power": 2}


class TestWave(SourceContract):
    def make(self):
        return wave(wave.settings_type())


def ready(kind, spec=SPEC, **settings):
    made = kind(kind.settings_type.checked(**settings))
    return made, made.describe({"in": spec})["out"]


def test_what_it_is_called_and_takes():
    assert (rectify.__name__, rectify.__doc__) == ("rectify", "Absolute value.")
    assert issubclass(rectify, FunctionTransform)
    assert rectify.settings_type.live_names() == ("gain", "power")
    with pytest.raises(ConfigurationError, match=r"rectifySettings: power=0: .*greater than or equal to 1"):
        rectify.settings_type.checked(power=0)
    np.testing.assert_array_equal(rectify.function(np.array([-1.0])), [2.0])


def test_a_setting_says_itself_what_it_is():
    @transform
    def offset(data, by: float = setting(1.0, unit="V", gt=0), needed: int = setting(), loose=None, size=3):
        return data + by

    schema = offset.settings_type.model_json_schema()
    assert schema["properties"]["by"]["unit"] == "V"
    assert schema["required"] == ["needed"]
    assert offset.settings_type.live_names() == ("loose", "size")
    with pytest.raises(ConfigurationError, match="size='x'"):
        offset.settings_type.checked(needed=1, size="x")


def test_the_stream_that_comes_out_is_found_out():
    assert ready(rectify)[1] == SPEC
    out = ready(total)[1]
    assert (out.np_dtype, out.shape, out.units, out.names) == (np.dtype("f4"), (-1, 1), "dB", ("0",))
    scaled = StreamSpec.of("<i2", shape=(-1, 3), sample_rate=1000.0, scale=0.5, offset=1.0)
    made, out = ready(rectify, scaled)
    assert (out.np_dtype, out.is_scaled) == (np.dtype("f8"), False)
    data = np.full((4, 3), -10, "<i2")
    np.testing.assert_array_equal(made.process(Chunk(0, data), "in"), np.full((4, 3), 8.0))


def test_one_number_for_each_sample_is_a_channel():
    @transform(channel_names=("power",))
    def power(data):
        return (data**2).mean(axis=1)

    @source(sample_rate=100.0)
    def ramp(t):
        return t

    made, out = ready(power)
    assert (out.shape, out.names) == ((-1, 1), ("power",))
    np.testing.assert_array_equal(made.process(Chunk(0, np.full((4, 3), 2.0)), "in"), np.full((4, 1), 4.0))
    clocked = ramp(ramp.settings_type())
    clocked.clock = ManualClock()
    assert clocked.describe()["out"].shape == (-1, 1)
    clocked.open()
    assert clocked.read(1.0).data.shape[1:] == (1,)


def test_what_is_no_row_for_each_sample_is_refused():
    @transform
    def mean(data):
        return data.mean(axis=0)

    with pytest.raises(StreamMismatch, match=r"mean took 1 samples and gave .*\(3,\): .*write a class"):
        ready(mean)


def test_a_source_gives_samples_for_times():
    made = wave(wave.settings_type.checked(frequency=1.0))
    made.clock = ManualClock()
    spec = made.describe()["out"]
    assert (spec.shape, spec.sample_rate, spec.units, spec.names) == ((-1, 1), 500.0, "V", ("wave",))
    made.open()
    reading = made.read(1.0)
    assert reading is not None
    np.testing.assert_allclose(reading.data[:, 0], np.sin(2 * np.pi * np.arange(10) / 500))
    with pytest.raises(ConfigurationError, match="sample_rate -1"):
        source(sample_rate=-1)
    for bare in (source, lambda f: source()(f)):
        with pytest.raises(ConfigurationError, match=r"say it, as in @source\(sample_rate=1000.0\)"):
            bare(lambda t: t)


def test_a_sink_is_called_with_samples():
    seen = []

    @sink
    def collect(data, factor=1.0):
        seen.append(data * factor)

    made = collect(collect.settings_type(factor=2.0))
    made.open({"in": SPEC.replace(scale=10.0)})
    made.write(Chunk(0, np.ones((2, 3))), "in")
    made.gap(Gap(2, 5), "in")
    np.testing.assert_array_equal(np.concatenate(seen), np.full((2, 3), 20.0))


def test_it_travels_by_value():
    factor = 3.0

    @transform
    def scale(data, extra: float = 1.0):
        return factor * extra * data

    again = cloudpickle.loads(cloudpickle.dumps(scale))
    made, _ = ready(again, extra=2.0)
    np.testing.assert_array_equal(made.process(Chunk(0, np.ones((1, 3))), "in"), np.full((1, 3), 6.0))
    assert again.settings_type.live_names() == ("extra",)


def test_refusals():
    for function, says in [
        (len, "is no function"),
        (lambda: 0, "wanted samples as its first argument"),
        (lambda data, *more: 0, r"which \* and \*\* have not"),
        (lambda *data: 0, "wanted samples as its first argument"),
    ]:
        with pytest.raises(ConfigurationError, match=says):
            transform(function)
    with pytest.raises(ConfigurationError, match="unit: a stream is described by"):
        transform(unit="V")(lambda data: data)

    def strange(data, x: "nothing of that name" = 1):  # noqa: F722
        return data

    with pytest.raises(ConfigurationError, match="an annotation means nothing here"):
        transform(strange)
    assert issubclass(wave, FunctionSource)
