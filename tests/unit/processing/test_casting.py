"""Casts between all real data types: exact, or refused, or as asked for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pyacq_lab.errors import StreamMismatch
from pyacq_lab.processing.casting import NoFit, cast, fits_exactly

NAMES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]
TYPES = [np.dtype(name) for name in NAMES]
PAIRS = list(itertools.product(TYPES, TYPES))


def extremes(dtype):
    if dtype.kind == "b":
        return [False, True]
    if dtype.kind == "f":
        limits = np.finfo(dtype)
        return [0.0, 1.5, -1.5, limits.max, limits.min, limits.tiny, np.inf, -np.inf]
    limits = np.iinfo(dtype)
    return [0, 1, limits.min, limits.max, limits.max - 1, limits.max // 3]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_fits_exactly_tells_what_comes_back_unchanged(source, target):
    values = np.array(extremes(source), source)
    if not fits_exactly(source, target):
        return
    came_back = cast(values, target, "safe").astype(source)
    assert came_back.tobytes() == values.tobytes()


def test_what_numpy_calls_safe_is_not_always_exact():
    assert np.can_cast("i8", "f8", "safe")
    assert not fits_exactly(np.dtype("i8"), np.dtype("f8"))
    assert not fits_exactly(np.dtype("u8"), np.dtype("f8"))
    assert fits_exactly(np.dtype("i4"), np.dtype("f8"))
    assert fits_exactly(np.dtype("i2"), np.dtype("f4"))
    assert not fits_exactly(np.dtype("u2"), np.dtype("f2"))


@given(
    st.sampled_from([t for t in TYPES if t.kind != "b"]).flatmap(lambda t: hnp.arrays(t, st.integers(1, 20))),
    st.sampled_from([t for t in TYPES if t.kind in "iu"]),
)
def test_saturated_integers_are_the_nearest_ones(data, target):
    """Against Python's integers, which know no overflow."""
    limits = np.iinfo(target)
    wanted = []
    for value in data.tolist():
        if value != value:
            wanted.append(7)
        elif value in (float("inf"), float("-inf")):
            wanted.append(limits.max if value > 0 else limits.min)
        else:
            wanted.append(min(max(round(value), limits.min), limits.max))  # round: ties to even, too
    got = cast(data, target, "saturate", nan=7)
    assert got.dtype == target
    assert got.tolist() == wanted


@given(
    st.sampled_from([t for t in TYPES if t.kind != "b"]).flatmap(lambda t: hnp.arrays(t, st.integers(1, 20))),
    st.sampled_from([t for t in TYPES if t.kind in "iu"]),
)
def test_rounding_refuses_exactly_what_saturating_would_change(data, target):
    limits = np.iinfo(target)
    good = [v == v and abs(v) != float("inf") and limits.min <= round(v) <= limits.max for v in data.tolist()]
    if all(good):
        assert cast(data, target, "round").tolist() == [round(v) for v in data.tolist()]
        return
    with pytest.raises(NoFit, match="does not fit") as refused:
        cast(data, target, "round")
    assert not good[refused.value.place[0]]


@pytest.mark.parametrize(("source", "target"), [("f8", "f4"), ("f8", "f2"), ("f4", "f2"), ("i4", "f2")])
def test_floats_beyond_the_limits(source, target):
    data = np.array([1, -(10**9), 10**9], source) * (
        1 if source == "i4" else 10.0 ** (30 if target == "f4" else 0)
    )
    with pytest.raises(NoFit):
        cast(data, np.dtype(target), "round")
    limit = np.finfo(target).max
    assert cast(data, np.dtype(target), "saturate")[1:].tolist() == [-limit, limit]


def test_floats_keep_infinity_and_nan():
    data = np.array([np.inf, -np.inf, np.nan, 0.1])
    got = cast(data, np.dtype("f4"), "round")
    np.testing.assert_array_equal(got, data.astype("f4"))


def test_nothing_is_done_where_nothing_is_to_do():
    data = np.arange(3)
    assert cast(data, data.dtype, "safe") is data


@pytest.mark.parametrize(("source", "target"), [p for p in PAIRS if not fits_exactly(*p)])
def test_safe_refuses_what_may_not_fit(source, target):
    with pytest.raises(StreamMismatch, match="not every"):
        cast(np.ones(2, source), target, "safe")
