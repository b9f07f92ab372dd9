"""Conversion of data type, byte order and units; what cannot be kept is refused in words."""

from __future__ import annotations

import numpy as np
import pytest

from pyacq_lab.errors import ConfigurationError, StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing import StreamConverter

LABELS = {"units": "mV", "channel_names": ("a", "b"), "group_delay": 0.25, "sample_rate": 100.0}


def converter(dtype, settings, **fields):
    made = StreamConverter(StreamConverter.settings_type.checked(**settings))
    spec = StreamSpec.of(dtype, **{"shape": (-1, 2), **LABELS, **fields})
    return made, spec, made.describe({"in": spec})["out"]


def run(made, values, start=0):
    return made.process(Chunk(start, np.array(values, made._spec.np_dtype)), "in")


def test_without_settings_nothing_changes():
    made, spec, out = converter(">i2", {}, scale=0.5, offset=1.0)
    assert out == spec
    data = np.array([[1, 2]], ">i2")
    assert made.process(Chunk(0, data), "in") is data


@pytest.mark.parametrize(
    ("dtype", "order", "wanted"),
    [(None, "little", "<i2"), ("int32", "big", ">i4"), (">f8", None, ">f8"), (">f8", "native", "=f8")],
)
def test_byte_order(dtype, order, wanted):
    made, _, out = converter(">i2", {"dtype": dtype, "byte_order": order})
    got = run(made, [[1, -2]])
    assert got.dtype == out.np_dtype == np.dtype(wanted)
    assert got.tolist() == [[1, -2]]


def test_a_cast_keeps_scale_and_offset():
    _, spec, out = converter("<i2", {"dtype": "int32"}, scale=0.5, offset=1.0)
    assert out == spec.replace(dtype="<i4")


@pytest.mark.parametrize("dtype", [None, "float32", "float64", ">f4"])
def test_physical_values(dtype):
    made, spec, out = converter("<i2", {"dtype": dtype, "physical": True}, scale=0.1, offset=-3.0)
    assert out == spec.replace(dtype=out.dtype, scale=1.0, offset=0.0)
    assert out.np_dtype == np.dtype(dtype or "f8")
    raw = np.array([[-32768, 32767], [0, 1]])
    np.testing.assert_array_equal(run(made, raw), (raw * 0.1 - 3.0).astype(out.np_dtype))


def test_a_scale_for_each_channel():
    made, _, out = converter("<i2", {"physical": True}, scale=(0.5, 2.0), offset=(1.0, 0.0))
    assert run(made, [[2, 2], [4, 4]]).tolist() == [[2.0, 4.0], [3.0, 8.0]]
    assert (out.scale, out.offset) == (1.0, 0.0)


def test_what_numpy_would_only_approximate_is_refused_as_well():
    with pytest.raises(StreamMismatch, match=r"not every int64 of the input is a float64.*casting='round'"):
        converter("<i8", {"dtype": "float64"})
    made, _, _ = converter("<i8", {"dtype": "float64", "casting": "round"})
    assert run(made, [[2**53 + 1, 1]]).tolist() == [[2.0**53, 1.0]]


def test_a_value_that_does_not_fit_names_its_sample_and_channel():
    made, _, _ = converter("<f8", {"dtype": "int16", "casting": "round"})
    assert run(made, [[0.5, 1.5], [-2.5, 32767.4]]).tolist() == [[0, 2], [-2, 32767]]
    with pytest.raises(
        StreamMismatch, match=r"sample 101, channel 'b': 32767\.5 does not fit int16; ask for"
    ):
        run(made, [[0, 0], [0, 32767.5]], start=100)
    with pytest.raises(StreamMismatch, match=r"sample 7, channel 'a': nan does not fit int16; give nan="):
        run(made, [[np.nan, 0]], start=7)


def test_pictures_and_scalars_are_named_by_their_place():
    made, _, _ = converter(
        "<f4",
        {"dtype": "uint8", "casting": "round"},
        shape=(-1, 2, 3, 3),
        streamtype="video",
        channel_names=(),
    )
    picture = np.zeros((1, 2, 3, 3))
    picture[0, 1, 2, 0] = 256
    with pytest.raises(StreamMismatch, match=r"sample 5 at \[1, 2, 0\]: 256\.0 does not fit uint8"):
        run(made, picture, start=5)
    made, _, _ = converter("<f4", {"dtype": "uint8", "casting": "round"}, shape=(-1,), channel_names=())
    with pytest.raises(StreamMismatch, match=r"sample 6: -1\.0 does not fit"):
        run(made, [0, -1], start=5)


def test_saturation_and_a_number_for_nan():
    made, _, _ = converter("<f8", {"dtype": "int8", "casting": "saturate", "nan": -128})
    assert run(made, [[1e9, -np.inf], [np.nan, 126.6]]).tolist() == [[127, -128], [-128, 127]]


def test_physical_values_beyond_float32():
    made, _, _ = converter("<f8", {"dtype": "float32", "physical": True}, scale=1e30)
    with pytest.raises(StreamMismatch, match="does not fit float32"):
        run(made, [[1e10, 0.0]])
    made, _, _ = converter("<f8", {"dtype": "float32", "physical": True, "casting": "saturate"}, scale=1e30)
    assert run(made, [[1e10, 1.0]])[0, 0] == np.finfo("f4").max
    made, _, _ = converter("<f8", {"physical": True}, scale=1e300)
    with pytest.raises(StreamMismatch, match="leave the range of float64"):
        run(made, [[1e10, 0.0]])


@pytest.mark.parametrize(
    ("dtype", "fields"),
    [
        ("<c8", {}),
        ([("x", "<f4")], {}),
        ("S4", {}),
        ("<i8", {"streamtype": "event"}),
    ],
)
def test_what_is_no_number_is_refused(dtype, fields):
    with pytest.raises(StreamMismatch, match="takes samples that are real numbers; came: "):
        converter(dtype, {}, **fields)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"dtype": "complex64"}, "wanted real numbers"),
        ({"dtype": "floaty"}, "no numpy data type"),
        ({"dtype": "int16", "physical": True}, "'float32' or 'float64', not 'int16'"),
        ({"nan": 0}, "for an integer dtype"),
        ({"dtype": "int8", "nan": 128}, "does not fit int8: -128 to 127"),
        ({"casting": "unsafe"}, "casting='unsafe'"),
    ],
)
def test_settings_that_clash_are_refused(settings, says):
    with pytest.raises(ConfigurationError, match=says):
        StreamConverter.settings_type.checked(**settings)


def test_bool_is_made_of_bool_only():
    with pytest.raises(StreamMismatch, match="does not turn int16 into bool"):
        converter("<i2", {"dtype": "bool", "casting": "round"})


def test_a_gap_is_told_at_once():
    made, _, _ = converter("<i2", {"dtype": "float32"})
    assert made.gap(gap := Gap(10, 20, epoch=3), "in") is gap
