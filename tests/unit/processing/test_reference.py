"""Channels chosen, referenced and rescaled."""

from __future__ import annotations

import numpy as np
import pytest

from pyacq_lab.errors import ConfigurationError, StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing import ChannelSelect, Reference, Rescale

NAMES = ("a", "b", "c", "d")
SPEC = StreamSpec.of(
    "int16", shape=(-1, 4), sample_rate=1000.0, units="uV", channel_names=NAMES, scale=(1.0, 2.0, 0.5, 1.0)
)
RAW = np.random.default_rng(0).integers(-1000, 1000, (50, 4)).astype(np.int16)
PHYSICAL = RAW * np.array(SPEC.scale)


@pytest.mark.parametrize(
    ("settings", "wanted", "names"),
    [
        ({}, PHYSICAL - PHYSICAL.mean(axis=1, keepdims=True), NAMES),
        ({"exclude": ["b"]}, PHYSICAL - PHYSICAL[:, [0, 2, 3]].mean(axis=1, keepdims=True), NAMES),
        ({"kind": "channels", "channels": ["d"]}, PHYSICAL - PHYSICAL[:, [3]], NAMES),
        (
            {"kind": "channels", "channels": [0, -1]},
            PHYSICAL - PHYSICAL[:, [0, 3]].mean(axis=1, keepdims=True),
            NAMES,
        ),
        (
            {"kind": "bipolar", "pairs": [("a", "b"), ("b", 2)]},
            PHYSICAL[:, [0, 1]] - PHYSICAL[:, [1, 2]],
            ("a-b", "b-c"),
        ),
    ],
    ids=["average", "exclude", "channel", "channels", "bipolar"],
)
def test_references(described, through, settings, wanted, names):
    made, out = described(Reference, SPEC, **settings)
    np.testing.assert_allclose(through(made, RAW, cuts=[1, 1, 30])[1], wanted, atol=1e-12)
    assert (out.names, out.units, out.scale, out.np_dtype) == (names, "uV", 1.0, np.float64)


def test_nan_in_the_reference_spoils_its_own_sample(described, through):
    spec = StreamSpec(shape=(-1, 3))
    data = np.random.default_rng(0).standard_normal((5, 3))
    data[2, 1] = np.nan
    got = through(described(Reference, spec)[0], data)[1]
    assert np.flatnonzero(np.isnan(got).all(axis=1)).tolist() == [2]
    assert np.isnan(got).sum() == 3
    got = through(described(Reference, spec, exclude=[1])[0], data)[1]
    assert np.argwhere(np.isnan(got)).tolist() == [[2, 1]]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"kind": "channels"}, "needs channels"),
        ({"pairs": [("a", "b")]}, "pairs is for kind='bipolar'"),
        ({"kind": "bipolar", "pairs": [("a", "x")]}, "no channel 'x'"),
        ({"exclude": [":"]}, "all but `exclude`: .* selects no channel"),
    ],
    ids=str,
)
def test_refused_references(described, settings, says):
    with pytest.raises(ConfigurationError, match=says):
        described(Reference, SPEC, **settings)


def test_select_keeps_what_the_spec_says_of_a_channel(described, through):
    made, out = described(ChannelSelect, SPEC, channels=["c", "0:2"])
    assert (out.names, out.scale, out.units) == (("c", "a", "b"), (0.5, 1.0, 2.0), "uV")
    got = through(made, RAW)[1]
    np.testing.assert_array_equal(got, RAW[:, [2, 0, 1]])
    assert got.dtype == RAW.dtype
    view = described(ChannelSelect, SPEC, channels=["1:3"])[0].process(Chunk(0, RAW), "in")
    assert np.shares_memory(view.data, RAW)
    with pytest.raises(ConfigurationError, match="more than once"):
        described(ChannelSelect, SPEC, channels=["a", 0])
    with pytest.raises(StreamMismatch, match="ChannelSelect takes"):
        described(ChannelSelect, StreamSpec(shape=(-1, 4), streamtype="event"), channels=[0])


def test_rescale(described, through):
    made, out = described(Rescale, SPEC, gain=[1, 10, 100, 0], offset=5, units="N")
    wanted = PHYSICAL * [1, 10, 100, 0] + 5
    np.testing.assert_allclose(through(made, RAW, cuts=[7])[1], wanted, rtol=1e-15)
    assert (out.units, out.scale, out.offset) == ("N", 1.0, 0.0)
    np.testing.assert_array_equal(through(described(Rescale, SPEC)[0], RAW)[1], SPEC.to_physical(RAW))
    with pytest.raises(ConfigurationError, match="3 numbers as gain for 4 channels"):
        described(Rescale, SPEC, gain=[1, 2, 3])
    with pytest.raises(ConfigurationError, match="finite"):
        described(Rescale, SPEC, offset=float("inf"))


def test_rescale_changes_while_it_runs_or_not_at_all(described):
    made, _ = described(Rescale, SPEC)
    made.change(made.settings.changed(gain=3.0))
    np.testing.assert_array_equal(made.process(Chunk(0, RAW), "in"), PHYSICAL * 3)
    with pytest.raises(ConfigurationError, match="2 numbers as offset"):
        made.change(made.settings.changed(offset=(1.0, 2.0)))
    np.testing.assert_array_equal(made.process(Chunk(0, RAW), "in"), PHYSICAL * 3)


@pytest.mark.parametrize(
    ("kind", "settings"), [(ChannelSelect, {"channels": [0]}), (Reference, {}), (Rescale, {})]
)
def test_a_gap_stays_one(described, kind, settings):
    gap = Gap(5, 9, 3, "overrun")
    assert described(kind, SPEC, **settings)[0].gap(gap, "in") is gap
