"""Stream specs: what they refuse, and that they survive serialisation."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.stream import StreamSpec

RECORD = [("t", "<i8"), ("xy", ">f4", (2, 2)), ("inner", [("a", "u1"), ("b", "<c16")])]
DTYPES = ["<f8", ">f8", ">i2", "u1", "?", "<c8", "<M8[us]", "S5", "<U3", RECORD]


@pytest.mark.parametrize("codec", [msgspec.msgpack, msgspec.json], ids=["msgpack", "json"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_survives_serialisation(dtype, codec):
    spec = StreamSpec.of(dtype, shape=(-1, 2), sample_rate=1 / 3, units="µV", channel_names=["a", "b"])
    back = codec.decode(codec.encode(spec), type=StreamSpec)
    assert back == spec
    assert back.np_dtype == np.dtype(dtype)
    assert back.np_dtype.str == np.dtype(dtype).str
    assert not back.differences(spec)


@given(
    st.lists(st.sampled_from(["<f4", ">i8", "u1", "<u2"]), min_size=1, max_size=4),
    st.lists(st.integers(1, 3), max_size=2),
)
def test_any_record_survives_serialisation(forms, shape):
    dtype = np.dtype([(f"field {i}", form, tuple(shape)) for i, form in enumerate(forms)])
    spec = StreamSpec.of(dtype)
    back = msgspec.msgpack.decode(msgspec.msgpack.encode(spec), type=StreamSpec)
    assert back == spec
    assert back.np_dtype == dtype


def test_aligned_record_keeps_its_padding():
    dtype = np.dtype([("flag", "u1"), ("value", "<f8")], align=True)
    spec = StreamSpec.of(dtype)
    back = msgspec.msgpack.decode(msgspec.msgpack.encode(spec), type=StreamSpec)
    assert back.np_dtype.itemsize == dtype.itemsize == 16


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"dtype": "what"}, "not a numpy data type"),
        ({"dtype": "|O"}, "Python objects"),
        ({"dtype": [("a", "|O")]}, "Python objects"),
        ({"dtype": [("a",)]}, "not a numpy data type"),
        ({"dtype": 3}, "not a numpy data type"),
        ({"dtype": ",f8"}, "not a numpy data type"),  # which numpy has Python's parser look at
        ({"shape": ()}, r"-1 \(time\) first"),
        ({"shape": (3, 2)}, r"-1 \(time\) first"),
        ({"shape": (-1, 0)}, "positive sizes"),
        ({"sample_rate": 0.0}, "positive number of Hz"),
        ({"sample_rate": float("nan")}, "positive number of Hz"),
        ({"sample_rate": float("inf")}, "positive number of Hz"),
        ({"shape": (-1, 2), "channel_names": ("a",)}, "1 channel_names for 2 channels"),
        ({"buffer_size": -1}, "0 for 10 seconds"),
        ({"scale": "x"}, "scale 'x': wanted a finite number"),
        ({"offset": None}, "offset None: wanted a finite number"),
        ({"shape": (-1, 2), "scale": [1.0, "x"]}, "scale 'x': wanted a finite number"),
        ({"shape": (-1, 2), "scale": np.ones(3)}, "3 numbers as scale for 2 channels"),
    ],
)
def test_refuses(fields, says):
    with pytest.raises(ConfigurationError, match=says):
        StreamSpec(**fields)


def test_no_dtype_is_not_a_float():
    with pytest.raises(ConfigurationError, match="dtype None is not a numpy data type: give one"):
        StreamSpec.of(None)


def test_arrays_are_as_good_as_lists():
    spec = StreamSpec.of(
        "i2", shape=np.array([-1, 2]), channel_names=np.array(["a", "b"]), scale=np.array([1, 2], "f4"),
        offset=np.float32(3),
    )  # fmt: skip
    assert spec == StreamSpec.of("i2", shape=(-1, 2), channel_names=["a", "b"], scale=[1.0, 2.0], offset=3.0)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(spec), type=StreamSpec) == spec


@pytest.mark.parametrize("dtype", ["<c8", "S4", "<M8[ns]", "<m8[s]", "V4", RECORD], ids=str)
def test_what_is_no_real_number_has_no_physical_value(dtype):
    spec = StreamSpec.of(dtype, scale=2.0)
    with pytest.raises(ConfigurationError, match="have no physical value: read them raw"):
        spec.to_physical(np.zeros((3, 1), spec.np_dtype))


@pytest.mark.parametrize("shape", [(3, 1), (2,), (3, 2, 2)])
def test_scales_of_channels_want_all_of_them(shape):
    spec = StreamSpec.of("i2", shape=(-1, 2), scale=(2.0, 3.0))
    with pytest.raises(ConfigurationError, match="scale and offset of 2 channels: read them raw, or leave"):
        spec.to_physical(np.ones(shape, "i2"))
    assert spec.to_physical(np.ones((2, 2), "i2")).tolist() == [[2.0, 3.0]] * 2


@pytest.mark.parametrize("shape", [(-1,), (-1, 1), (-1, 4, 5, 3)])
def test_one_scale_in_a_tuple_is_for_all(shape):
    spec = StreamSpec.of("u1", shape=shape, scale=(2.0,))
    assert (spec.to_physical(np.ones((7, *shape[1:]), "u1")) == 2).all()


def test_says_what_follows_from_it():
    spec = StreamSpec.of(">i2", shape=(-1, 16), sample_rate=30000.0)
    assert (spec.sample_shape, spec.n_channels, spec.sample_nbytes) == ((16,), 16, 32)
    assert spec.names == tuple(map(str, range(16)))
    assert spec.ring_size == 300_000
    assert spec.replace(buffer_size=7).ring_size == 7
    assert StreamSpec(sample_rate=0.1).ring_size == 16


@pytest.mark.parametrize(("shape", "n_channels", "nbytes"), [((-1,), 1, 8), ((-1, 4, 5, 3), 1, 480)])
def test_streams_that_are_not_signals_have_one_channel(shape, n_channels, nbytes):
    spec = StreamSpec(shape=shape)
    assert (spec.n_channels, spec.sample_nbytes) == (n_channels, nbytes)


def test_names_its_differences():
    a, b = StreamSpec(units="V"), StreamSpec(units="mV", sample_rate=2.0)
    assert a.differences(b) == "sample_rate 1.0 != 2.0, units 'V' != 'mV'"
    assert a.differences(a) == ""


def test_replacing_checks_again():
    with pytest.raises(ConfigurationError, match="sample_rate"):
        StreamSpec().replace(sample_rate=-1.0)
