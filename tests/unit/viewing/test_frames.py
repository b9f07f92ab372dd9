from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.errors import ProtocolError
from pyacq_lab.viewing.frames import FULL_LANE, HEADER, Frame, quantised


@given(
    n_channels=st.integers(1, 5),
    n_bins=st.integers(0, 7),
    start=st.integers(0, 2**53),
    panel=st.integers(0, 2**16 - 1),
    revision=st.integers(0, 2**32 - 1),
    reset=st.booleans(),
)
def test_what_is_written_is_read(n_channels, n_bins, start, panel, revision, reset):
    rng = np.random.default_rng(n_bins)
    values = rng.integers(-32768, 32767, (n_channels, n_bins, 2)).astype(np.int16)
    flags = rng.integers(0, 3, n_bins).astype(np.uint8)
    data = Frame(panel, revision, start, reset, values, flags).to_bytes()
    assert len(data) % 2 == 0
    back = Frame.from_bytes(data)
    assert (back.panel, back.revision, back.start, back.reset) == (panel, revision, start, reset)
    np.testing.assert_array_equal(back.values, values)
    np.testing.assert_array_equal(back.flags, flags)


def frame():
    return Frame(0, 1, 5, False, np.zeros((2, 3, 2), np.int16), np.zeros(3, np.uint8)).to_bytes()


def test_the_header_has_24_bytes():
    assert HEADER.size == 24


def test_a_frame_of_another_version_is_refused():
    with pytest.raises(ProtocolError, match="version 2"):
        Frame.from_bytes(b"\x02" + frame()[1:])


@pytest.mark.parametrize("cut", [0, 10, 24, -1])
def test_a_short_frame_is_refused(cut):
    with pytest.raises(ProtocolError, match=r"wanted at least|asks for"):
        Frame.from_bytes(frame()[:cut])


def test_lanes_become_integers_channels_first():
    lanes = np.array([[[-1.0, 1.0], [0.0, 0.5]]])
    np.testing.assert_array_equal(quantised(lanes), [[[-FULL_LANE, FULL_LANE]], [[0, round(FULL_LANE / 2)]]])


def test_far_values_saturate_and_nothing_is_recognisable():
    lanes = np.array([[[-np.inf, 100.0]], [[np.nan, np.nan]]])
    values = quantised(lanes)[0]
    np.testing.assert_array_equal(values[0], [-32767, 32767])
    assert values[1, 0] > values[1, 1]


def test_a_look_says_how_long_its_bins_are_and_where_it_begins():
    values = np.arange(12, dtype=np.int16).reshape(2, 3, 2)
    look = Frame(1, 7, -3.25, True, values, np.array([0, 1, 0], np.uint8), bin_size=40)
    again = Frame.from_bytes(look.to_bytes())
    assert (again.start, again.bin_size, again.revision, again.reset) == (-3.25, 40, 7, True)
    np.testing.assert_array_equal(again.values, values)
    np.testing.assert_array_equal(again.flags, [0, 1, 0])
    with pytest.raises(ProtocolError, match="its header asks for"):
        Frame.from_bytes(look.to_bytes()[:-8])
